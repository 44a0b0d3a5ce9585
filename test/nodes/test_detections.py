"""Detections of another node as input, their stamps, and a node that only detects."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from node_runs import found, pixels, stamp
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.base.geometry import as_boxes, iou
from persontrack_ros.core.base.messages import message_to_tracks

NEWS = 'the tracks end here'
PERSON = (270, 125, 60, 150, 0.9)


def boxes(message):
    return {id_: box for id_, box, _ in message_to_tracks(message)}


@pytest.fixture
def run(start, peer):
    """Return a function that starts a tracker, and returns it and what publishes detections."""

    def run(**parameters):
        process = start('tracker_node', tracker__n_init=1, **parameters)
        publish = peer.publisher(Detection2DArray, 'detections').publish
        return process.wait_for('tracking the persons in'), publish

    return run


@pytest.fixture
def header(to_message):
    """Return a function that returns headers, each with a stamp of its own."""
    return lambda: to_message(np.zeros((2, 2, 3), np.uint8)).header


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
    for picture in pictures[:6]:
        message = to_message(picture)
        one = boxes(peer.track(message))
        other = boxes(peer.received(apart, message.header))
        assert one.keys() == other.keys()
        for id_, box in one.items():
            assert np.allclose(box, other[id_], atol=1e-6)
    assert all(not each.id for each in detections[-1].detections)
    assert len(one) >= 2


def test_tracking_without_images(run, peer, header):
    """No model is needed, nor loaded; wrong detections are left out, and so are other classes."""
    _, send = run(input='detections')
    info = peer.collect(String, 'track_info')
    assert peer.images.get_subscription_count() == 0
    assert peer.node.count_publishers('annotated_image') == 0
    head = header()
    for step in range(8):
        head.stamp.nanosec = 100_000_000 * step
        message = found(
            head,
            (50, 50, float('nan'), 80, 0.9),
            (100 + 5 * step, 100, 40, 100, 0.95),
            (200, 100, 40, 0, 0.9),
            (300, 100, 40, 100, 0.95),
            (300, 100, 40, 100, float('nan')),
        )
        message.detections += found(head, (500, 100, 40, 100, 0.9), class_id='car').detections
        tracks = boxes(peer.ask(partial(send, message), head))
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
        head.stamp.sec = 6 + step
        car = found(head, (500, 100, 40, 100, 0.9), class_id='car')
        tracks = boxes(peer.ask(partial(send, car), head))
    assert any(np.allclose(box, [500, 100, 40, 100], atol=2) for box in tracks.values())


def test_both_detectors(models, run, peer, pictures, to_message, tmp_path):
    """
    What only another node sees is added; what both see is one person.

    Then a part of the image is ignored: persons there are neither tracked nor drawn.
    """
    area = tmp_path / 'ignore.yaml'
    area.write_text('left: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]')
    _, send = run(input='image+detections', reid__model='none')
    peer.until_tracker_listens()
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
        # A person who is elsewhere.
        person = next((box for box in tracks.tolist() if box[0] < 500), None)
    assert sum(np.allclose(box, empty[:4], atol=3) for box in tracks) == 1
    assert (iou(as_boxes([person]), tracks) > 0.5).sum() == 1
    assert len(tracks) >= 3

    assert peer.change_state('deactivate', 'cleanup')
    assert peer.set(detector__ignore=str(area)).successful
    assert peer.change_state('configure', 'activate')
    annotated = peer.collect(Image, 'annotated_image')
    peer.until_tracker_listens()
    peer.until(lambda: peer.node.count_subscribers('detections'), 'subscription')
    for picture in pictures[:3]:
        message = to_message(picture)
        others = found(message.header, (324, 10, 40, 100, 0.9), (718, 10, 40, 100, 0.8))

        def publish(message=message, others=others):
            send(others)
            peer.images.publish(message)

        tracks = boxes(peer.ask(publish, message.header))
    feet = [left + wide / 2 for left, _, wide, _ in tracks.values()]
    assert len(feet) > 1
    assert min(feet) >= 384
    drawn = pixels(peer.received(annotated, message.header))
    corner, original = drawn[571, 5].astype(int), pictures[2][571, 5].astype(int)
    assert np.abs(corner - (original // 2 + 64)).max() <= 1
    assert (drawn[60, 324] == 128).all()


@pytest.mark.parametrize('class_id', ['0', 'Person', ''])
def test_detections_of_other_classes_are_reported(run, peer, header, class_id):
    """Once, with the classes seen and what to set; how many were left out is counted."""
    process, send = run(input='detections')
    status = peer.diagnostics()
    # A class that is there at times is no fault.
    for step in range(8):
        head = header()
        message = found(head, (300, 100, 40, 100, 0.9), class_id='dog' if step else 'person')
        peer.ask(partial(send, message), head)
    assert 'no detection has the class' not in process.output
    assert peer.change_state('deactivate', 'cleanup', 'configure', 'activate')
    peer.until(lambda: peer.node.count_subscribers('detections'), 'subscription')
    for step in range(12):
        head = header()
        message = found(head, (100 + step, 100, 40, 100, 0.9), class_id=class_id)
        message.detections += found(head, (300, 100, 40, 100, 0.9), class_id='car').detections
        if not class_id:
            message.detections[0].results.clear()
        assert not peer.ask(partial(send, message), head).detections
    process.wait_for(
        rf"WARN.*/detections, published by /peer: no detection has the class 'person', those seen "
        rf"are '{class_id}', 'car'; set detections.class_id"
    )
    assert process.output.count('no detection has the class') == 1
    # More where an answer was late and a message sent again.
    peer.until(lambda: status.number('other classes') >= 24, 'count in the diagnostics')
    wanted = class_id or 'any'
    assert peer.set(detections__class_id=int(wanted) if wanted == '0' else wanted).successful
    assert peer.ask(partial(send, message), head).detections


def test_stamps_that_go_back(run, peer):
    process, send = run(input='detections')

    def show(seconds, x=0):
        """Show the person at a time; return the ids."""
        message = found(Header(stamp=stamp(seconds)), (x, *PERSON[1:]))
        return set(boxes(peer.ask(partial(send, message), message.header)))

    first = show(100.0) | show(100.1, 1)
    assert show(99.5, 2) == first  # less than the threshold: images out of order
    again = show(50.0)
    assert min(again) > max(first)  # other persons, whose ids go on
    show(50.1, 1)
    process.wait_for(rf'WARN.*stamps went back by 49\.500 s: {NEWS}, ids go on')
    assert process.output.count(NEWS) == 1
    assert peer.set(time__jump_threshold=5.0).successful
    assert show(46.0) == again
    assert process.output.count(NEWS) == 1


@pytest.mark.parametrize(
    ('stamp_of', 'fault'),
    [
        (Time, 'are 0, as of a driver that never sets header.stamp'),
        (lambda: Time(sec=7, nanosec=1), 'do not advance, or only once a second'),
    ],
)
def test_stamps_that_do_not_tell_the_time(run, peer, stamp_of, fault):
    """A person who stays keeps the id."""
    process, send = run(input='detections')
    timer = peer.node.create_timer(0.1, lambda: send(found(Header(stamp=stamp_of()), PERSON)))
    peer.until(lambda: len(peer.tracks) > 35, 'tracks')
    peer.node.destroy_timer(timer)
    process.wait_for(f'WARN.*/detections, published by /peer: the stamps {fault}')
    assert len({id_ for message in peer.tracks[20:] for id_ in boxes(message)}) == 1
    assert process.output.count(fault) == 1
