"""The detector, and the light one for the frames that `detector.pattern` gives it."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import logging
import threading
from typing import Optional

from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import ModelError, one_line
from persontrack_ros.core.base.images import BgrImage
from persontrack_ros.core.config.settings import LIGHT, NONE, DetectorSettings
from persontrack_ros.core.inference.detector import Detector
from persontrack_ros.core.inference.runtime import Runtime

_logger = logging.getLogger(__name__)


class Detectors:
    """
    The models of `detector.model` and `detector.light_model`.

    :ivar large: the first one.
    :ivar light: the second one; None without one.
    """

    def __init__(
        self, settings: DetectorSettings, runtime: Runtime, pipelined: bool = False
    ) -> None:
        """
        Load both; see :class:`Detector`.

        :raises ModelError: if a model is missing, damaged or no detector.
        """
        self.large = Detector(settings, runtime, pipelined)
        self.light: Optional[Detector] = None
        if settings.light_model != NONE:
            light = dataclasses.replace(settings, model=settings.light_model)
            try:
                self.light = Detector(light, runtime, pipelined)
            except ModelError as error:
                raise ModelError(f'detector.light_model: {error}') from error
        self._name = settings.light_model
        # Shared by the team: set once the light model failed.
        self._failed = threading.Event()

    def set_score_threshold(self, threshold: float) -> None:
        """Set the score threshold of both; 0 uses that of each model."""
        for detector in filter(None, (self.large, self.light)):
            detector.set_score_threshold(threshold)

    def detect(self, image: BgrImage, turn: str) -> Detections:
        """
        Detect persons, see :meth:`Detector.detect`.

        If the light model fails, the large one replaces it from then on, which is logged.

        :param turn: which one is to detect, LARGE or LIGHT.
        :raises ModelError: if the large model gives a NaN or an infinity.
        """
        if turn == LIGHT and self.light is not None and not self._failed.is_set():
            try:
                return dataclasses.replace(self.light.detect(image), light=True)
            except (ModelError, RuntimeError) as error:
                if not self._failed.is_set():
                    _logger.warning(
                        'detector.light_model %s failed, detector.model is used alone: %s',
                        self._name,
                        one_line(error),
                    )
                self._failed.set()
        return self.large.detect(image)

    def team(self) -> list[Detectors]:
        """Return these detectors and copies of them, see :meth:`Detector.team`."""
        team = [self]
        lights = [None] if self.light is None else self.light.team()
        for large, light in list(zip(self.large.team(), itertools.cycle(lights)))[1:]:
            other = copy.copy(self)
            other.large, other.light = large, light
            team.append(other)
        return team
