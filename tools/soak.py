#!/usr/bin/env python3
"""
The tracker node for hours, with cameras and spectators that come and go.

The node is another process; those who come and go are participants of this one.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Optional

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

from persontrack_ros.benchmark.measure import paced
from persontrack_ros.benchmark.report import machine
from persontrack_ros.cli.defaults import with_default_models
from persontrack_ros.cli.options import add_settings_options, settings_from
from persontrack_ros.cli.options import rate as parse_rate
from persontrack_ros.cli.sample_video import sample_video
from persontrack_ros.core.base.errors import OutputError, PersontrackError
from persontrack_ros.core.base.messages import stamp_to_nanoseconds
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.media.source import Frame, SourceOptions, VideoSource
from persontrack_ros.ros.discovery import Introduction
from persontrack_ros.ros.images import bgr_to_image
from persontrack_ros.ros.tools.benchmark import alone
from persontrack_ros.ros.tools.node_process import NodeProcess

TRACKER = '/person_tracker'
FATES = ('processed', 'dropped', 'failed', 'paused', 'in work')

# Seconds that a camera publishes, until the next one comes.
_VISIT = 20.0
# After a camera has left, in seconds: the node finds out.
_QUIET = 2.0
_TIMEOUT = 120.0
_POLL = 0.02
_MEGABYTE = 1e6
# Parts of all visits: what comes before is the warm-up; the first and last that are compared.
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
    'p50_ms': ('median latency', 'ms'),
    'p99_ms': ('latency, 99th percentile', 'ms'),
}


class Guest:
    """A participant of its own, with a node that is spun on a thread; it leaves with its block."""

    def __init__(self, name: str) -> None:
        """Come."""
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
        """Begin to receive."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave."""
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        self._context.try_shutdown()


