"""
The demo: a publisher, the tracker and a recorder, in three processes joined by ROS topics.

This process is the recorder. It knows nothing but the messages of the topics.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Optional

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from persontrack_ros.cli.defaults import with_default_models
from persontrack_ros.cli.files import check_outputs, read_by
from persontrack_ros.cli.options import SOURCE, add_settings_options, count, settings_from
from persontrack_ros.cli.sample_video import sample_video_with_progress
from persontrack_ros.core.base.errors import OutputError, PersontrackError
from persontrack_ros.core.base.messages import message_to_tracks, stamp_to_nanoseconds
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.evaluation.mot import MotWriter
from persontrack_ros.core.media.source import VideoSource
from persontrack_ros.core.media.window import Window
from persontrack_ros.core.media.writer import VideoWriter
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.ros.discovery import own_domain
from persontrack_ros.ros.images import image_to_bgr
from persontrack_ros.ros.tools.node_process import NodeProcess

# Loading models on a slow machine for the first time.
_START_TIMEOUT = 120.0
_LAST_RESULTS_TIMEOUT = 20.0


class Recorder(Node):
    """Writes the results of the tracker to files, and counts."""

    def __init__(self, mot: MotWriter, video: VideoWriter, window: Optional[Window]) -> None:
        """Subscribe to images and results."""
        super().__init__('recorder')
        self._mot, self._video, self._window = mot, video, window
        self._numbers: dict[int, int] = {}
        self._received: dict[int, float] = {}
        self.latencies: list[float] = []
        self.ids: set[int] = set()
        self.annotated = 0
        self.window_closed = False
        # No message may be dropped here, however long writing the video takes.
        everything = QoSProfile(history=HistoryPolicy.KEEP_ALL)
        self.create_subscription(Image, 'image_raw', self._on_image, everything)
        self.create_subscription(Detection2DArray, 'tracks', self._on_tracks, everything)
        self.create_subscription(Image, 'annotated_image', self._on_annotated, everything)

    @property
    def images(self) -> int:
        """Number of images published so far."""
        return len(self._numbers)

    @property
    def complete(self) -> bool:
        """Whether every image so far came back with tracks and drawn."""
        return self.images == len(self.latencies) == self.annotated

    def _number(self, stamp: int) -> int:
        return self._numbers.setdefault(stamp, self.images + 1)

    def _on_image(self, message: Image) -> None:
        stamp = stamp_to_nanoseconds(message.header)
        self._number(stamp)
        self._received[stamp] = time.monotonic()

    def _on_tracks(self, message: Detection2DArray) -> None:
        stamp = stamp_to_nanoseconds(message.header)
        # Tracks are small: they can overtake the image on its way here, and count as immediate.
        now = time.monotonic()
        self.latencies.append(now - self._received.get(stamp, now))
        tracks = message_to_tracks(message)
        self._mot.write(self._number(stamp), tracks)
        self.ids.update(track_id for track_id, _, _ in tracks)

    def _on_annotated(self, message: Image) -> None:
        self.annotated += 1
        image = image_to_bgr(message)
        self._video.write(image, stamp_to_nanoseconds(message.header))
        if self._window and not self._window.show(image):
            self.window_closed = True


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the demo; return 2 for input it cannot work with, 1 if an image was not tracked."""
    options = _parse(arguments)
    try:
        return _run(options)
    except PersontrackError as error:
        print(f'demo: error: {error}', file=sys.stderr)
        return 2


