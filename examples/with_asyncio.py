#!/usr/bin/env python3
"""Track a video beside other tasks of asyncio, which go on while a frame is processed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

from persontrack_ros import FrameResult, PersonTracker


async def track(source: str) -> AsyncIterator[FrameResult]:
    """Yield the results of a source; a thread processes one frame at a time."""
    tracker = await asyncio.to_thread(PersonTracker)
    results = tracker.watch(source, online=True)
    while (result := await asyncio.to_thread(next, results, None)) is not None:
        yield result


async def tick() -> None:
    """Do something else."""
    while True:
        await asyncio.sleep(1.0)
        print('another task')


async def main() -> None:
    """Print the ids in each frame of the source that the command line names."""
    other = asyncio.create_task(tick())
    async for result in track(sys.argv[1]):
        print(f'{result.seconds:.2f} s:', *(person.id for person in result.tracks))
    other.cancel()


if __name__ == '__main__':
    asyncio.run(main())
