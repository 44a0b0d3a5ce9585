"""The annotated image."""

import colorsys

import numpy as np
import pytest

from persontrack_ros.core.drawing import Trails, draw, track_color
from persontrack_ros.core.tracking.track import Track, TrackState

SIZES = [(240, 320), (480, 640), (1080, 1920), (2160, 3840)]
GREY = 90


def grey(height=480, width=640):
    return np.full((height, width, 3), GREY, dtype=np.uint8)


def track(box, id_=1):
    return Track(
        id_, np.array(box, dtype=float), np.zeros(2), 0.9, TrackState.CONFIRMED, 5, 5, 0, 0
    )


def changed(image):
    """Return the mask of the pixels that were drawn."""
    return (image != GREY).any(axis=2)


def extent(mask):
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_the_input_stays_as_it_is():
    image = grey()
    image.flags.writeable = False
    annotated = draw(image, [track([100, 100, 50, 120])], 0.03)
    assert changed(annotated).any()
    assert annotated.dtype == np.uint8
    assert not changed(draw(image, [], 0.0)).any()


def test_the_box_is_where_the_person_is():
    annotated = draw(grey(), [track([100, 150, 50, 120])], 0.0)
    color = (annotated == track_color(1)).all(axis=2)
    # Below the label, which stands above the top left corner, only the frame has the colour.
    left, _, right, bottom = extent(color)
    assert abs(left - 100) <= 3
    assert abs(right - 150) <= 12  # the label may be a little wider than the box
    assert abs(bottom - 270) <= 3
    for x, y in [(100, 200), (150, 200), (125, 270), (140, 150)]:
        assert color[y, x]
    assert not changed(annotated)[160:260, 110:140].any()


def test_colours_belong_to_ids():
    boxes = [[50, 100, 80, 200], [400, 100, 80, 200]]
    annotated = draw(grey(), [track(boxes[0], 4), track(boxes[1], 9)], 0.0)
    swapped = draw(grey(), [track(boxes[1], 4), track(boxes[0], 9)], 0.0)
    for image, (left, right) in ((annotated, (4, 9)), (swapped, (9, 4))):
        assert tuple(image[200, 50]) == track_color(left)
        assert tuple(image[200, 400]) == track_color(right)


def test_neighbouring_ids_have_clearly_different_colours():
    hues = [colorsys.rgb_to_hsv(*reversed(np.divide(track_color(i), 255)))[0] for i in range(200)]
    for near in range(1, 5):
        apart = np.abs(np.subtract(hues[near:], hues[:-near]))
        assert np.minimum(apart, 1 - apart).min() > 0.1


@pytest.mark.parametrize(('height', 'width'), SIZES)
def test_speed_is_legible(height, width):
    """Text of a readable height within the image, dark on light, at the top left."""
    mask = changed(draw(grey(height, width), [], 0.0123))
    left, top, right, bottom = extent(mask)
    assert left <= 5
    assert top <= 5
    # A line of about 1/30 of the image, at least 8 pixels; not more than the image is wide.
    assert max(8, height / 40) <= bottom - top <= height / 8
    assert right < width - 1
    label = draw(grey(height, width), [], 0.0123)[top : bottom + 1, left : right + 1].mean(axis=2)
    assert label.max() == 255
    assert (label < 60).mean() > 0.02


@pytest.mark.parametrize(('height', 'width'), SIZES)
@pytest.mark.parametrize(
    'place',
    [(0.0, 0.0), (0.9, 0.0), (0.0, 0.95), (0.97, 0.9), (0.4, 0.4), (-0.08, -0.2), (0.4, -0.2)],
)
def test_the_id_is_drawn_within_the_image(height, width, place):
    """Wherever the person is, the filled label with digits of another colour is in the image."""
    box = [place[0] * width, place[1] * height, 0.1 * width, 0.3 * height]
    label = ink(height, width, box)
    left, top, right, bottom = extent(label)
    assert bottom - top >= max(6, height / 60)
    assert right - left > bottom - top  # three digits
    # Not cut off: as many pixels as in the middle of the image.
    assert label.sum() == ink(height, width, [width / 2, height / 2, 50, 50]).sum()


def ink(height, width, box):
    """Return the mask of the pixels that the digits of an id are drawn with."""
    annotated = draw(grey(height, width), [track(box, 123)], 0.0)
    return changed(annotated) & (annotated != track_color(123)).any(axis=2)


@pytest.mark.parametrize(
    ('box', 'size'),
    [
        ([-1e6, -1e6, 2e6, 2e6], (480, 640)),
        ([1e5, 1e5, 10, 10], (480, 640)),
        ([-500, 100, 50, 50], (480, 640)),
        ([100, 100, 0.2, 0.2], (480, 640)),
        ([0, 0, 1, 1], (1, 1)),
        ([0, 0, 1, 1], (3, 500)),
        ([0, 0, 1, 1], (500, 3)),
    ],
)
@pytest.mark.parametrize('detection', [0, None])
def test_strange_boxes_and_images_do_no_harm(box, size, detection):
    person = track(box)._replace(detection=detection)
    assert draw(grey(*size), [person], 0.01).shape == (*size, 3)


def test_who_is_predicted_is_dashed():
    """Half of the sides of the box are drawn, from where to where it is."""
    box = [100, 150, 200, 120]
    solid = changed(draw(grey(), [track(box)], 0.0))
    dashed = changed(draw(grey(), [track(box)._replace(detection=None)], 0.0))
    right = np.s_[150:270, 300]
    assert solid[right].all()
    assert 0.3 < dashed[right].mean() < 0.8
    left, _, last, bottom = extent(dashed)
    assert (abs(left - 100), abs(last - 300), abs(bottom - 270)) <= (3, 3, 3)


def test_trails_of_the_last_seconds():
    trails, second = Trails(), 10**9
    image = grey()
    for number in range(10):
        found = trails.update([track([20 * number, 50, 40, 100])], number * second, 4.0, image)
    np.testing.assert_allclose(found[1], [[20 * x + 20, 150] for x in range(5, 10)])
    annotated = draw(image, [], 0.0, trails=found)
    color = (annotated == track_color(1)).all(axis=2)
    assert color[150, 125:195].all()
    assert not color[150, :110].any()
    # Who has left goes after that time.
    assert len(trails.update([], 11 * second, 4.0, image)[1]) == 3
    assert trails.update([], 14 * second, 4.0, image) == {}
    # Another size, time that goes back, and none at all.
    trails.update([track([0, 0, 40, 100])], 15 * second, 4.0, image)
    assert trails.update([], 15 * second, 4.0, image[::2, ::2]) == {}
    trails.update([track([0, 0, 40, 100])], 15 * second, 4.0, image)
    assert len(trails.update([track([0, 0, 40, 100])], second, 4.0, image)[1]) == 1
    assert trails.update([track([0, 0, 40, 100])], 2 * second, 0.0, image) == {}
