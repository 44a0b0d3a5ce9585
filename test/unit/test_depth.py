"""
Places of persons in synthetic depth images.

The depth of each pixel is that of the first surface on its ray, which is computed here for scenes
that are described in metres; boxes are the projected corners of persons.
"""

import math
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persontrack_ros.core.base.calibration import Camera, rectify
from persontrack_ros.core.base.errors import ImageError
from persontrack_ros.core.media.encodings import depth_to_metres, image_to_depth
from persontrack_ros.core.tracking.track import Track, TrackState
from persontrack_ros.core.tracks3d.depth import Locator, Scene

SIZE = (640, 480)
FOCAL = 525.0
MIDDLE = (319.5, 239.5)

# Width, height and thickness of a person, whose camera is 1.2 m over the floor.
PERSON = (0.5, 1.7, 0.25)
CAMERA_HEIGHT = 1.2

MAX_ERROR = 0.05


def make_info(
    size=SIZE, focal=FOCAL, middle=MIDDLE, distortion=(), model='plumb_bob', roi=(0,) * 4
):
    """Describe a camera as sensor_msgs/CameraInfo does."""
    names = ('x_offset', 'y_offset', 'width', 'height')
    return SimpleNamespace(
        width=size[0],
        height=size[1],
        k=[focal, 0.0, middle[0], 0.0, focal, middle[1], 0.0, 0.0, 1.0],
        d=list(distortion),
        distortion_model=model,
        roi=SimpleNamespace(**dict(zip(names, roi))),
    )


def render(*surfaces, size=SIZE, focal=FOCAL, middle=MIDDLE):
    """Return the depth of each pixel: the smallest z at which its ray meets a surface."""
    x, y = np.meshgrid(
        (np.arange(size[0]) - middle[0]) / focal, (np.arange(size[1]) - middle[1]) / focal
    )
    return np.min([surface(x, y) for surface in surfaces], axis=0)


def upright(x, y, z, width, height):
    """Describe a rectangle that faces the camera, by its middle."""

    def depth(ray_x, ray_y):
        inside = (abs(ray_x * z - x) <= width / 2) & (abs(ray_y * z - y) <= height / 2)
        return np.where(inside, z, np.inf)

    return depth


def wall(z):
    return lambda x, y: np.full_like(x, z)


def floor(slope=0.0):
    """Describe a floor y = CAMERA_HEIGHT - slope * z, which rises ahead of the camera."""

    def depth(x, y):
        with np.errstate(divide='ignore'):
            z = CAMERA_HEIGHT / (y + slope)
        return np.where(z > 0, z, np.inf)

    return depth


def person_at(x, z, slope=0.0):
    """Describe head, trunk and legs of a person who stands on the floor; and their middle."""
    feet = CAMERA_HEIGHT - slope * z
    width, height, _ = PERSON
    parts = [
        upright(x, feet - 0.9 * height, z, 0.18, 0.2 * height),
        upright(x, feet - 0.625 * height, z, width, 0.35 * height),
        upright(x - 0.12, feet - 0.225 * height, z, 0.16, 0.45 * height),
        upright(x + 0.12, feet - 0.225 * height, z, 0.16, 0.45 * height),
    ]
    return parts, np.array([x, feet - height / 2, z])


def project(position, size=(PERSON[0], PERSON[1]), focal=FOCAL, middle=MIDDLE):
    """Return the box of a person; 0 is the left edge of the first pixel."""
    x, y, z = position
    centre = np.array([focal * x / z + middle[0] + 0.5, focal * y / z + middle[1] + 0.5])
    extent = focal * np.array(size) / z
    return np.array([*(centre - extent / 2), *extent])


def message(depth, encoding='32FC1', big=False, padding=0):
    """Pack depths in metres into a message; unknown ones are NaN, or 0 in millimetres."""
    if encoding == '16UC1':
        depth = np.nan_to_num(np.round(1000 * depth), posinf=0).astype('>u2' if big else '<u2')
    else:
        depth = depth.astype('>f4' if big else '<f4')
    height, width = depth.shape
    rows = np.pad(depth, ((0, 0), (0, padding)))
    return SimpleNamespace(
        encoding=encoding,
        height=height,
        width=width,
        step=rows.strides[0],
        is_bigendian=int(big),
        data=rows.tobytes(),
    )


