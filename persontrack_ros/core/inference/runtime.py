"""OpenVINO models: reading them and compiling them for a device."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional
from weakref import WeakValueDictionary

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from persontrack_ros.core.base.errors import ModelError, OutputError
from persontrack_ros.core.base.fetching import cache_directory, store
from persontrack_ros.core.config.settings import InferenceSettings
from persontrack_ros.core.inference.devices import choose, kinds, options, processor
from persontrack_ros.core.inference.exports import MASK, SIZES, describe, shapes_of
from persontrack_ros.core.inference.files import SUFFIXES, check_contents
from persontrack_ros.core.inference.profile import AnyProfile, Profile, read_profile
from persontrack_ros.core.inference.threads import keep_after_fork

_logger = logging.getLogger(__name__)

# Equal models are compiled once in a process and shared while they are in use. The key: contents
# of the file, profile, device and options.
_compiled: WeakValueDictionary[str, ov.CompiledModel] = WeakValueDictionary()
_compiling = threading.Lock()

# The errors of OpenVINO; with quotes from a damaged file, their text may be no Unicode.
_FAILURES = (RuntimeError, MemoryError, UnicodeDecodeError)

_DIGEST_SIZE = 32

# The process that loaded models first; 0: none yet.
_process = 0


def check_process() -> None:
    """
    Refuse to work in a process that was forked after models were loaded.

    OpenVINO's threads end with a fork, but its locks stay: the child would wait for ever.

    :raises ModelError: in such a process.
    """
    if _process not in (0, os.getpid()):
        raise ModelError(
            'this process was made by fork from one that has loaded models, and OpenVINO does not '
            'work in it: start it with multiprocessing.get_context("spawn"), or load models only '
            'after the fork'
        )


class Runtime:
    """
    OpenVINO as this package uses it: uint8 BGR images in, arrays out.

    Several objects in one process share their compiled models.

    :ivar exact: whether results must be the same on all processors.
    """

    def __init__(self, settings: InferenceSettings = InferenceSettings()) -> None:
        """
        Load OpenVINO's device plug-ins lazily; nothing is compiled yet.

        :raises ModelError: in a forked process, see :func:`check_process`.
        """
        global _process
        check_process()
        _process = os.getpid()
        self._core = ov.Core()
        self._settings = settings
        self.exact = settings.precision == 'f32'
        self._cache: Optional[Path] = None
        if settings.cache_dir == 'auto':
            self._cache = cache_directory() / 'compiled'
        elif settings.cache_dir != 'none':
            self._cache = Path(settings.cache_dir).expanduser()

    def load(
        self, path: Path, kind: type[AnyProfile], device: str, parallel: bool = False
    ) -> tuple[InferenceModel, AnyProfile]:
        """
        Read a model and compile it for a device.

        :param path: a result of :func:`find_model`.
        :param kind: the class of its profile.
        :param parallel: process several images in parallel.
        :returns: the model with its own request and buffers, for one thread at a time; and its
            profile.
        :raises ModelError: if the file is damaged or holds another kind of model, or the device is
            not available.
        """
        try:
            contents = check_contents(path)
        except OSError as error:
            raise ModelError(f'cannot read the model {path}: {error.strerror}') from error
        model, profile = self.read(path, kind)
        used = choose(device, kinds(self._core))
        if device.startswith('AUTO:') and not device.startswith(f'AUTO:{used}'):
            _logger.warning('%s: %s is the first that there is', device, used)
        hints = options(used, self._settings, parallel)
        identity = (contents, list(model.input().shape), profile)
        key = repr((identity, used, sorted(hints.items())))
        try:
            with _compiling:
                compiled = _compiled.get(key)
                if compiled is None:
                    model = _with_preprocessing(model, profile)
                    compiled = _compile(self._core, model, used, hints, self._cache, identity)
                    _compiled[key] = compiled
            return InferenceModel(compiled), profile
        except _FAILURES as error:
            raise ModelError(
                f'cannot compile the model {path} for {used}: {_reason(error)}'
            ) from error

    def read(self, path: Path, kind: type[AnyProfile]) -> tuple[ov.Model, AnyProfile]:
        """
        Read a model that has one image as input.

        :returns: the model for one image of a fixed size, and its profile.
        :raises ModelError: if the file is damaged or holds another kind of model.
        """
        try:
            model = self._core.read_model(path)
        except _FAILURES as error:
            raise ModelError(
                f'cannot read the model {path}: {_reason(error)}. Expected a file that OpenVINO '
                f'reads ({", ".join(SUFFIXES)})'
            ) from error
        inputs = shapes_of(model.inputs)
        profile = read_profile(path, kind, inputs, shapes_of(model.outputs))
        image = ov.PartialShape([3 if axis == 'C' else -1 for axis in profile.layout])
        shapes = [each.partial_shape for each in model.inputs if not each.names & {SIZES, MASK}]
        if len(shapes) != 1 or not shapes[0].compatible(image):
            raise ModelError(
                f'{path} has the inputs {describe(inputs) or "none"}; expected one image of the '
                f'layout {profile.layout} with 3 channels'
            )
        (shape,) = shapes
        sides = [shape[profile.layout.index(axis)] for axis in 'HW']
        if profile.size is None and any(side.is_dynamic for side in sides):
            raise ModelError(
                f'{path} takes images of any size ({shape}): write the one to use, as "size: '
                f'[height, width]", into {path.with_suffix(".yaml").name} beside it'
            )
        size = profile.size or [side.get_length() for side in sides]
        _set_constants(model, size[1], size[0])
        lengths = dict(zip('NCHW', (1, 3, *size)))
        shape = [lengths[axis] for axis in profile.layout]
        if model.input().partial_shape != ov.PartialShape(shape):
            try:
                model.reshape(shape)
            except _FAILURES as error:
                raise ModelError(
                    f'{path} cannot work with images of the shape {shape}: {_reason(error)}'
                ) from error
        return model, profile


def _with_preprocessing(model: ov.Model, profile: Profile) -> ov.Model:
    # Inside the model: layout and type change run vectorised with the rest of the graph, and a
    # uint8 image is a quarter of the floats that would be copied otherwise.
    steps = ov.preprocess.PrePostProcessor(model)
    tensor = steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout('NHWC'))
    tensor.set_color_format(ov.preprocess.ColorFormat.BGR)
    steps.input().model().set_layout(ov.Layout(profile.layout))
    if profile.color == 'RGB':
        steps.input().preprocess().convert_color(ov.preprocess.ColorFormat.RGB)
    if profile.mean != 0 or profile.scale != 1:
        arithmetic = steps.input().preprocess().convert_element_type(ov.Type.f32)
        arithmetic.mean(np.broadcast_to(profile.mean, 3).tolist())
        arithmetic.scale(np.broadcast_to(profile.scale, 3).tolist())
    return steps.build()


def _compile(
    core: ov.Core,
    model: ov.Model,
    device: str,
    hints: Mapping[str, Any],
    directory: Optional[Path],
    identity: object,
) -> ov.CompiledModel:
    """
    Import a compiled model from the cache, or compile it and store it there, with its checksum.

    OpenVINO's own cache (CACHE_DIR) loads files with damaged weights without an error.

    :param directory: directory of the cache; None for no cache.
    :param identity: identifies the model, in addition to its device and the hints.
    """
    # OpenVINO 2026.2.0 to 2026.4.1 imports INT8 models wrongly, see docs/models.md.
    if directory is None or any(one.get_type_name() == 'FakeQuantize' for one in model.get_ops()):
        return core.compile_model(model, device, hints)
    key = repr((identity, sorted(hints.items()), processor(core, device), ov.__version__))
    file = directory / f'{hashlib.sha384(key.encode()).hexdigest()[:32]}.blob'
    try:
        # Reading a pipe would block.
        content = file.read_bytes() if file.is_file() else b''
        digest, blob = content[:_DIGEST_SIZE], content[_DIGEST_SIZE:]
        if blob and hashlib.sha256(blob).digest() == digest:
            return core.import_model(blob, device, hints)
        if content:
            _logger.warning('%s is damaged: the model is compiled again', file)
    except (OSError, *_FAILURES) as error:
        _logger.warning('%s is not used, the model is compiled again: %s', file, error)
    compiled = core.compile_model(model, device, hints)
    try:
        blob = compiled.export_model().getvalue()
        store(file, hashlib.sha256(blob).digest() + blob)
    except (OutputError, *_FAILURES) as error:
        _logger.warning('the compiled %s is not kept: %s', model.get_friendly_name(), error)
    return compiled


class InferenceModel:
    """
    A compiled model with one request and one input buffer that is written in place.

    :ivar images: the input, uint8 BGR of shape ``(1, height, width, 3)``.
    :ivar shapes: of the outputs, by name; None is a length that varies.
    :ivar device: the device in use, also if AUTO or several devices were requested.
    """

    def __init__(self, compiled: ov.CompiledModel) -> None:
        """Allocate the buffers."""
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self.shapes = shapes_of(compiled.outputs)
        keep_after_fork(self._request)
        keep_after_fork(compiled)
        self.images: NDArray[np.uint8] = np.zeros(tuple(compiled.input().shape), dtype=np.uint8)
        self._request.set_input_tensor(ov.Tensor(self.images, shared_memory=True))
        # AUTO writes a device that only helps at the start in brackets.
        self.device = ', '.join(compiled.get_property('EXECUTION_DEVICES')).strip('()')

    def team(self, times: int = 1) -> list[InferenceModel]:
        """
        Return this model and copies of it, as many as can usefully work in parallel.

        :param times: factor on the number; surplus requests wait in the device.
        """
        count = times * int(self._compiled.get_property('OPTIMAL_NUMBER_OF_INFER_REQUESTS'))
        return [self, *(InferenceModel(self._compiled) for _ in range(count - 1))]

    def infer(self) -> dict[str, NDArray[np.float32]]:
        """
        Run the model on :attr:`images`.

        :returns: the outputs by name; valid until the next call.
        """
        check_process()
        # On this thread: waking another one takes 0.3 ms.
        self._request.infer()
        return self._outputs()

    def start(self) -> None:
        """Start to run the model on :attr:`images`, which must not change until the end."""
        check_process()
        self._request.start_async()

    def finish(self) -> dict[str, NDArray[np.float32]]:
        """Wait for the end of the run; return the outputs as :meth:`infer` does."""
        self._request.wait()
        return self._outputs()

    def _outputs(self) -> dict[str, NDArray[np.float32]]:
        return {
            name: self._request.get_output_tensor(index).data
            for index, name in enumerate(self.shapes)
        }


def infer_all(
    team: Sequence[InferenceModel], count: int, fill: Callable[[int, NDArray[np.uint8]], Any]
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """
    Run a model on some images, in parallel on all members of the team.

    :param fill: writes an image, by its index, to an input.
    :returns: the outputs of each image, in order; valid until the next.
    """
    running: deque[InferenceModel] = deque()
    for index in range(count):
        if len(running) == len(team):
            yield running[0].finish()
            running.rotate(-1)
        else:
            running.append(team[index])
        fill(index, running[-1].images[0])
        running[-1].start()
    for member in running:
        yield member.finish()


def _set_constants(model: ov.Model, width: int, height: int) -> None:
    """
    Set constants for the inputs of DETRs other than the image.

    Boxes are in pixels of the input, and the image fills the whole input.
    """
    for parameter in model.get_parameters():
        shape = parameter.get_partial_shape()
        names = parameter.output(0).names
        if SIZES in names and shape.compatible(ov.PartialShape([1, 2])):
            values = np.array([[width, height]])
        elif MASK in names and shape.rank == ov.Dimension(3):
            sides = zip(list(shape)[1:], (height, width))
            values = np.ones([1, *(n if s.is_dynamic else s.get_length() for s, n in sides)])
        else:
            continue
        values = values.astype(parameter.get_element_type().to_dtype())
        parameter.output(0).replace(ov.opset13.constant(values).output(0))
        model.remove_parameter(parameter)


def _reason(error: Exception) -> str:
    """Return the informative line of an OpenVINO error; the first lines name source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    sources = ('Exception from', 'Check ', 'src/', '[')
    telling = [line for line in lines if not line.startswith(sources)]
    return (telling or lines or ['unknown error'])[-1]
