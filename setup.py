"""Build of the ROS 2 package persontrack_ros."""

from glob import glob
from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

PACKAGE = 'persontrack_ros'
# The one place of the version, where ROS looks for it.
MANIFEST = ElementTree.parse(Path(__file__).with_name('package.xml'))  # noqa: S314

setup(
    name=PACKAGE,
    version=MANIFEST.findtext('version'),
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={
        PACKAGE: ['py.typed'],
        f'{PACKAGE}.bags': ['vision_msgs/type_hashes.json', 'vision_msgs/msg/*.msg'],
        f'{PACKAGE}.benchmark': ['*.yaml'],
        f'{PACKAGE}.core.inference': ['*.yaml'],
        f'{PACKAGE}.core.report': ['*.html'],
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        (f'share/{PACKAGE}/launch', glob('launch/*.launch.py')),
        (f'share/{PACKAGE}/config', glob('config/*')),
    ],
    # av, mcap, openvino, rosbags and threadpoolctl come from pip: rosdep has no key for them that
    # apt can serve, see the README.
    install_requires=[
        'av>=17',
        'mcap',
        'numpy',
        'openvino',
        'pillow',
        'pyyaml',
        'rosbags',
        'scipy',
        'setuptools',
        'threadpoolctl',
        'tqdm',
    ],
    extras_require={
        'evaluation': ['motrics', 'psutil'],
        'completion': ['argcomplete'],
        'int8': ['nncf'],
        # Where no ROS brings it.
        'opencv': ['opencv-python'],
        'test': ['motrics', 'pytest'],
    },
    python_requires='>=3.10',
    zip_safe=True,
    maintainer='persontrack_ros developers',
    maintainer_email='maintainers@persontrack-ros.example',
    description='Tracks persons in ROS 2 images, videos and cameras, with ids that stay',
    long_description=Path(__file__).with_name('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    project_urls={
        'Models': 'https://github.com/openvinotoolkit/open_model_zoo',
        'Deep SORT': 'https://arxiv.org/abs/1703.07402',
    },
    classifiers=[
        'Intended Audience :: Developers',
        'License :: OSI Approved :: Apache Software License',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
    entry_points={
        'console_scripts': [
            'persontrack = persontrack_ros.cli.__main__:main',
            'tracker_node = persontrack_ros.ros.__main__:tracker_node',
            'cameras_node = persontrack_ros.ros.__main__:cameras_node',
            'video_publisher = persontrack_ros.ros.__main__:video_publisher',
        ]
    },
)
