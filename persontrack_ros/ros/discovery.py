"""Finding other nodes, and keeping apart from them."""

from __future__ import annotations

import math
import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rcl_interfaces.srv import GetParameterTypes
from rclpy.node import Node
from rclpy.task import Future
from rclpy.topic_endpoint_info import TopicEndpointInfo

from persontrack_ros.core.base.errors import PersontrackError

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


class DomainError(PersontrackError):
    """No ROS domain is free."""


@contextmanager
def own_domain() -> Iterator[int]:
    """
    Yield a ROS domain that no other program on this machine uses during the block.

    :raises DomainError: if there is none.
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
    raise DomainError('no ROS domain is free on this machine')


def _take(stack: ExitStack, port: int) -> None:
    stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(('', port))


def node_of(endpoint: TopicEndpointInfo) -> str:
    """Return the full name of the node that a publisher or subscription belongs to, if known."""
    if not is_known(endpoint):
        return 'an unknown node'
    return f'{endpoint.node_namespace.rstrip("/")}/{endpoint.node_name}'


def is_known(endpoint: TopicEndpointInfo) -> bool:
    """Return whether the node of an endpoint is known; that may be so later than the endpoint."""
    return bool(endpoint.node_name != _UNKNOWN_NAME)


def publishers_of(node: Node, topic: str) -> list[str]:
    """Return the full names of the nodes that publish a topic, as far as they are known."""
    return [node_of(each) for each in node.get_publishers_info_by_topic(topic) if is_known(each)]


class Introduction:
    """
    Finds out whether another node has discovered all endpoints of a node.

    The two nodes discover each other independently, and a message can be missed before both have.
    Endpoints are discovered in the order in which they were made: a node that answers a client has
    discovered all that was made before it. An answer can be missed too; therefore the request is
    repeated.
    """

    def __init__(self, node: Node, other: str) -> None:
        """
        Make the client; send no request yet.

        :param other: name of the other node; it must have the services of parameters.
        """
        self._node = node
        self._client = node.create_client(GetParameterTypes, f'{other}/get_parameter_types')
        self._requested = -math.inf
        self._answered = False

    def is_done(self) -> bool:
        """Return whether the other node has answered; call it until then, while the node spins."""
        is_due = time.monotonic() >= self._requested + _PATIENCE
        if not self._answered and is_due and self._client.service_is_ready():
            self._requested = time.monotonic()
            future = self._client.call_async(GetParameterTypes.Request())
            future.add_done_callback(self._on_answer)
        return self._answered

    def close(self) -> None:
        """Destroy the client."""
        self._node.destroy_client(self._client)

    def _on_answer(self, answer: Future[GetParameterTypes.Response]) -> None:
        self._answered = True
