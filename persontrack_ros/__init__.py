"""Person tracking in ROS 2 images with OpenVINO and Deep SORT; see docs/python.md."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persontrack_ros.api import FrameResult, PersonTracker, Similarity, Track, devices

__all__ = ['FrameResult', 'PersonTracker', 'Similarity', 'Track', 'devices']

# Importing openvino tells Google Analytics of it, where openvino_telemetry is installed: a robot's
# node should tell nobody. OpenVINO and NNCF do without where it cannot be imported.
sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]


def __getattr__(name: str) -> Any:
    """Import what is public when it is asked for: the nodes and commands do without."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from persontrack_ros import api

    return getattr(api, name)
