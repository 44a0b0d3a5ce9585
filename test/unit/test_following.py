"""Who is followed, and which way they face."""

import math

import numpy as np
import pytest
from test_drawing import track as box_of

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.node_options import NEAREST, Configuration
from persontrack_ros.core.drawing import draw
from persontrack_ros.core.tracks3d.following import Follower, Heading, TargetStatus

SECOND = 10**9
PATIENCE = 10.0


def track(id_):
    return box_of([100.0 * id_, 100.0, 40.0, 100.0], id_)


class Scene:
    """Frames, one a second, of persons who are visible, at distances, or known from before."""

    def __init__(self, wanted):
        self.follower, self.wanted, self.seconds = Follower(), wanted, 0

    def see(self, *visible, known=(), **distances):
        self.seconds += 1
        measured = {int(name[1:]): distance for name, distance in distances.items()}
        return self.follower.update(
            self.wanted,
            {*visible, *measured},
            measured,
            {*known, *measured},
            self.seconds * SECOND,
            PATIENCE,
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


PLACES = {'depth': True, 'target_frame': 'odom'}


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        *(
            ({'target': wanted, **PLACES}, 'neither the id of a track nor nearest')
            for wanted in ('far', '-1', '0', '007', '1.5', '1 2', '\u0661', 'Nearest', '9' * 20)
        ),
        ({'target': '1'}, 'set depth and target_frame'),
        ({'target': '1', 'depth': True}, 'set depth and target_frame'),
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
