"""INT8 versions of models, and their agreement with the original."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import ModelError, SourceError
from persontrack_ros.core.base.fetching import locked, put
from persontrack_ros.core.base.geometry import FloatArray, iou, pixel_rectangles
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.settings import (
    DetectorSettings,
    InferenceSettings,
    ReidSettings,
)
from persontrack_ros.core.inference.catalogue import QUANTIZED
from persontrack_ros.core.inference.detector import GREY, Detector, Fit
from persontrack_ros.core.inference.embedder import ModelEmbedder
from persontrack_ros.core.inference.files import installation_directory
from persontrack_ros.core.inference.profile import DetectorProfile, Profile, read_profile
from persontrack_ros.core.inference.runtime import Runtime
from persontrack_ros.core.media.source import SourceOptions, VideoSource

# The last part of each video is held out.
HELD_OUT = 0.2
MIN_CALIBRATION = 10
# Re-identification: INT8 versions with a mean cosine of 0.95 lost 2 points of IDF1, and with 0.98
# none; 0.97 lies between. Detectors: a guess, person-detection-0202 reaches 0.99.
MIN_AGREEMENT = {'detector': 0.9, 'reid': 0.97}
TIMED_RUNS = 50
# A detection of both versions is the same from this IoU on.
_SAME_IOU = 0.5

_ADVICE = 'Calibrate with other videos, similar to those of the camera, or keep the original'

Crops = list[tuple[BgrImage, FloatArray]]


@dataclass(frozen=True)
class Report:
    """
    Comparison of an INT8 version with the original, on held-out images.

    :ivar path: the file made.
    :ivar speed: time of the original divided by that of the new one, for one call.
    :ivar agreement: of detectors, the part of all detections of both versions that have a partner
        in the other one; of re-identification models, the mean cosine similarity of the vectors.
    :ivar worst: of detectors, the smallest such part of one image; of re-identification models,
        the smallest cosine similarity.
    :ivar count: number of images or crops compared.
    """

    path: Path
    speed: float
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
                index = frame.number - 1
                if index in chosen:
                    calibration.append(frame.image)
                elif index in compared:
                    held_out.append(frame.image)
    if len(calibration) < MIN_CALIBRATION or not held_out:
        raise SourceError(
            f'{" and ".join(videos)}: too few images to calibrate with: {len(calibration)}, '
            f'expected at least {MIN_CALIBRATION}; better a few hundred'
        )
    return calibration, held_out


def find_crops(images: Sequence[BgrImage], detector: Detector) -> Crops:
    """Return the images that have persons, with their boxes."""
    found = [(image, detector.detect(image).boxes) for image in images]
    return [(image, boxes) for image, boxes in found if len(boxes)]


def quantize_detector(
    path: Path, device: str, images: Sequence[BgrImage], held_out: Sequence[BgrImage]
) -> Report:
    """
    Make an INT8 version of a detector in the user's cache.

    :param path: file of the original.
    :raises ModelError: if NNCF is not installed, the model cannot be used or quantized, or its
        INT8 version does not agree with it and is not installed.
    :raises SourceError: if there are no persons in the held-out images.
    :raises OutputError: if the cache cannot be written.
    """
    profile = read_profile(path, DetectorProfile) or DetectorProfile()

    def tensor(image: BgrImage, size: tuple[int, int]) -> BgrImage:
        canvas = np.full((*size, 3), GREY, dtype=np.uint8)
        Fit(profile.fit, (image.shape[0], image.shape[1]), size).draw(image, canvas)
        return canvas

    with _quantized(path, profile, images, tensor) as made:
        original, quantized = (
            Detector(DetectorSettings(model=str(file), device=device), _runtime())
            for file in (path, made)
        )
        counts = [
            _count_shared(original.detect(image).boxes, quantized.detect(image).boxes)
            for image in held_out
        ]
        shared, total = np.sum(counts, axis=0).tolist()
        if not total:
            raise SourceError('there are no persons in the last fifth of the videos to compare by')
        report = Report(
            _target(path),
            _speed(lambda: original.detect(held_out[0]), lambda: quantized.detect(held_out[0])),
            shared / total,
            min(part / whole for part, whole in counts if whole),
            len(held_out),
        )
        if report.agreement < MIN_AGREEMENT['detector']:
            raise ModelError(
                f'the INT8 version of {path.stem} is not installed: on {report.count} held-out '
                f'images, {100 * report.agreement:.1f} % of the detections are in both versions '
                f'(worst image {100 * report.worst:.0f} %), expected at least '
                f'{100 * MIN_AGREEMENT["detector"]:.0f} %; speed: {report.speed:.2f} times the '
                f'original. {_ADVICE}'
            )
    return report


def quantize_reid(path: Path, device: str, crops: Crops, held_out: Crops) -> Report:
    """
    Make an INT8 version of a re-identification model, as :func:`quantize_detector` does.

    :raises SourceError: if there are too few persons in the images.
    """
    profile = read_profile(path, Profile) or Profile()
    images = [
        image[top:bottom, left:right]
        for image, boxes in crops
        for left, top, right, bottom in pixel_rectangles(boxes, image.shape[1], image.shape[0])
    ]
    if len(images) < MIN_CALIBRATION or not held_out:
        raise SourceError(f'too few persons in the videos: {len(images)} to calibrate with')

    def tensor(image: BgrImage, size: tuple[int, int]) -> BgrImage:
        return cv2.resize(image, (size[1], size[0]))

    with _quantized(path, profile, images, tensor) as made:
        original, quantized = (
            ModelEmbedder(ReidSettings(model=str(file), device=device), _runtime())
            for file in (path, made)
        )
        similarity = np.concatenate(
            [np.sum(original.embed(*crop) * quantized.embed(*crop), axis=1) for crop in held_out]
        )
        image, boxes = held_out[0]
        one = boxes[:1]
        report = Report(
            _target(path),
            _speed(lambda: original.embed(image, one), lambda: quantized.embed(image, one)),
            float(similarity.mean()),
            float(similarity.min()),
            len(similarity),
        )
        if report.agreement < MIN_AGREEMENT['reid']:
            raise ModelError(
                f'the INT8 version of {path.stem} is not installed: on {report.count} held-out '
                f'persons, the mean cosine similarity to the original is {report.agreement:.3f} '
                f'(smallest {report.worst:.3f}), expected at least {MIN_AGREEMENT["reid"]}; '
                f'speed: {report.speed:.2f} times the original. {_ADVICE}'
            )
    return report


def _count_shared(one: FloatArray, other: FloatArray) -> tuple[int, int]:
    """Return how many boxes of both have a partner in the other one, and how many there are."""
    shared = 0
    if len(one) and len(other):
        same = iou(one, other) >= _SAME_IOU
        shared = int(same.any(axis=0).sum() + same.any(axis=1).sum())
    return shared, len(one) + len(other)


def _runtime() -> Runtime:
    """Return a runtime that caches nothing, for temporary files."""
    return Runtime(InferenceSettings(cache_dir='none'))


def _target(path: Path) -> Path:
    """Return the path of the INT8 version of a model."""
    return installation_directory() / path.stem / QUANTIZED / f'{path.stem}.xml'


@contextmanager
def _quantized(
    path: Path,
    profile: Profile,
    images: Sequence[BgrImage],
    fit: Callable[[BgrImage, tuple[int, int]], BgrImage],
) -> Iterator[Path]:
    """
    Make the INT8 version of a model; it is installed if the body raises no error.

    :param fit: makes an image of a given (height, width).
    """
    try:
        import nncf
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet
    except ImportError as error:
        raise ModelError(
            'INT8 versions are made with NNCF, which is not installed: pip install nncf'
        ) from error
    model = _runtime().read(path, profile)
    lengths = dict(zip(profile.layout, model.input().shape))

    def prepare(image: BgrImage) -> NDArray[np.float32]:
        pixels = fit(image, (lengths['H'], lengths['W']))
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
            # The largest values of all images rather than their mean, for the sake of other
            # videos.
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
            ),
        )
    except (RuntimeError, ValueError) as error:
        raise ModelError(f'NNCF cannot quantize {path}: {error}') from error
    folder = _target(path).parent
    beside = path.with_suffix('.yaml')
    with locked(folder), tempfile.TemporaryDirectory(dir=folder) as temporary:
        part = Path(temporary, f'{path.stem}.xml')
        ov.save_model(quantized, part)
        if beside.is_file():
            shutil.copy(beside, part.with_suffix('.yaml'))
        yield part
        # The .xml file comes last, because its existence means "installed".
        for made in sorted(part.parent.iterdir(), key=lambda file: file.suffix == '.xml'):
            put(made, folder / made.name)


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


def _speed(original: Callable[[], object], quantized: Callable[[], object]) -> float:
    """Return the speed of the second model relative to the first, from interleaved runs."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(TIMED_RUNS):
        for call, measured in zip((original, quantized), times):
            started = time.perf_counter()
            call()
            measured.append(time.perf_counter() - started)
    return statistics.median(times[0]) / statistics.median(times[1])
