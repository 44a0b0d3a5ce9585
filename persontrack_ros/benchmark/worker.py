"""
A process that runs one variant, a few frames per request.

Threads, memory and processor time are measured per process, so each variant has its own. The
processes communicate by lines of JSON. ``python -m persontrack_ros.benchmark.worker`` is the other
end.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Optional, cast

from persontrack_ros.benchmark.measure import Usage, paced, peak_memory
from persontrack_ros.core.base.errors import PersontrackError

# Pause for OpenBLAS, OpenVINO and the scheduler after another process has worked.
_REST = 0.1


@dataclass(frozen=True)
class Chunk:
    """
    Some frames in a row.

    :ivar wall: seconds from the first frame to the last result, reading included.
    :ivar cpu: seconds that all threads worked.
    :ivar others: seconds that other processes worked in that time.
    :ivar latencies: seconds from image to tracks, of each frame.
    :ivar stages: seconds spent on detection, embedding and tracking, of all frames.
    :ivar detected: persons in each frame.
    :ivar embedded: embeddings computed in each frame.
    :ivar peak_memory: of the process so far, megabytes.
    """

    wall: float
    cpu: float
    others: float
    latencies: list[float]
    stages: dict[str, float]
    detected: list[int]
    embedded: list[int]
    peak_memory: float


class Worker:
    """A variant in a process of its own; a context manager that ends it."""

    def __init__(
        self,
        variant: str,
        settings: Mapping[str, Any],
        video: str,
        size: tuple[int, int] = (0, 0),
    ) -> None:
        """
        Start to load the variant.

        :param settings: values of parameters by name.
        :param size: size to scale the images to; 0 keeps theirs.
        """
        arguments = [variant, json.dumps(settings), video, *map(str, size)]
        command = [sys.executable, '-m', __name__, *arguments]
        # In its own session, out of reach of Ctrl-C, which would print a traceback.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, frames: int, embeddings: Sequence[int] = (), period: float = 0.0) -> Chunk:
        """
        Process the next frames of the video, which begins anew after its end.

        :param embeddings: for the variant `bound`, the number to compute in each frame.
        :param period: from one frame to the next, in seconds; 0 is as fast as possible.
        :raises PersontrackError: if the process has ended.
        """
        questions, answers = (
            cast(IO[str], self._process.stdin),
            cast(IO[str], self._process.stdout),
        )
        time.sleep(_REST)
        try:
            questions.write(f'{json.dumps([frames, embeddings, period])}\n')
            questions.flush()
        except BrokenPipeError:
            pass
        answer = answers.readline()
        if not answer:
            raise PersontrackError('a process of the benchmark ended, see above')
        return Chunk(**json.loads(answer))

    def __enter__(self) -> Worker:
        """Return the worker."""
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def main() -> int:
    """Load the variant and process the number of frames in each line of the input."""
    # Not at the top: the notebook's threads must not depend on the imports of its parent.
    from persontrack_ros.benchmark.variants import make_variant
    from persontrack_ros.core.config.settings import Settings
    from persontrack_ros.core.media.source import Frame, SourceOptions, VideoSource

    name, values, video, width, height = sys.argv[1:]
    options = SourceOptions(loop=True, width=int(width), height=int(height))
    try:
        variant = make_variant(name, Settings.from_values(json.loads(values)))
        source = iter(VideoSource(video, options))
    except PersontrackError as error:
        print(f'persontrack: error: {error}', file=sys.stderr)
        return 2

    begun: list[float] = []

    def timed(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            begun.append(time.perf_counter())
            yield frame

    for line in sys.stdin:
        begun.clear()
        count, embeddings, period = json.loads(line)
        before = Usage.now()
        done = []
        ended = []
        frames = timed(paced(itertools.islice(source, count), period))
        for each in variant.run(frames, embeddings):
            ended.append(time.perf_counter())
            done.append(each)
        used = Usage.now() - before
        chunk = Chunk(
            wall=used.wall,
            cpu=used.cpu,
            others=used.machine - used.cpu,
            latencies=[end - begin for begin, end in zip(begun, ended)],
            stages={
                stage: sum(getattr(times, stage) for _, _, times in done)
                for stage in ('detection', 'embedding', 'tracking')
            },
            detected=[detected for detected, _, _ in done],
            embedded=[embedded for _, embedded, _ in done],
            peak_memory=peak_memory(),
        )
        print(json.dumps(dataclasses.asdict(chunk)), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
