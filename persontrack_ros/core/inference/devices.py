"""
The choice of a device for a model, and its options.

OpenVINO's own AUTO is not used: it costs half a millisecond per image, fails for AUTO:GPU,CPU
where one of the two is missing, and does not report its choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import openvino as ov

from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.config.settings import InferenceSettings

# The preference of AUTO. A GPU leaves the CPU free. NPUs come last: they save energy, but are slow
# at these models and support few of their operations.
_PREFERENCES = ('discrete GPU', 'integrated GPU', 'CPU', 'NPU')

# Number formats of a device.
_NUMBERS = ('FP32', 'FP16', 'BF16', 'INT8')


def kinds(core: ov.Core) -> dict[str, str]:
    """Return the available devices with their kind: CPU, NPU, discrete or integrated GPU."""
    found = {}
    for name in core.available_devices:
        kind = name.split('.')[0]
        if kind == 'GPU':
            discrete = core.get_property(name, 'DEVICE_TYPE') == ov.properties.device.Type.DISCRETE
            kind = f'{"discrete" if discrete else "integrated"} GPU'
        found[name] = kind
    return found


def choose(wanted: str, available: Mapping[str, str]) -> str:
    """
    Return the device to use.

    :param wanted: AUTO, AUTO with a list, or the name of a device, with or without its number.
    :param available: what :func:`kinds` returned.
    :raises ModelError: if there is no such device.
    """
    mode, _, names = wanted.partition(':')
    known = {*available, *(each.split('.')[0] for each in available)}
    if wanted == 'AUTO':
        for kind in _PREFERENCES:
            for name in available:
                if available[name] == kind:
                    return name
    elif mode == 'AUTO':
        for name in names.split(','):
            if name in known:
                return name
    elif all(name in known for name in (names or mode).split(',')):
        return wanted
    raise ModelError(
        f'device {wanted} is not available; this machine has AUTO, {", ".join(available)}'
    )


def options(device: str, settings: InferenceSettings, parallel: bool) -> dict[str, Any]:
    """
    Return the properties to compile a model with.

    :param parallel: process several images in parallel, unless the settings differ.
    """
    throughput = settings.hint == 'throughput' or (settings.hint == 'auto' and parallel)
    properties: dict[str, Any] = {'PERFORMANCE_HINT': 'THROUGHPUT' if throughput else 'LATENCY'}
    kind = device.split('.')[0]
    if kind == 'CPU':
        # A pinned thread waits for other threads on its core, and two models are pinned to the
        # same cores.
        properties['ENABLE_CPU_PINNING'] = False
        if settings.threads:
            properties['INFERENCE_NUM_THREADS'] = settings.threads
    if kind == 'GPU' and throughput:
        # Automatic batching would wait for images that never come.
        properties['ALLOW_AUTO_BATCHING'] = False
    if kind in ('CPU', 'GPU'):
        if settings.streams:
            properties['NUM_STREAMS'] = settings.streams
        if settings.precision != 'auto':
            properties['INFERENCE_PRECISION_HINT'] = settings.precision
    return properties


def describe(core: ov.Core, device: str) -> str:
    """Return the full name of a device and its number formats."""
    capabilities = core.get_property(device, 'OPTIMIZATION_CAPABILITIES')
    numbers = ', '.join(each for each in capabilities if each in _NUMBERS)
    return f'{core.get_property(device, "FULL_DEVICE_NAME")} ({numbers})'


def processor(core: ov.Core, device: str) -> str:
    """Return a text that identifies the processor of a device, as far as possible."""
    name = describe(core, device) if device in core.available_devices else device
    if device == 'CPU':
        # Processors with other instructions may have the same name, especially in clouds.
        with suppress(OSError):
            for line in Path('/proc/cpuinfo').read_text().splitlines():
                if line.startswith(('flags', 'Features')):
                    return f'{name} {" ".join(sorted(line.split()))}'
    return name
