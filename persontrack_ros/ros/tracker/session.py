"""The tracker of one image stream, as seen from the worker and from services."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from persontrack_ros.core.parameters.settings import TrackerSettings
from persontrack_ros.core.tracking.state import load_tracker, save_state
from persontrack_ros.core.tracking.tracker import Tracker, make_tracker


class Session:
    """
    Lets services answer at once, whatever the worker is computing.

    They never touch the tracker that the worker has in hand: they replace it by another one, or
    save the state that it had after the newest image.
    """

    def __init__(
        self, tracker: Tracker, make: Callable[[TrackerSettings], Tracker] = make_tracker
    ) -> None:
        """Begin with a tracker that nobody else uses; `make` makes others like it."""
        self._lock = threading.Lock()
        self._make = make
        self.replace(tracker)

    @property
    def tracker(self) -> Tracker:
        """The tracker for the next image; for the worker alone."""
        return self._tracker

    def replace(self, tracker: Tracker) -> None:
        """Let the worker continue with another tracker."""
        with self._lock:
            self._tracker = tracker
            self._state = tracker.state()

    def restart(self, settings: TrackerSettings, first_id: int = 1) -> None:
        """Let the worker continue without tracks."""
        tracker = self._make(settings)
        tracker.reset(first_id)
        self.replace(tracker)

    def finish(self, tracker: Tracker, publish: Callable[[], None]) -> bool:
        """
        Publish what came of an image, unless the tracker was replaced meanwhile.

        :returns: whether it was published. If not, the image is to be tracked by the new one: no
            old id is published once the service that did away with it has answered.
        """
        with self._lock:
            if tracker is not self._tracker:
                return False
            self._state = tracker.state()
            publish()
            return True

    def save(self, settings: TrackerSettings, path: Path) -> None:
        """
        Save the state after the newest image.

        :raises OutputError: if the file cannot be written.
        """
        with self._lock:
            state = self._state
        save_state(settings.algorithm, state, path)

    def load(self, settings: TrackerSettings, path: Path) -> None:
        """
        Let the worker continue with a saved state.

        :raises SourceError: see :func:`load_tracker`; the session is then as it was.
        """
        tracker = self._make(settings)
        load_tracker(tracker, path)
        self.replace(tracker)
