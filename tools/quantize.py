#!/usr/bin/env python3
"""
Make an INT8 version of a detector with NNCF (pip install nncf), into the user's cache.

    python tools/quantize.py person-detection-0202 monday.mp4 tuesday.mp4

The last fifth of each video is held out. The new version is compared with the original on it, and
is not installed if less than 90 % of the detections agree.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nncf
import numpy as np
import openvino as ov
import yaml
from nncf.quantization.range_estimator import RangeEstimatorParametersSet
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import ModelError, PersontrackError, SourceError
from persontrack_ros.core.base.fetching import store
from persontrack_ros.core.base.geometry import iou
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.settings import DetectorSettings, InferenceSettings
from persontrack_ros.core.inference.catalogue import QUANTIZED
from persontrack_ros.core.inference.detector import GREY, Detector, Fit
from persontrack_ros.core.inference.files import find_model, installation_directory
from persontrack_ros.core.inference.profile import DetectorProfile
from persontrack_ros.core.inference.runtime import Runtime
from persontrack_ros.core.media.source import VideoSource

MIN_IMAGES = 10
MIN_AGREEMENT = 0.9
# A detection of both versions is the same from this IoU on.
SAME_IOU = 0.5


def sample(video: str, count: int) -> tuple[list[BgrImage], list[BgrImage]]:
    """Return images to calibrate with, evenly spaced, and some of the last fifth to compare on."""
    with VideoSource(video) as frames:
        total = sum(1 for _ in frames)
    wanted = set(np.linspace(1, total, min(total, count * 5 // 4), dtype=int).tolist())
    with VideoSource(video) as frames:
        images = [frame.image for frame in frames if frame.number in wanted]
    split = len(images) * 4 // 5
    return images[:split], images[split:]


def quantize(path: Path, images: Sequence[BgrImage]) -> tuple[ov.Model, DetectorProfile]:
    """Return the INT8 version of a detector, and its profile."""
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

    quantized = nncf.quantize(
        model,
        nncf.Dataset(images, prepare),
        # Symmetric: with zero points, it is no faster than bf16 on CPUs with AMX.
        preset=nncf.QuantizationPreset.PERFORMANCE,
        subset_size=len(images),
        ignored_scope=nncf.IgnoredScope(names=heads(model)),
        # The largest values of all images rather than their mean: other videos have larger.
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
        ),
    )
    return quantized, profile


def heads(model: ov.Model) -> list[str]:
    """
    Return the names of the last convolutions before the outputs.

    They are not quantized. 8 bits are too coarse for scores and coordinates: scores of 0.99 fell
    to 0.6, and persons with 0.6 were missed.
    """
    found: set[str] = set()
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
            found.add(name)
        else:
            waiting += [source.get_source_output().get_node() for source in node.inputs()]
    return sorted(found)


def agreement(paths: Sequence[Path], images: Sequence[BgrImage]) -> float:
    """Return the part of the detections that both versions have."""
    # Nothing of temporary files is cached.
    runtime = Runtime(InferenceSettings(cache_dir='none'))
    detectors = [Detector(DetectorSettings(str(path), 'CPU'), runtime) for path in paths]
    shared = total = 0
    for image in images:
        boxes, others = (detector.detect(image).boxes for detector in detectors)
        same = iou(boxes, others) >= SAME_IOU
        shared += int(same.any(axis=0).sum() + same.any(axis=1).sum())
        total += len(boxes) + len(others)
    if not total:
        raise SourceError('there are no persons in the last fifth of the videos to compare by')
    return shared / total


def install(name: str, videos: Sequence[str], count: int) -> Path:
    """
    Make the INT8 version of a detector, and install it if it agrees with the original.

    :raises PersontrackError: if it does not, or a model or video cannot be used.
    """
    path = find_model(name, 'FP16')
    samples = [sample(video, -(-count // len(videos))) for video in videos]
    images, held_out = ([one for each in part for one in each] for part in zip(*samples))
    if len(images) < MIN_IMAGES:
        raise SourceError(
            f'there are too few images to calibrate with: {len(images)}, expected at least '
            f'{MIN_IMAGES}; better a few hundred'
        )
    target = installation_directory() / path.stem / QUANTIZED / f'{path.stem}.xml'
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, target.name)
        model, profile = quantize(path, images)
        ov.save_model(model, made)
        # What is beside the original is not beside the new one.
        known = {
            key: value for key, value in dataclasses.asdict(profile).items() if value is not None
        }
        made.with_suffix('.yaml').write_text(yaml.safe_dump(known))
        part = agreement((path, made), held_out)
        print(f'agreement with the original, on {len(held_out)} held-out images: {part:.3f}')
        if part < MIN_AGREEMENT:
            raise ModelError(
                f'the INT8 version of {path.stem} is not installed: expected an agreement of at '
                f'least {MIN_AGREEMENT}. Calibrate with other videos, similar to those of the '
                'camera, or keep the original'
            )
        # The .xml file comes last, because its existence means "installed".
        for file in sorted(Path(folder).iterdir(), key=lambda file: file.suffix == '.xml'):
            store(target.with_name(file.name), file.read_bytes())
    return target


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('name', metavar='NAME', help='name or path of a detector')
    parser.add_argument('videos', nargs='+', metavar='VIDEO', help="videos like the camera's")
    parser.add_argument('--images', type=int, default=200, help='number of images (default: 200)')
    options = parser.parse_args()
    try:
        target = install(options.name, options.videos, options.images)
    except PersontrackError as error:
        sys.exit(f'quantize: error: {error}')
    print(
        f'written to {target}; to use it, set detector.model={target.stem} '
        f'and detector.precision={QUANTIZED}'
    )


if __name__ == '__main__':
    main()
