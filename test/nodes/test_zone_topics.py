"""The topics of lines and zones, and their counts after a restart."""

from __future__ import annotations

import json
from unittest import mock

import numpy as np
import pytest
from node_runs import Rig, found
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import UInt32
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.ros.tracker.zones import ZoneTopics

ZONES = """
image_size: [640, 480]
lines: {door: {points: [[100, 240], [540, 240]], left: out, right: in}}
zones: {hall: [[0, 300], [640, 300], [640, 480], [0, 480]]}
"""
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
NUMBERS = ('lines/door/in', 'lines/door/out', 'zones/hall/count')
PARAMETERS = {
    'input': 'detections',
    'detector__model': 'none',
    'reid__model': 'none',
    'tracker__n_init': 1,
}


class Walk(Rig):
    """A tracker of detections, and a node that publishes one person and hears the counts."""

    def __init__(self, folder):
        file = folder / 'zones.yaml'
        file.write_text(ZONES)
        super().__init__(zones_file=str(file), state_file=str(folder / 'state.npz'), **PARAMETERS)
        self.numbers = {}
        for name in NUMBERS:
            self.peer.create_subscription(
                UInt32, name, lambda one, name=name: self.numbers.update({name: one.data}), LATCHED
            )
        self.hall = self.hear(Detection2DArray, 'zones/hall/tracks')
        self.advertise(detections=Detection2DArray)
        self.activate('configure', 'activate')

    def walk(self, start, end):
        """Move the feet of one person from one row of the image to another."""
        for foot in range(start, end, 10 if end > start else -10):
            header = self.header()
            self.publishers['detections'].publish(found(header, (300, foot - 100, 40, 100, 0.9)))
            self.until(lambda h=header: self.tracks and self.tracks[-1].header == h)


@pytest.fixture
def rig(isolation, tmp_path):
    rig = Walk(tmp_path)
    yield rig
    rig.close()


def test_counts_and_who_is_inside(rig):
    rig.until(lambda: rig.numbers == dict.fromkeys(NUMBERS, 0))
    rig.walk(150, 400)
    rig.until(lambda: rig.numbers == dict(zip(NUMBERS, (1, 0, 1))))
    id_ = rig.tracks[-1].detections[0].id
    rig.until(lambda: rig.hall and rig.hall[-1].header == rig.tracks[-1].header)
    assert [one.id for one in rig.hall[-1].detections] == [id_]
    assert any(not one.detections for one in rig.hall)
    rig.walk(400, 150)
    rig.until(lambda: rig.numbers == dict(zip(NUMBERS, (1, 1, 0))))
    # They go on after a restart with the saved state, and end when that is asked for.
    rig.call('save_state')
    rig.change('deactivate', 'cleanup', 'configure', 'activate')
    rig.until(lambda: rig.numbers == dict.fromkeys(NUMBERS, 0))
    rig.call('load_state')
    rig.until(lambda: rig.numbers == dict(zip(NUMBERS, (1, 1, 0))))
    rig.call('reset_counts')
    rig.until(lambda: rig.numbers == dict.fromkeys(NUMBERS, 0))


@pytest.mark.parametrize(
    'text', ['zones: {a: [[0, 0], [1, 1]]}', 'frame: map\nlines: {a: {points: [[0, 0], [1, 1]]}}']
)
def test_zones_that_do_not_fit_are_refused(rig, tmp_path, text):
    rig.change('deactivate', 'cleanup')
    (tmp_path / 'zones.yaml').write_text(text)
    rig.change('configure', result=TransitionCallbackReturn.FAILURE)
    (tmp_path / 'zones.yaml').write_text(ZONES)
    rig.change('configure', 'activate')


def test_metres_of_a_map(rig, tmp_path):
    """Positions are those of tracks_3d in the target frame; y is to the left of x."""
    (tmp_path / 'map.yaml').write_text('frame: map\nlines: {gate: {points: [[0, 0], [4, 0]]}}')
    options = {'zones_file': str(tmp_path / 'map.yaml'), 'input': 'image', 'depth': True}
    with pytest.raises(SettingsError, match='metres of map: set depth, and target_frame'):
        ZoneTopics(rig.tracker, {**options, 'target_frame': 'odom'})
    zones = ZoneTopics(rig.tracker, {**options, 'target_frame': 'map'})
    track = mock.Mock(id=7)
    for tenth in range(20):
        result = mock.Mock(tracks=[track], image=None)
        result.moment.time = tenth * 100_000_000
        zones.publish(result, {7: np.array([2.0, -1.0 + 0.1 * tenth, 0.9])})
    zones.publish(mock.Mock(tracks=[], moment=mock.Mock(time=2 * 10**9)), {})
    assert json.loads(zones.state()) == [['gate', 'left', 1], ['gate', 'right', 0]]
    zones.destroy()