def locate(depth, box, info=None, image_size=SIZE, **options):
    scene = Scene(message(depth, **options), info or make_info(), image_size)
    return scene.locate(box)


def check(place, position):
    assert place is not None
    assert np.abs(place.position - position).max() < MAX_ERROR
    assert np.abs(place.size[:2] - PERSON[:2]).max() < MAX_ERROR
    assert 0 <= place.size[2] <= 0.4


@pytest.mark.parametrize('x', [-1.2, 0.0, 0.9])
@pytest.mark.parametrize('slope', [0.0, 0.15, -0.1])
@pytest.mark.parametrize('background', [3.4, 6.0])
@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
def test_before_a_wall_on_a_floor(x, slope, background, encoding):
    parts, position = person_at(x, 3.0, slope)
    depth = render(*parts, floor(slope), wall(background))
    check(locate(depth, project(position), encoding=encoding), position)


@pytest.mark.parametrize('holes', [0.1, 0.5, 0.65])
def test_holes_and_noise(holes):
    random = np.random.default_rng(3)
    parts, position = person_at(0.4, 3.0)
    depth = render(*parts, floor(), wall(5.0))
    depth += random.normal(0, 0.03, depth.shape)
    depth[random.random(depth.shape) < holes] = np.nan
    check(locate(depth, project(position)), position)


@pytest.mark.parametrize(
    'occluder',
    [
        upright(-0.3, 0.0, 2.0, 0.4, 3.0),  # a pillar before the left side
        upright(0.0, 1.0, 2.2, 3.0, 1.1),  # a table before the legs
        upright(0.15, 0.0, 2.8, 0.12, 3.0),  # a pole that nearly touches
    ],
    ids=['pillar', 'table', 'pole'],
)
def test_behind_something(occluder):
    parts, position = person_at(0.0, 3.0)
    depth = render(*parts, occluder, floor(), wall(5.0))
    box = project(position)
    left, top, width, height = np.round(box).astype(int)
    hidden = depth[top : top + height, left : left + width] < 2.9
    assert 0.1 < hidden.mean() < 0.5
    check(locate(depth, box), position)


def test_rounded_persons():
    """The middle of the side that is seen of a cylinder lies a little behind its front."""
    radius = 0.2

    def cylinder(x, y):
        # The smaller solution of (x z)^2 + (z - 3)^2 = radius^2.
        root = 9 - (1 + x**2) * (9 - radius**2)
        with np.errstate(invalid='ignore'):
            z = (3 - np.sqrt(root)) / (1 + x**2)
        return np.where((root >= 0) & (abs(y * z - 0.3) <= PERSON[1] / 2), z, np.inf)

    depth = render(cylinder, wall(4.0))
    place = locate(depth, project((0.0, 0.3, 3.0), (2 * radius, PERSON[1])))
    assert 2.8 <= place.position[2] < 2.85
    assert 0.02 < place.size[2] < radius


@pytest.mark.parametrize(
    ('factor', 'info'),
    [
        (0.25, {}),
        (0.5, {}),
        (2.0, {}),
        # The image is smaller than the calibrated one, as by binning; or a region of the sensor.
        (1.0, {'size': (1280, 960), 'focal': 2 * FOCAL, 'middle': (639.5, 479.5)}),
        (1.0, {'size': (900, 700), 'middle': (419.5, 289.5), 'roi': (100, 50, *SIZE)}),
    ],
)
def test_depth_and_calibration_of_another_resolution(factor, info):
    parts, position = person_at(0.7, 3.0)
    size = tuple(int(factor * side) for side in SIZE)
    middle = tuple(factor * (each + 0.5) - 0.5 for each in MIDDLE)
    depth = render(*parts, floor(), wall(5.0), size=size, focal=factor * FOCAL, middle=middle)
    check(locate(depth, project(position), make_info(**info)), position)