class Camera(Guest):
    """Publishes images, and knows what came of them."""

    def __init__(self, is_running: Callable[[], bool]) -> None:
        """
        Advertise the images.

        :param is_running: returns whether the tracker is.
        """
        super().__init__('camera')
        self._is_running = is_running
        self._images = self.node.create_publisher(Image, 'image_raw', QoSProfile(depth=1))
        self.node.create_subscription(
            Detection2DArray, 'tracks', self._on_tracks, QoSProfile(depth=100)
        )
        self.node.create_subscription(
            DiagnosticArray, '/diagnostics', self._on_diagnostics, QoSProfile(depth=10)
        )
        self._enable = self.node.create_client(SetBool, f'{TRACKER}/enable')
        self._introduction = Introduction(self.node, TRACKER)
        self._sent: dict[int, float] = {}
        self._reported: list[dict[str, str]] = []
        self.latencies: list[float] = []
        self.ids: set[str] = set()
        self.published = 0

    def _on_tracks(self, message: Detection2DArray) -> None:
        sent = self._sent.pop(stamp_to_nanoseconds(message.header), None)
        if sent is not None:
            self.latencies.append(time.monotonic() - sent)
        self.ids.update(each.id for each in message.detections)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._reported += [{each.key: each.value for each in one.values} for one in message.status]

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """
        Wait.

        :raises PersontrackError: if the tracker ends, or it takes too long.
        """
        end = time.monotonic() + _TIMEOUT
        while not condition():
            if not self._is_running():
                raise PersontrackError('the node has ended, see its log')
            if time.monotonic() > end:
                raise PersontrackError(f'{what} took more than {_TIMEOUT:.0f} s')
            time.sleep(_POLL)

    def introduce(self) -> None:
        """Wait until the tracker works and knows this camera, so that nothing gets lost unseen."""
        self.until(self._images.get_subscription_count, 'the start of the node')
        self.until(self._introduction.is_done, 'an answer of the node')

    def publish(self, frame: Frame, is_damaged: bool = False) -> None:
        """Send an image, or what is left of one."""
        stamp = time.time_ns()
        header = Header(stamp=Time(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id='camera')
        message = bgr_to_image(frame.image, header)
        if is_damaged:
            message.height += 1
        self._sent[stamp] = time.monotonic()
        self._images.publish(message)
        self.published += 1

    def enable(self, enabled: bool) -> None:
        """Pause the tracker, or end its pause."""
        answer = self._enable.call_async(SetBool.Request(data=enabled))
        self.until(answer.done, 'an answer of ~/enable')

    def account(self) -> dict[str, int]:
        """Return what the tracker says became of all images, when it is done with them."""
        # What comes first may have been on its way.
        reported = len(self._reported) + 1
        self.until(
            lambda: len(self._reported) > reported and self._reported[-1]['in work'] == '0',
            'the diagnostics',
        )
        return {fate: int(self._reported[-1][fate]) for fate in ('sent', *FATES)}


def spectator() -> Guest:
    """Return a guest that receives all that there is to see."""
    guest = Guest('spectator')
    for kind, topic in (
        (Image, 'annotated_image'),
        (CompressedImage, 'annotated_image/compressed'),
        (Detection2DArray, 'detections'),
        (String, 'track_info'),
    ):
        guest.node.create_subscription(kind, topic, lambda message: None, QoSProfile(depth=5))
    return guest


def visit(camera: Camera, stream: Iterator[Frame], rate: float) -> None:
    """Publish images; meanwhile a spectator comes and goes, tracking pauses, one is damaged."""
    count = round(_VISIT * rate)
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
        for index in paced(range(count), 1 / rate):
            steps.get(index, lambda: None)()
            camera.publish(next(stream), is_damaged=index == round(0.8 * count))


def measure(process: psutil.Process) -> dict[str, float]:
    """Return what the node takes now, by the names of `MEASURED`; nothing of the latency."""
    memory = process.memory_full_info()
    segments = re.findall(
        r'^(\w+)-(\w+) .* /dev/shm/', Path(f'/proc/{process.pid}/maps').read_text(), re.MULTILINE
    )
    return {
        # What is shared are files and /dev/shm.
        'anonymous_mb': (memory.rss - memory.shared) / _MEGABYTE,
        'pss_mb': memory.pss / _MEGABYTE,
        'threads': process.num_threads(),
        'descriptors': process.num_fds(),
        'shm_mb': sum(int(end, 16) - int(start, 16) for start, end in segments) / _MEGABYTE,
    }


def soak(
    stream: Iterator[Frame], settings: Settings, rate: float, hours: float, directory: Path
) -> list[dict[str, float]]:
    """
    Run the node until the time is over, or Ctrl-C; write ``soak.csv`` and ``node.log`` meanwhile.

    :returns: a row for each visit of a camera: what is in `MEASURED`, hours since the start, the
        account since then, and numbers of ids.
    :raises PersontrackError: if the node ends or does not answer, or Ctrl-C comes too early.
    """
    parameters = {
        # The last image of a camera may not get lost: the loss would go unnoticed.
        'qos_overrides./image_raw.subscription.reliability': 'reliable',
        **settings.values(),
    }
    rows: list[dict[str, float]] = []
    published = 0
    ids: set[str] = set()
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
                visit(camera, stream, rate)
                account = camera.account()
            time.sleep(_QUIET)
            published += camera.published
            ids |= camera.ids
            p50, p99 = 1e3 * np.percentile(camera.latencies or [math.nan], [50, 99])
            rows.append(
                {
                    'hours': (time.monotonic() - began) / 3600,
                    **measure(process),
                    'p50_ms': p50,
                    'p99_ms': p99,
                    'published': published,
                    **account,
                    'ids_now': len(camera.ids),
                    'ids_so_far': len(ids),
                    'load': os.getloadavg()[0],
                }
            )
            values = {name: f'{value:.5g}' for name, value in rows[-1].items()}
            writer = csv.DictWriter(file, values)
            if len(rows) == 1:
                writer.writeheader()
            writer.writerow(values)
    if len(rows) < 2:
        raise PersontrackError('stopped before there was anything to compare')
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
        + f'; {last["ids_so_far"]} ids. {about["processor"]}, {about["cores"]} cores, with a load '
        f'of {np.mean([row["load"] for row in rows]):.1f}.',
    ]
    problems = []
    if growth >= LARGEST_GROWTH:
        problems.append(f'grown by {growth:.1f} MB, {LARGEST_GROWTH:.0f} MB are too much')
    if any(missing):
        problems.append(
            f'{max(missing, key=abs):+.0f} images are missing in the account of the node'
        )
    return '\n'.join([*lines, *(f'\nNot good: {problem}.' for problem in problems)]), not problems


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run as the options say; return 1 for a node that grows or loses images, 2 for bad input."""
    options = _parse(arguments)
    try:
        return _run(options)
    except PersontrackError as error:
        print(f'soak: error: {error}', file=sys.stderr)
        return 2


def duration(text: str) -> float:
    """Convert an option that is a time above 0, for argparse."""
    number = float(text)
    if not number > 0:
        raise ValueError('no time')
    return number


def _parse(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/soak.py',
        description='Run the tracker node on a video that loops, while cameras and spectators '
        'come and go, tracking is paused, and images are damaged. Writes the numbers (soak.csv), '
        'a table of them (soak.md), and the log of the node. Ctrl-C '
        'ends it early. The exit code is 1 where the memory of the node grows by '
        f'{LARGEST_GROWTH:.0f} MB or more after the first tenth of the time, or where its account '
        'of images is not that of the cameras, and 2 where it ends. The account needs Fast DDS, '
        'from Jazzy on: others do not tell which images never came.',
    )
    parser.add_argument(
        'source',
        nargs='?',
        metavar='SOURCE',
        help='video file or folder of images (default: a sample video, fetched once)',
    )
    parser.add_argument(
        '--hours', type=duration, default=1.0, metavar='H', help='how long (default: 1)'
    )
    parser.add_argument(
        '--rate',
        type=parse_rate,
        default=10.0,
        metavar='R',
        help='images per second (default: 10)',
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('soak_output'),
        metavar='DIR',
        help='directory of the results (default: soak_output)',
    )
    add_settings_options(parser)
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    source = options.source or str(sample_video())
    settings = with_default_models(settings_from(options))
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'cannot create {options.output}: {error.strerror}') from error
    with (
        VideoSource(source, SourceOptions(loop=True)) as video,
        alone(),
    ):
        rows = soak(iter(video), settings, options.rate, options.hours, options.output)
    text, is_good = report(rows)
    (options.output / 'soak.md').write_text(f'{text}\n')
    print(text)
    return 0 if is_good else 1


if __name__ == '__main__':
    sys.exit(main())
