"""The thread that works on the newest item."""

from __future__ import annotations

import threading

import pytest

from persontrack_ros.ros.worker import NewestItemWorker

TIMEOUT = 60


def ignore():
    """Do nothing when the worker is idle."""


@pytest.mark.fault(
    'subscribers',
    'a node that is slower than the camera',
    happens='always the newest image',
    lost='the images between, counted',
)
def test_waiting_items_are_replaced_by_newer_ones():
    done = []
    busy, go_on, finished = threading.Event(), threading.Event(), threading.Event()

    def handle(item):
        done.append(item)
        busy.set()
        assert go_on.wait(TIMEOUT)
        if item == 4:
            finished.set()

    worker = NewestItemWorker(handle, ignore)
    worker.submit(1)
    assert busy.wait(TIMEOUT)
    for item in (2, 3, 4):
        worker.submit(item)
    go_on.set()
    assert finished.wait(TIMEOUT)
    worker.stop()
    assert done == [1, 4]
    assert worker.dropped == 2


def test_submit_does_not_wait_for_the_handler():
    go_on, busy = threading.Event(), threading.Event()

    def handle(item):
        busy.set()
        assert go_on.wait(TIMEOUT)

    worker = NewestItemWorker(handle, ignore)
    worker.submit(1)
    assert busy.wait(TIMEOUT)
    worker.submit(2)  # would hang here
    go_on.set()
    worker.stop()


def test_stop_lets_the_handler_finish_and_drops_the_rest():
    done = []
    busy, go_on = threading.Event(), threading.Event()

    def handle(item):
        busy.set()
        assert go_on.wait(TIMEOUT)
        done.append(item)

    worker = NewestItemWorker(handle, ignore)
    worker.submit(1)
    assert busy.wait(TIMEOUT)
    worker.submit(2)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    while not worker._stopping:
        pass
    go_on.set()
    stopping.join(TIMEOUT)
    assert not stopping.is_alive()
    assert done == [1]
    assert worker.dropped == 1


def test_stop_without_work():
    NewestItemWorker(print, ignore).stop()


def test_idle_is_told_when_nothing_waits():
    done = []
    busy, go_on, finished = threading.Event(), threading.Event(), threading.Event()

    def handle(item):
        busy.set()
        assert go_on.wait(TIMEOUT)
        done.append(item)

    def on_idle():
        done.append('idle' if not worker.busy else 'busy')
        finished.set()

    worker = NewestItemWorker(handle, on_idle)
    assert not worker.busy
    worker.submit(1)
    assert busy.wait(TIMEOUT)
    worker.submit(2)
    assert worker.busy
    go_on.set()
    assert finished.wait(TIMEOUT)
    worker.stop()
    assert done == [1, 2, 'idle']
