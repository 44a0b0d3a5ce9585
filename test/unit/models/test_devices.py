"""The choice of a device, on machines of all kinds, and what models are compiled with."""

import pytest

from persontrack_ros.cli.commands import main
from persontrack_ros.core.base.errors import ModelError
from persontrack_ros.core.config.settings import InferenceSettings
from persontrack_ros.core.inference.devices import choose, options

ROBOT = {'CPU': 'CPU'}
LAPTOP = {'CPU': 'CPU', 'GPU': 'integrated GPU', 'NPU': 'NPU'}
WORKSTATION = {'CPU': 'CPU', 'GPU.0': 'integrated GPU', 'GPU.1': 'discrete GPU'}


@pytest.mark.parametrize(
    ('wanted', 'machine', 'device'),
    [
        ('AUTO', ROBOT, 'CPU'),
        ('AUTO', LAPTOP, 'GPU'),
        ('AUTO', WORKSTATION, 'GPU.1'),
        ('CPU', WORKSTATION, 'CPU'),
        ('GPU', WORKSTATION, 'GPU'),
        ('GPU.0', WORKSTATION, 'GPU.0'),
        # OpenVINO itself fails here.
        ('AUTO:GPU,CPU', ROBOT, 'CPU'),
        ('AUTO:NPU,CPU', LAPTOP, 'NPU'),
        ('HETERO:GPU,CPU', LAPTOP, 'HETERO:GPU,CPU'),
    ],
)
def test_choice(wanted, machine, device):
    assert choose(wanted, machine) == device


@pytest.mark.parametrize('wanted', ['NPU', 'GPU.2', 'AUTO:NPU', 'HETERO:NPU,CPU', 'cpu', ''])
def test_devices_that_are_not_there(wanted):
    with pytest.raises(ModelError, match=r'is not available; this machine has AUTO, CPU, GPU\.0'):
        choose(wanted, WORKSTATION)


def test_every_class_of_devices_gets_what_it_knows():
    settings = InferenceSettings(threads=3, streams=2, precision='f32')
    assert options('CPU', settings, parallel=False) == {
        'PERFORMANCE_HINT': 'LATENCY',
        'ENABLE_CPU_PINNING': False,
        'INFERENCE_NUM_THREADS': 3,
        'NUM_STREAMS': 2,
        'INFERENCE_PRECISION_HINT': 'f32',
    }
    assert options('GPU.1', settings, parallel=False) == {
        'PERFORMANCE_HINT': 'LATENCY',
        'NUM_STREAMS': 2,
        'INFERENCE_PRECISION_HINT': 'f32',
    }
    assert options('GPU', InferenceSettings(), parallel=True) == {
        'PERFORMANCE_HINT': 'THROUGHPUT',
        'ALLOW_AUTO_BATCHING': False,
    }
    assert options('NPU', settings, parallel=False) == {'PERFORMANCE_HINT': 'LATENCY'}
    for hint in ('latency', 'throughput'):
        asked = options('CPU', InferenceSettings(hint=hint), parallel=hint == 'latency')
        assert asked['PERFORMANCE_HINT'] == hint.upper()


def test_command(capsys):
    assert main(['devices', '--device', 'AUTO:NPU,CPU']) == 0
    text = capsys.readouterr().out
    assert 'CPU      CPU: ' in text
    assert 'detector runs on CPU' in text
    assert main(['devices', '--device', 'NOPE']) == 2
