"""Fixtures of the tests with real models."""

import cv2
import numpy as np
import pytest

from persontrack_ros.core.config.settings import InferenceSettings, Settings
from persontrack_ros.core.evaluation.mot import GroundTruth
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.embedder import ModelEmbedder
from persontrack_ros.core.inference.runtime import Runtime

STEP = 20


@pytest.fixture(scope='session')
def runtime(models):
    return Runtime(InferenceSettings(precision='f32'))


@pytest.fixture(scope='session')
def detector(runtime):
    return Detector(Settings().detector, runtime)


@pytest.fixture(scope='session')
def embedder(runtime):
    return ModelEmbedder(Settings().reid, runtime)


@pytest.fixture(scope='session')
def truth(data, zoo):
    """Return the ground truth of vtest.avi, for published models: rows [frame, id, *box, 1]."""
    return GroundTruth.load(data('mot/PETS09-S2L1')).rows


@pytest.fixture(scope='session')
def vtest(data):
    """Return every 20th image of vtest.avi by the number of its frame, counted from 1."""
    capture = cv2.VideoCapture(str(data('videos/vtest.avi')))
    images = {}
    number = 0
    while capture.grab():
        number += 1
        if number % STEP == 1:
            images[number] = capture.retrieve()[1]
    assert number == 795
    assert all(isinstance(image, np.ndarray) for image in images.values())
    return images