@pytest.mark.parametrize(
    ('model', 'distortion'),
    [
        ('plumb_bob', [-0.3, 0.1, 0.001, -0.002, 0.0]),
        ('rational_polynomial', [0.4, -0.2, 0.0, 0.0, 0.05, 0.8, -0.1, 0.0]),
        ('equidistant', [-0.02, -0.005, 0.0, 0.0]),
    ],
)
def test_distorted_images(model, distortion):
    """With OpenCV as reference: without undistorting, a person near the edge is far off."""
    position = np.array([1.3, 0.35, 3.0])
    depth = np.full(SIZE[::-1], 3.0)
    half = np.array([PERSON[0] / 2, PERSON[1] / 2, 0])
    sides = np.array([[-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0]]) * half + position
    camera = (np.array(make_info().k).reshape(3, 3), np.array(distortion))
    opencv = cv2.fisheye if model == 'equidistant' else cv2
    points = opencv.projectPoints(sides[:, None], np.zeros(3), np.zeros(3), *camera)[0]
    near, far = points.min(axis=(0, 1)) + 0.5, points.max(axis=(0, 1)) + 0.5
    # Of the middles of the sides.
    box = np.array([*near, *(far - near)])
    with_it = locate(depth, box, make_info(distortion=distortion, model=model))
    check(with_it, position)
    without = locate(depth, box)
    assert np.abs(without.position - position).max() > MAX_ERROR


def test_part_of_the_box_outside_the_image():
    parts, position = person_at(-1.75, 3.0)
    depth = render(*parts, floor(), wall(5.0))
    box = project(position)
    assert box[0] < -25
    check(locate(depth, box), position)


def test_nothing_where_depth_is_not_known():
    parts, position = person_at(0.0, 3.0)
    depth = render(*parts, wall(5.0))
    box = project(position)
    assert locate(np.full_like(depth, np.nan), box) is None
    assert locate(np.zeros_like(depth), box) is None
    assert locate(np.full_like(depth, np.inf), box) is None
    # Too near to be measured: the wall is known, and nobody is so large.
    close = project(person_at(0.0, 0.6)[1])
    assert locate(np.full(SIZE[::-1], 4.0), close) is None
    # Black clothes: the wall beside the person is known, and nobody is at the wall.
    assert locate(np.where(depth == 3.0, np.nan, depth), box) is None
    sparse = np.where(np.random.default_rng(1).random(depth.shape) < 0.9, np.nan, depth)
    assert locate(sparse, box) is None
    assert locate(depth, box + [700, 0, 0, 0]) is None


def test_nothing_where_depths_do_not_agree():
    random = np.random.default_rng(5)
    depth = random.uniform(0.5, 10.0, SIZE[::-1])
    assert locate(depth, np.array([200.0, 100.0, 100.0, 250.0])) is None


def test_the_one_in_front_is_not_the_hidden_one():
    parts, position = person_at(0.0, 3.0)
    in_front, _ = person_at(0.05, 2.2)
    scene = Scene(message(render(*parts, *in_front, wall(5.0))), make_info(), SIZE)
    box = project(position)
    assert scene.locate(box).position[2] == pytest.approx(2.2, abs=MAX_ERROR)
    assert scene.locate(box, near=3.0) is None
    assert scene.locate(box, near=2.0).position[2] == pytest.approx(2.2, abs=MAX_ERROR)


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
@pytest.mark.parametrize('big', [False, True])
def test_depth_messages(encoding, big):
    """REP 118: millimetres or metres; 0, NaN and infinities are not known."""
    depth = np.array([[0.5, 1.25, 0.0], [65.535, np.nan, np.inf]])
    packed = message(depth, encoding, big, padding=2)
    metres = depth_to_metres(image_to_depth(packed))
    expected = np.array([[0.5, 1.25, np.nan], [65.535, np.nan, np.nan]], dtype=np.float32)
    assert metres.dtype.byteorder in ('=', '<' if sys.byteorder == 'little' else '>')
    np.testing.assert_array_equal(metres, expected)
    assert np.isnan(depth_to_metres(np.array([[-1.0, -np.inf]]))).all()


