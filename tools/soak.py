#!/usr/bin/env python3
"""
Run the tracker node for hours on a video that loops, while cameras and subscribers come and go.

    scripts/env tools/soak.py vtest.avi --hours 1

Each camera publishes for 20 s; meanwhile a subscriber of all topics comes and goes, tracking is
paused, and one image is damaged. Writes the numbers (soak.csv) and the log of the node,
and prints a table. Ctrl-C ends it early. The exit code is 1 if the memory of the node grows by
5 MB or more after the first tenth of the time, or if its account of images differs from that of
the cameras, and 2 if it ends. The account needs Fast DDS, from Jazzy on: other middlewares do not
report which images were missed in transport.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray

from persontrack_ros.benchmark.measure import machine, paced
from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.media.source import Frame, SourceOptions, VideoSource
from persontrack_ros.ros.discovery import wait_until_known_by
from persontrack_ros.ros.images import bgr_to_image
from persontrack_ros.ros.tools.node_process import NodeProcess, isolated

TRACKER = '/person_tracker'
FATES = ('processed', 'dropped', 'failed', 'paused', 'in work')

# Images per second, and seconds that a camera publishes, until the next one comes.
RATE = 10
_VISIT = 20.0
# Seconds after a camera has left, in which the node discovers that.
_QUIET = 2.0
_TIMEOUT = 120.0
_POLL = 0.02
_MEGABYTE = 1e6
# Parts of all visits: the warm-up, and the first and the last ones that are compared.
_WARM_UP = 0.1
_COMPARED = 0.1
# Megabytes of anonymous memory that the node may grow by after the warm-up.
LARGEST_GROWTH = 5.0

# What is measured after each visit: its name in the file, and its title and unit.
MEASURED = {
    'anonymous_mb': ('anonymous memory', 'MB'),
    'pss_mb': ('proportional memory (PSS)', 'MB'),
    'shm_mb': ('mapped of /dev/shm', 'MB'),
    'threads': ('threads', ''),
    'descriptors': ('file descriptors', ''),
}


class Guest:
    """A DDS participant of its own, with a node that is spun on a thread."""

    def __init__(self, name: str) -> None:
        """Start the participant."""
        self._context = Context()
        rclpy.init(args=[], context=self._context)
        self.node = Node(name, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def __enter__(self) -> Any:
        """Start to receive."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End the participant."""
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        self._context.try_shutdown()


