"""
Detections of a whole video in a file, so that tracking can be repeated without inference.

A recording is an .npz file of ``frame`` (number of the frame of each detection, counted from 1),
``tlwh`` (boxes), ``score``, ``embedding`` (absent where there are none), ``num_frames`` and, where
known, ``stamp`` (of each frame, nanoseconds), ``image_size`` (width, height), ``score_threshold``
(of the detector), ``same_person`` (threshold of the embeddings), ``camera_motion`` (from the
last frame to each frame, an affine map of pixels, shape ``(2, 3)``; NaN where it could not be
estimated) and ``turn`` (the detector of each frame: 0 `large`, 1 `light`, 2 `none`) with
``light_threshold``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.arrays import read_arrays
from persontrack_ros.core.base.detections import SMALLEST, Detections
from persontrack_ros.core.base.errors import SourceError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.base.output import OutputFile
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.config.settings import LARGE, LIGHT, NONE, TrackerSettings
from persontrack_ros.core.evaluation.mot import MAX_FRAMES, read_mot, read_sequence_info
from persontrack_ros.core.inference.ignore import IgnoreMask
from persontrack_ros.core.media.source import DEFAULT_RATE
from persontrack_ros.core.tracking.appearance import SAME_PERSON, normalise
from persontrack_ros.core.tracking.gallery import Camera, Gallery
from persontrack_ros.core.tracking.offline import OfflineTracker
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.tracking.tracker import make_tracker

# The words of `detector.pattern`, by their numbers in a file.
TURNS = (LARGE, LIGHT, NONE)

# Size of a million detections with embeddings, however small the file is.
_MAX_BYTES = 1 << 30
# Of an image, in pixels.
_MAX_SIDE = 1e6

# The errors that damaged or other arrays raise.
_DAMAGES = (OSError, EOFError, LookupError, ArithmeticError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Recording:
    """
    The detections of a video.

    :ivar frames: number of the frame of each detection, counted from 1, shape ``(N,)``.
    :ivar detections: all of them, of all frames.
    :ivar stamps: time of each frame in nanoseconds, shape ``(number of frames,)``.
    :ivar score_threshold: threshold of the detector.
    :ivar motions: camera motion from the last frame to each frame, shape ``(number of frames, 2,
        3)``, NaN where it is not known; None if it was not estimated.
    :ivar same_person: largest cosine distance between two embeddings of one person.
    :ivar turns: the detector of each frame, indices of `TURNS`, shape ``(number of frames,)``;
        None if all have the large one.
    :ivar light_threshold: threshold of the light detector.
    """

    frames: NDArray[np.intp]
    detections: Detections
    stamps: NDArray[np.int64]
    score_threshold: float = 0.5
    motions: Optional[FloatArray] = None
    same_person: float = SAME_PERSON
    turns: Optional[NDArray[np.int8]] = None
    light_threshold: float = 0.5

    @classmethod
    def load(cls, path: Path, rate: Optional[float] = None) -> Recording:
        """
        Read a recording or a MOTChallenge ``det.txt``.

        The image size and frame rate of the latter come from the ``seqinfo.ini`` one directory
        above it, if there is one.

        :param rate: frames per second, instead of the stamps or rate of the file; the default for
            a file without a rate is 10.
        :raises SourceError: if the file cannot be read or has another format.
        """
        try:
            return _load_npz(path, rate) if path.suffix == '.npz' else _load_mot(path, rate)
        except _DAMAGES as error:
            reason = ' '.join(str(error).split())
            raise SourceError(f'cannot read the detections {path}: {reason}') from error

    def masked(self, mask: Optional[IgnoreMask]) -> Recording:
        """
        Return the recording without the detections that a mask hides.

        :raises SettingsError: if the size of the images is not known.
        """
        if mask is None:
            return self
        hidden = mask.hides(self.detections.boxes, self.detections.image_size)
        return dataclasses.replace(
            self, frames=self.frames[~hidden], detections=self.detections.without(hidden)
        )

    def save(self, path: Path) -> None:
        """
        Write the recording.

        :raises OutputError: if the file cannot be written.
        """
        detections = self.detections
        arrays: dict[str, Any] = {
            'frame': self.frames.astype(np.int32),
            'tlwh': detections.boxes.astype(np.float32),
            'score': detections.scores.astype(np.float32),
            'num_frames': len(self.stamps),
            'stamp': self.stamps,
            'score_threshold': self.score_threshold,
            'same_person': self.same_person,
        }
        if detections.embeddings is not None:
            arrays['embedding'] = detections.embeddings
        if detections.image_size is not None:
            arrays['image_size'] = detections.image_size
        if self.motions is not None:
            arrays['camera_motion'] = self.motions
        if self.turns is not None:
            arrays |= {'turn': self.turns, 'light_threshold': self.light_threshold}
        with OutputFile(path) as file:
            np.savez_compressed(file, **arrays)

    def replay(
        self, score_threshold: float, every: int = 1
    ) -> Iterator[tuple[int, int, Optional[Detections]]]:
        """
        Iterate over the frames.

        :param score_threshold: ignore detections below it; 0 uses the threshold of the detector.
        :param every: return every n-th frame only.
        :returns: number, stamp and detections of each frame, also of frames without persons; None
            where they were not searched.
        """
        all_ = self.detections
        turns = np.zeros(len(self.stamps), dtype=np.int8) if self.turns is None else self.turns
        light = turns == TURNS.index(LIGHT)
        in_light = np.isin(self.frames, np.flatnonzero(light) + 1)
        own = np.where(in_light, self.light_threshold, self.score_threshold)
        chosen = np.flatnonzero(all_.scores >= (score_threshold or own))
        order = chosen[np.argsort(self.frames[chosen], kind='stable')]
        frames = self.frames[order]
        for number in range(1, len(self.stamps) + 1, every):
            first, last = np.searchsorted(frames, [number, number + 1])
            rows = order[first:last]
            vectors = None if all_.embeddings is None else all_.embeddings[rows]
            found: Optional[Detections] = None
            if turns[number - 1] != TURNS.index(NONE):
                found = Detections(all_.boxes[rows], all_.scores[rows], vectors, all_.image_size)
                found = dataclasses.replace(found, light=bool(light[number - 1]))
            yield number, int(self.stamps[number - 1]), found

    def motion(self, number: int, every: int = 1) -> Optional[FloatArray]:
        """
        Return the camera motion to a frame from the last one that is used.

        :returns: as in `Tracker.update`; None if it is not known in all frames between.
        """
        if self.motions is None or number <= every:
            return None
        motion = np.eye(3)
        for step in self.motions[number - every : number]:
            motion = np.vstack([step, [0.0, 0.0, 1.0]]) @ motion
        return motion[:2] if np.isfinite(motion).all() else None


def track(
    recording: Recording,
    settings: TrackerSettings,
    score_threshold: float,
    every: int = 1,
    offline: bool = False,
) -> Iterator[tuple[int, list[Track]]]:
    """
    Track the persons in a recording.

    :param score_threshold: ignore detections below it; 0 uses the threshold of the detector.
    :param every: use every n-th frame only.
    :param offline: use the whole recording for each frame.
    :raises SourceError: if the settings ask for a camera motion that was not recorded.
    :returns: the number of each frame, and its visible tracks.
    """
    moving = settings.camera_motion != 'none'
    if moving and recording.motions is None:
        raise SourceError(
            'the camera motion is not in the detections: store them with '
            '`persontrack detect --set tracker.camera_motion=affine`, or track the video'
        )
    camera = Camera(Gallery(), recording.same_person)
    tracker = OfflineTracker(settings) if offline else make_tracker(settings, camera)
    numbers: list[int] = []
    images: list[list[Track]] = []
    newest = 0
    for number, stamp, detections in recording.replay(score_threshold, every):
        numbers.append(number)
        if detections is None:
            if isinstance(tracker, OfflineTracker):
                tracker.skip(stamp)
            elapsed = (stamp - newest) / SECOND
            images.append([each.predicted(elapsed, 1) for each in (images or [[]])[-1]])
            newest = stamp
            continue
        newest = stamp
        vectors = detections.embeddings
        if vectors is None:
            vectors = np.zeros((len(detections), 0), dtype=np.float32)
        motion = recording.motion(number, every) if moving else None
        images.append(tracker.update(detections, vectors.__getitem__, stamp, motion))
    return zip(numbers, tracker.finish() if isinstance(tracker, OfflineTracker) else images)


def as_rows(frames: Iterable[tuple[int, list[Track]]]) -> FloatArray:
    """Return rows as :func:`read_mot` does, of frames as :func:`track` returns them."""
    rows = [
        [number, each.id, *each.box, each.score] for number, tracks in frames for each in tracks
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 7)


def _load_npz(path: Path, rate: Optional[float]) -> Recording:
    arrays = read_arrays(path, _MAX_BYTES, 'the detections')
    count = int(arrays['num_frames'])
    if not 0 <= count <= MAX_FRAMES:
        raise ValueError(f'num_frames is {count}')
    vectors = normalise(arrays['embedding']) if 'embedding' in arrays else None
    size = arrays['image_size'].tolist() if 'image_size' in arrays else None
    stamps = arrays['stamp'] if 'stamp' in arrays and not rate else _stamps(count, rate)
    if stamps.shape != (count,) or stamps.dtype.kind not in 'iu':
        raise ValueError(f'stamp of shape {stamps.shape} and type {stamps.dtype}')
    stamps = stamps.astype(np.int64)
    for frame in np.flatnonzero(np.diff(stamps) <= 0) + 2:
        raise ValueError(f'the stamp of frame {frame} is not later than the last one: use --rate')
    detections = Detections.create(
        arrays['tlwh'], arrays['score'], vectors, size and (int(size[0]), int(size[1]))
    )
    frames = arrays['frame']
    if frames.shape != (len(detections),) or frames.dtype.kind not in 'iu':
        raise ValueError(f'frame of shape {frames.shape} and type {frames.dtype}')
    threshold = float(arrays['score_threshold']) if 'score_threshold' in arrays else 0.5
    same = float(arrays.get('same_person', SAME_PERSON))
    motions = arrays.get('camera_motion')
    if motions is not None and (motions.shape != (count, 2, 3) or motions.dtype.kind != 'f'):
        raise ValueError(f'camera_motion of shape {motions.shape}')
    turns = arrays.get('turn')
    if turns is not None and (turns.shape != (count,) or not np.isin(turns, range(3)).all()):
        raise ValueError(f'turn of shape {turns.shape}, or with other values than 0 to 2')
    return Recording(
        frames.astype(np.intp),
        detections,
        stamps,
        threshold,
        motions,
        same,
        turns,
        float(arrays.get('light_threshold', 0.5)),
    )


def _load_mot(path: Path, rate: Optional[float]) -> Recording:
    rows = read_mot(path, unique_ids=False)
    rows = rows[(rows[:, 4:6] >= SMALLEST).all(axis=1)]
    frames = rows[:, 0].astype(np.intp)
    count = int(frames.max(initial=0))
    size = None
    file = path.parent.parent / 'seqinfo.ini'
    if info := read_sequence_info(file):

        def number(key: str, least: float, most: float) -> float:
            text = info.get(key.lower(), 'nothing')
            with suppress(ValueError):
                if least <= float(text) <= most:
                    return float(text)
            raise SourceError(f'{file} has {text} for {key}, expected {least:g} to {most:g}')

        count = int(number('seqLength', 0, MAX_FRAMES))
        size = (int(number('imWidth', 1, _MAX_SIDE)), int(number('imHeight', 1, _MAX_SIDE)))
        rate = rate or number('frameRate', 0.001, 1e6)
    scores = np.clip(rows[:, 6], 0.0, 1.0)
    return Recording(
        frames, Detections.create(rows[:, 2:6], scores, image_size=size), _stamps(count, rate)
    )


def _stamps(count: int, rate: Optional[float]) -> NDArray[np.int64]:
    return np.round(np.arange(count) * (1e9 / (rate or DEFAULT_RATE))).astype(np.int64)
