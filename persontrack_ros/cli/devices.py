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
        'with the given parameters, how and why.',
    )
    add_settings_options(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Run the command."""
    # Imported here: importing OpenVINO takes time, and other commands do not need it.
    import openvino as ov

    from persontrack_ros.core.inference.devices import choose, describe, effective, kinds
    from persontrack_ros.core.inference.devices import options as properties

    settings = settings_from(options)
    core = ov.Core()
    available = kinds(core)
    for name, kind in available.items():
        print(f'{name:8} {kind}: {describe(core, name)}')
    for group in ('detector', 'reid'):
        choice = choose(getattr(settings, group).device, available)
        used = properties(choice.device, settings.inference, parallel=group == 'reid')
        print(f'{group:8} runs on {choice.device}: {choice.reason}')
        for name, value in effective(core, choice.device, used).items():
            print(f'         {name} {value}')
    return 0
