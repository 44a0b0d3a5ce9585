"""The tracker node: images in, tracks out, parameters and states."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
import pytest
from rcl_interfaces.msg import ParameterType
from sensor_msgs.msg import Image

from persontrack_ros.core.config.node_options import NODE_PARAMETERS
from persontrack_ros.core.config.settings import PARAMETERS
from persontrack_ros.core.drawing import track_color
from persontrack_ros.core.media.encodings import image_to_bgr


@pytest.fixture(scope='module')
def tracker(models, start_once):
    """Run a tracker for all tests of this module that leave it as it was."""
    process = start_once('tracker_node', reid__model='color', tracker__n_init=1)
    process.wait_for('tracking the persons in /image_raw')
    return process


@pytest.fixture
def peer(tracker, module_peer):
    module_peer.until_tracker_listens()
    return module_peer


def centre(detection):
    position = detection.bbox.center.position
    return np.array([position.x, position.y])


def test_every_field_of_the_message(peer, pictures, to_message):
    """Persons on the first image of the video are known; so each field can be checked."""
    peer.track(to_message(pictures[0]))
    message = to_message(pictures[1])
    answer = peer.track(message)
    assert answer.header == message.header
    assert answer.header.frame_id == 'lens'
    assert len(answer.detections) >= 3
    ids = [detection.id for detection in answer.detections]
    assert len(set(ids)) == len(ids)
    for detection in answer.detections:
        assert detection.header == message.header
        assert int(detection.id) >= 1
        (result,) = detection.results
        assert result.hypothesis.class_id == 'person'
        assert 0.5 <= result.hypothesis.score <= 1
        x, y = centre(detection)
        assert -50 < x < 768 + 50
        assert -50 < y < 576 + 50
        assert detection.bbox.center.theta == 0
        assert 10 < detection.bbox.size_x < 200
        assert 40 < detection.bbox.size_y < 300
        assert detection.bbox.size_y > detection.bbox.size_x


def test_boxes_are_centre_and_size_in_pixels(peer, pictures, to_message, persons):
    """Against the ground truth, whose boxes are left, top, width, height."""
    from persontrack_ros.core.base.geometry import as_boxes, iou
    from persontrack_ros.core.evaluation.mot import read_ground_truth

    rows = read_ground_truth(persons)
    truth = as_boxes(rows[rows[:, 0] == 8, 2:6])
    for picture in pictures[5:8]:
        answer = peer.track(to_message(picture))
    boxes = []
    for detection in answer.detections:
        size = np.array([detection.bbox.size_x, detection.bbox.size_y])
        boxes.append([*(centre(detection) - size / 2), *size])
    assert (iou(truth, as_boxes(boxes)).max(axis=1) > 0.5).mean() > 0.7


def test_ids_stay_from_image_to_image(peer, pictures, to_message):
    answers = [peer.track(to_message(picture)) for picture in pictures[8:12]]
    ids = [{detection.id for detection in answer.detections} for answer in answers]
    assert len(set.intersection(*ids)) >= 3


def test_an_empty_image_has_a_message_too(peer, to_message):
    blank = np.zeros((480, 640, 3), dtype=np.uint8)
    for _ in range(3):
        message = to_message(blank)
        answer = peer.track(message)
        assert answer.header == message.header
    for _ in range(200):
        if not answer.detections:
            break
        answer = peer.track(to_message(blank))
    assert list(answer.detections) == []


def encoded(picture, encoding):
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return {
        'bgr8': lambda: picture,
        'rgb8': lambda: picture[..., ::-1],
        'bgra8': lambda: cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA),
        'mono8': lambda: grey,
        'mono16': lambda: grey.astype(np.uint16) * 257,
        'bgr16': lambda: picture.astype(np.uint16) * 257,
    }[encoding]()


@pytest.mark.parametrize('encoding', ['bgr8', 'rgb8', 'bgra8', 'mono8', 'mono16', 'bgr16'])
def test_persons_are_found_in_every_encoding(peer, pictures, to_message, encoding):
    for picture in pictures[:2]:
        answer = peer.track(to_message(encoded(picture, encoding), encoding))
    assert len(answer.detections) >= 3


def test_rows_with_padding(peer, pictures, to_message):
    message = to_message(np.pad(pictures[0], ((0, 0), (0, 20), (0, 0)), constant_values=255))
    message.width -= 20
    assert message.step == 3 * (message.width + 20)
    peer.track(message)
    answer = peer.track(to_message(pictures[0]))
    assert len(answer.detections) >= 3


BAD_IMAGES = {
    'truncated': {'data': array('B', bytes(1000))},
    'without data': {'data': array('B')},
    'zero width': {'width': 0},
    'zero height': {'height': 0},
    'zero size': {'width': 0, 'height': 0, 'step': 0, 'data': array('B')},
    'small step': {'step': 100},
    'zero step': {'step': 0},
    'large step': {'step': 2**31},
    'unknown encoding': {'encoding': 'smell8'},
    'no encoding': {'encoding': ''},
    'huge size': {'width': 2**31, 'height': 2**31},
}


@pytest.mark.parametrize('fault', BAD_IMAGES)
def test_bad_images_are_skipped(peer, tracker, pictures, to_message, fault):
    """The node goes on with the next image; a bad one has no answer."""
    bad = to_message(pictures[0])
    for name, value in BAD_IMAGES[fault].items():
        setattr(bad, name, value)
    peer.images.publish(bad)
    good = to_message(pictures[0])
    assert len(peer.track(good).detections) >= 2
    assert tracker.is_alive
    assert all(answer.header.stamp != bad.header.stamp for answer in peer.tracks)


def test_bad_images_are_reported_on_one_line_and_not_each(peer, tracker, pictures, to_message):
    bad = to_message(pictures[0])
    bad.encoding = 'smell8'
    begin = len(tracker.lines)

    def reports():
        return [line for line in tracker.lines[begin:] if 'frame skipped' in line]

    def is_reported():
        peer.images.publish(bad)
        return reports()

    peer.until(is_reported, 'report')
    for _ in range(20):
        peer.images.publish(bad)
        peer.track(to_message(pictures[0]))
    assert 1 <= len(reports()) < 20
    assert all('ERROR' in line for line in reports())
    assert 'Traceback' not in tracker.output


def test_annotated_image_only_while_somebody_subscribes(peer, pictures, to_message):
    got = []
    subscription = peer.node.create_subscription(Image, 'annotated_image', got.append, 10)
    peer.until(
        lambda: peer.node.count_publishers(subscription.topic_name), 'publisher of annotated_image'
    )
    peer.until_known_by()
    message = to_message(pictures[0])
    answer = peer.track(message)
    annotated = peer.received(got, message.header)
    assert (annotated.encoding, annotated.height, annotated.width) == ('bgr8', 576, 768)
    image = image_to_bgr(annotated)
    for detection in answer.detections:
        color = (image == track_color(int(detection.id))).all(axis=2)
        assert color.any()
    assert (image[:12, :100] == 255).all(axis=2).any()  # the speed, black on white
    peer.node.destroy_subscription(subscription)


def test_parameters_are_described_with_type_and_range(peer):
    declared = {one.name: one for one in (*NODE_PARAMETERS, *PARAMETERS)}
    assert set(declared) <= set(peer.names())
    for descriptor in peer.describe(list(declared)):
        parameter = declared[descriptor.name]
        assert descriptor.description == parameter.description
        if parameter.type is not str:  # of texts, the type may change: 0 names a camera
            assert (
                descriptor.type
                == {
                    bool: ParameterType.PARAMETER_BOOL,
                    int: ParameterType.PARAMETER_INTEGER,
                    float: ParameterType.PARAMETER_DOUBLE,
                }[parameter.type]
            )
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        if parameter.type in (int, float):
            (allowed,) = ranges
            assert (allowed.from_value, allowed.to_value) == parameter.limits
        else:
            assert ranges == []
        for choice in parameter.choices:
            assert choice in descriptor.additional_constraints
        fixed = 'takes effect in configure' in descriptor.additional_constraints
        assert fixed != parameter.runtime


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        ({'tracker__max_age': -1}, ''),
        ({'tracker__max_age': 0}, ''),
        ({'tracker__max_age': 1.5}, ''),
        ({'tracker__max_age': 'old'}, ''),
        ({'detector__score_threshold': -0.5}, ''),
        ({'detector__score_threshold': 1.5}, ''),
        ({'detector__score_threshold': float('nan')}, 'score_threshold'),
        ({'detector__score_threshold': float('inf')}, ''),
        ({'tracker__camera_motion': 'flow'}, "'flow' is not one of"),
        ({'detector__model': 'person-detection-0200'}, 'cleanup the node first'),
        ({'detector__device': 'GPU'}, 'cleanup the node first'),
        ({'tracker__nn_budget': 7}, 'cleanup the node first'),
        ({'detector__model': ''}, ''),
        ({'tracker__max_age': 50, 'detector__score_threshold': float('nan')}, 'score_threshold'),
    ],
)
def test_wrong_values_are_refused_and_change_nothing(peer, values, reason):
    names = [name.replace('__', '.') for name in values]
    before = [peer.get(name) for name in names]
    result = peer.set(**values)
    assert not result.successful
    assert result.reason
    assert reason in result.reason
    assert [peer.get(name) for name in names] == before


def test_thresholds_change_at_run_time(peer, pictures, to_message):
    def matched():
        """Return the number of tracks that have a detection in a new image."""
        for _ in range(4):
            answer = peer.track(to_message(pictures[0]))
        return len(answer.detections)

    assert matched() >= 3
    assert peer.set(detector__score_threshold=1.0).successful
    assert peer.get('detector.score_threshold') == 1.0
    for _ in range(200):
        if not matched():
            break
    assert matched() == 0
    assert peer.set(detector__score_threshold=0.5).successful
    assert matched() >= 3


def test_services_answer_while_images_are_processed(peer, pictures, to_message):
    for picture in pictures:
        peer.images.publish(to_message(picture))
        assert peer.get('tracker.n_init') == 1
    assert peer.state() == 'active'
