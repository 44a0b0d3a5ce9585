"""
Golden cases: a folder with what to track and what has to come out.

- ``case.yaml``: the input and the tolerances, the fields of :class:`GoldenCase`;
- ``params.yaml``: the node's parameter file, if it is not to run with the defaults;
- ``tracks.txt``: the expected tracks in MOTChallenge format.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import yaml

from persontrack_ros.bags.reader import BagReader, is_bag
from persontrack_ros.bags.track import track_images
from persontrack_ros.core.errors import OutputError, SourceError
from persontrack_ros.core.evaluation.mot import MotWriter
from persontrack_ros.core.files.output import write_file
from persontrack_ros.core.files.reading import load_yaml
from persontrack_ros.core.parameters.parameter_file import read_settings
from persontrack_ros.core.parameters.settings import Settings
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.report import warn
from persontrack_ros.core.tracking.track import Track
from persontrack_ros.core.video.source import SourceOptions, VideoSource

# Directories of inputs that are too large to lie beside the cases.
DATA_VARIABLE = 'PERSONTRACK_TEST_DATA'

_CASE = 'case.yaml'
_PARAMS = 'params.yaml'
_TRACKS = 'tracks.txt'
FILES = (_CASE, _PARAMS, _TRACKS)


@dataclass(frozen=True)
class GoldenCase:
    """
    What to track, and what may differ from the expected tracks.

    Paths count from the folder of the case, or from a directory in PERSONTRACK_TEST_DATA.

    :ivar input: a bag or video.
    :ivar image_topic: of a bag; empty where there is only one.
    :ivar max_frames: number of first images that are used; 0 means all.
    :ivar tolerance: number of pixels that boxes may differ by.
    :ivar allow: number of frames that may differ by more.
    :ivar ground_truth: folder of a MOTChallenge sequence, or gt.txt; empty for none.
    :ivar minima: least scores with that in percent: hota, idf1, mota.
    """

    directory: Path
    input: str
    image_topic: str = ''
    max_frames: int = 0
    tolerance: float = 0.01
    allow: int = 0
    ground_truth: str = ''
    minima: dict[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, directory: Path) -> GoldenCase:
        """
        Read a case.

        :raises SourceError: if the folder holds none.
        """
        path = directory / _CASE
        try:
            case = cls(directory, **load_yaml(path, 'golden case'))
            case._check()
            return case
        except (TypeError, ValueError) as error:
            reason = ' '.join(str(error).split())
            raise SourceError(f'cannot read the golden case {path}: {reason}') from error

    def _check(self) -> None:
        for name in ('input', 'image_topic', 'ground_truth'):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f'{name} is no text')
        numbers = (self.tolerance, self.allow, self.max_frames, *dict(self.minima).values())
        if not all(type(number) in (int, float) for number in numbers):
            raise ValueError('tolerance, allow, max_frames and minima have to be numbers')

    @property
    def tracks(self) -> Path:
        """The file of the expected tracks."""
        return self.directory / _TRACKS

    @property
    def params_file(self) -> Optional[Path]:
        """The node's parameter file, if there is one."""
        path = self.directory / _PARAMS
        return path if path.is_file() else None

    def find(self, name: str) -> Path:
        """
        Find an input.

        :raises SourceError: if it is nowhere.
        """
        roots = [self.directory, *data_directories()]
        for root in roots:
            # Normalised first: of a new case, there is no folder to go up from.
            path = Path(os.path.normpath(root / name))
            if path.exists():
                return path
        raise SourceError(f'{name} is in none of {", ".join(map(str, roots))}')

    def track(self, params_file: Optional[Path] = None) -> Iterator[int]:
        """
        Track the input offline and write the expected tracks.

        :param params_file: parameter file of the node; default: the case's own.
        :returns: the number of every frame as it is done.
        :raises SourceError: if the input cannot be read.
        :raises OutputError: if the file cannot be written.
        """
        path = params_file or self.params_file
        pipeline = Pipeline(read_settings(path, warn) if path else Settings())
        with MotWriter(self.tracks) as mot:
            for number, tracks in self._track_frames(pipeline):
                mot.write(number, ((one.id, one.box, one.score) for one in tracks))
                yield number

    def _track_frames(self, pipeline: Pipeline) -> Iterator[tuple[int, list[Track]]]:
        source = self.find(self.input)
        if not is_bag(source):
            with VideoSource(str(source), SourceOptions(max_frames=self.max_frames)) as video:
                for frame in video:
                    yield frame.number, pipeline.process(frame.image, frame.stamp).tracks
            return
        with BagReader(source) as bag:
            topic = bag.choose_image_topic(self.image_topic or None)
            for image, tracks in track_images(bag, topic, pipeline):
                yield image.number, tracks
                if image.number == self.max_frames:
                    return
            bag.check_whole()


def add_case(case: GoldenCase, params_file: Optional[Path] = None) -> Iterator[int]:
    """
    Write a new case, or an old one anew.

    :param params_file: parameter file of the node, which is copied.
    :returns: the number of every frame as it is tracked.
    :raises OutputError: if it cannot be written.
    """
    # What is wrong with the input should not cost the case that is there.
    case.find(case.input)
    values = dataclasses.asdict(case)
    del values['directory']
    kept = {
        one.name: values[one.name]
        for one in dataclasses.fields(case)[1:]
        if values[one.name] != one.default and values[one.name] != {}
    }
    try:
        case.directory.mkdir(parents=True, exist_ok=True)
        params = params_file.read_bytes() if params_file else None
    except OSError as error:
        raise OutputError(f'cannot write the golden case {case.directory}: {error}') from error
    yield from case.track(params_file)
    write_file(case.directory / _CASE, yaml.safe_dump(kept, sort_keys=False).encode())
    if params is not None:
        write_file(case.directory / _PARAMS, params)


def name_input(path: Path, directory: Path) -> str:
    """Return how a case in a directory is to name an input, so that it is found elsewhere too."""
    for root in (directory, *data_directories()):
        if path.resolve().is_relative_to(root.resolve()):
            return str(path.resolve().relative_to(root.resolve()))
    return os.path.relpath(path.resolve(), directory.resolve())


def find_cases(directory: Path) -> list[GoldenCase]:
    """
    Read all cases in the folders below a directory.

    :raises SourceError: if there are none, or one cannot be read.
    """
    cases = [GoldenCase.load(path.parent) for path in sorted(directory.glob(f'*/{_CASE}'))]
    if not cases:
        raise SourceError(f'there are no golden cases in {directory}')
    return cases


def data_directories() -> Iterable[Path]:
    """Return the directories that PERSONTRACK_TEST_DATA names."""
    return [Path(one) for one in os.environ.get(DATA_VARIABLE, '').split(os.pathsep) if one]
