"""The bytes that are published are the message that is meant."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from persontrack_ros.core.base import messages


def rows_of(random, count):
    ids = ['', *(str(10**digits) for digits in range(9))]
    return [
        (random.uniform(-100, 2000, 4), float(random.random()), ids[random.integers(len(ids))])
        for _ in range(count)
    ]


def message_of(rows, header):
    message = Detection2DArray(header=header)
    for (left, top, width, height), score, identifier in rows:
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = 'person', score
        detection = Detection2D(header=header, id=identifier, results=[result])
        centre = detection.bbox.center.position
        centre.x, centre.y = left + width / 2, top + height / 2
        detection.bbox.size_x, detection.bbox.size_y = width, height
        message.detections.append(detection)
    return message


@pytest.mark.parametrize(
    'frame', ['', 'a', 'camera', 'robot/lens', 'Kamera über der Tür', 'x' * 300]
)
@pytest.mark.parametrize('count', [0, 1, 2, 3, 30])
def test_bytes_and_message_are_the_same(frame, count):
    random = np.random.default_rng(count)
    header = Header(stamp=Time(sec=-5, nanosec=999_999_999), frame_id=frame)
    rows = rows_of(random, count)
    message, data = message_of(rows, header), messages.boxes_to_bytes(rows, header)
    assert deserialize_message(data, Detection2DArray) == message
    # Paddings hold anything, and some middlewares have one at the end.
    assert 0 <= len(serialize_message(message)) - len(data) < 4
