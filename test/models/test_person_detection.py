"""Person detection on real video, against the ground truth."""

import cv2
import numpy as np
import pytest

from persontrack_ros.core.base.geometry import iou
from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.tracking.association import associate


def count(found, true):
    """Return the number of detections that are persons, each person found once, at IoU 0.5."""
    cost = 1 - iou(true, found)
    return len(associate(cost, 0.5, np.arange(len(true)), np.arange(len(found))).tracks)


def test_finds_the_persons_of_the_ground_truth(detector, vtest, truth):
    hits = found = true = 0
    for number, image in vtest.items():
        boxes = detector.detect(image).boxes
        persons = truth[truth[:, 0] == number, 2:6]
        hits += count(boxes, persons)
        found += len(boxes)
        true += len(persons)
    assert true > 150
    assert hits / true > 0.85, 'recall'
    assert hits / found > 0.85, 'precision'


@pytest.mark.parametrize('size', [(384, 288), (1920, 1440), (3840, 2160), (500, 700)])
def test_boxes_are_in_pixels_of_the_input_whatever_its_size(detector, vtest, persons, size):
    rows = GroundTruth.load(persons).rows
    width, height = size
    scale = np.array([width / 768, height / 576] * 2)
    hits = true = 0
    for number in list(vtest)[::8]:
        boxes = detector.detect(cv2.resize(vtest[number], size)).boxes
        expected = rows[rows[:, 0] == number, 2:6] * scale
        hits += count(boxes, expected)
        true += len(expected)
    assert hits / true > 0.7


def test_views_and_read_only_images(detector, vtest):
    image = vtest[1]
    expected = detector.detect(image)
    wide = np.zeros((576, 900, 3), dtype=np.uint8)
    wide[:, 50:818] = image
    view = wide[:, 50:818]
    view.flags.writeable = False
    assert not view.flags.c_contiguous
    np.testing.assert_array_equal(detector.detect(view).boxes, expected.boxes)


@pytest.mark.parametrize('value', [0, 127, 255])
@pytest.mark.parametrize('size', [(576, 768), (1, 2), (2, 3000)])
def test_nobody_in_an_empty_image(detector, size, value):
    found = detector.detect(np.full((*size, 3), value, dtype=np.uint8))
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)
