"""
The time of an image stream: by its stamps, or by the arrival of the images where these are wrong.

Stamps are right however fast a bag is played, therefore the speed at which they advance proves
nothing. What proves that they do not tell the time:

- they stand still: two whole seconds are the same, or half of the newest stamps;
- they go to and fro: three of the newest went back a little, or they return to where they were
  before a jump, as the stamps of two publishers with clocks of their own do;
- they leap ahead, though stamps and arrival agreed until then.

In the first two cases arrival counts until stamps were good for some time; in the last one, for
that image. Stamps that jump back, or ahead by more than a minute, are those of other images (a bag
that loops or is wound on): the tracks end there.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import pairwise
from typing import Any, NamedTuple, Optional

from persontrack_ros.core.messages import stamp_to_nanoseconds

SECOND = 1_000_000_000
# Who leaps ahead as far as this was set, or wound on; seconds.
FORWARD_JUMP = 60.0
# Steps that are looked back on for those that stand still or go back, and how many may go back.
_STEPS = 20
_MAX_BACK = 2
# A stamp stands still where it advances by less than this part of the time that passed.
_STANDSTILL = 1e-4
# Images within which stamps return after a jump, if there are two clocks.
_RETURN = 20
# Images that are looked back on for leaps, how many it takes at least, by how much stamps and
# arrival may differ in speed for that, and the least leap (seconds).
_HISTORY = 100
_LEAST_HISTORY = 10
_SPEED = 2.0
_LEAP = 1.0
# Images in a row with good stamps, after which these count again.
_TRUST = 300

_ZERO = 'are 0, as of a driver that never sets header.stamp'
_WHOLE = 'have whole seconds only'
_STILL = 'do not advance'
_TO_AND_FRO = 'go to and fro, as of several publishers with clocks of their own'
_OVERFLOW = 'have a nanosec above 999999999, which is a fault of the driver'


class Moment(NamedTuple):
    """
    When an image was taken.

    :ivar time: in nanoseconds; the stamp where that tells the time.
    :ivar restart: whether the tracks end before this image.
    :ivar jump: what the stamps did that ends them, if that is news; else empty.
    :ivar faults: what else the stamps are or do wrong, and was not told before.
    :ivar stamped: whether the stamp of the image tells the time; else it arrived then.
    """

    time: int
    restart: bool = False
    jump: str = ''
    faults: tuple[str, ...] = ()
    stamped: bool = True


class Timeline:
    """
    Tells when each image was taken.

    Bags without a clock never make that jump, therefore the stamps of the images count too. The
    clock and the images arrive in any order: whoever notices first tells.
    """

    def __init__(self, instead: str = 'the time of arrival') -> None:
        """
        Begin without a stamp.

        :param instead: what `arrival` is, for the faults.
        """
        self._instead = instead
        self._lock = threading.Lock()
        self._stamp: Optional[int] = None
        self._arrival = 0
        self._time = 0
        self._ahead = 0  # of the time over the stamps that count
        self._told: set[str] = set()
        self._distrust = ''
        self._good = 0
        self._kinds: deque[str] = deque(maxlen=_STEPS)
        self._history: deque[tuple[int, int]] = deque(maxlen=_HISTORY)
        # Where the stamps jumped from: stamp, arrival and size of the jump; and the images since.
        self._left: Optional[tuple[int, int, int]] = None
        self._since_left = 0
        self._jumped = False
        self._stale = False  # whether images from before a jump back may still come

    def describe(self, fault: str) -> str:
        """Add to a fault what counts instead of the stamps."""
        return f'{fault}: going by {self._instead}'

    def clock_jumped(self, before: int, now: int, threshold: float) -> bool:
        """
        Take note of a jump of the clock from `before` to `now`, in nanoseconds.

        :param threshold: the least jump back that counts, in seconds.
        :returns: whether this is news, because of which the next image begins anew.
        """
        # Simulated time is zero until the first message of the clock, which is no jump.
        if before == 0:
            return False
        delta = (now - before) / SECOND
        with self._lock:
            if self._stamp is None or -threshold <= delta <= FORWARD_JUMP:
                return False
            newest = before if self._distrust else self._stamp
            if delta < 0 and newest <= now + threshold * SECOND:
                return False
            if delta > 0 and newest >= now - threshold * SECOND:
                return False
            self._jumped = True
            self._stale = delta < 0
            return True

    def advance(self, stamp: int, arrival: int, threshold: float) -> Moment:
        """
        Take note of the next image.

        :param stamp: in nanoseconds.
        :param arrival: when it came, in nanoseconds, by any clock that is good.
        :param threshold: the least jump back that counts, in seconds.
        """
        with self._lock:
            moment = self._judge(stamp, arrival, threshold)
            self._stamp, self._arrival, self._time = stamp, arrival, moment.time
            self._history.append((moment.time, arrival))
            return moment

    def advance_to(self, header: Any, arrival: int, threshold: float) -> Moment:
        """Take note of the next image, by its ``std_msgs/msg/Header``; see :meth:`advance`."""
        moment = self.advance(stamp_to_nanoseconds(header), arrival, threshold)
        if header.stamp.nanosec >= SECOND and _OVERFLOW not in self._told:
            self._told.add(_OVERFLOW)
            moment = moment._replace(faults=(*moment.faults, _OVERFLOW))
        return moment

    def _judge(self, stamp: int, arrival: int, threshold: float) -> Moment:
        cut, self._jumped = self._jumped, False
        if self._stamp is None:
            return Moment(stamp)
        if cut:
            # To where the clock has jumped, stamps do not return.
            self._left = None
        step = stamp - self._stamp
        waited = max(0, arrival - self._arrival)
        back = -step > threshold * SECOND
        far = step - waited > FORWARD_JUMP * SECOND
        faults = self._mistrust(stamp, step, arrival, waited, back or far)
        if self._distrust:
            # Which way stamps that stand still go is still of use.
            if not back or self._distrust == _TO_AND_FRO:
                return Moment(self._time + waited, cut, '', faults, False)
        elif not (back or far):
            if cut or not self._leaps(stamp, arrival):
                return Moment(stamp + self._ahead, cut)
            self._ahead = self._time + waited - stamp
            leap = f'leapt ahead by {step / SECOND:.3f} s within {waited / SECOND:.3f} s'
            return Moment(self._time + waited, faults=self._news('leap', leap), stamped=False)
        cut |= back and self._stale
        self._stale &= not back
        self._left, self._since_left = (self._stamp, self._arrival, step), 0
        self._history.clear()
        self._ahead = 0
        time = self._time + waited if self._distrust else stamp
        what = 'went back by' if back else 'leapt ahead by'
        news = '' if cut else f'{what} {abs(step) / SECOND:.3f} s'
        return Moment(time, True, news, faults, not self._distrust)

    def _mistrust(
        self, stamp: int, step: int, arrival: int, waited: int, jump: bool
    ) -> tuple[str, ...]:
        """Decide whether arrival counts; return what is newly known to be wrong."""
        still = step == 0 or 0 < step < waited * _STANDSTILL
        self._kinds.append('still' if still else 'back' if step < 0 and not jump else '')
        self._since_left += 1
        fault = ''
        if self._kinds.count('back') > _MAX_BACK or self._returns(stamp, step, arrival, waited):
            fault = _TO_AND_FRO
        elif still and step == 0 and stamp % SECOND == 0:
            fault = _WHOLE if stamp else _ZERO
        elif still and self._kinds.count('still') >= max(2, len(self._kinds) / 2):
            fault = _STILL
        self._good = 0 if fault or self._kinds[-1] or jump else self._good + 1
        if fault and self._distrust != _TO_AND_FRO:
            self._distrust = fault
        elif self._distrust and self._good >= _TRUST:
            self._distrust = ''
            self._ahead = self._time + waited - stamp
        return self._news(fault, fault) if fault else ()

    def _returns(self, stamp: int, step: int, arrival: int, waited: int) -> bool:
        """Tell whether the stamps jump back to where they jumped from."""
        if self._left is None or self._since_left > _RETURN:
            return False
        left, then, jump = self._left
        # Back at once: a bag of a few images that loops gets there step by step.
        if step * jump > 0 or abs(step) < max(abs(jump) / 2, waited + _LEAP * SECOND):
            return False
        return abs(stamp - left) < _SPEED * (arrival - then) + _LEAP * SECOND

    def _leaps(self, stamp: int, arrival: int) -> bool:
        """Tell whether a stamp is later than any of the newest would have it."""
        if len(self._history) < _LEAST_HISTORY or not all(
            stamp + self._ahead - time > _SPEED * (arrival - then) + _LEAP * SECOND
            for time, then in self._history
        ):
            return False
        # Not where a bag is played fast, in the mean and, lest it was held up, mostly.
        (first, began), (last, ended) = self._history[0], self._history[-1]
        faster = [
            late - early > _SPEED * (came - before)
            for (early, before), (late, came) in pairwise(self._history)
        ]
        live = (ended - began) / _SPEED <= last - first <= (ended - began) * _SPEED
        return live and sum(faster) <= len(faster) / 2

    def _news(self, kind: str, fault: str) -> tuple[str, ...]:
        """Return a fault, unless one of the kind was told before."""
        if kind in self._told:
            return ()
        self._told.add(kind)
        return (self.describe(fault),)
