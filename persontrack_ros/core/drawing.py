"""The annotated image: boxes, ids and speed."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Optional

import cv2
import numpy as np
from numpy.typing import NDArray

from persontrack_ros.core.detection import BgrImage
from persontrack_ros.core.geometry import FloatArray
from persontrack_ros.core.ignore import IgnoreMask
from persontrack_ros.core.settings import DrawingSettings
from persontrack_ros.core.tracking.track import Track

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


def draw(
    image: BgrImage,
    tracks: Sequence[Track],
    mean_time: float,
    settings: DrawingSettings = DrawingSettings(),
    mask: Optional[IgnoreMask] = None,
    ignored: Optional[FloatArray] = None,
    target: Optional[int] = None,
) -> BgrImage:
    """
    Draw the tracks and the speed into a copy of the image.

    :param image: uint8 BGR, shape ``(height, width, 3)``; is not changed.
    :param mean_time: mean processing time per image, in seconds; nothing is written if it is 0.
    :param mask: where nobody is detected, is drawn faintly.
    :param ignored: boxes of those who stand there, shape ``(N, 4)``, too.
    :param target: id of who is followed, in a white frame around their own.
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
    for track in tracks:
        left, top, box_width, height_ = np.round(track.box).astype(int).tolist()
        color = track_color(track.id)
        corner = (left + box_width, top + height_)
        if track.id == target:
            cv2.rectangle(canvas, (left, top), corner, _WHITE, 5 * line)
        cv2.rectangle(canvas, (left, top), corner, color, line + (scale > 0.6))
        text = f'{track.id} {track.score:.2f}' if settings.scores else str(track.id)
        label(canvas, text, (left, top), scale, color)
    if mean_time > 0 and settings.speed:
        text = f'Inference time: {1e3 * mean_time:.1f} ms ({1 / mean_time:.1f} FPS)'
        label(canvas, text, (0, 0), scale, _WHITE)
    return canvas


def shade(canvas: BgrImage, areas: NDArray[np.bool_]) -> None:
    """Let an area of the image, true in an array of its height and width, fade to grey."""
    canvas[areas] = canvas[areas] // 2 + _GREY[0] // 2


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
    # Luma of ITU-R BT.601: black is legible on a light colour, white on a dark one.
    blue, green, red = color
    ink = (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 110 else (255, 255, 255)
    cv2.putText(canvas, text, origin, _FONT, scale, ink, thickness, cv2.LINE_AA)
