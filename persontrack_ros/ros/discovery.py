"""Finding other nodes, waiting for their answers, and keeping apart from them."""

from __future__ import annotations

import math
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Union

from rcl_interfaces.srv import GetParameterTypes
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.base.messages import stamp_to_nanoseconds

# The ports of higher domains are among those that Linux gives to any program (from 32768 on).
_DOMAINS = range(1, 102)
# Ports of a domain: DDS-RTPS 2.5, section 9.6.2.3. Those of discovery, by multicast and of the
# first participants, and one that is used for nothing.
_PORT_BASE, _DOMAIN_GAIN = 7400, 250
_DISCOVERY_PORTS = (0, *range(10, 30, 2))
_UNUSED_PORT = 2
_UNKNOWN_NAME = '_NODE_NAME_UNKNOWN_'
# Seconds until a request without an answer is repeated.
_PATIENCE = 1.0
# How long one image may take before the publisher goes on without its tracks, in seconds.
_ANSWER_TIMEOUT = 20.0
_POLL = 0.02


@contextmanager
def own_domain() -> Iterator[int]:
    """
    Yield a ROS domain that no other program on this machine uses during the block.

    :raises PersontrackError: if there is none.
    """
    for domain in random.sample(_DOMAINS, len(_DOMAINS)):
        first = _PORT_BASE + _DOMAIN_GAIN * domain
        with ExitStack() as stack:
            try:
                # This port reserves the domain, also while no node runs in it yet.
                _take(stack, first + _UNUSED_PORT)
                with ExitStack() as probes:
                    for port in _DISCOVERY_PORTS:
                        _take(probes, first + port)
            except OSError:
                continue
            yield domain
            return
    raise PersontrackError('no ROS domain is free on this machine')


def _take(stack: ExitStack, port: int) -> None:
    stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(('', port))


def node_of(endpoint: TopicEndpointInfo) -> str:
    """
    Return the full name of the node that a publisher or subscription belongs to.

    It is empty until the node is known, which may be later than the endpoint.
    """
    if endpoint.node_name == _UNKNOWN_NAME:
        return ''
    return f'{endpoint.node_namespace.rstrip("/")}/{endpoint.node_name}'


def publishers_of(node: Node, topic: str) -> list[str]:
    """Return the full names of the nodes that publish a topic, as far as they are known."""
    return [*filter(None, map(node_of, node.get_publishers_info_by_topic(topic)))]


def wait_until_known_by(other: str, node: Node, wait: Callable[[Callable[[], bool]], Any]) -> None:
    """
    Wait until another node has discovered all endpoints of a node.

    The two nodes discover each other independently, and a message can be missed before both have.
    Endpoints are discovered in the order in which they were made: a node that answers a client has
    discovered all that was made before it. An answer can be missed too; therefore the request is
    repeated.

    :param other: name of the other node; it must have the services of parameters.
    :param wait: called with a function; calls it until it returns true, while the node spins.
    """
    client = node.create_client(GetParameterTypes, f'{other}/get_parameter_types')
    requested = -math.inf
    answers: list[Any] = []

    def is_answered() -> bool:
        nonlocal requested
        is_due = time.monotonic() >= requested + _PATIENCE
        if not answers and is_due and client.service_is_ready():
            requested = time.monotonic()
            future = client.call_async(GetParameterTypes.Request())
            future.add_done_callback(answers.append)
        return bool(answers)

    wait(is_answered)
    node.destroy_client(client)


class TrackerAnswers:
    """The tracks that answer the images of a publisher; another thread must spin the node."""

    def __init__(self, node: Node, publisher: Publisher) -> None:
        """Subscribe to ``tracks``."""
        self._node = node
        self._publisher = publisher
        self._answered = threading.Event()
        self._awaited = 0
        self._count = 0
        self._tracks = node.create_subscription(
            Detection2DArray, 'tracks', self._on_tracks, QoSProfile(depth=10)
        )

    def wait_until_connected(self) -> None:
        """
        Wait until a node subscribes to the images and publishes tracks, or ROS ends.

        Each publisher of tracks has discovered us then: no image and no tracks are missed.
        """
        trackers: list[str] = []

        def is_tracked() -> bool:
            trackers[:] = publishers_of(self._node, self._tracks.topic_name)
            return bool(trackers and self._publisher.get_subscription_count())

        self._node.get_logger().info('waiting for the tracker')
        self._wait(is_tracked)
        for tracker in trackers:
            wait_until_known_by(tracker, self._node, self._wait)

    def _wait(self, condition: Callable[[], bool]) -> None:
        while self._node.context.ok() and not condition():
            time.sleep(_POLL)

    def publish(self, message: Union[Any, bytes], stamp: int) -> None:
        """
        Publish an image and wait for its tracks; go on with a warning if they do not come.

        :param stamp: of the image, in nanoseconds.
        """
        self._count += 1
        self._awaited = stamp
        self._answered.clear()
        self._publisher.publish(message)
        end = time.monotonic() + _ANSWER_TIMEOUT
        while self._node.context.ok() and not self._answered.wait(0.2):
            if time.monotonic() > end:
                self._node.get_logger().warning(
                    f'no tracks for image {self._count} after {_ANSWER_TIMEOUT:.0f} s, going on'
                )
                return

    def _on_tracks(self, message: Detection2DArray) -> None:
        if stamp_to_nanoseconds(message.header) == self._awaited:
            self._answered.set()
