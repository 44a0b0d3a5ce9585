"""The services of the node, which wait for the frame in work where they need the tracker."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from persontrack_ros.core.base.errors import SettingsError, one_line
from persontrack_ros.ros.tracker.state import NodeState


class Services:
    """``~/reset``, ``~/reset_counts``, ``~/enable``, ``~/save_state`` and ``~/load_state``."""

    def __init__(self, node: Node, state: NodeState) -> None:
        """Offer the services."""
        self._node = node
        self._state = state
        self._offer(Trigger, 'reset', self._reset)
        self._offer(Trigger, 'reset_counts', self._reset_counts)
        self._offer(SetBool, 'enable', self._enable)
        self._offer(Trigger, 'save_state', self._save)
        self._offer(Trigger, 'load_state', self._load)

    def _reset(self, _: Trigger.Request) -> str:
        processor = self._state.tracking_processor
        self._state.parameters.end_target()
        processor.reset()
        self._state.end_tracks()
        self._state.statistics.ids.clear()
        return 'ids start at 1'

    def _reset_counts(self, _: Trigger.Request) -> str:
        outputs = self._state.outputs
        if outputs is None or outputs.zones is None:
            raise SettingsError('nothing is counted: set zones_file, and configure the node')
        outputs.zones.reset()
        return 'counts start at 0'

    def _enable(self, request: SetBool.Request) -> str:
        self._state.enabled = request.data
        return 'tracking' if request.data else 'paused'

    def _save(self, _: Trigger.Request) -> str:
        path = self._state_file()
        outputs = self._state.outputs
        counts = outputs.zones.state() if outputs and outputs.zones else '[]'
        self._state.tracking_processor.save(path, counts)
        return f'saved to {path}'

    def _load(self, _: Trigger.Request) -> str:
        path = self._state_file()
        processor = self._state.tracking_processor
        self._state.parameters.end_target()
        counts = processor.load(path)
        self._state.end_tracks()
        outputs = self._state.outputs
        if outputs and outputs.zones:
            outputs.zones.restore(counts)
        return f'loaded from {path}'

    def _offer(self, kind: Any, name: str, action: Callable[[Any], str]) -> None:
        def answer(request: Any, response: Any) -> Any:
            try:
                response.message = action(request)
                response.success = True
            except Exception as error:  # noqa: BLE001 - the client would wait for ever
                response.success, response.message = False, one_line(error)
            return response

        self._node.create_service(kind, f'~/{name}', answer)

    def _state_file(self) -> Path:
        value = self._state.parameters.current.options['state_file']
        if not value:
            raise SettingsError('the parameter state_file is empty: set it to the path of a file')
        # Unlike Path, it leaves the name of an unknown user as it is, for the error of the file.
        return Path(os.path.expanduser(value))
