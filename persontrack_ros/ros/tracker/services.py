"""The services of the node; each answers at once, also while the worker computes."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

from persontrack_ros.core.base.errors import PersontrackError, SettingsError
from persontrack_ros.ros.process import SERVICE_QOS
from persontrack_ros.ros.tracker.state import NodeState


class Services:
    """``~/reset``, ``~/enable``, ``~/save_state`` and ``~/load_state``."""

    def __init__(self, node: Node, state: NodeState, wake: Callable[[], None]) -> None:
        """
        Offer the services.

        :param wake: called on any thread when the executor has new results to pass on.
        """
        self._node = node
        self._state = state
        self._wake = wake
        self._offer(Trigger, 'reset', self._reset)
        self._offer(SetBool, 'enable', self._enable)
        # One after the other, and without keeping anything else waiting.
        files = MutuallyExclusiveCallbackGroup()
        self._offer(Trigger, 'save_state', self._save, callback_group=files)
        self._offer(Trigger, 'load_state', self._load, callback_group=files)

    async def _reset(self, _: Trigger.Request) -> str:
        session = self._state.session
        self._state.parameters.end_target()
        session.restart(self._state.parameters.current.settings.tracker)
        self._state.end_tracks()
        self._state.statistics.forget_ids()
        return 'ids start at 1'

    async def _enable(self, request: SetBool.Request) -> str:
        self._state.enabled = request.data
        return 'tracking' if request.data else 'paused'

    async def _save(self, _: Trigger.Request) -> str:
        path = self._state_file()
        settings = self._state.parameters.current.settings.tracker
        await self._apart(partial(self._state.session.save, settings, path))
        return f'saved to {path}'

    async def _load(self, _: Trigger.Request) -> str:
        path = self._state_file()
        settings, session = self._state.parameters.current.settings.tracker, self._state.session
        self._state.parameters.end_target()
        await self._apart(partial(session.load, settings, path))
        if session is not self._state.session:
            raise SettingsError('the node was configured anew meanwhile')
        self._state.end_tracks()
        return f'loaded from {path}'

    def _offer(
        self, kind: Any, name: str, action: Callable[[Any], Awaitable[str]], **options: Any
    ) -> None:
        async def answer(request: Any, response: Any) -> Any:
            try:
                response.message = await action(request)
                response.success = True
            except PersontrackError as error:
                response.success, response.message = False, str(error)
            return response

        self._node.create_service(kind, f'~/{name}', answer, qos_profile=SERVICE_QOS, **options)

    def _apart(self, work: Callable[[], None]) -> Future[None]:
        """Work on a thread of its own, while the executor goes on; a coroutine can wait for it."""
        done: Future[None] = Future()

        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - it is raised again where it is awaited
                done.set_exception(error)
            else:
                done.set_result(None)
            self._wake()

        threading.Thread(target=run).start()
        return done

    def _state_file(self) -> Path:
        value = self._node.get_parameter('state_file').value
        if not value:
            raise SettingsError('the parameter state_file is empty: set it to the path of a file')
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            raise SettingsError(f'state_file: {value}: {error}') from error
