"""
The time of an image stream: by its stamps, or by arrival while the stamps are unusable.

- The tracks end when the stamps go back by more than a threshold, or ahead by more than a minute
  at once, as in a bag that loops or skips.
- The time of arrival is used while the stamps do not advance, or jump back repeatedly, as with two
  publishers with different clocks.

The speed of the stamps is not checked: bags are played at any speed.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, NamedTuple, Optional

from persontrack_ros.core.base.messages import stamp_to_nanoseconds

SECOND = 1_000_000_000
# Seconds ahead from which the stamps have jumped.
FORWARD_JUMP = 60.0
# A stamp does not advance if its step is below this part of the elapsed time.
_STANDSTILL = 1e-5
# Number of steps back in the newest images that means two clocks instead of a bag that loops.
_BACK = 5
_NEWEST = 20

_ZERO = 'are 0, as of a driver that never sets header.stamp'
_WHOLE = 'have whole seconds only'
_STILL = 'do not advance'
_BACK_AND_FORTH = 'go back and forth, as of several publishers with clocks of their own'
_OVERFLOW = 'have a nanosec above 999999999, which is a fault of the driver'


class Moment(NamedTuple):
    """
    When an image was taken.

    :ivar time: in nanoseconds; the stamp if that is usable, else the time of arrival.
    :ivar restart: whether the tracks end before this image.
    :ivar jump: description of a jump of the stamps that was not reported yet; else empty.
    :ivar faults: other faults of the stamps, each reported once.
    :ivar stamped: whether `time` is the stamp.
    """

    time: int
    restart: bool = False
    jump: str = ''
    faults: tuple[str, ...] = ()
    stamped: bool = True


class Timeline:
    """
    Returns when each image was taken.

    A jump of simulated time appears in the clock or in the stamps first; it is reported once.
    """

    def __init__(self, instead: str = 'the time of arrival') -> None:
        """
        Start without a stamp.

        :param instead: name of the time that `arrival` is, for the faults.
        """
        self._instead = instead
        self._lock = threading.Lock()
        self._stamp: Optional[int] = None
        self._arrival = 0
        self._time = 0
        self._still = 0  # images in a row whose stamps did not advance
        self._back: deque[bool] = deque(maxlen=_NEWEST)
        self._ticks = False  # whether the newest step led to a whole second
        self._seconds = False  # whether several images in a row had the same whole second
        self._clock_jumped = False
        self._reported: set[str] = set()

    def describe(self, fault: str) -> str:
        """Add to a fault the time that is used instead of the stamps."""
        return f'{fault}: going by {self._instead}'

    def clock_jumped(self, before: int, now: int, threshold: float) -> bool:
        """
        Record a jump of the clock from `before` to `now`, in nanoseconds.

        :param threshold: the smallest jump back that counts, in seconds.
        :returns: whether the jump is new, so that the tracks end before the next image.
        """
        # Simulated time is zero until the first message of the clock, which is no jump.
        if before == 0:
            return False
        delta = (now - before) / SECOND
        with self._lock:
            if self._stamp is None or -threshold <= delta <= FORWARD_JUMP:
                return False
            newest = before if self._still else self._stamp
            # Images with stamps from after the jump may arrive before it.
            if abs(newest - now) <= threshold * SECOND or (newest < now) == (delta < 0):
                return False
            self._clock_jumped = True
            return True

    def advance(self, stamp: int, arrival: int, threshold: float) -> Moment:
        """
        Return when the next image was taken.

        :param stamp: in nanoseconds.
        :param arrival: time of arrival in nanoseconds, by any reliable clock.
        :param threshold: the smallest jump back that counts, in seconds.
        """
        with self._lock:
            moment = self._judge(stamp, arrival, threshold)
            self._stamp, self._arrival, self._time = stamp, arrival, moment.time
            return moment

    def advance_to(self, header: Any, arrival: int, threshold: float) -> Moment:
        """Call :meth:`advance` for an image with this ``std_msgs/msg/Header``."""
        moment = self.advance(stamp_to_nanoseconds(header), arrival, threshold)
        if header.stamp.nanosec >= SECOND and _OVERFLOW not in self._reported:
            self._reported.add(_OVERFLOW)
            moment = moment._replace(faults=(*moment.faults, _OVERFLOW))
        return moment

    def _judge(self, stamp: int, arrival: int, threshold: float) -> Moment:
        if self._stamp is None:
            return Moment(stamp)
        cut, self._clock_jumped = self._clock_jumped, False
        step = stamp - self._stamp
        waited = max(0, arrival - self._arrival)
        self._back.append(step < 0 and not cut)
        if sum(self._back) >= _BACK:
            return self._arrived(self._time + waited, cut, _BACK_AND_FORTH)
        whole = stamp % SECOND == 0
        self._seconds &= whole
        if -threshold * SECOND <= step <= waited * _STANDSTILL:
            self._still += 1
            if whole and step == 0:
                self._seconds = True
                # The second that a camera counts is over before the next one.
                latest = stamp + SECOND if self._ticks else self._time + waited
                time = min(self._time + waited, max(self._time, latest))
                return self._arrived(time, cut, _WHOLE if stamp else _ZERO)
            if self._still > 1:
                return self._arrived(self._time + waited, cut, _STILL)
            # Single images are recorded twice, or come in another order.
            return Moment(stamp, cut)
        self._still = 0
        self._ticks = whole
        # Relative to the time of arrival if that was used until now.
        change = stamp - (self._time if step > 0 else self._stamp)
        back = change < -threshold * SECOND
        if not back and step - waited <= FORWARD_JUMP * SECOND:
            return Moment(stamp, cut, stamped=not self._seconds)
        what = 'went back by' if back else 'leapt ahead by'
        return Moment(stamp, True, '' if cut else f'{what} {abs(change) / SECOND:.3f} s')

    def _arrived(self, time: int, cut: bool, fault: str) -> Moment:
        """Return the time by arrival, with the fault if it is new."""
        news = () if fault in self._reported else (self.describe(fault),)
        self._reported.add(fault)
        return Moment(time, cut, '', news, False)
