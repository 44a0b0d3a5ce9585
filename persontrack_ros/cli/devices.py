"""``persontrack devices``: the devices of OpenVINO, and those that would be used."""

from __future__ import annotations

import argparse

from persontrack_ros.cli.options import add_settings_options, settings_from


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        'devices',
        help='show the devices that models can run on, and which ones would',
        description='Show the devices that OpenVINO finds, and which one each model would use '
        'with the given parameters.',
    )
    add_settings_options(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    # Imported here: importing OpenVINO takes time, and other commands do not need it.
    import openvino as ov

    from persontrack_ros.core.inference.devices import choose, describe, kinds

    settings = settings_from(options)
    core = ov.Core()
    available = kinds(core)
    for name, kind in available.items():
        print(f'{name:8} {kind}: {describe(core, name)}')
    for group in ('detector', 'reid'):
        print(f'{group:8} runs on {choose(getattr(settings, group).device, available)}')
    return 0
