"""The thread that works on the newest item."""

import threading

import pytest

from persontrack_ros.ros.tracker.worker import NewestItemWorker, Turns

TIMEOUT = 60


def make(handle, turns=None, failed=None):
    """Make a worker whose handler does not fail, if nothing else is said."""

    def fail(item, error):
        raise error

    return NewestItemWorker(handle, failed or fail, turns or Turns())


def stop(worker):
    """Stop a worker, however long that takes."""
    assert worker.stop(TIMEOUT)


class Held:
    """A handler that waits, in its first item, until it may go on; it is finished with `last`."""

    def __init__(self, last=None):
        self.done, self.last = [], last
        self.busy, self.go_on, self.finished = (threading.Event() for _ in range(3))

    def __call__(self, item):
        self.busy.set()
        assert self.go_on.wait(TIMEOUT)
        self.done.append(item)
        if item == self.last:
            self.finished.set()


def start(handle, turns=None):
    """Return a worker that is at work on an item."""
    worker = make(handle, turns)
    worker.submit(1)
    assert handle.busy.wait(TIMEOUT)
    return worker


def test_waiting_items_are_replaced_by_newer_ones():
    handle = Held(last=4)
    worker = start(handle)
    for item in (2, 3, 4):
        worker.submit(item)
    handle.go_on.set()
    assert handle.finished.wait(TIMEOUT)
    stop(worker)
    assert handle.done == [1, 4]
    assert worker.dropped == 2


def stopping(worker):
    """Return the thread that stops a worker, which waits."""
    thread = threading.Thread(target=stop, args=[worker])
    thread.start()
    while not worker._stopping:
        pass
    return thread


def test_stop_lets_the_handler_finish_and_drops_the_rest():
    handle = Held()
    worker = start(handle)
    worker.submit(2)
    thread = stopping(worker)
    handle.go_on.set()
    thread.join(TIMEOUT)
    assert not thread.is_alive()
    assert handle.done == [1]
    assert worker.dropped == 1


def test_workers_have_their_turns_in_the_order_in_which_they_asked():
    """And each then works on the newest item, wherever in the order it came."""
    handle = Held(last='front 2')
    turns = Turns(1)
    front, left, rear = (make(handle, turns=turns) for _ in range(3))

    def wait_in_line(number):
        while len(turns._waiting) < number:
            pass

    front.submit('front 1')
    assert handle.busy.wait(TIMEOUT)
    left.submit('left 1')
    wait_in_line(1)
    rear.submit('rear 1')
    wait_in_line(2)
    front.submit('front 2')
    left.submit('left 2')
    handle.go_on.set()
    assert handle.finished.wait(TIMEOUT)
    for worker in (front, left, rear):
        stop(worker)
    assert handle.done == ['front 1', 'left 2', 'rear 1', 'front 2']
    assert [worker.dropped for worker in (front, left, rear)] == [0, 1, 0]


def test_as_many_work_at_once_as_there_are_turns():
    both = threading.Barrier(2)
    met = threading.Semaphore(0)

    def handle(item):
        both.wait(TIMEOUT)
        met.release()

    turns = Turns(2)
    workers = [make(handle, turns=turns) for _ in range(2)]
    for worker in workers:
        worker.submit(1)
    for worker in workers:
        assert met.acquire(timeout=TIMEOUT)
        stop(worker)


def test_a_worker_that_waits_for_its_turn_can_be_stopped():
    done = []
    turns = Turns(1)
    worker = make(done.append, turns=turns)
    with turns.turn():
        worker.submit(1)
        while not turns._waiting:
            pass
        thread = stopping(worker)
    thread.join(TIMEOUT)
    assert not thread.is_alive()
    assert done == []
    assert worker.dropped == 1


@pytest.mark.parametrize(
    'error',
    [RuntimeError('x'), RecursionError(), MemoryError(), SystemExit(3), KeyboardInterrupt()],
)
def test_whatever_is_raised_costs_one_item(error):
    done, failed = [], []
    finished = threading.Event()

    def handle(item):
        if item == 1:
            raise error
        done.append(item)
        finished.set()

    def fail(item, error):
        failed.append((item, error))

    worker = make(handle, failed=fail)
    worker.submit(1)
    while not failed:
        pass
    worker.submit(2)
    assert finished.wait(TIMEOUT)
    stop(worker)
    assert (done, failed, worker.failure) == ([2], [(1, error)], None)
    assert (worker.dropped, worker.in_work) == (0, 0)


def test_what_ends_the_thread_is_known():
    error = MemoryError()

    def handle(item):
        raise error

    worker = make(handle)
    worker.submit(1)
    while worker.failure is None:
        pass
    assert worker.failure is error
    stop(worker)


def test_a_worker_that_does_not_finish_goes_on():
    handle = Held(last=2)
    worker = start(handle)
    assert not worker.stop(0.1)
    worker.submit(2)
    handle.go_on.set()
    assert handle.finished.wait(TIMEOUT)
    stop(worker)
    assert handle.done == [1, 2]
