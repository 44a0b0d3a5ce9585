"""The bytes that are published are the message that is meant."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base import messages
from persontrack_ros.ros.tracker.messages import boxes_to_message, known


def rows_of(random, count):
    ids = ['', *(str(10**digits) for digits in range(9))]
    return [
        (random.uniform(-100, 2000, 4), float(random.random()), ids[random.integers(len(ids))])
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    'frame', ['', 'a', 'camera', 'robot/lens', 'Kamera über der Tür', 'x' * 300]
)
@pytest.mark.parametrize('count', [0, 1, 2, 3, 30])
def test_bytes_and_message_are_the_same(frame, count):
    random = np.random.default_rng(count)
    header = Header(stamp=Time(sec=-5, nanosec=999_999_999), frame_id=frame)
    rows = rows_of(random, count)
    message, data = boxes_to_message(rows, header), messages.boxes_to_bytes(rows, header)
    assert deserialize_message(data, Detection2DArray) == message
    # Paddings hold anything, and some middlewares have one at the end.
    assert 0 <= len(serialize_message(message)) - len(data) < 4


def test_other_messages_are_found_out(monkeypatch):
    rows = rows_of(np.random.default_rng(0), 4)
    assert known(rows, Header(frame_id='lens'))
    encapsulation = messages._ENCAPSULATION
    # Big-endian, and nonsense.
    for bytes_ in (b'\x00\x00\x00\x00', b'\x00\x01\x00\x00\xff\xff\xff\xff'):
        monkeypatch.setattr(messages, '_ENCAPSULATION', bytes_)
        assert not known(rows, Header(frame_id='lens'))
    monkeypatch.setattr(messages, '_ENCAPSULATION', encapsulation)
    monkeypatch.setattr(messages, '_POSE', messages._POSE + bytes(8))
    assert not known(rows, Header(frame_id='lens'))
