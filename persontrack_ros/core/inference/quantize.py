"""INT8 versions of models, made with NNCF, and their agreement with the original."""

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
from persontrack_ros.core.base.geometry import iou, pixel_rectangles
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.settings import DetectorSettings, InferenceSettings, ReidSettings
from persontrack_ros.core.inference.catalogue import QUANTIZED
from persontrack_ros.core.inference.detector import GREY, Detector, Fit
from persontrack_ros.core.inference.embedder import ModelEmbedder
from persontrack_ros.core.inference.files import installation_directory
from persontrack_ros.core.inference.profile import DetectorProfile, Profile
from persontrack_ros.core.inference.runtime import Runtime
from persontrack_ros.core.media.source import SourceOptions, VideoSource

# The last part of each video is held out.
HELD_OUT = 0.2
MIN_CALIBRATION = 10
# Re-identification: INT8 versions with a mean cosine of 0.95 lost 2 points of IDF1, and with 0.98
# none; 0.97 lies between. Detectors: a guess, person-detection-0202 reaches 0.99.
MIN_AGREEMENT = {'detector': 0.9, 'reid': 0.97}
# A detection of both versions is the same from this IoU on.
_SAME_IOU = 0.5


def sample_images(videos: Sequence[str], count: int) -> tuple[list[BgrImage], list[BgrImage]]:
    """
    Read images for calibration and, from the last part of each video, for comparison.

    :param count: number of images for calibration, evenly spaced over all videos.
    :raises SourceError: if a video cannot be read or there are too few images.
    """
    calibration: list[BgrImage] = []
    held_out: list[BgrImage] = []
    for name in videos:
        with VideoSource(name, SourceOptions()) as video:
            total = sum(1 for _ in video)
        split = round(total * (1 - HELD_OUT))
        share = -(-count // len(videos))
        chosen = set(np.linspace(0, split - 1, min(share, split), dtype=int).tolist())
        others = min(max(1, share // 4), total - split)
        compared = set(np.linspace(split, total - 1, others, dtype=int).tolist())
        with VideoSource(name, SourceOptions()) as video:
            for frame in video:
                if frame.number - 1 in chosen:
                    calibration.append(frame.image)
                elif frame.number - 1 in compared:
                    held_out.append(frame.image)
    _check_number(calibration, held_out, 'images')
    return calibration, held_out


def quantize(
    kind: str, path: Path, device: str, videos: Sequence[str], count: int
) -> tuple[Path, str]:
    """
    Make an INT8 version of a model in the user's cache.

    :param kind: ``detector`` or ``reid``.
    :param path: file of the original.
    :param videos: to calibrate with; the last part of each is held out for the comparison.
    :param count: number of images.
    :returns: the file made, and its agreement with the original in words.
    :raises ModelError: if NNCF is not installed, the model cannot be used or quantized, or its
        INT8 version does not agree with it and is not installed.
    :raises SourceError: if a video cannot be read, or has too few images or persons.
    :raises OutputError: if the cache cannot be written.
    """
    images, held_out = sample_images(videos, count)
    what = 'images'
    if kind == 'reid':
        finder = Detector(DetectorSettings(device=device), Runtime())
        images, held_out = (_crops(each, finder) for each in (images, held_out))
        what = 'persons'
        _check_number(images, held_out, what)
    target = installation_directory() / path.stem / QUANTIZED / path.with_suffix('.xml').name
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, target.name)
        model, profile = _quantize(kind, path, images)
        ov.save_model(model, made)
        # What is beside the original is not beside the new one.
        keys = dataclasses.asdict(profile).items()
        known = {key: value for key, value in keys if value is not None}
        made.with_suffix('.yaml').write_text(yaml.safe_dump(known))
        agreed, total = _agreement(kind, (path, made), device, held_out)
        report = (
            f'agreement with the original, on {len(held_out)} held-out {what}: '
            f'{agreed.sum() / total.sum():.3f} (worst {(agreed / total).min():.3f})'
        )
        if agreed.sum() < MIN_AGREEMENT[kind] * total.sum():
            raise ModelError(
                f'the INT8 version of {path.stem} is not installed: {report}, expected at least '
                f'{MIN_AGREEMENT[kind]}. Calibrate with other videos, similar to those of the '
                'camera, or keep the original'
            )
        # The .xml file comes last, because its existence means "installed".
        for file in sorted(Path(folder).iterdir(), key=lambda file: file.suffix == '.xml'):
            store(target.with_name(file.name), file.read_bytes())
    return target, report


def _check_number(calibration: list[BgrImage], held_out: list[BgrImage], what: str) -> None:
    if len(calibration) < MIN_CALIBRATION or not held_out:
        raise SourceError(
            f'too few {what} in the videos to calibrate with: {len(calibration)}, expected at '
            f'least {MIN_CALIBRATION}; better a few hundred'
        )


def _crops(images: Sequence[BgrImage], detector: Detector) -> list[BgrImage]:
    return [
        image[top:bottom, left:right]
        for image in images
        for left, top, right, bottom in pixel_rectangles(
            detector.detect(image).boxes, image.shape[1], image.shape[0]
        )
    ]


def _agreement(
    kind: str, paths: tuple[Path, Path], device: str, images: Sequence[BgrImage]
) -> NDArray[np.float64]:
    """Return how much of both versions agrees, and of how much, for each image with persons."""
    # Nothing of temporary files is cached.
    runtime = Runtime(InferenceSettings(cache_dir='none'))
    counts = []
    if kind == 'reid':
        reids = [ModelEmbedder(ReidSettings(str(path), device=device), runtime) for path in paths]
        for image in images:
            box = np.array([[0.0, 0.0, image.shape[1], image.shape[0]]])
            one, other = (reid.embed(image, box)[0] for reid in reids)
            counts.append((float(one @ other), 1))
    else:
        detectors = [Detector(DetectorSettings(str(path), device), runtime) for path in paths]
        for image in images:
            boxes, others = (detector.detect(image).boxes for detector in detectors)
            same = iou(boxes, others) >= _SAME_IOU
            shared = int(same.any(axis=0).sum() + same.any(axis=1).sum())
            if len(boxes) + len(others):
                counts.append((shared, len(boxes) + len(others)))
    if not counts:
        raise SourceError('there are no persons in the last fifth of the videos to compare by')
    return np.array(counts, dtype=np.float64).T


def _quantize(kind: str, path: Path, images: Sequence[BgrImage]) -> tuple[ov.Model, Profile]:
    try:
        import nncf
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet
    except ImportError as error:
        raise ModelError(
            'INT8 versions are made with NNCF, which is not installed: pip install nncf'
        ) from error
    model, profile = Runtime().read(path, DetectorProfile if kind == 'detector' else Profile)
    lengths = dict(zip(profile.layout, model.input().shape))
    size = (lengths['H'], lengths['W'])
    how = profile.fit if isinstance(profile, DetectorProfile) else 'stretch'

    def prepare(image: BgrImage) -> NDArray[np.float32]:
        pixels = np.full((*size, 3), GREY, dtype=np.uint8)
        Fit(how, (image.shape[0], image.shape[1]), size).draw(image, pixels)
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
