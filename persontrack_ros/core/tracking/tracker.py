"""The choice between the tracking algorithms."""

from __future__ import annotations

from typing import Optional, Union

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.settings import NONE, TrackerSettings
from persontrack_ros.core.tracking.deep_sort import DeepSort
from persontrack_ros.core.tracking.gallery import Camera, Gallery
from persontrack_ros.core.tracking.gallery_tracker import GalleryTracker
from persontrack_ros.core.tracking.persistent import Persistent

# A tracker whose state can be saved; its methods are those of :class:`Persistent`.
OnlineTracker = Union[GalleryTracker, DeepSort]


def make_bare_tracker(settings: TrackerSettings) -> Union[Persistent, DeepSort]:
    """
    Return the tracker of the settings, with ids in the order in which tracks begin.

    :raises SettingsError: if that is none.
    """
    if settings.algorithm == NONE:
        raise SettingsError('tracker.algorithm: none is for the node alone, which then detects')
    return DeepSort(settings) if settings.algorithm == 'deep_sort' else Persistent(settings)


def make_tracker(settings: TrackerSettings, camera: Optional[Camera] = None) -> OnlineTracker:
    """
    Return the tracker of the settings.

    :param camera: camera of a gallery; None for a gallery of its own. Deep SORT uses no gallery:
        it numbers tracks as its reference implementation does.
    :raises SettingsError: if that is none.
    """
    tracker = make_bare_tracker(settings)
    if isinstance(tracker, DeepSort):
        return tracker
    return GalleryTracker(settings, camera or Camera(Gallery()))