class Camera(Guest):
    """Publishes images, and receives their tracks."""

    def __init__(self, is_running: Callable[[], bool]) -> None:
        """Advertise the images; `is_running` returns whether the tracker is."""
        super().__init__('camera')
        self._is_running = is_running
        self._images = self.node.create_publisher(Image, 'image_raw', QoSProfile(depth=1))
        self.node.create_subscription(
            Detection2DArray, 'tracks', lambda message: None, QoSProfile(depth=100)
        )
        self.node.create_subscription(
            DiagnosticArray, '/diagnostics', self._on_diagnostics, QoSProfile(depth=10)
        )
        self._enable = self.node.create_client(SetBool, f'{TRACKER}/enable')
        self._reported: list[dict[str, str]] = []
        self.published = 0

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._reported += [{each.key: each.value for each in one.values} for one in message.status]

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait; raise a PersontrackError if the tracker ends, or it takes too long."""
        end = time.monotonic() + _TIMEOUT
        while not condition():
            if not self._is_running():
                raise PersontrackError('the node has ended, see its log')
            if time.monotonic() > end:
                raise PersontrackError(f'{what} took more than {_TIMEOUT:.0f} s')
            time.sleep(_POLL)

    def introduce(self) -> None:
        """Wait until the tracker has discovered this camera, so that no image is missed."""
        self.until(self._images.get_subscription_count, 'the start of the node')
        wait_until_known_by(TRACKER, self.node, lambda it: self.until(it, 'an answer of the node'))

    def publish(self, frame: Frame, is_damaged: bool = False) -> None:
        """Send an image, with a wrong height if it is damaged."""
        stamp = time.time_ns()
        header = Header(stamp=Time(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id='camera')
        message = bgr_to_image(frame.image, header)
        if is_damaged:
            message.height += 1
        self._images.publish(message)
        self.published += 1

    def enable(self, enabled: bool) -> None:
        """Pause the tracker, or end its pause."""
        answer = self._enable.call_async(SetBool.Request(data=enabled))
        self.until(answer.done, 'an answer of ~/enable')

    def account(self) -> dict[str, int]:
        """Return the account of all images in the diagnostics, when none is in work."""
        # The first one may be older.
        reported = len(self._reported) + 1
        self.until(
            lambda: len(self._reported) > reported and self._reported[-1]['in work'] == '0',
            'the diagnostics',
        )
        return {fate: int(self._reported[-1][fate]) for fate in ('sent', *FATES)}


def spectator() -> Guest:
    """Return a guest that subscribes to all other topics."""
    guest = Guest('spectator')
    for kind, topic in (
        (Image, 'annotated_image'),
        (CompressedImage, 'annotated_image/compressed'),
        (Detection2DArray, 'detections'),
        (String, 'track_info'),
    ):
        guest.node.create_subscription(kind, topic, lambda message: None, QoSProfile(depth=5))
    return guest


def visit(camera: Camera, stream: Iterator[Frame]) -> None:
    """Publish images; meanwhile a subscriber comes and goes, tracking pauses, one is damaged."""
    count = round(_VISIT * RATE)
    with ExitStack() as spectators:
        steps: dict[int, Callable[[], Any]] = {
            round(part * count): step
            for part, step in (
                (0.2, lambda: spectators.enter_context(spectator())),
                (0.5, lambda: camera.enable(False)),
                (0.55, lambda: camera.enable(True)),
                (0.7, spectators.close),
            )
        }
        for index in paced(range(count), 1 / RATE):
            steps.get(index, lambda: None)()
            camera.publish(next(stream), is_damaged=index == round(0.8 * count))


def measure(process: psutil.Process) -> dict[str, float]:
    """Return the resources of the node now, by the names of `MEASURED`."""
    memory = process.memory_full_info()
    segments = re.findall(
        r'^(\w+)-(\w+) .* /dev/shm/', Path(f'/proc/{process.pid}/maps').read_text(), re.MULTILINE
    )
    return {
        # Files and /dev/shm are shared.
        'anonymous_mb': (memory.rss - memory.shared) / _MEGABYTE,
        'pss_mb': memory.pss / _MEGABYTE,
        'threads': process.num_threads(),
        'descriptors': process.num_fds(),
        'shm_mb': sum(int(end, 16) - int(start, 16) for start, end in segments) / _MEGABYTE,
    }


def soak(
    stream: Iterator[Frame], values: Mapping[str, Any], hours: float, directory: Path
) -> list[dict[str, float]]:
    """
    Run the node until the time is over, or Ctrl-C; write ``soak.csv`` and ``node.log`` meanwhile.

    :param values: parameters of the node.
    :returns: a row for each visit of a camera: what is in `MEASURED`, hours since the start, the
        account since then.
    :raises PersontrackError: if the node ends or does not answer, or Ctrl-C comes too early.
    """
    parameters = {
        # The last image of a camera must not be missed: no later one would reveal it.
        'qos_overrides./image_raw.subscription.reliability': 'reliable',
        **values,
    }
    rows: list[dict[str, float]] = []
    published = 0
    began = time.monotonic()
    with (
        (directory / 'node.log').open('w') as log,
        (directory / 'soak.csv').open('w', newline='', buffering=1) as file,
        suppress(KeyboardInterrupt),
        NodeProcess('tracker_node', parameters, stdout=log, stderr=subprocess.STDOUT) as node,
    ):
        process = psutil.Process(node.process.pid)
        while time.monotonic() - began < 3600 * hours or len(rows) < 2:
            with Camera(lambda: not node.ended) as camera:
                camera.introduce()
                visit(camera, stream)
                account = camera.account()
            time.sleep(_QUIET)
            published += camera.published
            rows.append(
                {
                    'hours': (time.monotonic() - began) / 3600,
                    **measure(process),
                    'published': published,
                    **account,
                    'load': os.getloadavg()[0],
                }
            )
            values = {name: f'{value:.5g}' for name, value in rows[-1].items()}
            writer = csv.DictWriter(file, values)
            if len(rows) == 1:
                writer.writeheader()
            writer.writerow(values)
    if len(rows) < 2:
        raise PersontrackError('stopped before there were two visits to compare')
    return rows


def compared(rows: list[dict[str, float]], name: str) -> tuple[float, float]:
    """Return a value after the warm-up and at the end: medians of the first and last visits."""
    values = [row[name] for row in rows[int(_WARM_UP * len(rows)) :]]
    count = math.ceil(_COMPARED * len(values))
    return float(np.median(values[:count])), float(np.median(values[-count:]))


def report(rows: list[dict[str, float]]) -> tuple[str, bool]:
    """Return the numbers as Markdown, and whether they are good."""
    last = {name: int(value) for name, value in rows[-1].items()}
    lines = ['| | after warm-up | at the end | growth |', '|---|---|---|---|']
    for name, (title, unit) in MEASURED.items():
        first, end = compared(rows, name)
        lines.append(
            f'| {title} | {first:.1f} | {end:.1f} | {end - first:+.1f} {unit}'.rstrip() + ' |'
        )
    first, end = compared(rows, 'anonymous_mb')
    growth, about = end - first, machine()
    missing = [row['published'] - sum(row[fate] for fate in FATES) for row in rows]
    lines += [
        '',
        f'{rows[-1]["hours"]:.2f} hours, {len(rows)} cameras one after the other, '
        f'{last["published"]} images published = '
        + ' + '.join(f'{last[fate]} {fate}' for fate in FATES)
        + f'. {about["processor"]}, {about["cores"]} cores, with a load of '
        f'{np.mean([row["load"] for row in rows]):.1f}.',
    ]
    problems = []
    if growth >= LARGEST_GROWTH:
        problems.append(f'grown by {growth:.1f} MB, {LARGEST_GROWTH:.0f} MB are too much')
    if any(missing):
        problems.append(
            f'{max(missing, key=abs):+.0f} images are missing in the account of the node'
        )
    return '\n'.join([*lines, *(f'\nNot good: {problem}.' for problem in problems)]), not problems


def main() -> int:
    """Run as the options say; return 1 for a node that grows or loses images, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('source', help='video file or folder of images')
    parser.add_argument('--hours', type=float, default=1.0, metavar='H', help='default: 1')
    parser.add_argument('--output', type=Path, default=Path('soak_output'), metavar='DIR')
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        with VideoSource(options.source, SourceOptions(loop=True)) as video, isolated():
            rows = soak(iter(video), {}, options.hours, options.output)
    except PersontrackError as error:
        print(f'soak: error: {error}', file=sys.stderr)
        return 2
    text, is_good = report(rows)
    print(text)
    return 0 if is_good else 1


if __name__ == '__main__':
    sys.exit(main())
