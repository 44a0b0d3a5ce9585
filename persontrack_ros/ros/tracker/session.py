"""The tracker of one stream, which the worker and services share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.config.settings import TrackerSettings
from persontrack_ros.core.tracking.state import load_tracker, save_state
from persontrack_ros.core.tracking.tracker import OnlineTracker, make_tracker

# Seconds that saving waits for the end of a frame.
PATIENCE = 5.0


class Session:
    """
    Lets services answer while the worker computes.

    Services never touch the tracker while the worker uses it: they replace it by another one, or
    take its state between two frames.
    """

    def __init__(
        self,
        tracker: OnlineTracker,
        make: Callable[[TrackerSettings], OnlineTracker] = make_tracker,
    ) -> None:
        """Begin with a tracker of its own; `make` makes others with the same gallery."""
        self._lock = threading.Lock()
        self._make = make
        self.replace(tracker)

    @property
    def tracker(self) -> OnlineTracker:
        """The tracker for the next frame."""
        return self._tracker

    def replace(self, tracker: OnlineTracker) -> None:
        """Let the worker continue with another tracker."""
        with self._lock:
            self._tracker, self._in_hand = tracker, threading.Lock()

    def restart(self, settings: TrackerSettings, first_id: int = 1) -> None:
        """Let the worker continue without tracks."""
        tracker = self._make(settings)
        tracker.reset(first_id)
        self.replace(tracker)

    @contextmanager
    def in_hand(self) -> Iterator[OnlineTracker]:
        """Yield the tracker for the next frame; no service takes its state meanwhile."""
        with self._lock:
            tracker, in_hand = self._tracker, self._in_hand
        with in_hand:
            yield tracker

    def finish(self, tracker: OnlineTracker, publish: Callable[[], None]) -> bool:
        """
        Publish the tracks of a frame, unless the tracker was replaced meanwhile.

        :returns: whether they were published. If not, the frame is to be tracked by the new one:
            no old id is published after the service that removed it has answered.
        """
        with self._lock:
            if tracker is not self._tracker:
                return False
            publish()
            return True

    def save(self, settings: TrackerSettings, path: Path) -> None:
        """
        Save the state after the newest frame.

        :raises OutputError: if the file cannot be written, or the frame takes too long.
        """
        with self._lock:
            tracker, in_hand = self._tracker, self._in_hand
        if not in_hand.acquire(timeout=PATIENCE):
            raise OutputError(
                f'not saved: the frame in work takes more than {PATIENCE:.0f} s; try again later'
            )
        try:
            state = tracker.state()
        finally:
            in_hand.release()
        save_state(settings.algorithm, state, path)

    def load(self, settings: TrackerSettings, path: Path) -> None:
        """
        Let the worker continue with a saved state.

        :raises SourceError: see :func:`load_tracker`; the session is then as it was.
        """
        tracker = self._make(settings)
        load_tracker(tracker, path)
        self.replace(tracker)
