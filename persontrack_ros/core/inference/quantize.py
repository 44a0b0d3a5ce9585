"""INT8 versions of detectors, made with NNCF, and their agreement with the original."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import yaml
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import ModelError, SourceError
from persontrack_ros.core.base.fetching import store
from persontrack_ros.core.base.geometry import iou
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.settings import DetectorSettings, InferenceSettings
from persontrack_ros.core.inference.catalogue import QUANTIZED
from persontrack_ros.core.inference.detector import GREY, Detector, Fit
from persontrack_ros.core.inference.files import installation_directory
from persontrack_ros.core.inference.profile import DetectorProfile
from persontrack_ros.core.inference.runtime import Runtime
from persontrack_ros.core.media.source import VideoSource

MIN_CALIBRATION = 10
# A guess; person-detection-0202 reaches 0.99.
MIN_AGREEMENT = 0.9
# A detection of both versions is the same from this IoU on.
_SAME_IOU = 0.5


def sample_images(video: str, count: int) -> tuple[list[BgrImage], list[BgrImage]]:
    """
    Read images for calibration, evenly spaced, and from the last fifth of a video for comparison.

    :param count: number of images for calibration; a quarter as many are for comparison.
    :raises SourceError: if the video cannot be read.
    """
    with VideoSource(video) as frames:
        total = sum(1 for _ in frames)
    wanted = set(np.linspace(1, total, min(total, count * 5 // 4), dtype=int).tolist())
    with VideoSource(video) as frames:
        images = [frame.image for frame in frames if frame.number in wanted]
    split = len(images) * 4 // 5
    return images[:split], images[split:]


def quantize(path: Path, device: str, videos: Sequence[str], count: int) -> tuple[Path, str]:
    """
    Make an INT8 version of a detector in the user's cache.

    :param path: file of the original.
    :param device: the device to compare on.
    :param videos: to calibrate with; the last fifth of each is held out for the comparison.
    :param count: number of images.
    :returns: the file made, and its agreement with the original in words.
    :raises ModelError: if NNCF is not installed, the model cannot be used or quantized, or its
        INT8 version does not agree with it and is not installed.
    :raises SourceError: if a video cannot be read, or there are too few images or persons.
    :raises OutputError: if the cache cannot be written.
    """
    samples = [sample_images(video, -(-count // len(videos))) for video in videos]
    images, held_out = ([image for each in part for image in each] for part in zip(*samples))
    if len(images) < MIN_CALIBRATION:
        raise SourceError(
            f'too few images in the videos to calibrate with: {len(images)}, expected at least '
            f'{MIN_CALIBRATION}; better a few hundred'
        )
    target = installation_directory() / path.stem / QUANTIZED / path.with_suffix('.xml').name
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, target.name)
        model, profile = _quantize(path, images)
        ov.save_model(model, made)
        # What is beside the original is not beside the new one.
        keys = dataclasses.asdict(profile).items()
        known = {key: value for key, value in keys if value is not None}
        made.with_suffix('.yaml').write_text(yaml.safe_dump(known))
        agreement = _agreement((path, made), device, held_out)
        report = (
            f'agreement with the original, on {len(held_out)} held-out images: {agreement:.3f}'
        )
        if agreement < MIN_AGREEMENT:
            raise ModelError(
                f'the INT8 version of {path.stem} is not installed: {report}, expected at least '
                f'{MIN_AGREEMENT}. Calibrate with other videos, similar to those of the camera, '
                'or keep the original'
            )
        # The .xml file comes last, because its existence means "installed".
        for file in sorted(Path(folder).iterdir(), key=lambda file: file.suffix == '.xml'):
            store(target.with_name(file.name), file.read_bytes())
    return target, report


def _agreement(paths: Sequence[Path], device: str, images: Sequence[BgrImage]) -> float:
    """Return the part of the detections that both versions have."""
    # Nothing of temporary files is cached.
    runtime = Runtime(InferenceSettings(cache_dir='none'))
    detectors = [Detector(DetectorSettings(str(path), device), runtime) for path in paths]
    shared = total = 0
    for image in images:
        boxes, others = (detector.detect(image).boxes for detector in detectors)
        same = iou(boxes, others) >= _SAME_IOU
        shared += int(same.any(axis=0).sum() + same.any(axis=1).sum())
        total += len(boxes) + len(others)
    if not total:
        raise SourceError('there are no persons in the last fifth of the videos to compare by')
    return shared / total


def _quantize(path: Path, images: Sequence[BgrImage]) -> tuple[ov.Model, DetectorProfile]:
    try:
        import nncf
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet
    except ImportError as error:
        raise ModelError(
            'INT8 versions are made with NNCF, which is not installed: pip install nncf'
        ) from error
    model, profile = Runtime().read(path, DetectorProfile)
    lengths = dict(zip(profile.layout, model.input().shape))
    size = (lengths['H'], lengths['W'])

    def prepare(image: BgrImage) -> NDArray[np.float32]:
        pixels = np.full((*size, 3), GREY, dtype=np.uint8)
        Fit(profile.fit, (image.shape[0], image.shape[1]), size).draw(image, pixels)
        pixels = pixels if profile.color == 'BGR' else pixels[..., ::-1]
        values = (pixels.astype(np.float32) - profile.mean) / np.asarray(profile.scale)
        values = values if profile.layout == 'NHWC' else values.transpose(2, 0, 1)
        return np.ascontiguousarray(values[None], dtype=np.float32)

    try:
        quantized = nncf.quantize(
            model,
            nncf.Dataset(images, prepare),
            # Symmetric: with zero points, it is no faster than bf16 on CPUs with AMX.
            preset=nncf.QuantizationPreset.PERFORMANCE,
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(names=_heads(model)),
            # The largest values of all images rather than their mean: other videos have larger.
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
            ),
        )
    except (RuntimeError, ValueError) as error:
        raise ModelError(f'NNCF cannot quantize {path}: {error}') from error
    return quantized, profile


def _heads(model: ov.Model) -> list[str]:
    """
    Return the names of the last convolutions before the outputs.

    They are not quantized. 8 bits are too coarse for scores and coordinates: scores of 0.99 fell
    to 0.6, and persons with 0.6 were missed.
    """
    heads: set[str] = set()
    seen: set[str] = set()
    waiting = [result.get_node() for result in model.outputs]
    while waiting:
        node = waiting.pop()
        name, kind = node.get_friendly_name(), node.get_type_name()
        # Nodes that depend on shapes alone, as the anchors of SSD, lead to layers of any depth.
        if name in seen or kind in ('ShapeOf', 'PriorBox'):
            continue
        seen.add(name)
        if kind in ('Convolution', 'MatMul'):
            heads.add(name)
        else:
            waiting += [source.get_source_output().get_node() for source in node.inputs()]
    return sorted(heads)
