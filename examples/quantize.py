#!/usr/bin/env python3
"""
Make an INT8 version of a model with NNCF (pip install nncf), into the cache of the user.

    examples/quantize.py person-detection-0202 --calibration monday.mp4 tuesday.mp4

The last fifth of each video is not used for calibration, but to compare the version with the
original. A version that does not agree is not installed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import ModelError, PersontrackError, SourceError
from persontrack_ros.core.base.fetching import store
from persontrack_ros.core.base.geometry import iou, pixel_rectangles
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.settings import (
    DetectorSettings,
    InferenceSettings,
    ReidSettings,
)
from persontrack_ros.core.inference.catalogue import DEFAULT_PRECISION, QUANTIZED, catalogue
from persontrack_ros.core.inference.detector import GREY, Detector, Fit
from persontrack_ros.core.inference.embedder import ModelEmbedder
from persontrack_ros.core.inference.files import find_model, installation_directory
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

# Compares both versions on one image: how much agrees, and of how much.
_Compare = Callable[[BgrImage], tuple[float, int]]


@dataclass(frozen=True)
class Report:
    """
    Comparison of an INT8 version with the original, on held-out images.

    :ivar path: the file made.
    :ivar agreement: of detectors, the part of all detections of both versions that have a partner
        in the other one; of re-identification models, the mean cosine similarity of the vectors.
    :ivar worst: the smallest such value of one image or person.
    :ivar count: number of images or persons compared.
    """

    path: Path
    agreement: float
    worst: float
    count: int


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


def quantize(kind: str, path: Path, device: str, videos: Sequence[str], count: int) -> Report:
    """
    Make an INT8 version of a model in the user's cache.

    :param kind: ``detector`` or ``reid``.
    :param path: file of the original.
    :param videos: to calibrate with; the last part of each is held out for the comparison.
    :param count: number of images.
    :raises ModelError: if NNCF is not installed, the model cannot be used or quantized, or its
        INT8 version does not agree with it and is not installed.
    :raises SourceError: if a video cannot be read, or has too few images or persons.
    :raises OutputError: if the cache cannot be written.
    """
    calibration, held_out = sample_images(videos, count)
    if kind == 'reid':
        finder = Detector(DetectorSettings(device=device), Runtime())
        calibration, held_out = (_crops(each, finder) for each in (calibration, held_out))
        _check_number(calibration, held_out, 'persons')
    target = installation_directory() / path.stem / QUANTIZED / path.with_suffix('.xml').name
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, target.name)
        ov.save_model(_quantize(kind, path, calibration), made)
        beside = path.with_suffix('.yaml')
        if beside.is_file():
            shutil.copy(beside, folder)
        compare = (_detections if kind == 'detector' else _embeddings)(path, made, device)
        counts = [(part, whole) for part, whole in map(compare, held_out) if whole]
        if not counts:
            raise SourceError('there are no persons in the last fifth of the videos to compare by')
        agreed, total = np.sum(counts, axis=0).tolist()
        worst = min(part / whole for part, whole in counts)
        report = Report(target, agreed / total, worst, len(held_out))
        if report.agreement < MIN_AGREEMENT[kind]:
            raise ModelError(
                f'the INT8 version of {path.stem} is not installed: on {report.count} held-out '
                f'images, its agreement with the original is {report.agreement:.3f} (worst '
                f'{report.worst:.3f}), expected at least {MIN_AGREEMENT[kind]}. Calibrate with '
                'other videos, similar to those of the camera, or keep the original'
            )
        # The .xml file comes last, because its existence means "installed".
        for file in sorted(Path(folder).iterdir(), key=lambda file: file.suffix == '.xml'):
            store(target.with_name(file.name), file.read_bytes())
    return report


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


def _detections(path: Path, made: Path, device: str) -> _Compare:
    """Compare by how many boxes of both versions have a partner in the other one."""
    one, other = (
        Detector(DetectorSettings(str(file), device), _runtime()) for file in (path, made)
    )

    def compare(image: BgrImage) -> tuple[float, int]:
        boxes, others = one.detect(image).boxes, other.detect(image).boxes
        if not (len(boxes) and len(others)):
            return 0, len(boxes) + len(others)
        same = iou(boxes, others) >= _SAME_IOU
        return int(same.any(axis=0).sum() + same.any(axis=1).sum()), len(boxes) + len(others)

    return compare


def _embeddings(path: Path, made: Path, device: str) -> _Compare:
    """Compare by the cosine similarity of the vectors of a person."""
    models = [
        ModelEmbedder(ReidSettings(model=str(file), device=device), _runtime())
        for file in (path, made)
    ]

    def compare(image: BgrImage) -> tuple[float, int]:
        box = np.array([[0.0, 0.0, image.shape[1], image.shape[0]]])
        one, other = (model.embed(image, box)[0] for model in models)
        return float(one @ other), 1

    return compare


def _runtime() -> Runtime:
    """Return a runtime that caches nothing, for temporary files."""
    return Runtime(InferenceSettings(cache_dir='none'))


def _quantize(kind: str, path: Path, images: Sequence[BgrImage]) -> ov.Model:
    try:
        import nncf
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet
    except ImportError as error:
        raise ModelError(
            'INT8 versions are made with NNCF, which is not installed: pip install nncf'
        ) from error
    model, profile = _runtime().read(path, DetectorProfile if kind == 'detector' else Profile)
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
        return nncf.quantize(
            model,
            nncf.Dataset(images, prepare),
            # Symmetric: with zero points, it is no faster than bf16 on CPUs with AMX.
            preset=nncf.QuantizationPreset.PERFORMANCE,
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(names=_heads(model)),
            # The largest values of all images rather than their mean, for the sake of other
            # videos.
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
            ),
        )
    except (RuntimeError, ValueError) as error:
        raise ModelError(f'NNCF cannot quantize {path}: {error}') from error


def _heads(model: ov.Model) -> list[str]:
    """
    Return the names of the last convolutions before the outputs.

    They are not quantized. 8 bits are too coarse for scores and coordinates: scores of 0.99 fell
    to 0.6, and persons with 0.6 were missed.
    """
    heads: set[str] = set()
    # Nodes that depend on shapes alone, such as the anchors of SSD, lead to layers of any depth.
    seen = set()
    waiting = [result.get_friendly_name() for result in model.get_results()]
    nodes = {node.get_friendly_name(): node for node in model.get_ops()}
    while waiting:
        name = waiting.pop()
        if name in seen or nodes[name].get_type_name() in ('ShapeOf', 'PriorBox'):
            continue
        seen.add(name)
        if nodes[name].get_type_name() in ('Convolution', 'MatMul'):
            heads.add(name)
            continue
        waiting += [
            source.get_source_output().get_node().get_friendly_name()
            for source in nodes[name].inputs()
        ]
    return sorted(heads)


def main() -> int:
    """Make it; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('name', metavar='NAME', help='name or path of a model')
    parser.add_argument(
        '--calibration',
        nargs='+',
        required=True,
        metavar='VIDEO',
        help='videos like those of the camera: hours, weather and distances',
    )
    parser.add_argument(
        '--kind',
        choices=('detector', 'reid'),
        default='detector',
        help='kind of a model given by its path (default: detector)',
    )
    parser.add_argument(
        '--images', type=int, default=200, metavar='N', help='number of images (default: 200)'
    )
    parser.add_argument('--device', default='CPU', help='device to compare on (default: CPU)')
    options = parser.parse_args()
    entry = catalogue().get(options.name)
    kind = entry.kind if entry else options.kind
    try:
        path = find_model(options.name, DEFAULT_PRECISION)
        report = quantize(kind, path, options.device, options.calibration, options.images)
    except PersontrackError as error:
        print(f'{parser.prog}: error: {error}', file=sys.stderr)
        return 2
    print(
        f'agreement with the original, on {report.count} held-out '
        f'{"images" if kind == "detector" else "persons"}: {report.agreement:.3f} '
        f'(worst {report.worst:.3f})'
    )
    print(f'written to {report.path}')
    print(f'to use it, set {kind}.model to {path.stem} and {kind}.precision to {QUANTIZED}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
