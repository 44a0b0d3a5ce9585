"""Person tracking in ROS 2 images with OpenVINO and Deep SORT; see docs/python.md."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persontrack_ros.api import (
        FrameResult,
        PersonTracker,
        Similarity,
        Track,
        annotate,
        devices,
        save,
    )

# As in package.xml.
__version__ = '0.1.0'

__all__ = ['FrameResult', 'PersonTracker', 'Similarity', 'Track', 'annotate', 'devices', 'save']

if sys.platform == 'win32':
    raise ImportError('persontrack_ros runs on Linux; on Windows, use it in WSL')

# With openvino_telemetry installed, importing openvino sends usage data to Google Analytics, which
# a robot should not do. OpenVINO and NNCF work without it where it cannot be imported.
sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]


def __getattr__(name: str) -> Any:
    """Import public names on demand: nodes and commands do not need them."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from persontrack_ros import api

    return getattr(api, name)
