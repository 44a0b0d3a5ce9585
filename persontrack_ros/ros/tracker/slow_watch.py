"""Whether images come faster than they can be processed."""

from __future__ import annotations

import time
from typing import Optional

from persontrack_ros.core.parameters.settings import Settings
from persontrack_ros.core.pipeline import StageTimes
from persontrack_ros.core.speed import advise, kept

# Seconds and images that are looked at before anything is said.
WINDOW = 10.0
LEAST = 20


class SlowWatch:
    """Tells once where an image takes longer than it is until the next one comes."""

    def __init__(self) -> None:
        """Begin without an image."""
        self._told = False
        self._times: list[StageTimes] = []

    def see(self, settings: Settings, times: StageTimes, busy: float, sent: int) -> Optional[str]:
        """
        Take note of an image, and return what there is to be told.

        :param times: of its stages.
        :param busy: seconds that nothing else could be processed for its sake.
        :param sent: number of images that were sent so far, to be processed or dropped.
        """
        if self._told:
            return None
        now = time.monotonic()
        if not self._times:
            self._since, self._sent, self._busy = now - busy, sent - 1, 0.0
        self._times.append(times)
        self._busy += busy
        if now - self._since < WINDOW or len(self._times) < LEAST:
            return None
        mean = self._busy / len(self._times)
        period = (now - self._since) / (sent - self._sent)
        spent = _mean(self._times)
        self._times = []
        if mean <= period:
            return None
        self._told = True
        measured = kept(settings)
        advice = advise(settings, spent, measured)
        return (
            f'an image takes {1e3 * mean:.0f} ms here (detection {1e3 * spent.detection:.0f}, '
            f're-identification {1e3 * spent.embedding:.0f}), and one comes every '
            f'{1e3 * period:.0f} ms: not all are tracked'
            + (f'. What would help: {", ".join(advice)}' if advice else '')
            + ('' if measured else '. "persontrack devices --measure" tells what would help here')
        )


def _mean(times: list[StageTimes]) -> StageTimes:
    return StageTimes(
        *(
            sum(getattr(each, stage) for each in times) / len(times)
            for stage in ('detection', 'embedding', 'tracking')
        )
    )
