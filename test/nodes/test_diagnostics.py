"""What the tracker node says of itself, and of topics over which nothing comes."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import ReliabilityPolicy
from std_srvs.srv import SetBool, Trigger
from vision_msgs.msg import Detection2DArray

from persontrack_ros.ros.tracker.processing import Processor

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class Diagnostics:
    """The newest status of the tracker."""

    def __init__(self, peer):
        self._peer = peer
        self._messages = peer.collect(DiagnosticArray, '/diagnostics')

    def until(self, condition, what):
        """Wait for a status that meets the condition."""
        self._peer.until(lambda: self._messages and condition(self.newest), what)
        return self.newest

    @property
    def newest(self):
        (status,) = self._messages[-1].status
        return status

    def values_until(self, condition, what):
        return values(self.until(lambda status: condition(values(status)), what))


def values(status):
    return {one.key: one.value for one in status.values}


def test_what_it_tells(models, start, peer, pictures, to_message):
    parameters = {'reid__model': 'color', 'tracker__n_init': 1, 'diagnostics__silence_warn': 0.0}
    process = start('tracker_node', **parameters)
    process.wait_for('tracking the persons')
    peer.until_tracker_listens()
    diagnostics = Diagnostics(peer)
    for picture in pictures[:6]:
        answer = peer.track(to_message(picture))
    told = diagnostics.values_until(lambda each: int(each['processed']) >= 6, '6 images')
    assert (diagnostics.newest.level, diagnostics.newest.message) == (OK, 'tracking')
    assert diagnostics.newest.name == 'person_tracker: tracking'
    assert diagnostics.newest.hardware_id == '/person_tracker'
    assert float(told['rate (1/s)']) > 0
    assert 0 < float(told['latency p50 (ms)']) <= float(told['latency p99 (ms)'])
    assert int(told['persons now']) == len(answer.detections)
    assert int(told['ids so far']) >= len(answer.detections)
    # AUTO is no device.
    assert told['detector device'].split('.')[0] in ('CPU', 'GPU', 'NPU')
    assert (told['reid model'], told['reid device']) == ('color', '')
    assert told['detector model'] == 'person-detection-0202'
    assert int(told['dropped']) >= 0
    assert told['last error'] == ''

    # Each image is in the account, however many come at once.
    sent = int(told['sent'])
    burst = [to_message(pictures[0]) for _ in range(50)]
    for message in burst:
        peer.images.publish(message)
    told = diagnostics.values_until(
        lambda each: int(each['sent']) == sent + 50 and each['in work'] == '0', 'all images'
    )
    assert int(told['processed']) + int(told['dropped']) == sent + 50

    # Levels by parameters, which are checked together.
    assert not peer.set(diagnostics__latency_warn=0.5, diagnostics__latency_error=0.4).successful
    assert not peer.set(diagnostics__rate_warn=1.0, diagnostics__rate_error=2.0).successful
    assert peer.get('diagnostics.latency_warn') == 0.0
    assert peer.set(diagnostics__latency_warn=1e-6).successful
    diagnostics.until(lambda each: each.level == WARN and 'latency' in each.message, 'warning')
    assert peer.set(diagnostics__latency_error=1e-5).successful
    diagnostics.until(lambda each: each.level == ERROR and 'latency' in each.message, 'error')
    assert peer.set(diagnostics__latency_warn=0.0, diagnostics__latency_error=0.0).successful
    assert peer.set(diagnostics__rate_warn=1000.0).successful
    diagnostics.until(lambda each: each.level == WARN and 'per second' in each.message, 'rate')
    assert peer.set(diagnostics__rate_warn=0.0).successful

    bad = to_message(pictures[0])
    bad.encoding = 'smell8'
    peer.images.publish(bad)
    told = diagnostics.values_until(lambda each: 'smell8' in each['last error'], 'the error')

    assert peer.call(SetBool, 'enable', data=False).success
    diagnostics.until(lambda each: each.message == 'paused', 'pause')
    assert peer.call(SetBool, 'enable', data=True).success
    assert peer.call(Trigger, 'reset').success
    diagnostics.values_until(lambda each: each['ids so far'] == '0', 'no ids')
    assert peer.change_state('deactivate')
    diagnostics.until(lambda each: each.message == 'inactive', 'inactivity')


def test_a_camera_that_is_faster_than_the_node(start, peer, monkeypatch):
    at_once = Processor.process

    def slowly(*arguments):
        time.sleep(0.1)
        return at_once(*arguments)

    monkeypatch.setattr(Processor, 'process', slowly)
    process = start('tracker_node', input='detections')
    process.wait_for('tracking the persons')
    publisher = peer.node.create_publisher(Detection2DArray, 'detections', 10)
    message = Detection2DArray()

    def publish():
        message.header.stamp = peer.node.get_clock().now().to_msg()
        publisher.publish(message)

    peer.node.create_timer(0.02, publish)
    peer.until(lambda: 'not all are tracked' in process.output, 'warning')
    process.wait_for(
        r'a frame takes \d+ ms, and one comes every \d+ ms: not all are tracked; see docs/tuning'
    )


def test_silence_and_who_should_speak(models, start, peer, to_message, pictures):
    process = start('tracker_node', reid__model='none', diagnostics__silence_error=7.0)
    diagnostics = Diagnostics(peer)
    # The peer publishes image_raw, but no image yet.
    process.wait_for(
        r'WARN.*nothing came over /image_raw for .* s; .* /peer \(reliable, volatile\)'
    )
    diagnostics.until(
        lambda each: each.level == WARN and 'nothing came' in each.message, 'warning'
    )
    diagnostics.until(lambda each: each.level == ERROR and 'nothing came' in each.message, 'error')
    warnings = [line for line in process.lines if 'nothing came over' in line]
    assert len(warnings) == 1
    peer.track(to_message(pictures[0]))
    diagnostics.until(lambda each: each.level == OK, 'normality')


def test_silence_without_a_publisher(models, start, peer):
    process = start(
        'tracker_node',
        '-r',
        'image_raw:=/nowhere',
        reid__model='none',
        diagnostics__silence_warn=1.0,
    )
    process.wait_for('WARN.*nothing came over /nowhere for .*no node publishes it')


def test_a_failed_configuration_is_an_error(models, start, peer):
    start('tracker_node', detector__model='person-detection-9999')
    diagnostics = Diagnostics(peer)
    status = diagnostics.until(lambda each: each.level == ERROR, 'error')
    assert 'person-detection-9999' in status.message
    assert 'person-detection-9999' in values(status)['last error']


OVERRIDES = {
    'image_raw': 'subscription',
    'tracks': 'publisher',
    'track_info': 'publisher',
    'detections': 'publisher',
    'annotated_image': 'publisher',
    'annotated_image/compressed': 'publisher',
}


def test_overrides_of_every_topic(models, start, peer):
    arguments = []
    for topic, kind in OVERRIDES.items():
        changed = 'reliable' if kind == 'subscription' else 'best_effort'
        arguments += ['-p', f'qos_overrides./{topic}.{kind}.reliability:={changed}']
    process = start('tracker_node', *arguments, reid__model='none')
    process.wait_for('tracking the persons')

    def ends(topic, kind):
        ask = getattr(peer.node, f'get_{kind}s_info_by_topic')
        return [each for each in ask(f'/{topic}') if each.node_name == 'person_tracker']

    for topic, kind in OVERRIDES.items():
        peer.until(lambda topic=topic, kind=kind: ends(topic, kind), topic)
        (end,) = ends(topic, kind)
        wanted = (
            ReliabilityPolicy.RELIABLE if kind == 'subscription' else ReliabilityPolicy.BEST_EFFORT
        )
        assert end.qos_profile.reliability == wanted, topic
