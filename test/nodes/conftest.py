"""Real nodes, and a node of the test that talks to them."""

from __future__ import annotations

import itertools
import os
import time
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Optional, Union

import cv2
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from node_runs import TIMEOUT, Start, starting
from rcl_interfaces.srv import GetParameters, SetParametersAtomically
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from persontrack_ros.ros.discovery import own_domain, wait_until_known_by

EVERYTHING = QoSProfile(history=HistoryPolicy.KEEP_ALL)


@pytest.fixture(scope='module', autouse=True)
def isolation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests of a module apart from robots, from others and from the user's logs."""
    with own_domain() as domain, pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_DOMAIN_ID', str(domain))
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        patch.setenv('ROS_LOG_DIR', str(tmp_path_factory.mktemp('ros_log')))
        patch.setenv('PYTHONUNBUFFERED', '1')
        yield


@pytest.fixture
def own_graph(isolation: None) -> Iterator[None]:
    """Give a test a ROS domain of its own, in which there is nothing of an earlier test."""
    with own_domain() as domain, pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_DOMAIN_ID', str(domain))
        yield


@pytest.fixture
def start(own_graph: None) -> Iterator[Start]:
    """Return a function that starts a node, a tracker in this process; the test ends it."""
    with starting(inside=True) as start:
        yield start


@pytest.fixture
def spawn(own_graph: None) -> Iterator[Start]:
    """Return a function that starts a node in a process of its own; the test ends it."""
    with starting(inside=False) as start:
        yield start


@pytest.fixture(scope='module')
def start_once(isolation: None) -> Iterator[Start]:
    """Return a function that starts a node for all tests of a module, trackers in this process."""
    with starting(inside=True) as start:
        yield start


