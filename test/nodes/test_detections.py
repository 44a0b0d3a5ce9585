"""Detections of another node as input, and a node that only detects."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image
from std_msgs.msg import String
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from persontrack_ros.core.base.geometry import as_boxes, iou
from persontrack_ros.core.base.messages import message_to_tracks


def boxes(message):
    return {id_: box for id_, box, _ in message_to_tracks(message)}


def found(header, *people, class_id='person'):
    """Return a message of detections; each is left, top, width, height, score."""
    message = Detection2DArray(header=header)
    for left, top, width, height, score in people:
        detection = Detection2D(header=header)
        detection.bbox.center.position.x = left + width / 2
        detection.bbox.center.position.y = top + height / 2
        detection.bbox.size_x, detection.bbox.size_y = float(width), float(height)
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = class_id, score
        detection.results.append(result)
        message.detections.append(detection)
    return message


@pytest.fixture
def send(peer):
    """Return a function that publishes detections."""
    publisher = peer.node.create_publisher(Detection2DArray, 'detections', 10)

    def publish(message):
        peer.until(publisher.get_subscription_count, 'subscription of detections')
        publisher.publish(message)

    yield publish
    peer.node.destroy_publisher(publisher)


def test_detector_and_tracker_apart_do_what_one_node_does(
    models, start, peer, pictures, to_message
):
    """Three nodes see the same images; what the second one detects, the third one tracks."""
    reliable = ['-p', 'qos_overrides./image_raw.subscription.reliability:=reliable']
    shared = [*reliable, '-r', 'image_raw:=/image_raw', '-r', 'detections:=/a/detections']
    embeddings = {'reid__model': 'color', 'tracker__n_init': 1}
    start('tracker_node', *reliable, **embeddings)
    start('tracker_node', *shared, '-r', '__ns:=/a', tracker__algorithm='none')
    tracks_others = {'input': 'image+detections', 'detector__model': 'none'}
    start('tracker_node', *shared, '-r', '__ns:=/b', **tracks_others, **embeddings)
    peer.until(lambda: peer.images.get_subscription_count() == 3, 'three nodes')
    detections = peer.collect(Detection2DArray, '/a/detections', '/a/person_tracker')
    apart = peer.collect(Detection2DArray, '/b/tracks', '/b/person_tracker')
    peer.until_tracker_listens()
    for topic in ('/a/tracks', '/a/annotated_image', '/b/detections'):
        assert peer.node.count_publishers(topic) == 0
    # The second and the third one find each other on their own.
    blank = to_message(np.zeros_like(pictures[0]))
    peer.ask(partial(peer.images.publish, blank), blank.header, apart)
    together, others = [], []
    for picture in pictures[:6]:
        message = to_message(picture)
        together.append(peer.track(message))
        others.append(peer.received(apart, message.header))
    assert all(not each.id for each in detections[-1].detections)
    assert len(boxes(together[-1])) >= 2
    for one, other in zip(together, others):
        assert boxes(one).keys() == boxes(other).keys()
        for id_, box in boxes(one).items():
            assert np.allclose(box, boxes(other)[id_], atol=1e-6)


def test_tracking_without_images(start, peer, send, to_message):
    """No model is needed, nor loaded; wrong detections are left out, and so are other classes."""
    process = start('tracker_node', input='detections', tracker__n_init=1)
    process.wait_for('tracking the persons in /detections')
    info = peer.collect(String, 'track_info')
    assert peer.images.get_subscription_count() == 0
    assert peer.node.count_publishers('annotated_image') == 0
    header = to_message(np.zeros((2, 2, 3), np.uint8)).header
    for step in range(8):
        header.stamp.nanosec = 100_000_000 * step
        message = found(
            header,
            (50, 50, float('nan'), 80, 0.9),
            (100 + 5 * step, 100, 40, 100, 0.95),
            (200, 100, 40, 0, 0.9),
            (300, 100, 40, 100, 0.95),
            (300, 100, 40, 100, float('nan')),
        )
        message.detections += found(header, (500, 100, 40, 100, 0.9), class_id='car').detections
        tracks = boxes(peer.ask(partial(send, message), header))
    assert set(tracks) == {1, 2}
    assert np.allclose(tracks[1], [135, 100, 40, 100], atol=2)
    assert np.allclose(tracks[2], [300, 100, 40, 100], atol=2)

    peer.until(lambda: len(info) == 8, 'track_info')
    newest = json.loads(info[-1].data)
    assert newest['stamp']['nanosec'] == 700_000_000
    assert newest['frame_id'] == 'lens'
    moving, still = newest['tracks']
    assert (moving['id'], still['id']) == ('1', '2')
    assert moving['velocity'] == pytest.approx([50, 0], abs=5)
    assert still['velocity'] == pytest.approx([0, 0], abs=5)
    # The index is that in the message received.
    assert (moving['detection'], still['detection']) == (1, 3)
    assert moving['state'] == 'confirmed'
    assert (moving['age'], moving['hits'], moving['time_since_update']) == (8, 8, 0)

    assert peer.set(detections__class_id='any').successful
    for step in range(8):
        header.stamp.sec = 6 + step
        car = found(header, (500, 100, 40, 100, 0.9), class_id='car')
        tracks = boxes(peer.ask(partial(send, car), header))
    assert any(np.allclose(box, [500, 100, 40, 100], atol=2) for box in tracks.values())


def test_both_detectors(models, start, peer, send, pictures, to_message):
    """What only another node sees is added; what both see is one person."""
    start(
        'tracker_node', input='image+detections', reid__model='none', tracker__n_init=1
    ).wait_for('tracking the persons in /image_raw and /detections')
    peer.until_tracker_listens()
    annotated = peer.collect(Image, 'annotated_image')
    empty = (600, 20, 40, 100, 0.95)
    person = None
    for picture in pictures[:8]:
        message = to_message(picture)
        others = found(message.header, empty, *([] if person is None else [(*person, 0.9)]))
        both = [partial(peer.images.publish, message), partial(send, others)]
        if person is None:  # in any order
            both.reverse()
        answer = peer.ask(lambda both=both: [publish() for publish in both], message.header)
        tracks = as_boxes(list(boxes(answer).values()))
        # Somebody who is elsewhere.
        person = next((box for box in tracks.tolist() if box[0] < 500), None)
    assert sum(np.allclose(box, empty[:4], atol=3) for box in tracks) == 1
    assert (iou(as_boxes([person]), tracks) > 0.5).sum() == 1
    assert len(tracks) >= 3
    peer.until(lambda: annotated, 'annotated image')


def test_messages_without_counterpart_are_told_of(models, start, peer, send, pictures, to_message):
    others = {'input': 'image+detections', 'detector__model': 'none', 'reid__model': 'none'}
    start('tracker_node', **others).wait_for('tracking')
    peer.until_tracker_listens()
    status = peer.collect(DiagnosticArray, '/diagnostics')

    def send_all(message):
        """Publish an image with detections, and before it some without an image."""
        for picture in pictures[:3]:
            send(found(to_message(picture).header))
        peer.images.publish(message)
        send(found(message.header))

    def unmatched():
        message = to_message(pictures[0])
        assert not peer.ask(partial(send_all, message), message.header).detections
        values = status and {one.key: one.value for one in status[-1].status[0].values}
        return int(values['unmatched']) if values else 0

    # Some may get lost, and the diagnostics come once a second.
    peer.until(lambda: unmatched() >= 3, 'number in the diagnostics')


def test_every_message_is_accounted_for(start, peer, to_message):
    start('tracker_node', input='detections').wait_for('tracking the persons')
    account = peer.collect(DiagnosticArray, '/diagnostics')
    detections = peer.node.create_publisher(Detection2DArray, 'detections', 200)
    peer.until(detections.get_subscription_count, 'subscription')
    header = to_message(np.zeros((2, 2, 3), np.uint8)).header
    peer.ask(lambda: detections.publish(found(header)), header)

    def counted():
        values = {one.key: one.value for one in account[-1].status[0].values} if account else {}
        return [int(values.get(name, 0)) for name in ('sent', 'failed', 'in work')]

    peer.until(lambda: counted()[0], 'account')
    before = counted()[0]
    for burst in (1, 2):
        for _ in range(100):
            header.stamp.nanosec += 1000
            detections.publish(found(header, (50, 50, 40, 80, 0.9)))
        wanted = [before + 100 * burst, 0, 0]
        peer.until(lambda wanted=wanted: counted() == wanted, 'account')
    detections.publish(b'\0\1\0\0' + b'\xff' * 200)
    peer.until(lambda: counted() == [before + 201, 1, 0], 'failure')


@pytest.mark.parametrize('class_id', ['0', 'Person', ''])
def test_detections_of_other_classes_are_told_of(start, peer, send, to_message, class_id):
    """Once, with the classes seen and what to set; how many were left out is counted."""
    process = start('tracker_node', input='detections', tracker__n_init=1)
    process.wait_for('tracking the persons')
    status = peer.collect(DiagnosticArray, '/diagnostics')
    for step in range(12):
        header = to_message(np.zeros((2, 2, 3), np.uint8)).header
        message = found(header, (100 + step, 100, 40, 100, 0.9), class_id=class_id)
        message.detections += found(header, (300, 100, 40, 100, 0.9), class_id='car').detections
        if not class_id:
            message.detections[0].results.clear()
        assert not peer.ask(partial(send, message), header).detections
    process.wait_for(
        rf"WARN.*/detections, published by /peer: no detection has the class 'person', those seen "
        rf"are '{class_id}', 'car'; set detections.class_id"
    )
    assert process.output.count('no detection has the class') == 1

    def left_out():
        values = status and {one.key: one.value for one in status[-1].status[0].values}
        # More where an answer was late and a message sent again.
        return values and int(values['other classes']) >= 24

    peer.until(left_out, 'count in the diagnostics')
    wanted = class_id or 'any'
    assert peer.set(detections__class_id=int(wanted) if wanted == '0' else wanted).successful
    assert peer.ask(partial(send, message), header).detections


def test_a_class_that_is_there_at_times_is_no_fault(start, peer, send, to_message):
    process = start('tracker_node', input='detections', tracker__n_init=1)
    process.wait_for('tracking the persons')
    for step in range(8):
        header = to_message(np.zeros((2, 2, 3), np.uint8)).header
        message = found(header, (300, 100, 40, 100, 0.9), class_id='person' if not step else 'dog')
        peer.ask(partial(send, message), header)
    assert 'no detection has the class' not in process.output


def test_places_to_leave_out(models, start, peer, pictures, to_message, tmp_path):
    """Of the persons of both detectors, who stands in the left half is neither found nor drawn."""
    height, width = pictures[0].shape[:2]
    area = tmp_path / 'ignore.yaml'
    area.write_text('left: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]')
    arguments = {'input': 'image+detections', 'reid__model': 'color', 'tracker__n_init': 1}
    node = start('tracker_node', detector__ignore=str(area), **arguments)
    send_detections = peer.node.create_publisher(Detection2DArray, 'detections', 10)
    annotated = peer.collect(Image, 'annotated_image')
    peer.until(send_detections.get_subscription_count, 'subscription of detections')
    peer.until_tracker_listens()
    half = width / 2
    for picture in pictures[:3]:
        message = to_message(picture)
        others = [[half - 60, 10, 40, 100, 0.9], [width - 50, 10, 40, 100, 0.8]]
        send_detections.publish(found(message.header, *others))
        tracks = boxes(peer.track(message))
    feet = [left + wide / 2 for left, _, wide, _ in tracks.values()]
    assert len(feet) > 1
    assert min(feet) >= half
    image = peer.received(annotated, message.header)
    drawn = np.frombuffer(image.data, np.uint8).reshape(height, width, 3)
    corner = drawn[height - 5, 5].astype(int)
    original = pictures[2][height - 5, 5].astype(int)
    assert np.abs(corner - (original // 2 + 64)).max() <= 1
    assert (drawn[60, int(half) - 60] == 128).all()
    peer.node.destroy_publisher(send_detections)
    assert node.is_alive


def test_a_mask_that_cannot_be_used(start, tmp_path):
    area = tmp_path / 'ignore.yaml'
    area.write_text('left: [[0, 0], [320, 0], [320, 480]]')
    node = start('tracker_node', detector__model='none', detector__ignore=str(area))
    node.wait_for(r'left has the corner \[320, 0\], which is no \[x, y\] from 0 to 1')
    assert node.is_alive