def _parse(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='scripts/demo',
        description='Track the persons in a video through ROS topics: a publisher process, the '
        'tracker node and a recorder. Writes annotated.mp4 and tracks.txt (MOTChallenge format). '
        'No image is dropped, and the stamps are the own time of the video. Ctrl-C ends it, with '
        'the files complete up to there.',
    )
    parser.add_argument(
        'source',
        nargs='?',
        metavar='SOURCE',
        help=f'{SOURCE} (default: a sample video, fetched once)',
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('demo_output'),
        metavar='DIR',
        help='directory of the results (default: demo_output)',
    )
    parser.add_argument(
        '--show', action='store_true', help='show a window; Esc or q in it ends the demo'
    )
    parser.add_argument(
        '--max-frames', type=count, default=0, metavar='N', help='end after N images (0: never)'
    )
    add_settings_options(parser)
    parser.set_defaults(reads=('source', 'params'))
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    options.source = options.source or str(sample_video_with_progress())
    settings = with_default_models(settings_from(options))
    # An error of source, models or device ends the demo here, in one line, instead of a node that
    # waits to be configured again.
    with VideoSource(options.source) as source:
        rate = source.rate
    Pipeline(settings)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'cannot create {options.output}: {error.strerror}') from error
    tracks, annotated = (options.output / name for name in ('tracks.txt', 'annotated.mp4'))
    check_outputs((tracks, annotated), read_by(options), overwrite=True)
    with ExitStack() as stack:
        # A domain of its own keeps two demos, or a robot nearby, apart.
        if 'ROS_DOMAIN_ID' not in os.environ:
            os.environ['ROS_DOMAIN_ID'] = str(stack.enter_context(own_domain()))
        print(f'ROS_DOMAIN_ID={os.environ["ROS_DOMAIN_ID"]}, results in {options.output}')
        mot = stack.enter_context(MotWriter(tracks))
        video = stack.enter_context(VideoWriter(annotated, rate))
        window = stack.enter_context(Window('persontrack')) if options.show else None
        rclpy.init(args=[])
        recorder = Recorder(mot, video, window)
        try:
            _record(recorder, stack, options, settings)
        except (KeyboardInterrupt, ExternalShutdownException):
            print('stopped', file=sys.stderr)
        finally:
            recorder.destroy_node()
            rclpy.try_shutdown()
    _summarise(recorder)
    return 0 if recorder.images == len(recorder.latencies) else 1


def _record(
    recorder: Recorder, stack: ExitStack, options: argparse.Namespace, settings: Settings
) -> None:
    """Start the other two processes and record until the source ends."""
    parameters = {
        # Images that the publisher waits for must not be missed in transport.
        'qos_overrides./image_raw.subscription.reliability': 'reliable',
        'qos_overrides./annotated_image.publisher.depth': 100,
        **settings.values(),
    }
    tracker = stack.enter_context(NodeProcess('tracker_node', parameters))
    _spin_until(
        recorder,
        lambda: recorder.count_subscribers('image_raw') == 2 or tracker.ended,
        _START_TIMEOUT,
    )
    if recorder.count_subscribers('image_raw') != 2:
        raise PersontrackError('the tracker did not start, see above')
    publisher_parameters = {
        'source': options.source
        if options.source.isdigit() or '://' in options.source
        else str(Path(options.source).absolute()),
        'max_frames': options.max_frames,
        'stamps': 'source',
        'wait_for_tracker': True,
    }
    publisher = stack.enter_context(NodeProcess('video_publisher', publisher_parameters))
    _spin_until(recorder, lambda: publisher.ended or recorder.window_closed, float('inf'))
    publisher.stop()
    _spin_until(recorder, lambda: recorder.complete, _LAST_RESULTS_TIMEOUT)


def _spin_until(recorder: Recorder, condition: Callable[[], object], timeout: float) -> None:
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        rclpy.spin_once(recorder, timeout_sec=0.1)


def _summarise(recorder: Recorder) -> None:
    tracked = len(recorder.latencies)
    print(f'frames in       {recorder.images}')
    print(f'frames tracked  {tracked}')
    print(f'dropped         {recorder.images - tracked}')
    print(f'ids seen        {len(recorder.ids)}')
    if tracked:
        milliseconds = 1e3 * np.array(recorder.latencies)
        print(
            f'mean latency    {milliseconds.mean():.1f} ms (image to tracks, both received here)'
        )
        print(f'p99 latency     {np.percentile(milliseconds, 99):.1f} ms')


if __name__ == '__main__':
    sys.exit(main())
