"""Videos of pictures that say their number."""

import numpy as np

from persontrack_ros.core.media.writer import VideoWriter


def picture(number, height=48, width=64):
    """Return a picture whose left half says its number and whose right half is white."""
    image = np.full((height, width, 3), 255, dtype=np.uint8)
    image[:, : width // 2] = 20 * number
    return image


def write_video(path, frames, rate):
    with VideoWriter(path, rate) as writer:
        for number in range(1, frames + 1):
            writer.write(picture(number), round(number * 1e9 / rate))
    return str(path)
