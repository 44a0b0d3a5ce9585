"""Whether an image is a copy of the one before, or shows nothing of it."""

import itertools

import cv2
import numpy as np
import pytest

from persontrack_ros.core.media.scene import Scene
from persontrack_ros.core.media.source import SourceOptions, VideoSource


def picture(seed):
    """Return an image of blotches of many sizes."""
    generator = np.random.default_rng(seed)
    image = np.zeros((480, 640, 3), dtype=np.float32)
    for size in (6, 20, 60):
        noise = generator.normal(0, 1, (480 // size + 1, 640 // size + 1, 3)).astype(np.float32)
        image += cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 40 * image, 0, 255).astype(np.uint8)


def cut(*images):
    scene = Scene()
    return [scene.cut(image) for image in images]


def test_another_camera():
    one, other = picture(1), picture(2)
    assert cut(one, one, other, other, one) == [False, False, True, False, True]
    # Of another size, too, and through black.
    assert cut(one, cv2.resize(other, (1280, 960))) == [False, True]
    assert cut(one, np.zeros_like(one), other) == [False, False, True]


@pytest.mark.parametrize('seed', range(3))
def test_what_is_no_cut(seed):
    image = picture(seed)
    brighter = np.clip(image * 1.5 + 60.0, 0, 255).astype(np.uint8)
    darker = (image * 0.3).astype(np.uint8)
    flash = np.full_like(image, 255)
    assert not any(cut(image, brighter, image, darker, image, flash, image))
    panned = np.roll(image, 256, axis=1)
    panned[:, :256] = picture(seed + 10)[:, :256]
    assert not any(cut(image, panned))
    covered = image.copy()
    covered[:, :400] = picture(seed + 20)[:, :400]
    assert not any(cut(image, covered, image))
    noise = np.random.default_rng(seed).normal(0, 15, image.shape)
    assert not any(cut(image, np.clip(image + noise, 0, 255).astype(np.uint8)))


def images_of(path, count):
    with VideoSource(str(path), SourceOptions(max_frames=count)) as source:
        return [frame.image for frame in source]


@pytest.mark.parametrize('name', ['vtest.avi', 'TUD-Campus.mp4'])
def test_videos_have_neither_cuts_nor_copies(data, name):
    images = images_of(data(f'videos/{name}'), 60)
    scene = Scene()
    assert not any(scene.cut(image) for image in images)
    assert not any(scene.copied(image) for image in images)
    # Nor where every image has another exposure.
    factors = itertools.cycle([1.0, 0.5, 1.6])
    scene = Scene()
    assert not any(
        scene.cut(np.clip(image * factor, 0, 255).astype(np.uint8))
        for image, factor in zip(images, factors)
    )


def test_videos_put_together_have_a_cut(data):
    parts = [images_of(data(f'videos/{name}'), 3) for name in ('vtest.avi', 'TUD-Campus.mp4')]
    images = [*parts[0], *parts[1], *parts[0]]
    assert [index for index, found in enumerate(cut(*images)) if found] == [3, 6]


def test_copies():
    scene = Scene()
    image = picture(1)
    assert not scene.copied(image)
    assert scene.copied(image.copy())
    # As a codec with loss leaves it.
    noise = np.random.default_rng(1).normal(0, 1, image.shape)
    assert scene.copied(np.clip(image + noise, 0, 255).astype(np.uint8))
    moved = image.copy()
    moved[100:150, 100:120] = image[100:150, 105:125]
    assert not scene.copied(moved)
    assert not scene.copied(image)
    assert not scene.copied(image[:240])
