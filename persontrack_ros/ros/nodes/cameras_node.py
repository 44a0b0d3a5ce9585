"""
The process ``cameras_node``: a tracker for each of several cameras.

They share the compiled models and, with `tracker.remember`, the gallery of persons. Each has
its own namespace, parameters and threads, so that none waits for another, except for processors:
where there are more cameras than these can serve, each has its turn.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Optional

import rclpy
from rclpy.node import Node

from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.node_options import CAMERAS, DECLARED, camera_names
from persontrack_ros.core.config.settings import Parameter
from persontrack_ros.core.inference.threads import use_one_thread_beside_inference
from persontrack_ros.core.tracking.gallery import Gallery
from persontrack_ros.ros.nodes.tracker_node import TrackerNode, run
from persontrack_ros.ros.parameters import declare
from persontrack_ros.ros.process import NodeExecutor, ros
from persontrack_ros.ros.tracker.worker import Turns

PARAMETERS = (
    Parameter(
        CAMERAS,
        'camera',
        'Names of the cameras, separated by spaces. Each is the namespace of a person_tracker.',
    ),
)


class CamerasNode(Node):
    """Has the names of the cameras as a parameter."""

    def __init__(self, **options: object) -> None:
        """
        Read the parameter.

        :raises SettingsError: if it is wrong.
        """
        super().__init__('cameras', **options)
        for problem in declare(self, PARAMETERS, beside=DECLARED).values():
            raise SettingsError(problem)
        self.names = camera_names(str(self.get_parameter('cameras').value))

    def make_trackers(self) -> list[TrackerNode]:
        """Make the node of each camera, in a namespace within that of this node."""
        gallery, turns = Gallery(), Turns()
        return [
            # Names given to the whole process are not meant for each of them.
            TrackerNode(
                gallery,
                turns,
                cli_args=[
                    '--ros-args',
                    *('-r', '__node:=person_tracker'),
                    *('-r', f'__ns:={self.get_namespace().rstrip("/")}/{name}'),
                ],
            )
            for name in self.names
        ]


def _run_camera(tracker: TrackerNode, own: NodeExecutor, main_executor: NodeExecutor) -> None:
    try:
        run(tracker, own)
    except Exception as error:  # noqa: BLE001 - it is raised again on the main thread
        main_executor.fail(error)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """
    Run the nodes until they are interrupted; return 2 if the parameter is wrong.

    A camera that ends by an error takes the others with it, and the error is raised: a supervisor
    sees that a process ends, but not that one camera of several has.
    """
    use_one_thread_beside_inference()
    try:
        with ros(arguments) as executor, ExitStack() as stack:
            cameras = CamerasNode()
            stack.callback(cameras.destroy_node)
            # All before the first thread, which may end ROS: then no executor can be made.
            for tracker, own in [(each, NodeExecutor()) for each in cameras.make_trackers()]:
                # Not freed by its thread: at a second Ctrl-C, rclpy goes through all executors.
                stack.callback(own.shutdown)
                thread = threading.Thread(
                    target=_run_camera, args=(tracker, own, executor), name=tracker.get_name()
                )
                stack.callback(thread.join)
                # The end of the main thread has to end this one.
                stack.callback(rclpy.try_shutdown)
                thread.start()
            executor.add_node(cameras)
            executor.spin()
    except SettingsError as error:
        rclpy.logging.get_logger('cameras').fatal(str(error))
        return 2
    return 0
