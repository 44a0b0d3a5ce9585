"""What the tracker node says of itself, and of topics over which nothing comes."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticStatus
from std_srvs.srv import SetBool, Trigger
from vision_msgs.msg import Detection2DArray

from persontrack_ros.ros.tracker.processing import Processor

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def test_what_it_reports(models, start, peer, pictures, to_message):
    parameters = {'reid__model': 'color', 'tracker__n_init': 1, 'diagnostics__silence_warn': 0.0}
    start('tracker_node', **parameters).wait_for('tracking the persons')
    peer.until_tracker_listens()
    status = peer.diagnostics()
    for picture in pictures[:6]:
        answer = peer.track(to_message(picture))
    peer.until(lambda: status.number('processed') >= 6, '6 images')
    assert (status.level, status.message) == (OK, 'tracking')
    assert status.name == 'person_tracker: tracking'
    assert status.hardware_id == '/person_tracker'
    assert status.number('rate (1/s)') > 0
    assert 0 < status.number('latency p50 (ms)') <= status.number('latency p99 (ms)')
    assert status.number('persons now') == len(answer.detections)
    assert status.number('ids so far') >= len(answer.detections)
    # AUTO is no device.
    assert status['detector device'].split('.')[0] in ('CPU', 'GPU', 'NPU')
    assert (status['reid model'], status['reid device']) == ('color', '')
    assert status['detector model'] == 'person-detection-0202'
    assert status['last error'] == ''

    assert peer.call(SetBool, 'enable', data=False).success
    status.until(OK, 'paused')
    assert peer.call(SetBool, 'enable', data=True).success
    assert peer.call(Trigger, 'reset').success
    peer.until(lambda: status['ids so far'] == '0', 'no ids')
    assert peer.change_state('deactivate')
    status.until(OK, 'inactive')


def test_a_camera_that_is_faster_than_the_node(start, peer, monkeypatch):
    at_once = Processor.process

    def slowly(*arguments):
        time.sleep(0.1)
        return at_once(*arguments)

    monkeypatch.setattr(Processor, 'process', slowly)
    process = start('tracker_node', input='detections')
    publisher = peer.publisher(Detection2DArray, 'detections')
    message = Detection2DArray()

    def publish():
        message.header.stamp = peer.node.get_clock().now().to_msg()
        publisher.publish(message)

    peer.node.create_timer(0.02, publish)
    peer.until(lambda: 'not all are tracked' in process.output, 'warning')
    process.wait_for(
        r'a frame takes \d+ ms, and one comes every \d+ ms: not all are tracked; see docs/tuning'
    )


def test_silence_with_and_without_a_publisher(models, start, peer, to_message, pictures):
    limits = {'diagnostics__silence_warn': 1.0, 'diagnostics__silence_error': 3.0}
    other = start('tracker_node', '-r', '__ns:=/other', input='detections', **limits)
    process = start('tracker_node', reid__model='none', **limits)
    # The peer publishes image_raw, but no image yet.
    process.wait_for(
        r'WARN.*nothing came over /image_raw for .* s; .* /peer \(reliable, volatile\)'
    )
    process.wait_for('WARN.*nothing came over /other/detections for .*no node publishes it')
    other.end()
    status = peer.diagnostics()
    status.until(ERROR, 'nothing came')
    assert process.output.count('nothing came over /image_raw') == 1
    peer.until(lambda: peer.track(to_message(pictures[0])) and status.level == OK, 'normality')
