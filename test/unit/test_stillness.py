"""Test what counts as a change in the image of a camera that stands still."""

import numpy as np
import pytest

from persontrack_ros.core.inference.stillness import LEAST_SAMPLES, Stillness

SIZE = (240, 320)


def scene(noise, seed=0):
    """Generate images of the same scene with noise."""
    random = np.random.default_rng(seed)
    background = random.integers(40, 200, (*SIZE, 3)).repeat(8, axis=0)[: SIZE[0]]
    while True:
        image = background + random.normal(0, noise, background.shape)
        yield np.clip(image, 0, 255).astype(np.uint8)


def learned(images, count=60):
    """Return what has looked at so many images, and searched in those that it says."""
    stillness = Stillness()
    still = []
    for _, image in zip(range(count), images):
        still.append(stillness.is_still(image))
        if not still[-1]:
            stillness.searched()
    return stillness, still


@pytest.mark.parametrize('noise', [0, 1, 5, 10])
def test_noise_is_no_change(noise):
    _, still = learned(scene(noise))
    assert not any(still[:LEAST_SAMPLES])
    assert still[20:] == [True] * 40


def put(image, left, contrast=60):
    image[100:140, left : left + 14] = np.clip(
        image[100:140, left : left + 14].astype(int) + contrast, 0, 255
    )
    return image


@pytest.mark.parametrize('noise', [0, 5, 10])
def test_somebody_small_is_a_change_and_stays_none(noise):
    images = scene(noise)
    stillness, _ = learned(images)
    assert not stillness.is_still(put(next(images), 150))
    stillness.searched()
    # While they stand there, only the mean has yet to follow.
    still = [stillness.is_still(put(next(images), 150)) for _ in range(40)]
    assert still[25:] == [True] * 15
    # Who goes is a change too.
    assert not stillness.is_still(next(images))


@pytest.mark.parametrize('speed', [0.25, 0.5])
def test_who_moves_slowly_is_a_change_in_every_image(speed):
    """From one image to the next, nothing can be seen of it."""
    images = scene(2)
    stillness, _ = learned(images)
    still = []
    for number in range(80):
        still.append(stillness.is_still(put(next(images), 100 + int(speed * number))))
        if not still[-1]:
            stillness.searched()
    assert not any(still[10:])


def test_a_camera_that_moves_shows_a_change_in_every_image():
    image = next(scene(0))
    moving = (np.roll(image, 2 * number, axis=(0, 1)) for number in range(60))
    assert not any(learned(moving)[1])
