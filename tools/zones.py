#!/usr/bin/env python3
"""
Compare events from tracks of vtest.avi with those from its ground truth: F1 of random zones.

    scripts/env tools/zones.py DATA     # with videos/vtest.avi and mot/PETS09-S2L1-persons
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import yaml

from persontrack_ros import PersonTracker
from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.report.events import Event, ZoneCounter
from persontrack_ros.core.report.zones import Zones

SIZE = (768, 576)
SECOND = 1_000_000_000
DRAWS = 8
# Events agree within this time, in nanoseconds.
TOLERANCE = SECOND


def draw(seed: int) -> dict[str, object]:
    """Return five lines, some with a bend, and three zones, as in a file."""
    chance = random.Random(seed)  # noqa: S311 - it has to be the same each time
    lines = {}
    while len(lines) < 5:
        points = [[chance.uniform(0.1, 0.9), chance.uniform(0.2, 0.95)] for _ in range(2)]
        if math.dist(*points) > 0.3:
            if chance.random() < 0.4:
                points.insert(1, [chance.uniform(0.2, 0.8), chance.uniform(0.3, 0.9)])
            lines[f'line_{len(lines)}'] = {'points': points}
    zones = {}
    for number in range(3):
        x, y = chance.uniform(0.25, 0.75), chance.uniform(0.3, 0.8)
        angles = sorted(chance.uniform(0, 2 * math.pi) for _ in range(chance.randint(3, 6)))
        corners = [
            (
                x + chance.uniform(0.1, 0.25) * math.cos(a),
                y + chance.uniform(0.1, 0.3) * math.sin(a),
            )
            for a in angles
        ]
        zones[f'zone_{number}'] = np.clip(corners, 0.01, 0.99).tolist()
    return {'lines': lines, 'zones': zones}


def agreeing(truth: Iterable[Event], events: Iterable[Event]) -> int:
    """Return how many events have a partner of the same name and kind, near in time."""
    left, found = list(events), 0
    for one in truth:
        near = [
            (abs(other.stamp - one.stamp), index)
            for index, other in enumerate(left)
            if (other.name, other.event) == (one.name, one.event)
        ]
        if near and min(near)[0] <= TOLERANCE:
            del left[min(near)[1]]
            found += 1
    return found


def main() -> None:
    """Print the F1 online and offline."""
    data = Path(sys.argv[1])
    rows = GroundTruth.load(data / 'mot' / 'PETS09-S2L1-persons').rows
    tracker = PersonTracker()
    ways = {
        name: list(tracker.watch(data / 'videos' / 'vtest.avi', online=online))
        for name, online in (('online', True), ('offline', False))
    }
    totals = {name: np.zeros(3) for name in ways}
    for seed in range(DRAWS):
        with TemporaryDirectory() as folder:
            file = Path(folder) / 'zones.yaml'
            file.write_text(yaml.safe_dump(draw(seed)))
            zones = Zones.load(file).in_pixels(*SIZE)
        counter, truth = ZoneCounter(zones), []
        for frame in range(1, len(ways['online']) + 1):
            here = rows[rows[:, 0] == frame]
            places = zones.positions(here[:, 2:6])
            truth += counter.update(frame * SECOND // 10, here[:, 1].astype(int).tolist(), places)
        for name, results in ways.items():
            counter, events = ZoneCounter(zones), []
            for result in results:
                stamp = result.number * SECOND // 10
                events += counter.follow(stamp, result.tracks, name == 'online')
            totals[name] += agreeing(truth, events), len(truth), len(events)
    for name, (both, expected, found) in totals.items():
        print(f'{name}: F1 {2 * both / (expected + found):.4f} ({expected:.0f} and {found:.0f})')


if __name__ == '__main__':
    main()
