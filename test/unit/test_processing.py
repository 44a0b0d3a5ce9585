"""Frames and services use one tracker, one after the other."""

import pytest
from node_runs import found
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.config.node_options import DETECTIONS, Configuration
from persontrack_ros.core.tracking.gallery import Camera, Gallery
from persontrack_ros.ros.tracker import processing
from persontrack_ros.ros.tracker.input_topic import Message
from persontrack_ros.ros.tracker.inputs import Frame
from persontrack_ros.ros.tracker.processing import Processor


class Stream:
    """A processor, and detections of one person every tenth of a second."""

    def __init__(self, **values):
        values = {'input': DETECTIONS, 'tracker.n_init': 1, **values}
        self.settings, self.options = Configuration().changed(values)
        self.processor = Processor(self.settings, self.options, Camera(Gallery()))
        self.tenths = 0

    def see(self):
        """Return the ids after the next frame."""
        self.tenths += 1
        header = Header()
        header.stamp.sec, tenths = divmod(1000 + self.tenths, 10)
        header.stamp.nanosec = tenths * 10**8
        data = serialize_message(found(header, (100, 100, 50, 120, 0.9)))
        frame = Frame(0.0, {'detections': Message(Detection2DArray, data)})
        result = self.processor.process(frame, 10**8 * self.tenths, self.settings, self.options)
        return [track.id for track in result.tracks]


def test_states_between_two_frames(tmp_path):
    stream = Stream()
    first = stream.see()
    assert len(first) == 1
    stream.processor.save(tmp_path / 'state.npz', '[["line", "door", 3]]')
    stream.tenths -= 900
    # Time went back, and ids go on.
    assert stream.see() != first
    counts = stream.processor.load(tmp_path / 'state.npz')
    assert counts == '[["line", "door", 3]]'
    assert stream.processor.tracker.next_id == first[0] + 1
    (tmp_path / 'bad.npz').write_bytes(b'nothing')
    with pytest.raises(PersontrackError, match=r'bad\.npz'):
        stream.processor.load(tmp_path / 'bad.npz')
    assert stream.processor.tracker.next_id == first[0] + 1
    stream.processor.reset()
    assert stream.see() == [1]


def test_services_do_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(processing, 'PATIENCE', 0.01)
    stream = Stream()
    path = tmp_path / 'state.npz'
    stream.processor.save(path, '')
    save, load, reset = stream.processor.save, stream.processor.load, stream.processor.reset
    with stream.processor.in_turn():
        for call, *arguments in ((save, path, ''), (load, path), (reset,)):
            with pytest.raises(PersontrackError, match=r'takes more than 0\.01 s'):
                call(*arguments)
    stream.processor.reset()
