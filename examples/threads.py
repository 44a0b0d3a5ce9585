#!/usr/bin/env python3
"""Track several videos at once, each in a thread with a tracker of its own."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from persontrack_ros import PersonTracker


def count_persons(video: str) -> int:
    """Return how many persons a video shows."""
    tracker = PersonTracker()
    return len({person.id for result in tracker.watch(video) for person in result.tracks})


def main() -> None:
    """Print the number of persons in each video that the command line names."""
    videos = sys.argv[1:]
    with ThreadPoolExecutor() as pool:
        for video, persons in zip(videos, pool.map(count_persons, videos)):
            print(f'{video}: {persons} persons')


if __name__ == '__main__':
    main()
