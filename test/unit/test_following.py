"""Who is followed, and which way they face."""

import math

import numpy as np
import pytest
from test_drawing import track as box_of

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.node_options import MIDDLE, NEAREST, Configuration
from persontrack_ros.core.drawing import draw
from persontrack_ros.core.tracks3d.depth import Box3D
from persontrack_ros.core.tracks3d.following import (
    Follower,
    Heading,
    TargetStatus,
    choose,
    least,
    off,
    on_floor,
)

SECOND = 10**9
PATIENCE = 10.0


def track(id_):
    return box_of([100.0 * id_, 100.0, 40.0, 100.0], id_)


class Scene:
    """Frames, one a second, of persons who are visible, at distances, or known from before."""

    def __init__(self, wanted):
        self.follower, self.wanted, self.seconds = Follower(PATIENCE), wanted, 0

    def see(self, *visible, known=(), **distances):
        self.seconds += 1
        measured = {int(name[1:]): distance for name, distance in distances.items()}
        return self.follower.update(
            self.wanted,
            {*visible, *measured},
            measured,
            {*known, *measured},
            min(measured, key=measured.__getitem__, default=None),
            self.seconds * SECOND,
        )


def test_an_id_is_kept():
    assert Scene('').see(_1=2.0) is None
    scene = Scene('2')
    target = scene.see(_1=2.0)
    assert (target.id, target.status, target.since) == (2, TargetStatus.LOST, SECOND)
    assert scene.see(_1=2.0) == target
    target = scene.see(_1=2.0, _2=3.0)
    assert (target.id, target.status, target.since) == (2, TargetStatus.SEEN, 3 * SECOND)
    target = scene.see(2, known=[2])
    assert (target.id, target.status, target.since) == (2, TargetStatus.PREDICTED, 4 * SECOND)
    # A box alone has no position.
    assert scene.see(2).status is TargetStatus.LOST
    # However long they are away.
    for _ in range(100):
        assert scene.see(_1=1.0).status is TargetStatus.LOST
    assert scene.see(_2=1.0).status is TargetStatus.SEEN


def test_the_nearest_is_kept_until_lost_for_good():
    scene = Scene(NEAREST)
    assert scene.see().id is None
    # Without a position, the distance is unknown.
    assert scene.see(1).id is None
    assert scene.see(_1=3.0, _2=2.0).id == 2
    assert scene.see(_1=1.0, _2=2.0).id == 2
    for _ in range(10):
        target = scene.see(_1=1.0)
        assert (target.id, target.status) == (2, TargetStatus.LOST)
    # Back in time.
    assert scene.see(_1=1.0, _2=2.0).status is TargetStatus.SEEN
    for _ in range(11):
        assert scene.see(_1=1.0).id == 2
    assert scene.see(_1=1.0).id == 1
    # Without depth for longer, but still tracked.
    for _ in range(20):
        assert scene.see(1, _2=1.0).id == 1
    # Another one is wanted, and then the nearest again.
    scene.wanted = '7'
    assert scene.see(_1=1.0, _2=0.5).id == 7
    scene.wanted = NEAREST
    assert scene.see(_1=1.0, _2=0.5).id == 2


def box(x, y, z, yaw=0.0):
    position = np.array([x, y, z])
    size, noise = np.ones(3), np.eye(3)
    return Box3D(position, size, position, 0.1, noise, yaw)


def test_the_nearest_the_middle_and_the_clicked():
    # 3 is large, 2 in the middle of an image of 400 pixels, and 1 nearest in space.
    tracks = [track(1), track(2), box_of([300.0, 50.0, 60.0, 200.0], 3)]
    boxes = {1: box(2.0, 0, 1), 2: box(3.0, 0, 1), 3: box(3.0, 2, 1)}
    size = (400, 300)
    assert choose(NEAREST, tracks, None, size, None) == 3
    assert choose(NEAREST, tracks, boxes, size, None) == 1
    assert choose(NEAREST, [], {}, size, None) is None
    assert choose(MIDDLE, tracks, None, size, None) == 2
    assert choose(MIDDLE, tracks[2:], boxes, size, None) == 3
    # The person of a file, if they are measured.
    assert choose('a.npz', tracks, None, size, 3) == 3
    assert choose('a.npz', tracks[:2], None, size, 3) is None
    # The border of a box is half of it off its centre.
    assert [off(tracks[1], np.array(pixel)) for pixel in ([220, 150], [205, 200], [260, 160])] == [
        0.0,
        0.5,
        1.0,
    ]
    assert least({1: 0.7, 2: 0.3, 3: 0.4}, 0.5) == 2
    assert least({1: 0.7, 2: math.nan}, 0.5) is None
    # From the feet to above the head; y points down in an optical frame.
    assert on_floor(boxes[2], np.array([2.7, 0.4, 0.0])) == pytest.approx(0.5)
    assert on_floor(box(0, 0, 2.0, None), np.array([0.3, 2.0, 2.4])) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        *(
            (
                {'target': wanted},
                'neither the id of a track, nearest, middle, nor a file of persont',
            )
            for wanted in ('far', '-1', '0', '007', '1.5', '1 2', '\u0661', 'Nearest', '9' * 20)
        ),
        ({'target': 'middle', 'input': 'detections'}, 'middle needs images'),
        ({'target': '1', 'tracker.algorithm': 'none'}, 'not with tracker.algorithm: none'),
        ({'target_tf': True}, 'set depth and target_frame'),
        ({'target_tf': True, 'depth': True}, 'set depth and target_frame'),
        # As tf2, which refuses it only when it is asked.
        ({'depth': True, 'target_frame': '/odom'}, "no slash at their beginning: '/odom'"),
    ],
)
def test_what_is_no_target(values, reason):
    with pytest.raises(SettingsError, match=reason):
        Configuration().changed(values)


def test_headings():
    heading, viewpoint = Heading(), np.zeros(3)
    still, ahead = np.zeros(3), np.array([2.0, 2.0, 1.0])
    # Away from the camera, until they walk; and as they walked, when they stop.
    assert heading.update(1, ahead, still, viewpoint) == pytest.approx(math.pi / 4)
    assert heading.update(1, ahead, np.array([0, -1.0, 0]), viewpoint) == pytest.approx(
        -math.pi / 2
    )
    assert heading.update(1, ahead, still, viewpoint) == pytest.approx(-math.pi / 2)
    assert heading.update(2, ahead, still, viewpoint) == pytest.approx(math.pi / 4)


def test_the_target_is_drawn_distinctly():
    image = np.full((400, 600, 3), 90, np.uint8)
    plain = draw(image, [track(1), track(3)], 0.0)
    marked = draw(image, [track(1), track(3)], 0.0, target=3)
    changed = (plain != marked).any(axis=2)
    # Around the box of 3, which has its own colour still, and nowhere else.
    assert changed.any()
    _, columns = np.nonzero(changed)
    assert columns.min() > 250
    assert (marked[changed] == 255).all()
    assert (marked[150, 300] == plain[150, 300]).all()