class Peer:
    """The test's own node: publishes images, collects results, calls services."""

    def __init__(self, namespace: str = '') -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=int(os.environ['ROS_DOMAIN_ID']))
        self.node = Node('peer', namespace=namespace, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.images = self.node.create_publisher(Image, 'image_raw', QoSProfile(depth=1))
        self.tracks: list[Detection2DArray] = []
        self._clients: dict[str, Any] = {}
        self._tracks = self.node.create_subscription(
            Detection2DArray, 'tracks', self.tracks.append, EVERYTHING
        )

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def spin_once(self) -> None:
        self._executor.spin_once(timeout_sec=0.1)

    def until(self, condition: Callable[[], Any], what: str = 'event') -> None:
        """Spin until something holds."""
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end, f'no {what} in {TIMEOUT} s'
            self.spin_once()

    def until_known_by(self, other: str = 'person_tracker') -> None:
        """Spin until another node knows all endpoints of this one: nothing is lost from then."""
        wait_until_known_by(other, self.node, partial(self.until, what=f'answer of {other}'))

    def until_tracker_listens(self) -> None:
        self.until(
            lambda: (
                self.images.get_subscription_count()
                and self.node.count_publishers(self._tracks.topic_name)
            ),
            'tracker',
        )
        self.until_known_by()

    def track(self, message: Image) -> Detection2DArray:
        """Publish an image until it is answered: topics of sensors may lose one."""
        return self.ask(lambda: self.images.publish(message), message.header)

    def ask(
        self, publish: Callable[[], None], header: Header, answers: Optional[list[Any]] = None
    ) -> Any:
        """Publish until there is an answer with the same stamp; tracks if nothing else is said."""
        answers = self.tracks if answers is None else answers
        seen = len(answers)

        def answered() -> bool:
            return any(each.header.stamp == header.stamp for each in answers[seen:])

        end = time.monotonic() + TIMEOUT
        while not answered():
            assert time.monotonic() < end, 'no answer'
            publish()
            again = time.monotonic() + 10
            while not answered() and time.monotonic() < again:
                self.spin_once()
        return next(each for each in answers[seen:] if each.header.stamp == header.stamp)

    def received(self, messages: list[Any], header: Header) -> Any:
        """Spin until the message with a header is among those received; return it."""
        self.until(lambda: any(each.header == header for each in messages), 'message')
        return next(each for each in messages if each.header == header)

    def collect(self, kind: type, topic: str, publisher: str = 'person_tracker') -> list[Any]:
        """Return a list that gets the messages of a topic of another node from now on."""
        messages: list[Any] = []
        subscription = self.node.create_subscription(kind, topic, messages.append, EVERYTHING)
        self.until(
            partial(self.node.count_publishers, subscription.topic_name), f'publisher of {topic}'
        )
        self.until_known_by(publisher)
        return messages

    def publisher(self, kind: type, topic: str, quality: Union[int, QoSProfile] = 10) -> Any:
        """Return a publisher that another node knows."""
        publisher = self.node.create_publisher(kind, topic, quality)
        self.until(publisher.get_subscription_count, f'subscription of {topic}')
        self.until_known_by()
        return publisher

    def diagnostics(self) -> Diagnostics:
        """Return what the tracker publishes of itself from now on."""
        return Diagnostics(self)

    def client(self, kind: type, name: str) -> Any:
        """Return a client that its server knows."""
        if name not in self._clients:
            client = self.node.create_client(kind, name)
            self.until(client.service_is_ready, f'service {name}')
            self.until_known_by(name.rpartition('/')[0])
            self._clients[name] = client
        return self._clients[name]

    def call(self, kind: type, name: str, **fields: object) -> Any:
        """Call a service of the tracker."""
        future = self.client(kind, f'person_tracker/{name}').call_async(kind.Request(**fields))
        self.until(future.done, f'answer of {name}')
        return future.result()

    def state(self) -> str:
        return self.call(GetState, 'get_state').current_state.label

    def change_state(self, *names: str) -> bool:
        """Request transitions, one after the other; return whether all succeeded."""
        numbers = [getattr(Transition, f'TRANSITION_{name.upper()}') for name in names]
        wanted = [Transition(id=number) for number in numbers]
        return all(
            self.call(ChangeState, 'change_state', transition=one).success for one in wanted
        )

    def until_there(self, subscribed: str = '', published: str = '') -> None:
        """Spin until there are subscriptions and publishers of topics."""
        for topics, count in (
            (subscribed, self.node.count_subscribers),
            (published, self.node.count_publishers),
        ):
            self.until(lambda ts=topics, of=count: all(map(of, ts.split())), topics)

    def set(self, **values: object) -> Any:
        """Set parameters together; the result says whether they were taken, and why not."""
        parameters = [
            rclpy.Parameter(name.replace('__', '.'), value=value).to_parameter_msg()
            for name, value in values.items()
        ]
        return self.call(
            SetParametersAtomically, 'set_parameters_atomically', parameters=parameters
        ).result

    def get(self, name: str) -> Any:
        (value,) = self.call(GetParameters, 'get_parameters', names=[name]).values
        return rclpy.parameter.parameter_value_to_python(value)


class Diagnostics:
    """The newest diagnostics of a tracker; level -1 before the first ones."""

    def __init__(self, peer: Peer) -> None:
        self._messages = peer.collect(DiagnosticArray, '/diagnostics')
        self._peer = peer

    def __getattr__(self, name: str) -> Any:
        """Return a field of the newest status."""
        return getattr(self._messages[-1].status[0], name) if self._messages else -1

    @property
    def stamp(self) -> Any:
        return self._messages[-1].header.stamp if self._messages else None

    def __getitem__(self, key: str) -> str:
        """Return a value of the newest status; empty where there is none."""
        values = self.values if self._messages else []
        return next((each.value for each in values if each.key == key), '')

    def number(self, key: str) -> float:
        return float(self[key] or 'nan')

    def until(self, level: int, text: str) -> None:
        """Spin until the status has a level, and a text within its message."""
        self._peer.until(lambda: self.level == level and text in self.message, f'{level}: {text}')


@pytest.fixture(scope='module')
def peer_of(isolation: None) -> Iterator[Callable[[str], Peer]]:
    """Return a function that makes a peer in a namespace."""
    peers: list[Peer] = []

    def make(namespace: str) -> Peer:
        peers.append(Peer(namespace))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


@pytest.fixture
def peer(own_graph: None) -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture(scope='module')
def module_peer(isolation: None) -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


# As of a camera with 10 images per second.
_stamps = itertools.count(start=5_000_000_007, step=100_000_000)


@pytest.fixture(scope='session')
def to_message() -> Callable[..., Image]:
    """Return a function that packs a picture into a message, each with a stamp of its own."""

    def pack(picture: np.ndarray, encoding: str = 'bgr8', frame_id: str = 'lens') -> Image:
        message = Image(height=picture.shape[0], width=picture.shape[1], encoding=encoding)
        message.header.frame_id = frame_id
        stamp = next(_stamps)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        message.step = picture[0].nbytes
        message.data = array('B', np.ascontiguousarray(picture).tobytes())
        return message

    return pack


@pytest.fixture(scope='session')
def pictures(data: Callable[[str], Path]) -> list[np.ndarray]:
    """Return the first images of vtest.avi."""
    capture = cv2.VideoCapture(str(data('videos/vtest.avi')))
    return [capture.read()[1] for _ in range(12)]
