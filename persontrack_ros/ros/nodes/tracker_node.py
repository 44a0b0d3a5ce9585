"""The node ``person_tracker``: images (or detections) in, tracks out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Optional

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger

from persontrack_ros.core.base.errors import PersontrackError, SettingsError
from persontrack_ros.core.config.settings import NONE, TF
from persontrack_ros.core.inference.budget import WITH_LIGHT, WITHOUT_LIGHT, Share
from persontrack_ros.core.inference.threads import use_one_thread_beside_inference
from persontrack_ros.core.tracking.gallery import Camera, Gallery
from persontrack_ros.ros.memory import giving_memory_back
from persontrack_ros.ros.parameters import NodeParameters
from persontrack_ros.ros.process import NodeExecutor, ros, until_shutdown
from persontrack_ros.ros.tracker import bond
from persontrack_ros.ros.tracker.checks import Checks, work
from persontrack_ros.ros.tracker.diagnostics import publish_diagnostics, report
from persontrack_ros.ros.tracker.frames import Frames
from persontrack_ros.ros.tracker.inputs import Inputs
from persontrack_ros.ros.tracker.outputs import Outputs
from persontrack_ros.ros.tracker.processing import Processor
from persontrack_ros.ros.tracker.services import Services
from persontrack_ros.ros.tracker.state import NodeState, Transitions
from persontrack_ros.ros.tracker.transforms import TurningCamera
from persontrack_ros.ros.tracker.worker import NewestItemWorker, Turns

_WATCH_PERIOD = 1.0
# Seconds that deactivate and Ctrl-C wait for the frame in work, before and after a warning.
_SHORT, _PATIENCE = 1.0, 20.0


class TrackerNode(LifecycleNode):
    """
    Tracks the persons in the images of one topic.

    A managed node: configure loads and warms the models, activate subscribes, deactivate stops
    the work and keeps models and tracks, cleanup frees them. Images are processed on a thread of
    their own, always the newest one; the executor goes on meanwhile.
    """

    def __init__(
        self, gallery: Optional[Gallery] = None, turns: Optional[Turns] = None, **options: object
    ) -> None:
        """
        Declare the parameters and offer the services; nothing is loaded yet.

        :param gallery: shared with other cameras.
        :param turns: shared with other cameras.
        """
        super().__init__('person_tracker', **options)
        self._camera = Camera(gallery or Gallery())
        self._turns = turns or Turns()
        self._configuration = NodeParameters(self, lambda values: self._state.check(values))
        self._state = NodeState(self._configuration, Share(self._turns.budget))
        self._is_dead = False
        self._bond: Optional[bond.Bond] = None
        self._pattern = ''
        self._transitions = Transitions(self, self._state)
        self._frames = Frames(self, self._state)
        self._checks = Checks(self, self._state)
        Services(self, self._state)
        publish_diagnostics(self, lambda: report(self._state, self._checks.findings))
        self.create_timer(
            _WATCH_PERIOD, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def autostart(self) -> None:
        """Configure and activate, if the parameter `autostart` is set."""
        if not self.get_parameter('autostart').value:
            return
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                if self.context.ok():
                    self.get_logger().error(
                        'not started: fix the error above, then '
                        f'"ros2 lifecycle set {self.get_fully_qualified_name()} configure" and '
                        '"... activate", or start the node again'
                    )
                return

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the models, and create the publishers."""
        return self._transitions.attempt('configure', self._configure, self._free)

    def _configure(self) -> None:
        self._configuration.configure()
        settings, options = self._configuration.current
        self.get_logger().info(f'loading {settings.detector.model} and {settings.reid.model}')
        started = time.monotonic()
        processor = self._state.processor = Processor(settings, options, self._camera)
        on = processor.pipeline.devices
        patterns = WITHOUT_LIGHT if settings.detector.light_model == NONE else WITH_LIGHT
        self._state.share.patterns = patterns if on['detector'] else patterns[:1]
        self._state.check(options)
        devices = ' and '.join(sorted({*on.values()} - {''}))
        self.get_logger().info(
            f'loaded in {time.monotonic() - started:.1f} s'
            + (f', on {devices}' if devices else '')
        )
        outputs = self._state.outputs = Outputs(self, self._camera)
        outputs.advertise(settings, options)
        if settings.tracker.camera_motion == TF and outputs.transforms is not None:
            processor.turning = TurningCamera(self, outputs.transforms)
        self._state.statistics.begin()
        self._state.dropped = 0

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to work."""
        return self._transitions.attempt('activate', self._activate, self._disconnect)

    def _activate(self) -> None:
        settings, options = self._configuration.current
        worker = self._state.worker = NewestItemWorker(
            self._frames.process, self._frames.fail, self._turns, self._admits
        )
        inputs = self._state.inputs = Inputs(self)
        inputs.subscribe(options, worker, settings.tracker.camera_motion == TF)
        self._state.statistics.resume()
        what = 'detecting' if settings.tracker.algorithm == NONE else 'tracking'
        topics = ' and '.join(each.name for each in inputs.topics.values())
        note = ''
        if not options['autostart']:
            self._bond = bond.Bond(self) if bond.Status else None
            if self._bond is None:
                note = '; no lifecycle manager can watch this: bond is not installed'
        self.get_logger().info(f'{what} the persons in {topics}{note}')

    def _admits(self) -> bool:
        return self._state.share.admits(self._configuration.current.options['inference.cores'])

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the work; the models and tracks stay."""
        return self._transitions.attempt('deactivate', self._deactivate)

    def _deactivate(self) -> None:
        try:
            if not self._stop_worker():
                raise PersontrackError(f'{work(self._state)[1]}; the node stays active')
        except Exception:
            if self._state.inputs is not None:
                self._state.inputs.adapt()
            raise
        self._disconnect()
        self.get_logger().info('deactivated; the models and tracks stay')

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models."""
        return self._transitions.attempt('cleanup', self._cleanup)

    def _cleanup(self) -> None:
        self._free()
        self.get_logger().info('the models are freed')

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the work and free the models."""
        return self._transitions.attempt('shutdown', self._shutdown)

    def _shutdown(self) -> None:
        self._transitions.each('shutdown', self._stop_worker, self._disconnect, self._free)

    def destroy_node(self) -> None:
        """Stop the work and destroy the node."""
        if not self._stop_worker():
            # Python cannot end while another thread is within OpenVINO.
            problem = f'{work(self._state)[1]}; the node does not wait for it any longer'
            self._transitions.logger.error(problem)
            if isinstance(self.executor, NodeExecutor):
                self.executor.fail(RuntimeError(problem))
        self._disconnect()
        super().destroy_node()

    def _stop_worker(self) -> bool:
        """Stop the worker; return whether it finished its frame in time."""
        worker, inputs = self._state.worker, self._state.inputs
        if inputs is not None:
            # While this waits, nobody takes messages, and they would fill the memory.
            self._transitions.each('deactivate', inputs.destroy)
        if worker is None or worker.stop(_SHORT):
            return True
        self._transitions.logger.warning(f'waiting for the tracker: {work(self._state)[1]}')
        return worker.stop(_PATIENCE)

    def _disconnect(self) -> None:
        """End the subscriptions and all that depends on them."""
        state = self._state
        if state.inputs is None and state.worker is None:
            return
        destroy = [each.destroy for each in (self._bond, state.inputs) if each is not None]
        self._transitions.each('deactivate', *destroy, state.end_tracks, self._close_account)
        self._bond = state.inputs = state.worker = None
        state.share.limit = 0.0

    def _close_account(self) -> None:
        state = self._state
        # A frame that is still in work hangs, and is given up.
        state.dropped += state.dropped_now + state.in_work
        state.inputs = state.worker = None
        account = state.account
        self._transitions.logger.info(
            f'of {account.pop("sent")} frames since configure, '
            + ', '.join(f'{number} {fate}' for fate, number in account.items())
        )

    def _free(self) -> None:
        """Free the models and end the publishers."""
        state = self._state
        self._configuration.end_target()
        state.enabled, self._configuration.configured = True, False
        outputs, state.outputs = state.outputs, None
        if outputs is not None:
            self._transitions.each('cleanup', outputs.destroy)
        self._transitions.each('cleanup', self._camera.forget, self._free_models)
        state.processor = None

    def _free_models(self) -> None:
        with giving_memory_back():
            self._state.processor = None

    # While it runs.

    def _watch(self) -> None:
        """Run the checks; a dead worker ends the process after the diagnostics reported it."""
        state = self._state
        if state.inputs is not None:
            state.inputs.adapt()
        if self._is_dead and isinstance(self.executor, NodeExecutor):
            self.executor.fail(RuntimeError('the thread of the tracker ended'))
            return
        self._checks.run()
        share = state.share
        if share.pattern != self._pattern:
            self._pattern = share.pattern
            now = f'detector.pattern is "{share.pattern}" now' if share.pattern else 'no limit'
            self.get_logger().info(f'inference.cores {share.limit:g}: {now}')
        self._is_dead = state.worker is not None and state.worker.failure is not None


def run(tracker: TrackerNode, executor: NodeExecutor) -> None:
    """
    Configure, activate and spin a tracker until ROS is shut down.

    Raises the error with which the tracker ended the executor, if there was one.
    """
    executor.add_node(tracker)
    try:
        with until_shutdown(tracker.context):
            tracker.autostart()
            executor.spin()
    finally:
        tracker.destroy_node()
    if executor.failure is not None:
        raise executor.failure


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the node until it is interrupted; return 2 if the arguments are wrong."""
    use_one_thread_beside_inference()
    try:
        with ros(arguments) as executor:
            run(TrackerNode(), executor)
    except SettingsError as error:
        get_logger('person_tracker').fatal(str(error))
        return 2
    return 0
