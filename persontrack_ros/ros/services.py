"""The services of the node; each answers at once, whatever the worker is computing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.node import Node
from std_srvs.srv import SetBool
from std_srvs.srv import Trigger

from persontrack_ros.core.errors import PersontrackError
from persontrack_ros.core.errors import SettingsError


class Services:
    """``~/reset``, ``~/enable``, ``~/save_state`` and ``~/load_state``."""

    def __init__(
        self,
        node: Node,
        reset: Callable[[], None],
        enable: Callable[[bool], None],
        save: Callable[[Path], None],
        load: Callable[[Path], None],
    ) -> None:
        """
        Offer the services.

        :param reset: and the others: do it, or raise PersontrackError.
        """
        self._node = node
        self._enable = enable

        def trigger(name: str, action: Callable[[], str]) -> None:
            node.create_service(
                Trigger, f'~/{name}', lambda request, response: _answer(response, action)
            )

        def with_file(action: Callable[[Path], None], done: str) -> str:
            path = self._state_file()
            action(path)
            return f'{done} {path}'

        def do_reset() -> str:
            reset()
            return 'ids start at 1'

        trigger('reset', do_reset)
        trigger('save_state', lambda: with_file(save, 'saved to'))
        trigger('load_state', lambda: with_file(load, 'loaded from'))
        node.create_service(SetBool, '~/enable', self._on_enable)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> Any:
        def action() -> str:
            self._enable(request.data)
            return 'tracking' if request.data else 'paused'

        return _answer(response, action)

    def _state_file(self) -> Path:
        value = self._node.get_parameter('state_file').value
        if not value:
            raise SettingsError('the parameter state_file is empty: set it to the path of a file')
        return Path(value).expanduser()


def _answer(response: Any, action: Callable[[], str]) -> Any:
    try:
        response.message = action()
        response.success = True
    except PersontrackError as error:
        response.success, response.message = False, str(error)
    return response
