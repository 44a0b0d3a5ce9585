"""
The time of an image stream: by its stamps, or by arrival while the stamps do not advance.

The speed of the stamps is not checked: bags are played at any speed.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from persontrack_ros.core.base.messages import stamp_to_nanoseconds

SECOND = 1_000_000_000
# Seconds ahead from which the stamps have jumped.
FORWARD_JUMP = 60.0
# A stamp does not advance if its step is below this part of the elapsed time.
_STANDSTILL = 1e-5

_ZERO = 'are 0, as of a driver that never sets header.stamp'
_STILL = 'do not advance, or only once a second'


class Moment(NamedTuple):
    """
    When an image was taken.

    :ivar time: in nanoseconds; the stamp if that is usable, else the time of arrival.
    :ivar jump: description of a jump of the stamps, at which tracks end; else empty.
    :ivar faults: other faults of the stamps, each reported once.
    :ivar stamped: whether `time` is the stamp.
    """

    time: int
    jump: str = ''
    faults: tuple[str, ...] = ()
    stamped: bool = True


class Timeline:
    """Returns when each image was taken."""

    def __init__(self, instead: str = 'the time of arrival') -> None:
        """
        Start without a stamp.

        :param instead: name of the time that `arrival` is, for the faults.
        """
        self._instead = instead
        self._stamp: Optional[int] = None
        self._arrival = 0
        self._time = 0
        self._still = 0  # images in a row whose stamps did not advance
        self._by_arrival = False
        self._reported = False

    def advance(self, stamp: int, arrival: int, threshold: float) -> Moment:
        """
        Return when the next image was taken.

        :param stamp: in nanoseconds.
        :param arrival: time of arrival in nanoseconds, by any reliable clock.
        :param threshold: the smallest jump back that counts, in seconds.
        """
        moment = self._judge(stamp, arrival, threshold)
        self._stamp, self._arrival, self._time = stamp, arrival, moment.time
        return moment

    def advance_to(self, header: Any, arrival: int, threshold: float) -> Moment:
        """Call :meth:`advance` for an image with this ``std_msgs/msg/Header``."""
        return self.advance(stamp_to_nanoseconds(header), arrival, threshold)

    def _judge(self, stamp: int, arrival: int, threshold: float) -> Moment:
        if self._stamp is None:
            return Moment(stamp)
        step = stamp - self._stamp
        waited = max(0, arrival - self._arrival)
        if -threshold * SECOND <= step <= waited * _STANDSTILL:
            self._still += 1
            if self._still == 1 and stamp and not self._by_arrival:
                # Single images are recorded twice, or come in another order.
                return Moment(stamp)
            fault = f'{_STILL if stamp else _ZERO}: going by {self._instead}'
            faults = () if self._reported else (fault,)
            self._reported = self._by_arrival = True
            # A second that a camera counts is over before the next one.
            latest = stamp + SECOND if stamp and stamp % SECOND == 0 else self._time + waited
            return Moment(min(self._time + waited, max(self._time, latest)), '', faults, False)
        # Stamps are trusted again when two in a row advance.
        self._by_arrival &= self._still > 0
        self._still = 0
        # Relative to the time of arrival if that was used until now.
        change = stamp - (self._time if step > 0 else self._stamp)
        back = change < -threshold * SECOND
        if not back and step - waited <= FORWARD_JUMP * SECOND:
            return Moment(stamp, stamped=not self._by_arrival)
        what = 'went back by' if back else 'leapt ahead by'
        return Moment(stamp, f'{what} {abs(change) / SECOND:.3f} s')
