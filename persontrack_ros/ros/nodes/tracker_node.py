"""The node ``person_tracker``: images (or detections) in, tracks out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Optional

from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.executors import Executor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.task import Future

from persontrack_ros.core.errors import SettingsError, one_line
from persontrack_ros.core.memory import giving_memory_back
from persontrack_ros.core.parameters.settings import NONE, TF
from persontrack_ros.core.threads import use_one_thread_beside_inference
from persontrack_ros.core.timeline import FORWARD_JUMP
from persontrack_ros.core.tracking.gallery import Camera, Gallery
from persontrack_ros.ros.discovery import publishers_of
from persontrack_ros.ros.parameters import NodeParameters
from persontrack_ros.ros.process import ros, until_shutdown
from persontrack_ros.ros.tracker.diagnostics import publish_diagnostics
from persontrack_ros.ros.tracker.image_log import ImageLog
from persontrack_ros.ros.tracker.inputs import Frame, Inputs
from persontrack_ros.ros.tracker.outputs import Outputs
from persontrack_ros.ros.tracker.processing import Processor
from persontrack_ros.ros.tracker.services import Services
from persontrack_ros.ros.tracker.session import Session
from persontrack_ros.ros.tracker.slow_watch import SlowWatch
from persontrack_ros.ros.tracker.statistics import Level, Report, Statistics
from persontrack_ros.ros.tracker.turning_camera import TurningCamera
from persontrack_ros.ros.tracker.worker import NewestItemWorker, Turns

_ERROR_PERIOD = 5.0
_WATCH_PERIOD = 1.0


class TrackerNode(LifecycleNode):
    """
    Tracks the persons in the images of one topic.

    A managed node: configure loads and warms the models, activate subscribes, deactivate stops
    the work and keeps models and tracks, cleanup frees them. Images are processed on a thread of
    their own, always the newest one, so that services and parameters answer at once.
    """

    def __init__(
        self, gallery: Optional[Gallery] = None, turns: Optional[Turns] = None, **options: object
    ) -> None:
        """
        Declare the parameters and offer the services; nothing is loaded yet.

        :param gallery: shared with other cameras.
        :param turns: likewise.
        """
        self._camera = Camera(gallery or Gallery())
        self._turns = turns or Turns()
        self._processor: Optional[Processor] = None
        self._worker: Optional[NewestItemWorker[Frame]] = None
        self._inputs: Optional[Inputs] = None
        self._outputs: Optional[Outputs] = None
        self._enabled = True
        self._dropped = 0
        self._problem = ''
        self._faults: set[str] = set()
        super().__init__('person_tracker', **options)
        self._configuration = NodeParameters(self)
        self._statistics = Statistics()
        self._log = ImageLog(self)
        self._slow = SlowWatch()
        Services(self, self._reset, self._enable, self._save, self._load)
        publish_diagnostics(self, self._report)
        self.create_timer(
            _WATCH_PERIOD, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._jumps = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=Duration(seconds=FORWARD_JUMP),
                min_backward=Duration(nanoseconds=-1),
                on_clock_change=False,
            ),
            post_callback=self._on_clock_jump,
        )

    def autostart(self) -> None:
        """Configure and activate, if the parameter `autostart` says so."""
        if not self.get_parameter('autostart').value:
            return
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                if self.context.ok():
                    self.get_logger().error(
                        'not started. Mend what is said above, then '
                        f'"ros2 lifecycle set {self.get_fully_qualified_name()} configure" and '
                        '"... activate", or start the node again'
                    )
                return

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the models, and advertise what they can give."""
        return self._attempt(self._configure, self._free)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to work."""
        return self._attempt(self._activate, self._stop)

    def _attempt(
        self, action: Callable[[], None], undo: Callable[[], None]
    ) -> TransitionCallbackReturn:
        """Do it, or say why not; the node then is as before."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever it is, the node must stay usable
            self._problem = one_line(error)
            # Whatever fails because of Ctrl-C means nothing.
            if self.context.ok():
                self.get_logger().error(self._problem)
            undo()
            return TransitionCallbackReturn.FAILURE
        self._problem = ''
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        self._configuration.configure()
        settings, options = self._configuration.current
        models = f'{settings.detector.model} and {settings.reid.model}'
        self.get_logger().info(f'loading {models}')
        started = time.monotonic()
        self._processor = Processor(settings, options, self._camera)
        devices = ' and '.join(sorted({*self._processor.devices.values()} - {''}))
        self.get_logger().info(
            f'loaded in {time.monotonic() - started:.1f} s'
            + (f', on {devices}' if devices else '')
        )
        self._outputs = Outputs(self)
        self._outputs.advertise(settings, options)
        if settings.tracker.camera_motion == TF:
            self._processor.turning = TurningCamera(self, self._outputs.transforms)
        self._statistics.begin()
        self._dropped = 0

    def _activate(self) -> None:
        settings, options = self._configuration.current
        self._worker = NewestItemWorker(self._process, self._wake_executor, self._turns)
        self._inputs = Inputs(self)
        calibrated = settings.tracker.camera_motion == TF
        self._inputs.subscribe(options, self._worker, calibrated)
        self._statistics.resume()
        self._slow = SlowWatch()
        self._faults.clear()
        what = 'detecting' if settings.tracker.algorithm == NONE else 'tracking'
        topics = ' and '.join(each.name for each in self._inputs.topics.values())
        self.get_logger().info(f'{what} the persons in {topics}')

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the work; the models and tracks stay."""
        self._stop()
        self.get_logger().info('deactivated; the models and tracks stay')
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models."""
        self._free()
        self.get_logger().info('the models are freed')
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
        inputs, worker = self._inputs, self._worker
        try:
            if inputs is not None:
                inputs.destroy()
        finally:
            # Python cannot end while another thread is within OpenVINO.
            if worker is not None:
                worker.stop()
        if worker is not None:
            self._outputs.clear()
            account = self._account()
            logger = self.get_logger()
            # After Ctrl-C, that of a node would try to publish.
            (logger if self.context.ok() else get_logger(f'{logger.name}.account')).info(
                f'of {account.pop("sent")} images since configure, '
                + ', '.join(f'{number} {fate}' for fate, number in account.items())
            )
        self._dropped += self._dropped_now()
        self._inputs = self._worker = None

    def _dropped_now(self) -> int:
        """Return how many images since the activation never came to be worked on."""
        inputs, worker = self._inputs, self._worker
        return (worker.dropped if worker else 0) + (inputs.lost if inputs else 0)

    def _account(self) -> dict[str, int]:
        worker = self._worker
        return self._statistics.account(
            self._dropped + self._dropped_now(), worker.in_work if worker else 0
        )

    def _free(self) -> None:
        with giving_memory_back():
            if self._outputs is not None:
                self._outputs.destroy()
                self._outputs = None
            self._processor = None
            self._camera.forget()
        self._enabled = True
        self._configuration.configured = False

    def _wake_executor(self) -> None:
        """Let the executor look for images again, which wait while the worker is busy."""
        executor = self.executor
        if executor is not None:
            executor.wake()

    def _process(self, frame: Frame) -> None:
        """Publish what is in a frame; runs on the worker's thread."""
        if not self._enabled:
            self._statistics.paused()
            self.get_logger().debug('image left out: the node is paused')
            return
        settings, options = self._configuration.current
        inputs, worker = self._inputs, self._worker
        started = time.monotonic()
        try:
            outcome = self._processor.process(
                frame,
                self._arrival(frame),
                settings,
                options,
                self._outputs,
                self._tell_of_jump,
                self._complain,
            )
        except Exception as error:  # noqa: BLE001 - one bad image must not end the tracking
            if not self.context.ok():
                # Ctrl-C came before its tracks could be published.
                self._dropped += 1
                return
            problem = f'image skipped: {one_line(error)}'
            self._statistics.failed(problem)
            self.get_logger().error(problem, throttle_duration_sec=_ERROR_PERIOD)
            return
        if outcome.refused:
            self.get_logger().warning(
                f'{outcome.refused} detections of another node refused: no person has such a '
                'place, size or score',
                throttle_duration_sec=_ERROR_PERIOD,
            )
        tracked = settings.tracker.algorithm != NONE
        people = len(outcome.tracks if tracked else outcome.detections or ())
        self._statistics.processed(
            frame.received, people, (track.id for track in outcome.tracks), outcome.refused
        )
        losses = {
            'lost or replaced before they came': inputs.lost if inputs else 0,
            'replaced by newer ones': worker.dropped if worker else 0,
            'without a counterpart': inputs.unmatched if inputs else 0,
        }
        self._log.tell(frame, outcome, losses)
        busy = time.monotonic() - started
        slow = self._slow.see(settings, outcome.times, busy, self._account()['sent'])
        if slow:
            self.get_logger().warning(slow)

    def _arrival(self, frame: Frame) -> int:
        """Return when a frame came, in nanoseconds of a clock that runs as the images do."""
        clock = self.get_clock()
        if clock.ros_time_is_active:
            return clock.now().nanoseconds
        return round(frame.received * 1e9)

    def _complain(self, what: str, fault: str) -> None:
        """Warn of what is wrong with the messages of a topic, and name who publishes them."""
        inputs = self._inputs
        topic = inputs.topics[what].name if inputs else what
        names = ' and '.join(publishers_of(self, topic)) if inputs else ''
        self.get_logger().warning(f'{topic}, published by {names or "somebody"}: {fault}')

    def _tell_of_jump(self, what: str) -> None:
        ids = 'start at 1' if self._configuration.current.options['time.restart_ids'] else 'go on'
        self.get_logger().warning(f'{what}: the tracks end here, ids {ids}')

    def _on_clock_jump(self, jump: TimeJump) -> None:
        if self._processor is None:
            return
        delta = jump.delta.nanoseconds
        threshold = self._configuration.current.options['time.jump_threshold']
        transforms = self._outputs.transforms if self._outputs else None
        if transforms is not None and jump.delta.nanoseconds < 0:
            transforms.forget()
        now = self.get_clock().now().nanoseconds
        if self._processor.timeline.clock_jumped(now - delta, now, threshold):
            self._tell_of_jump(f'the clock jumped by {delta / 1e9:.3f} s')

    def _session(self) -> Session:
        """
        Return the tracker of the stream.

        :raises SettingsError: if there is none.
        """
        settings = self._configuration.current.settings.tracker
        if self._processor is None:
            raise SettingsError('the node is not configured: there is no tracker')
        if settings.algorithm == NONE:
            raise SettingsError('tracker.algorithm is none: there is no tracker')
        return self._processor.session

    def _reset(self) -> None:
        self._session().restart(self._configuration.current.settings.tracker)
        self._outputs.clear()
        self._statistics.forget_ids()

    def _enable(self, enabled: bool) -> None:
        self._enabled = enabled

    async def _save(self, path: Path) -> None:
        settings = self._configuration.current.settings.tracker
        await self._apart(partial(self._session().save, settings, path))

    async def _load(self, path: Path) -> None:
        settings, session = self._configuration.current.settings.tracker, self._session()
        await self._apart(partial(session.load, settings, path))
        if session is not self._session():
            raise SettingsError('the node was configured anew meanwhile')
        self._outputs.clear()

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
            self._wake_executor()

        threading.Thread(target=run).start()
        return done

    def _watch(self) -> None:
        """Warn of what is wrong with the inputs, once while it lasts."""
        inputs = self._inputs
        if inputs is None:
            return
        inputs.adapt()
        faults = inputs.faults(self._configuration.current.options['diagnostics.silence_warn'])
        for name in faults.keys() - self._faults:
            self.get_logger().warning(faults[name])
        self._faults = set(faults)

    def _report(self) -> Report:
        """Tell how things are, for the diagnostics."""
        settings, options = self._configuration.current
        inputs = self._inputs
        silence = max(inputs.silence.values()) if inputs is not None else 0.0
        report = self._statistics.report(options, silence)
        report.values.update((fate, str(count)) for fate, count in self._account().items())
        report.values['unmatched'] = str(inputs.unmatched if inputs else 0)
        transforms = self._outputs.transforms if self._outputs else None
        report.values['without transform'] = str(transforms.missing if transforms else 0)
        target = self._outputs.target if self._outputs and options['target'] else None
        report.values['target'] = options['target']
        if target is not None:
            report.values['target id'] = '' if target.id is None else str(target.id)
            report.values['target sight'] = target.sight.value
            report.values['target since'] = f'{target.since / 1e9:.3f}'
        processor = self._processor
        report.values['other classes'] = str(processor.classes.left_out if processor else 0)
        devices = {} if processor is None else processor.devices
        for group in ('detector', 'reid'):
            report.values[f'{group} model'] = getattr(settings, group).model
            report.values[f'{group} device'] = devices.get(group, '')
        if self._problem:
            report.values['last error'] = self._problem
            return Report(Level.ERROR, self._problem, report.values)
        if inputs is None:
            return Report(Level.OK, 'inactive', report.values)
        if not self._enabled:
            return Report(Level.OK, 'paused', report.values)
        faults = [*inputs.faults(options['diagnostics.silence_warn']).values()]
        if inputs.depth_fault:
            faults.append(f'no tracks_3d: {inputs.depth_fault}')
        if not faults:
            return report
        if report.level != Level.OK:
            faults.insert(0, report.message)
        return Report(max(report.level, Level.WARN), '; '.join(faults), report.values)


def run(tracker: TrackerNode, executor: Executor) -> None:
    """Configure, activate and spin a tracker until ROS is shut down."""
    executor.add_node(tracker)
    try:
        with until_shutdown(tracker.context):
            tracker.autostart()
            executor.spin()
    finally:
        tracker.destroy_node()


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
