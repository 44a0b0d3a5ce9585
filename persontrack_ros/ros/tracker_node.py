"""The node ``person_tracker``: images in, tracks out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import QoSProfile
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from persontrack_ros.core.drawing import draw
from persontrack_ros.core.errors import PersontrackError
from persontrack_ros.core.errors import SettingsError
from persontrack_ros.core.messages import stamp_to_nanoseconds
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.settings import PARAMETERS
from persontrack_ros.core.settings import Parameter
from persontrack_ros.core.settings import Settings
from persontrack_ros.core.threads import use_one_thread_beside_inference
from persontrack_ros.ros.images import bgr_to_image
from persontrack_ros.ros.images import image_to_bgr
from persontrack_ros.ros.messages import tracks_to_message
from persontrack_ros.ros.parameters import declare
from persontrack_ros.ros.process import ros
from persontrack_ros.ros.worker import NewestItemWorker

NODE_PARAMETERS = (
    Parameter(
        'autostart',
        True,
        'Configure and activate at the start; switch it off where a lifecycle manager does that.',
    ),
)

_ERROR_PERIOD = 5.0


class TrackerNode(LifecycleNode):
    """
    Tracks the persons in the images of one topic.

    A managed node: configure loads and warms the models, activate subscribes, deactivate stops
    the work and keeps models and tracks, cleanup frees them. Images are processed on a thread of
    their own, always the newest one, so that services and parameters answer at once.
    """

    def __init__(self, **options: object) -> None:
        """Declare the parameters; nothing is loaded yet."""
        self._settings = Settings()
        self._pipeline: Optional[Pipeline] = None
        self._worker: Optional[NewestItemWorker[Image]] = None
        self._subscription: Optional[rclpy.subscription.Subscription] = None
        self._tracks_publisher: Optional[rclpy.publisher.Publisher] = None
        self._image_publisher: Optional[rclpy.publisher.Publisher] = None
        super().__init__('person_tracker', **options)
        self._problems = declare(self, (*NODE_PARAMETERS, *PARAMETERS))
        self.add_on_set_parameters_callback(self._on_set_parameters)

    def autostart(self) -> None:
        """Configure and activate, if the parameter `autostart` says so."""
        if self.get_parameter('autostart').value:
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()
            else:
                self.get_logger().error(
                    'not started. Mend what is said above, then '
                    f'"ros2 lifecycle set {self.get_fully_qualified_name()} configure" and '
                    '"... activate", or start the node again'
                )

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the models."""
        try:
            for problem in self._problems.values():
                raise SettingsError(problem)
            self._settings = Settings.from_values(
                {
                    parameter.name: self.get_parameter(parameter.name).value
                    for parameter in PARAMETERS
                }
            )
            self._pipeline = Pipeline(self._settings)
        except PersontrackError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        # Plain publishers, made and destroyed with the state: what a worker still has in hand at
        # deactivation is published rather than lost with a warning.
        overriding = QoSOverridingOptions.with_default_policies()
        self._tracks_publisher = self.create_publisher(
            Detection2DArray, 'tracks', QoSProfile(depth=10), qos_overriding_options=overriding
        )
        self._image_publisher = self.create_publisher(
            Image, 'annotated_image', QoSProfile(depth=1), qos_overriding_options=overriding
        )
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to work."""
        self._worker = NewestItemWorker(self._process)
        # Depth 1: an older image would only make the boxes stale.
        self._subscription = self.create_subscription(
            Image,
            'image_raw',
            self._worker.submit,
            QoSProfile(depth=1, reliability=qos_profile_sensor_data.reliability),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self.get_logger().info(f'tracking the persons in {self._subscription.topic_name}')
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the work; the models and tracks stay."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the work and free the models."""
        self._stop()
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Stop the work and destroy the node."""
        self._stop()
        super().destroy_node()

    def _stop(self) -> None:
        self.destroy_subscription(self._subscription)
        self._subscription = None
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _free(self) -> None:
        self.destroy_publisher(self._tracks_publisher)
        self.destroy_publisher(self._image_publisher)
        self._tracks_publisher = self._image_publisher = None
        self._pipeline = None

    def _on_set_parameters(self, parameters: Sequence[rclpy.Parameter]) -> SetParametersResult:
        """Accept a set of parameters as a whole, or refuse it as a whole."""
        declared = {parameter.name: parameter for parameter in PARAMETERS}
        changes = {p.name: p.value for p in parameters if p.name in declared}
        configured = self._pipeline is not None
        try:
            settings = Settings.from_values(changes, base=self._settings)
            for name, value in changes.items():
                if (
                    configured
                    and not declared[name].runtime
                    and value != self._settings.values()[name]
                ):
                    raise SettingsError(
                        f'{name} takes effect in configure: deactivate and cleanup the node first'
                    )
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for name in changes:
            self._problems.pop(name, None)
        if configured:
            # The worker takes it over before its next image.
            self._settings = settings
        return SetParametersResult(successful=True)

    def _process(self, message: Image) -> None:
        """Track the persons in one image and publish the result; runs on the worker's thread."""
        try:
            image = image_to_bgr(message)
            self._pipeline.apply(self._settings)
            tracks = self._pipeline.process(image, stamp_to_nanoseconds(message.header)).tracks
            if not self.context.ok():
                return
            self._tracks_publisher.publish(tracks_to_message(tracks, message.header))
            if self._image_publisher.get_subscription_count():
                annotated = draw(image, tracks, self._pipeline.mean_time)
                self._image_publisher.publish(bgr_to_image(annotated, message.header))
        except Exception as error:  # noqa: BLE001 - one bad image must not end the tracking
            if self.context.ok():
                self.get_logger().error(
                    f'image skipped: {error}', throttle_duration_sec=_ERROR_PERIOD
                )


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the node until it is interrupted."""
    use_one_thread_beside_inference()
    with ros(arguments) as executor:
        node = TrackerNode()
        executor.add_node(node)
        try:
            node.autostart()
            executor.spin()
        finally:
            node.destroy_node()
    return 0
