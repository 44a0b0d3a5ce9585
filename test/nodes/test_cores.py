"""The limit of processor time that `inference.cores` sets."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from persontrack_ros.core.inference.budget import PERIOD

WARN = DiagnosticStatus.WARN


def publish_at(peer, rate, pictures, to_message):
    """Publish images while the peer spins."""
    messages = [to_message(picture) for picture in pictures]
    numbers = iter(range(10**9))

    def publish():
        message = messages[next(numbers) % len(messages)]
        message.header.stamp = peer.node.get_clock().now().to_msg()
        peer.images.publish(message)

    peer.node.create_timer(1 / rate, publish)


def test_values_that_are_refused(start, peer):
    start('tracker_node', input='detections').wait_for('tracking the persons')
    cores = len(os.sched_getaffinity(0))
    for value in (-0.5, cores + 0.5, float('nan')):
        answer = peer.set(inference__cores=value)
        assert not answer.successful
        assert 'inference.cores' in answer.reason
    assert (
        f'more than the {cores} of this process' in peer.set(inference__cores=cores + 0.5).reason
    )
    assert peer.set(inference__cores=float(cores)).successful
    answer = peer.set(detector__pattern='large none')
    assert not answer.successful
    assert 'leave detector.pattern at auto' in answer.reason
    assert peer.set(inference__cores=0.0, detector__pattern='large none').successful
    assert not peer.set(inference__cores=0.5).successful


def test_less_than_any_pattern_takes(models, start, peer, pictures, to_message):
    process = start('tracker_node', reid__model='none', inference__cores=0.03)
    process.wait_for('tracking the persons')
    peer.until_tracker_listens()
    publish_at(peer, 20, pictures, to_message)
    status = peer.diagnostics()
    status.until(WARN, 'inference.cores 0.03 is too low: "large none none"')
    process.wait_for('inference.cores 0.03: detector.pattern is "large none none" now')
    assert status['detector pattern'] == 'large none none'
    assert status.number('cores') > 0
    assert status.number('dropped') > status.number('processed') > 0
    assert process.output.count('is too low') == 1
    assert peer.set(inference__cores=0.0).successful
    processed = status.number('processed')
    peer.until(lambda: status.number('processed') > processed + 20, 'images')
    assert (status['detector pattern'], status['cores']) == ('large', '')
    assert 'too low' not in status.message


@pytest.mark.slow
@pytest.mark.parametrize('limit', [0.15, 0.3, 0.6])
def test_limit_is_kept_over_30_seconds(models, spawn, peer, pictures, to_message, limit):
    light = 'person-detection-0200'
    process = spawn('tracker_node', inference__cores=limit, detector__light_model=light)
    process.wait_for('tracking the persons')
    peer.until_tracker_listens()
    publish_at(peer, 30, pictures, to_message)

    def seconds():
        fields = Path(f'/proc/{process.pid}/stat').read_text().rpartition(')')[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf('SC_CLK_TCK')

    status = peer.diagnostics()
    began = time.monotonic()
    peer.until(lambda: time.monotonic() > began + PERIOD, 'first choice')
    began, before = time.monotonic(), seconds()
    peer.until(lambda: time.monotonic() > began + 30, 'end')
    used = (seconds() - before) / (time.monotonic() - began)
    assert used <= 1.15 * limit
    assert status.number('processed') > 30
    assert status['detector pattern'].startswith('large')
