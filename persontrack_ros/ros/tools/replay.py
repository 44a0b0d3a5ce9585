"""A bag or video, replayed through the tracker node without a missed image."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional, Union
from unittest.mock import patch

import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile
from vision_msgs.msg import Detection2DArray

from persontrack_ros.bags.reader import is_bag
from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.ros.compat import local_discovery
from persontrack_ros.ros.discovery import own_domain
from persontrack_ros.ros.nodes.video_publisher import VideoPublisher
from persontrack_ros.ros.process import NodeExecutor, spinning
from persontrack_ros.ros.tools.bag_messages import BagMessages
from persontrack_ros.ros.tools.node_process import NodeProcess

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
    :returns: what the node published on ``tracks``, one message for each image.
    :raises SourceError: if the source cannot be read.
    :raises ReplayError: if the node ended, or did not answer every image in time.
    :raises DomainError: if no ROS domain is free.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        # Neither a robot nearby nor another test takes part.
        variables = {
            'ROS_DOMAIN_ID': str(stack.enter_context(own_domain())),
            'ROS_LOG_DIR': str(directory),
            **local_discovery(),
        }
        stack.enter_context(patch.dict(os.environ, variables))
        context = Context()
        rclpy.init(args=[], context=context)
        stack.callback(context.try_shutdown)
        player = _make_player(Path(source), image_topic, max_frames, context)
        collector = _Collector(player.resolve_topic_name('tracks'), context)
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
                # Images that are waited for must not be missed in transport.
                {
                    f'qos_overrides.{topic}.subscription.reliability': 'reliable',
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
        if not context.ok() or len(collector.messages) != published:
            reason = 'ended' if node.ended else 'did not answer every image'
            log.seek(0)
            raise ReplayError(
                f'the node {reason}: {len(collector.messages)} of {published} images have tracks. '
                f'It wrote:\n{log.read()[-_LOG_TAIL:]}'
            )
        return collector.messages


class _Collector(Node):
    """Keeps all messages of tracks."""

    def __init__(self, topic: str, context: Context) -> None:
        super().__init__('replay_collector', context=context)
        self.messages: list[Detection2DArray] = []
        self._arrived = threading.Condition()
        everything = QoSProfile(history=HistoryPolicy.KEEP_ALL)
        self.create_subscription(Detection2DArray, topic, self._on_tracks, everything)

    def wait_for(self, count: int) -> None:
        """Wait for a number of messages, but not for ever."""
        with self._arrived:
            self._arrived.wait_for(lambda: len(self.messages) >= count, _LAST_MESSAGE_TIMEOUT)

    def _on_tracks(self, message: Detection2DArray) -> None:
        with self._arrived:
            self.messages.append(message)
            self._arrived.notify()


def _make_player(
    source: Path, image_topic: Optional[str], max_frames: int, context: Context
) -> Union[BagMessages, VideoPublisher]:
    """Make the node that publishes the images, each when the one before it is answered."""
    if is_bag(source):
        return BagMessages(source, image_topic, max_frames, context)
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