@pytest.mark.parametrize(
    ('change', 'info', 'reason'),
    [
        ({'encoding': 'bgr8'}, {}, 'no depth image; expected 16UC1 or 32FC1'),
        ({'data': b''}, {}, 'bytes of data'),
        ({'width': 0}, {}, 'has no pixels'),
        ({'step': 3}, {}, 'a row takes'),
        ({'height': 5, 'step': 32}, {}, 'depth image of 8x5 pixels shows something else'),
        ({}, {'focal': 0.0}, 'not calibrated'),
        ({}, {'model': 'cubic'}, "distortion model 'cubic'"),
        ({}, {'size': (1280, 720)}, 'shows something else'),
        ({}, {'focal': math.inf}, 'not finite'),
        ({}, {'middle': (math.nan, 1.0)}, 'not finite'),
        ({}, {'distortion': [0.1, math.nan, 0, 0, 0]}, 'not finite'),
        ({}, {'distortion': [0.1] * 3}, '3 numbers in D, which its distortion model does'),
        ({}, {'distortion': [0.1] * 100}, '100 numbers in D'),
        ({}, {'distortion': [0.1] * 5, 'model': 'equidistant'}, '5 numbers in D'),
    ],
)
def test_wrong_depth_messages_and_calibrations(change, info, reason):
    packed = message(np.ones((6, 8)))
    vars(packed).update(change)
    with pytest.raises(ImageError, match=reason):
        Scene(packed, make_info(**info), SIZE)


@pytest.mark.parametrize('model', ['plumb_bob', 'equidistant'])
def test_rectified_images_have_p_and_no_distortion(model):
    info = make_info(focal=FOCAL / 2, distortion=[0.3, 0.1, 0.0, 0.0], model=model)
    x, y = MIDDLE
    info.p = [FOCAL, 0.0, x, -7.0, 0.0, FOCAL, y, 0.0, 0.0, 0.0, 1.0, 0.0]
    rectify(info)
    points = np.array([[3.0, 5.0], [600.0, 400.0]])
    camera = Camera(info, SIZE)
    np.testing.assert_allclose(camera.rays(points), Camera(make_info(), SIZE).rays(points))
    directions = np.column_stack([camera.rays(points), np.ones(2)])
    np.testing.assert_allclose(camera.project(directions), points, atol=1e-9)


@given(
    focal=st.floats(),
    middle=st.tuples(st.floats(), st.floats()),
    distortion=st.lists(st.floats(), max_size=15),
    model=st.sampled_from(['plumb_bob', 'rational_polynomial', 'equidistant', '', 'x']),
    roi=st.tuples(*[st.integers(0, 2**32 - 1)] * 4),
)
@settings(deadline=None, max_examples=300)
def test_any_calibration_gives_finite_places(focal, middle, distortion, model, roi):
    info = make_info(SIZE, focal, middle, distortion, model, roi)
    try:
        scene = Scene(message(np.full((48, 64), 3.0)), info, SIZE)
    except ImageError:
        return
    with np.errstate(all='ignore'):
        place = scene.locate(np.array([100.0, 100.0, 60.0, 160.0]))
    assert place is None or np.isfinite([place.position, place.size]).all()


def test_measured_by_the_detection_and_not_long_without():
    """The box of a track lags behind while the camera turns."""
    position = np.array([0.3, 0.0, 3.0])
    depth = render(upright(*position, 0.5, 1.7), wall(6.0))
    scene, locator = Scene(message(depth), make_info(), SIZE), Locator()
    found, lagging = project(position), project(position - [0.15, 0, 0])

    def see(seconds, detection):
        track = Track(1, lagging, np.zeros(2), 0.9, TrackState.CONFIRMED, 5, 5, 0, detection)
        return locator.locate([track], np.array([found]), scene, round(seconds * 1e9)).get(1)

    box = see(0.0, 0)
    assert np.abs(box.position - position).max() < MAX_ERROR
    predicted = see(0.2, None)
    # Where it is in fact, 15 cm aside, is within what is stated.
    assert predicted.covariance[0, 0] > box.covariance[0, 0] > 0.09**2
    assert see(0.4, None) is None
    assert see(0.5, 0) is not None
