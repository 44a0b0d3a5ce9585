"""What stands for published models that cannot be had, and for what calls launch files."""

import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import yaml

from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference.catalogue import DEFAULT_DETECTOR, DEFAULT_REID, catalogue
from persontrack_ros.core.inference.embedder import COLOR
from persontrack_ros.core.inference.files import find_model

SMALL_DETECTOR = 'person-detection-0200'
SMALL_REID = 'person-reidentification-retail-0288'


def put_models(settings: Settings, folder: Path) -> None:
    """
    Put models under the names of those of the zoo, so that a node without parameters finds them.

    :param settings: name the models that there are; of colours, a network is made.
    """
    detector, reid = settings.detector, settings.reid
    found = find_model(detector.model, detector.precision)
    profile = yaml.safe_dump(dict(catalogue()[detector.model].profile))
    for name in (DEFAULT_DETECTOR, SMALL_DETECTOR):
        _put(found, folder, name).with_suffix('.yaml').write_text(profile)
    if reid.model == COLOR:
        found = folder / 'histograms.xml'
        ov.save_model(_histograms(), found)
    else:
        found = find_model(reid.model, reid.precision)
    for name in (DEFAULT_REID, SMALL_REID):
        _put(found, folder, name)


def _put(source: Path, folder: Path, name: str) -> Path:
    """Put a model under a name of the zoo."""
    path = folder / 'intel' / name / 'FP16' / f'{name}.xml'
    if source.name == path.name:
        shutil.copytree(source.parent, path.parent)
    else:
        path.parent.mkdir(parents=True)
        ov.save_model(ov.Core().read_model(source), path)
    return path


def _histograms() -> ov.Model:
    """
    Make a network that tells persons by colours, in the place of the class that does.

    It gives histograms of each channel in each of 8 stripes.
    """
    op = ov.opset13
    image = op.parameter([1, 3, 256, 128], np.float32, 'image')
    pixels = op.reduce_mean(op.reshape(image, [1, 3, 1, 64, 4, 32, 4], False), [4, 6])
    bins = np.linspace(0, 255, 8, dtype=np.float32).reshape(1, 1, 8, 1, 1)
    away = op.divide(op.abs(op.subtract(pixels, bins)), bins[:, :, 1:2])
    shares = op.relu(op.subtract(np.float32(1), away))
    shares = op.reduce_mean(op.reshape(shares, [1, 3 * 8 * 8, 8 * 32], False), [2])
    # Their mean is taken away, as persons would be too much alike, and they become 256 numbers.
    embeddings = op.subtract(op.sqrt(shares), np.float32(1 / 8**0.5))
    basis = np.random.default_rng(0).normal(size=(3 * 8 * 8, 256)).astype(np.float32)
    return ov.Model([op.matmul(embeddings, basis, False, False)], [image])


# What `ros2 launch` does where it has no terminal. Where it has one, the terminal interrupts all
# processes, and launch itself passes nothing on.
LAUNCH = """\
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
source = PythonLaunchDescriptionSource(sys.argv[1])
arguments = [tuple(each.split(':=', 1)) for each in sys.argv[2:]]
service = LaunchService(argv=sys.argv[2:], noninteractive=True)
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""

# A launch file of another package, with names of its own.
INCLUDING = """\
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace, SetParameter


def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument('robot', default_value='r2'),
        PushRosNamespace('fleet'),
        SetParameter('tracker.n_init', 3),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource('{file}'),
            launch_arguments={{'namespace': 'robot', 'imgae': 'lens', **{arguments}}}.items(),
        ),
    ])
"""
