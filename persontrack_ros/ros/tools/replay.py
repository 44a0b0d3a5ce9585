"""A bag or video, replayed through the tracker node without a missed image."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional, Union

from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from persontrack_ros.bags.reader import is_bag
from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.ros.nodes.video_publisher import VideoPublisher
from persontrack_ros.ros.process import NodeExecutor, spinning
from persontrack_ros.ros.tools.bag_messages import BagMessages
from persontrack_ros.ros.tools.node_process import NodeProcess, isolated

# Characters at the end of the log of the node that are part of an error.
_LOG_TAIL = 2000
_LAST_MESSAGE_TIMEOUT = 20.0


class ReplayError(PersontrackError):
    """The node ended, or did not answer every image."""


def replay(
    source: Union[str, Path],
    parameters: Optional[Mapping[str, Any]] = None,
    params_file: Optional[Path] = None,
    image_topic: Optional[str] = None,
    max_frames: int = 0,
    timeout: float = 600.0,
    on_tracks: Optional[Callable[[Detection2DArray], None]] = None,
    on_annotated: Optional[Callable[[Image], None]] = None,
) -> list[Detection2DArray]:
    """
    Replay a bag or video through the node `tracker_node`, in a process and domain of its own.

    Each image is published when the tracks of the one before it have come.

    :param source: a bag (folder, .mcap or .db3 file), or a video or folder of images.
    :param parameters: of the node, by dotted name.
    :param params_file: parameter file (YAML) of the node; `parameters` win over it.
    :param image_topic: of a bag; None where there is only one.
    :param max_frames: end after this number of images; 0: never.
    :param timeout: in seconds, for all of it.
    :param on_tracks: called with each message of tracks when it comes, on another thread.
    :param on_annotated: the same for each annotated image.
    :returns: what the node published on ``tracks``, one message for each image.
    :raises SourceError: if the source cannot be read.
    :raises ReplayError: if the node ended, or did not answer every image in time.
    """
    with ExitStack() as stack:
        context = Context()
        directory = stack.enter_context(isolated(context))
        player = _make_player(source, image_topic, max_frames, context)
        collector = _Collector(
            context, player.resolve_topic_name('tracks'), on_tracks, on_annotated
        )
        executor = NodeExecutor(context=context)
        executor.add_node(player)
        executor.add_node(collector)
        stack.callback(player.destroy_node)
        stack.enter_context(spinning(executor))

        topic = player.image_topic_name
        log = stack.enter_context((directory / 'node.log').open('w+'))
        node = stack.enter_context(
            NodeProcess(
                'tracker_node',
                # What is waited for must not be missed in transport.
                {
                    f'qos_overrides.{topic}.subscription.reliability': 'reliable',
                    'qos_overrides./annotated_image.publisher.depth': 100,
                    **(parameters or {}),
                },
                [f'image_raw:={topic}'],
                ['--params-file', str(params_file)] if params_file else [],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        )
        # Waiting for the node ends with the context.
        watch = threading.Thread(
            target=_shut_down_after, args=(node, context, timeout), daemon=True
        )
        watch.start()
        published = player.publish_all()
        if context.ok():
            collector.wait_for(published)
        if collector.error:
            raise collector.error
        if not context.ok() or len(collector.messages) != published:
            reason = 'ended' if node.ended else 'did not answer every image'
            log.seek(0)
            raise ReplayError(
                f'the node {reason}: {len(collector.messages)} of {published} images have tracks. '
                f'It wrote:\n{log.read()[-_LOG_TAIL:]}'
            )
        return collector.messages


class _Collector(Node):
    """Keeps all messages of tracks, and passes them and the annotated images on."""

    def __init__(
        self,
        context: Context,
        topic: str,
        on_tracks: Optional[Callable[[Detection2DArray], None]],
        on_annotated: Optional[Callable[[Image], None]],
    ) -> None:
        super().__init__('replay_collector', context=context)
        self.messages: list[Detection2DArray] = []
        self.error: Optional[PersontrackError] = None
        self._callbacks = on_tracks, on_annotated
        self._annotated = 0
        self._arrived = threading.Condition()
        everything = QoSProfile(history=HistoryPolicy.KEEP_ALL)
        self.create_subscription(Detection2DArray, topic, self._take, everything)
        if on_annotated:
            self.create_subscription(Image, 'annotated_image', self._take, everything)

    def wait_for(self, count: int) -> None:
        """Wait for a number of messages on each topic, but not for ever."""
        with self._arrived:
            self._arrived.wait_for(
                lambda: (
                    len(self.messages) >= count
                    and (not self._callbacks[1] or self._annotated >= count)
                ),
                _LAST_MESSAGE_TIMEOUT,
            )

    def _take(self, message: Union[Detection2DArray, Image]) -> None:
        callback = self._callbacks[isinstance(message, Image)]
        try:
            if callback and not self.error:
                callback(message)
        except PersontrackError as error:
            # Raised by the thread that waits for the messages.
            self.error = error
            self.context.try_shutdown()
        with self._arrived:
            if isinstance(message, Image):
                self._annotated += 1
            else:
                self.messages.append(message)
            self._arrived.notify()


def _make_player(
    source: Union[str, Path], image_topic: Optional[str], max_frames: int, context: Context
) -> Union[BagMessages, VideoPublisher]:
    """Make the node that publishes the images, each when the one before it is answered."""
    if is_bag(Path(source)):
        return BagMessages(Path(source), image_topic, max_frames, context)
    values = {
        'source': str(source),
        'stamps': 'source',
        'wait_for_tracker': True,
        'max_frames': max_frames,
    }
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    return VideoPublisher(context=context, parameter_overrides=overrides)


def _shut_down_after(node: NodeProcess, context: Context, timeout: float) -> None:
    """Shut ROS down here when the node ends or the time is over, which ends all waiting."""
    try:
        node.process.wait(timeout)
    except subprocess.TimeoutExpired:
        pass
    context.try_shutdown()
