"""The services of the node; each answers at once, whatever the worker is computing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from persontrack_ros.core.errors import PersontrackError, SettingsError


class Services:
    """``~/reset``, ``~/enable``, ``~/save_state`` and ``~/load_state``."""

    def __init__(
        self,
        node: Node,
        reset: Callable[[], None],
        enable: Callable[[bool], None],
        save: Callable[[Path], Awaitable[None]],
        load: Callable[[Path], Awaitable[None]],
    ) -> None:
        """
        Offer the services.

        :param reset: and the others: do it, or raise PersontrackError.
        """
        self._node = node

        async def do_reset(_: Trigger.Request) -> str:
            reset()
            return 'ids start at 1'

        async def do_enable(request: SetBool.Request) -> str:
            enable(request.data)
            return 'tracking' if request.data else 'paused'

        async def do_save(_: Trigger.Request) -> str:
            path = self._state_file()
            await save(path)
            return f'saved to {path}'

        async def do_load(_: Trigger.Request) -> str:
            path = self._state_file()
            await load(path)
            return f'loaded from {path}'

        self._offer(Trigger, 'reset', do_reset)
        self._offer(SetBool, 'enable', do_enable)
        # One after the other, and without keeping anything else waiting.
        files = MutuallyExclusiveCallbackGroup()
        self._offer(Trigger, 'save_state', do_save, callback_group=files)
        self._offer(Trigger, 'load_state', do_load, callback_group=files)

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

        self._node.create_service(kind, f'~/{name}', answer, **options)

    def _state_file(self) -> Path:
        value = self._node.get_parameter('state_file').value
        if not value:
            raise SettingsError('the parameter state_file is empty: set it to the path of a file')
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            raise SettingsError(f'state_file: {value}: {error}') from error
