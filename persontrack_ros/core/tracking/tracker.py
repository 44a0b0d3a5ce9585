"""The interface of tracking algorithms, and the choice between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, Protocol, Union

from numpy.typing import NDArray

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.base.geometry import FloatArray
from persontrack_ros.core.config.settings import NONE, TrackerSettings
from persontrack_ros.core.tracking.appearance import Embed
from persontrack_ros.core.tracking.deep_sort import DeepSort
from persontrack_ros.core.tracking.gallery import Camera, Gallery
from persontrack_ros.core.tracking.gallery_tracker import GalleryTracker
from persontrack_ros.core.tracking.persistent import Persistent
from persontrack_ros.core.tracking.track import Track


class Tracker(Protocol):
    """
    Tracks persons from image to image.

    One object serves one image stream; it is not thread-safe.

    """

    settings: TrackerSettings

    @property
    def next_id(self) -> int:
        """The id that the next new track gets."""
        ...

    def update(
        self,
        detections: Detections,
        embed: Embed,
        stamp: int,
        motion: Optional[FloatArray] = None,
    ) -> list[Track]:
        """
        Advance to the next image.

        Call it once for every processed image, also without detections: the tracks age by it.

        :param detections: the detections in the image.
        :param embed: returns the L2-normalised embeddings ``(K, D)`` of the detections with the
            K given indices. Embeddings are expensive: an algorithm asks for those it needs. A
            vector of zeros, also one with ``D == 0``, means that there is no embedding.
        :param stamp: time of the image in nanoseconds.
        :param motion: motion of the background since the last image, as an affine map of pixels,
            shape ``(2, 3)``; None for a fixed camera, or if it is not known.
        :returns: the visible tracks.
        """
        ...

    def reset(self, first_id: int = 1) -> None:
        """Forget all tracks; the next one gets this id."""
        ...

    @property
    def tracks(self) -> list[Track]:
        """All tracks that are not deleted, also tentative and invisible ones, by id."""
        ...


class OnlineTracker(Tracker, Protocol):
    """A tracker whose state can be saved."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the state of the tracker, as arrays for `numpy.savez`."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """
        Continue from what :meth:`state` of the same algorithm returned.

        :raises KeyError: if an array is missing; the tracker is then unchanged.
        :raises ValueError: if an array has a wrong type or shape; the tracker is then unchanged.
        """
        ...


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
    return GalleryTracker(tracker, camera or Camera(Gallery()))
