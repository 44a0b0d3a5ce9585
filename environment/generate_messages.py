#!/usr/bin/env python3
"""
Generate and install a ROS 2 message package from its .msg files, without CMake.

Run it with the Python of the virtual environment that holds the ROS wheels:

    python generate_messages.py vision_msgs/

The folder is named like the package and holds `msg/*.msg` and `type_hashes.json`. The rosidl
generators are called as a library and their output compiled with gcc and g++: seconds instead of
the minutes that ament_cmake takes, and no CMake on the machine. Nothing is installed unless the
type hashes are those in `type_hashes.json`, by which nodes of different machines recognise each
other's messages.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy

PREFIX = Path(sys.prefix)
SITE_PACKAGES = Path(sysconfig.get_path('purelib'))

# rclpy asks for introspection as well as for the type support of the middleware.
TYPE_SUPPORTS = ['rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_introspection_c']

# One library for each generator, in the order in which they need each other. They cannot be one:
# the type supports are opened by the names of their libraries at run time.
LIBRARIES = ['rosidl_generator_c', *TYPE_SUPPORTS, 'rosidl_typesupport_c', 'rosidl_generator_py']
RUNTIME_LIBRARIES = [
    'rosidl_runtime_c',
    'rosidl_typesupport_c',
    'rosidl_typesupport_fastrtps_c',
    'rosidl_typesupport_fastrtps_cpp',
    'rosidl_typesupport_introspection_c',
    'fastcdr',
    'rmw',
    'rcutils',
]


def dependencies(message_dir: Path) -> set[str]:
    """Return the other packages that the messages use, directly or through each other."""
    own = message_dir.parent.name
    found: set[str] = set()
    pending = [message_dir]
    while pending:
        for definition in pending.pop().glob('*.msg'):
            for package in re.findall(r'^(\w+)/\w+', definition.read_text(), re.MULTILINE):
                if package != own and package not in found:
                    found.add(package)
                    pending.append(PREFIX / 'share' / package / 'msg')
    # Not named as a package in .msg files, where time and duration were once built in.
    return found | {'builtin_interfaces'}


def run(command: list[str], folder: Path) -> None:
    """Run a compiler in a folder."""
    if subprocess.run(command, cwd=folder).returncode:
        sys.exit(f'{command[0]} failed')


class MessagePackage:
    """One message package on its way from definitions to an importable Python package."""

    def __init__(self, source: Path, build: Path) -> None:
        """Take `source`, the folder named like the package, and an empty folder to work in."""
        self.name = source.name
        self.build = build
        self.share = build / 'share' / self.name
        self.definitions = sorted((source / 'msg').glob('*.msg'))
        self.hashes = json.loads((source / 'type_hashes.json').read_text())
        self.needs = sorted(dependencies(source / 'msg'))
        self.idl_files = [f'msg/{definition.stem}.idl' for definition in self.definitions]

    def describe(self) -> None:
        """Write the .idl files and the type descriptions, and check the type hashes."""
        from rosidl_adapter import convert_to_idl
        from rosidl_generator_type_description import generate_type_hash

        (self.share / 'msg').mkdir(parents=True)
        for definition in self.definitions:
            shutil.copyfile(definition, self.share / 'msg' / definition.name)
            convert_to_idl(self.share, self.name, Path('msg', definition.name), self.share)
        generate_type_hash(
            self._arguments(
                'rosidl_generator_type_description',
                output_dir=str(self.share),
                include_paths=[f'{need}:{PREFIX / "share" / need}' for need in self.needs],
            )
        )

        for definition in self.definitions:
            description = json.loads((self.share / 'msg' / f'{definition.stem}.json').read_text())
            type_hash = description['type_hashes'][0]['hash_string']
            if type_hash != self.hashes.get(definition.stem):
                sys.exit(
                    f'{self.name}/msg/{definition.stem} has the type hash {type_hash}, not '
                    f'{self.hashes.get(definition.stem)}: its definition was changed'
                )

    def generate(self) -> None:
        """Write the C and Python sources, each generator in its own folder."""
        import rosidl_typesupport_c
        import rosidl_typesupport_fastrtps_c
        import rosidl_typesupport_introspection_c
        from rosidl_generator_c import generate_c
        from rosidl_generator_py import generate_py

        generate_c(self._arguments('rosidl_generator_c'))
        rosidl_typesupport_c.generate_c(self._arguments('rosidl_typesupport_c'), TYPE_SUPPORTS)
        rosidl_typesupport_fastrtps_c.generate_typesupport_fastrtps_c(
            self._arguments('rosidl_typesupport_fastrtps_c')
        )
        rosidl_typesupport_introspection_c.generate_c(
            self._arguments('rosidl_typesupport_introspection_c')
        )
        self._sources('rosidl_generator_py').joinpath('msg').mkdir(parents=True)
        generate_py(self._arguments('rosidl_generator_py'), ['rosidl_typesupport_c'])

        # CMake would write these; all symbols are exported here, so the macros are empty.
        for component in ['rosidl_generator_c', *TYPE_SUPPORTS]:
            header = self._sources(component) / 'msg' / f'{component}__visibility_control.h'
            macro = f'{component.upper()}_%s_{self.name}'
            lines = (f'#define {macro % kind}' for kind in ('EXPORT', 'IMPORT', 'PUBLIC', 'LOCAL'))
            header.write_text('\n'.join(['#pragma once', *lines, '']))

    def compile(self) -> None:
        """Build the libraries, and the extension module that loads them all."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = dict(zip(LIBRARIES, pool.map(self._objects, LIBRARIES), strict=True))
        entry_point = next(file for file in objects['rosidl_generator_py'] if '.ep.' in file.name)
        objects['rosidl_generator_py'].remove(entry_point)

        (self.build / 'lib').mkdir()
        for library in LIBRARIES:
            self._link(self.build / 'lib' / f'lib{self.name}__{library}.so', objects[library])
        # Nothing in the module refers to the type supports, but it has to load them.
        self._link(
            self.build / f'{self.name}_s__rosidl_typesupport_c.so', [entry_point], needs_all=True
        )

    def install(self) -> None:
        """Put everything where ROS and Python look for it."""
        shutil.copytree(self.build / 'lib', PREFIX / 'lib', dirs_exist_ok=True)
        shutil.copytree(self.share, PREFIX / 'share' / self.name, dirs_exist_ok=True)
        python = SITE_PACKAGES / self.name
        shutil.copytree(
            self._sources('rosidl_generator_py') / 'msg',
            python / 'msg',
            ignore=shutil.ignore_patterns('*.c', '*.o'),
            dirs_exist_ok=True,
        )
        python.joinpath('__init__.py').touch()
        shutil.copy(self.build / f'{self.name}_s__rosidl_typesupport_c.so', python)

        # The entry by which ament_index finds the package.
        (PREFIX / 'share' / 'ament_index' / 'resource_index' / 'packages' / self.name).touch()

    def _objects(self, component: str) -> list[Path]:
        """Compile the sources of one component."""
        folder = self.build / component
        c_files = sorted(folder.rglob('*.c'))
        cpp_files = sorted(folder.rglob('*.cpp'))
        compiler = ['gcc', '-std=gnu11', *map(str, c_files)]
        if cpp_files:
            # As one unit: nearly all of the time goes into the headers that they share.
            unit = folder / 'all.cpp'
            unit.write_text(''.join(f'#include "{file}"\n' for file in cpp_files))
            compiler = ['g++', '-std=c++17', str(unit)]
        include = PREFIX / 'include'
        folders = [
            *(self.build / library for library in LIBRARIES),
            include,
            *(path for path in include.iterdir() if (path / path.name).is_dir()),
            sysconfig.get_path('include'),
            numpy.get_include(),
        ]
        options = ['-c', '-O1', '-fPIC', '-w', f'-DROS_PACKAGE_NAME="{self.name}"']
        run([*compiler, *options, *(f'-I{path}' for path in folders)], folder)
        return sorted(folder.glob('*.o'))

    def _link(self, target: Path, objects: list[Path], needs_all: bool = False) -> None:
        """Link one shared library against those built before it and those of the wheels."""
        built = [f'-l:{file.name}' for file in (self.build / 'lib').iterdir()]
        others = [f'-l{need}__{library}' for need in self.needs for library in LIBRARIES]
        command = ['g++', '-shared', '-o', str(target), f'-Wl,-soname,{target.name}']
        command += [*map(str, objects), f'-L{self.build / "lib"}', f'-L{PREFIX / "lib"}']
        command += ['-Wl,--no-as-needed' if needs_all else '-Wl,--as-needed', *built]
        command += ['-Wl,--as-needed', *others, *(f'-l{name}' for name in RUNTIME_LIBRARIES)]
        run(command, self.build)

    def _sources(self, component: str) -> Path:
        return self.build / component / self.name

    def _arguments(self, component: str, **more: Any) -> str:
        """Write the arguments of a generator into the JSON file that it wants, return its path."""
        arguments = {
            'package_name': self.name,
            'output_dir': str(self._sources(component)),
            'template_dir': str(PREFIX / 'share' / component / 'resource'),
            'idl_tuples': [f'{self.share}:{idl}' for idl in self.idl_files],
            'type_description_tuples': [
                f'{idl}:{(self.share / idl).with_suffix(".json")}' for idl in self.idl_files
            ],
            'ros_interface_dependencies': [
                f'{need}:{idl}'
                for need in self.needs
                for idl in sorted((PREFIX / 'share' / need / 'msg').glob('*.idl'))
            ],
            'target_dependencies': [],
            **more,
        }
        file = self.build / f'{component}.json'
        file.write_text(json.dumps(arguments))
        return str(file)


def main() -> None:
    """Make the package that the command line names."""
    if len(sys.argv) != 2:
        sys.exit('usage: generate_messages.py PACKAGE_FOLDER')
    with tempfile.TemporaryDirectory(dir=PREFIX) as build:
        package = MessagePackage(Path(sys.argv[1]).resolve(), Path(build))
        package.describe()
        package.generate()
        package.compile()
        package.install()


if __name__ == '__main__':
    main()
