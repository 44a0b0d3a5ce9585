"""Messages that got lost on the way."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from persontrack_ros.ros.tracker.losses import LossCounter, LossWatch, dropped_packets


def overflow(packets):
    """Send packets to a socket of ours that has no room for them; return it."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    receiver.bind(('127.0.0.1', 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(packets + 10):
            sender.sendto(bytes(1000), receiver.getsockname())
    return receiver


@pytest.fixture
def watch():
    told = []
    logger = SimpleNamespace(warning=told.append)
    watch = LossWatch(SimpleNamespace(get_logger=lambda: logger))
    watch.told = told
    return watch


def listener(received, strayed):
    losses = LossCounter(lambda: {b'A'})
    losses.received = received
    losses.add_strayed(strayed)
    return SimpleNamespace(topic_name='/image', losses=losses)


def test_packets_without_room_are_counted():
    before = dropped_packets()
    with overflow(100):
        assert 100 <= dropped_packets() - before <= 110


def test_packets_without_room_are_told_of_once(watch):
    watch.check([listener(100, 0)])
    assert watch.told == []
    with overflow(150):
        for _ in range(3):
            watch.check([listener(100, 0)])
    (told,) = watch.told
    assert 'net.core.rmem_max' in told


@pytest.mark.parametrize(
    ('received', 'strayed', 'tells'),
    [(90, 0, False), (90, 9, False), (90, 10, True), (2000, 10, False), (2000, 20, True)],
)
def test_a_few_losses_are_not_told_of(watch, received, strayed, tells):
    for _ in range(2):
        watch.check([listener(received, strayed)])
    assert len(watch.told) == tells
    assert all(
        f'{strayed} of {received + strayed} messages of /image' in one for one in watch.told
    )


def test_what_the_middleware_says_is_lost_counts_where_there_are_no_numbers():
    numbered, other = LossCounter(lambda: {b'A'}), LossCounter(lambda: {b'A'})
    for number in (1, 4):
        numbered.add(number)
        other.add(None)
    for counter in (numbered, other):
        counter.add_strayed(2)
    assert (numbered.lost, other.lost) == (2, 2)
