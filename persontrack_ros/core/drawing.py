"""The annotated image: boxes, ids and speed."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.base.geometry import FloatArray, pixel_rectangles
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.base.timeline import SECOND
from persontrack_ros.core.config.settings import DrawingSettings
from persontrack_ros.core.inference.ignore import IgnoreMask
from persontrack_ros.core.tracking.track import Track

# What can be blurred.
BLURRED = ('heads', 'persons')

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GOLDEN_RATIO = 0.618033988749895
_GREY = (128, 128, 128)
_WHITE = (255, 255, 255)


def track_color(track_id: int) -> tuple[int, int, int]:
    """
    Return the BGR colour of an id, the same in every image.

    Steps of the golden ratio around the colour circle keep the colours of neighbouring ids apart.
    """
    red, green, blue = colorsys.hsv_to_rgb(track_id * _GOLDEN_RATIO % 1.0, 0.85, 1.0)
    return round(255 * blue), round(255 * green), round(255 * red)


def ink(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the BGR colour that is legible on another one: black or white."""
    # Luma of ITU-R BT.601.
    blue, green, red = color
    return (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 110 else _WHITE


def draw(
    image: BgrImage,
    tracks: Sequence[Track],
    mean_time: float,
    settings: DrawingSettings = DrawingSettings(),
    mask: Optional[IgnoreMask] = None,
    ignored: Optional[FloatArray] = None,
    target: Optional[int] = None,
    trails: Optional[Mapping[int, FloatArray]] = None,
) -> BgrImage:
    """
    Draw the tracks and the speed into a copy of the image.

    A predicted box is dashed.

    :param image: uint8 BGR, shape ``(height, width, 3)``; is not changed.
    :param mean_time: mean processing time per frame, in seconds; nothing is written if it is 0.
    :param mask: areas in which detections are ignored; drawn faintly.
    :param ignored: boxes of ignored detections, shape ``(N, 4)``; drawn faintly.
    :param target: id of the target, which gets a second, white box.
    :param trails: what :meth:`Trails.update` returned.
    """
    canvas = image.copy()
    if mask is not None:
        shade(canvas, mask.over(canvas))
    height, width = canvas.shape[:2]
    # Text and lines grow with the image, so that both 320x240 and 4K are legible on a screen.
    scale = max(0.4, min(height / 900, width / 1200)) * settings.scale
    line = max(1, round(2 * scale))
    for box in () if ignored is None else ignored:
        left, top, box_width, height_ = np.round(box).astype(int).tolist()
        cv2.rectangle(canvas, (left, top), (left + box_width, top + height_), _GREY, line)
    for id_, points in (trails or {}).items():
        cv2.polylines(canvas, [np.round(points).astype(np.int32)], False, track_color(id_), line)
    for track in tracks:
        left, top, box_width, height_ = np.round(track.box).astype(int).tolist()
        color = track_color(track.id)
        corner = (left + box_width, top + height_)
        if track.id == target:
            cv2.rectangle(canvas, (left, top), corner, _WHITE, 5 * line)
        thickness = line + (scale > 0.6)
        if track.detection is None:
            _dashed(canvas, (left, top), corner, color, thickness)
        else:
            cv2.rectangle(canvas, (left, top), corner, color, thickness)
        text = f'{track.id} {track.score:.2f}' if settings.scores else str(track.id)
        label(canvas, text, (left, top), scale, color)
    if mean_time > 0 and settings.speed:
        text = f'Inference time: {1e3 * mean_time:.1f} ms ({1 / mean_time:.1f} FPS)'
        label(canvas, text, (0, 0), scale, _WHITE)
    return canvas


class Trails:
    """Where the feet of persons were in the last seconds."""

    def __init__(self) -> None:
        """Start without persons."""
        self._points: dict[int, list[tuple[int, FloatArray]]] = {}
        self._newest = 0
        self._size: tuple[int, ...] = ()

    def update(
        self, tracks: Sequence[Track], stamp: int, seconds: float, image: BgrImage
    ) -> dict[int, FloatArray]:
        """
        Take the tracks of the next image.

        :param stamp: time of the image in nanoseconds; if it goes back, the trails begin anew.
        :param seconds: length of the trails; 0: no trails.
        :param image: trails are in its pixels, and begin anew if its size changes.
        :returns: by id, the middles of the lower sides of the boxes, shape ``(N, 2)``.
        """
        if not seconds or stamp < self._newest or image.shape != self._size:
            self._points = {}
        self._newest, self._size = stamp, image.shape
        if not seconds:
            return {}
        for track in tracks:
            foot = track.box[:2] + track.box[2:] * (0.5, 1.0)
            self._points.setdefault(track.id, []).append((stamp, foot))
        oldest = stamp - seconds * SECOND
        kept = (
            (id_, [p for p in points if p[0] >= oldest]) for id_, points in self._points.items()
        )
        self._points = {id_: points for id_, points in kept if points}
        return {
            id_: np.array([foot for _, foot in points]) for id_, points in self._points.items()
        }


def _dashed(
    canvas: BgrImage,
    start: tuple[int, int],
    end: tuple[int, int],
    color: tuple[int, int, int],
    thickness: int,
) -> None:
    """Draw a rectangle of dashes; changes the canvas."""
    (left, top), (right, bottom) = start, end
    # Clip first: far outside the image, drawing each dash would take for ever.
    left, right = np.clip([left, right], -thickness, canvas.shape[1] + thickness).tolist()
    top, bottom = np.clip([top, bottom], -thickness, canvas.shape[0] + thickness).tolist()
    step = 8 * thickness
    for x in range(left, right, step):
        for y in (top, bottom):
            cv2.line(canvas, (x, y), (min(x + step // 2, right), y), color, thickness)
    for y in range(top, bottom, step):
        for x in (left, right):
            cv2.line(canvas, (x, y), (x, min(y + step // 2, bottom)), color, thickness)


def blur(image: BgrImage, boxes: FloatArray, part: str) -> BgrImage:
    """
    Return the image with persons blurred.

    :param boxes: ``[left, top, width, height]`` of each, shape ``(N, 4)``.
    :param part: one of BLURRED.
    """
    canvas = image.copy()
    height, width = image.shape[:2]
    for left, top, right, bottom in pixel_rectangles(boxes, width, height).tolist():
        if part == 'heads':
            bottom = top + max(1, (bottom - top) // 4)
        area = canvas[top:bottom, left:right]
        size = (max(1, right - left) // 2 * 2 + 1,) * 2
        canvas[top:bottom, left:right] = cv2.blur(area, size)
    return canvas


def shade(canvas: BgrImage, areas: NDArray[np.bool_]) -> None:
    """Let an area of the image, true in an array of its height and width, fade to grey."""
    canvas[areas] = canvas[areas] // 2 + _GREY[0] // 2


def outline(canvas: BgrImage, points: FloatArray, closed: bool, text: str, scale: float) -> None:
    """
    Draw a white line through points, with a text at the first one; changes the canvas.

    :param points: in pixels, shape ``(N, 2)``.
    :param closed: whether the last point is joined with the first.
    """
    corners = points.astype(np.int32)
    thickness = max(1, round(2 * scale))
    cv2.polylines(canvas, [corners], closed, _WHITE, thickness, cv2.LINE_AA)
    label(canvas, text, (int(corners[0][0]), int(corners[0][1])), scale, _WHITE)


def label(
    canvas: BgrImage, text: str, corner: tuple[int, int], scale: float, color: tuple[int, int, int]
) -> None:
    """Write text on a filled rectangle above the corner, moved into the image; changes it."""
    thickness = max(1, round(2 * scale))
    (width, ascent), descent = cv2.getTextSize(text, _FONT, scale, thickness)
    margin = max(1, round(3 * scale))
    box_width, box_height = width + 2 * margin, ascent + descent + 2 * margin
    left = max(0, min(corner[0], canvas.shape[1] - box_width))
    top = max(0, min(corner[1] - box_height, canvas.shape[0] - box_height))
    cv2.rectangle(canvas, (left, top), (left + box_width, top + box_height), color, cv2.FILLED)
    origin = (left + margin, top + margin + ascent)
    cv2.putText(canvas, text, origin, _FONT, scale, ink(color), thickness, cv2.LINE_AA)
