"""What is asked of tf, and what is forgotten: in the process of the test."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from node_runs import stamp
from rclpy.context import Context
from rclpy.node import Node
from std_msgs.msg import Header

from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.ros.tracker.transforms import Transforms

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec('tf2_ros') is None, reason='this ROS 2 has no tf2_ros'
)

OPTICAL = (-0.5, 0.5, -0.5, 0.5)
LINK = (0.0, 0.0, 0.0, 1.0)


class Tf:
    """A buffer of the transforms that it is told, from base_link to a camera and others."""

    def __init__(self, node, warnings):
        self.transforms = Transforms(node, 'odom')
        self.warnings = warnings
        self.tell('base_link', 'camera', 0, static=True)
        self.tell('camera', 'lens', 0, OPTICAL, static=True)

    def tell(self, parent, child, seconds, rotation=LINK, x=0.0, static=False):
        message = TransformStamped(child_frame_id=child)
        message.header.frame_id, message.header.stamp = parent, stamp(seconds)
        message.transform.translation.x = x
        turn = message.transform.rotation
        turn.x, turn.y, turn.z, turn.w = rotation
        take = self.transforms.set_transform_static if static else self.transforms.set_transform
        take(message, 'test')

    def ask(self, seconds, frame='lens', stamped=True):
        return self.transforms.expect(Header(stamp=stamp(seconds), frame_id=frame), stamped)


@pytest.fixture
def tf(own_graph):
    context = Context()
    rclpy.init(context=context)
    warnings = []

    class Quiet(Node):
        def get_logger(self):
            return SimpleNamespace(warning=lambda text, **_: warnings.append(text))

    node = Quiet('peer', context=context)
    tf = Tf(node, warnings)
    yield tf
    tf.transforms.destroy()
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_a_transform_at_the_stamp(tf):
    tf.tell('odom', 'base_link', 100.0, x=1.0)
    future = tf.ask(100.5)
    assert not future.done()
    tf.tell('odom', 'base_link', 101.0, x=2.0)
    assert future.result(0).position[0] == pytest.approx(1.5)
    # A slash at the start, as tf2 does with those of messages.
    tf.tell('/odom', '/base_link', 102.0, x=3.0)
    assert tf.ask(102.0, '/lens').result(0).position[0] == pytest.approx(3.0)
    assert tf.warnings == []


@pytest.mark.parametrize(('seconds', 'stamped'), [(0.0, True), (0.0, False), (100.0, False)])
def test_stamps_that_do_not_tell_the_time(tf, seconds, stamped):
    """To tf2, 0 is the newest transform."""
    tf.tell('odom', 'base_link', 100.0)
    for _ in range(3):
        with pytest.raises(ImageError, match='are not times'):
            tf.ask(seconds, stamped=stamped).result(0)
    assert len(tf.warnings) == 1
    assert tf.transforms.missing == 3


def test_the_frame_of_a_link(tf):
    tf.tell('odom', 'base_link', 100.0)
    for _ in range(3):
        with pytest.raises(ImageError, match='no optical frame'):
            tf.ask(100.0, 'camera').result(0)
    (warning,) = tf.warnings
    assert "'camera'" in warning
    assert tf.ask(100.0).result(0).rotation[2, 1] == pytest.approx(-1)
