#!/usr/bin/env python3
"""
Measure cameras on one computer and subscribers on another, in two network namespaces.

    sudo -E scripts/env tools/computers.py vtest.avi
    sudo -E scripts/env tools/computers.py vtest.avi --cameras 4 --mbit 100

Each camera publishes 10 images of 640x480 per second on computer 1. What goes over the network:

    raw         images; the tracker is on computer 2
    compressed  images as JPEG; the tracker is on computer 2
    detections  what a detector on computer 1 finds; the tracker is on computer 2
    tracks      tracks; the tracker is on computer 1

The table has the traffic to computer 2 and back, the tracks that arrive there, the time from the
stamp of an image to the arrival of its tracks, and the cores that the nodes of each computer use.
The two share the clock and the processors of this machine. It needs root, and `ip` and `tc` of the
package iproute2; namespaces and processes are gone when it ends.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from cameras import RATE, SIZE

from persontrack_ros.benchmark.measure import cpu_time, machine, percentiles
from persontrack_ros.cli.options import count, positive
from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.core.base.terminal import SIGNALS
from persontrack_ros.ros.tools.node_process import NodeProcess

WAYS = ('raw', 'compressed', 'detections', 'tracks')
DISCOVERIES = ('multicast', 'peers', 'server')
NETWORK = '10.77.77'
SERVER = f'{NETWORK}.2:11811'
LINK = 'net0'
INTERRUPTED = 130


class Computer:
    """A network namespace, with shared memory of its own, reached over its link."""

    def __init__(self, number: int, memory: str) -> None:
        """Name it; :func:`make_computers` makes it."""
        self.namespace = f'persontrack-{os.getpid()}-{number}'
        self.address = f'{NETWORK}.{number}'
        # Two computers do not share it, and who finds it there believes the other one to be here.
        mount = 'mount --bind "$0" /dev/shm && exec "$@"'
        self.within = ['ip', 'netns', 'exec', self.namespace, 'sh', '-c', mount, memory]

    @property
    def sent(self) -> int:
        """Bytes that went over its link."""
        (link,) = json.loads(run('ip', '-n', self.namespace, '-j', '-s', 'link', 'show', LINK))
        return int(link['stats64']['tx']['bytes'])


def run(*command: str) -> str:
    """Run a command and return its output; raise a PersontrackError if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True)
    if done.returncode:
        raise PersontrackError(f'{" ".join(command)}: {done.stderr.strip()}')
    return done.stdout


def make_computers(stack: ExitStack, mbit: int, multicast: bool) -> tuple[Computer, Computer]:
    """Make two computers with a link of that rate (0: no limit), until the stack is closed."""
    made = []
    for number in (1, 2):
        memory = stack.enter_context(TemporaryDirectory(dir='/dev/shm'))
        computer = Computer(number, memory)
        # Before it is made: a signal may come between.
        delete = ['ip', 'netns', 'del', computer.namespace]
        stack.callback(subprocess.run, delete, stderr=subprocess.DEVNULL, start_new_session=True)
        run('ip', 'netns', 'add', computer.namespace)
        made.append(computer)
    first, second = made
    near = ('name', LINK, 'netns', first.namespace)
    far = ('name', LINK, 'netns', second.namespace)
    run('ip', 'link', 'add', *near, 'type', 'veth', 'peer', *far)
    for computer in made:
        at = ('ip', '-n', computer.namespace)
        run(*at, 'addr', 'add', f'{computer.address}/24', 'dev', LINK)
        run(*at, 'link', 'set', LINK, 'multicast', 'on' if multicast else 'off')
        for device in ('lo', LINK):
            run(*at, 'link', 'set', device, 'up')
        # Also to the groups of multicast.
        run(*at, 'route', 'add', 'default', 'dev', LINK)
        if mbit:
            limit = ('rate', f'{mbit}mbit', 'burst', '64kb', 'latency', '100ms')
            run('tc', *at[1:], 'qdisc', 'add', 'dev', LINK, 'root', 'tbf', *limit)
    return first, second


def environment(discovery: str) -> dict[str, str]:
    """Return the variables that let nodes of the two computers find each other."""
    variables = {
        'multicast': {},
        'peers': {'ROS_STATIC_PEERS': f'{NETWORK}.1;{NETWORK}.2'},
        'server': {'ROS_DISCOVERY_SERVER': SERVER},
    }
    kept = {name: value for name, value in os.environ.items() if name != 'ROS_LOCALHOST_ONLY'}
    return {**kept, 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET', **variables[discovery]}


def nodes_of(
    way: str, names: list[str], video: str, first: Computer, second: Computer
) -> Iterator[tuple[Computer, str, Mapping[str, object], list[str]]]:
    """Return each node: its computer, executable, parameters and remappings."""
    width, height = SIZE
    camera = {'source': video, 'loop': True, 'rate': RATE, 'width': width}
    camera['height'] = height
    for name in names:
        yield first, 'video_publisher', camera, [f'__ns:=/{name}']
    if way == 'detections':
        for name in names:
            # Not the name of the tracker, which has another one's services.
            remappings = [f'__ns:=/{name}', '__node:=person_detector']
            yield first, 'tracker_node', {'tracker.algorithm': 'none'}, remappings
    values = {
        'compressed': {'image_transport': 'compressed'},
        'detections': {'input': 'detections'},
    }
    tracker = {**values.get(way, {}), 'cameras': ' '.join(names)}
    yield first if way == 'tracks' else second, 'cameras_node', tracker, []


def measure(way: str, options: argparse.Namespace) -> str:
    """Return the row of a table."""
    names = [f'camera{number}' for number in range(1, options.cameras + 1)]
    with ExitStack() as stack:
        both = make_computers(stack, options.mbit, options.discovery == 'multicast')
        first, second = both
        variables = environment(options.discovery)
        if options.discovery == 'server':
            address, port = SERVER.split(':')
            command = ['fast-discovery-server', '-i', '0', '-l', address, '-p', port]
            server = subprocess.Popen(
                [*second.within, *command], env=variables, stdout=subprocess.DEVNULL
            )
            stack.callback(server.wait)
            stack.callback(server.terminate)
        nodes: dict[Computer, list[NodeProcess]] = {first: [], second: []}
        for computer, executable, values, remappings in nodes_of(
            way, names, options.video, first, second
        ):
            node = NodeProcess(
                executable,
                values,
                remappings,
                ('--log-level', 'warn'),
                computer.within,
                env=variables,
                stdout=sys.stderr,
            )
            nodes[computer].append(stack.enter_context(node))
        module = [sys.executable, str(Path(__file__).with_name('arrivals.py'))]
        listener = subprocess.Popen(
            [*second.within, *module, str(options.seconds), *names],
            env=variables,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(listener.wait)
        stack.callback(listener.terminate)

        def usage() -> list[float]:
            cpu = [sum(cpu_time(node.process.pid) for node in nodes[each]) for each in both]
            return [time.monotonic(), *(each.sent for each in both), *cpu]

        ready = listener.stdout.readline()
        if not ready or any(node.ended for node in chain(*nodes.values())):
            raise PersontrackError('a node ended, see above')
        before = usage()
        latencies = list(chain(*json.loads(listener.stdout.readline()).values()))
        wall, there, back, cpu, other_cpu = (b - a for a, b in zip(before, usage()))
    traffic = ''.join(f'{8e-6 * sent / wall:9.2f}' for sent in (there, back))
    # None at all may arrive over a bad link.
    told = percentiles(latencies) if latencies else {}
    times = ''.join(f'{told.get(name, math.inf):8.0f}' for name in ('p50_ms', 'p99_ms'))
    cores = ''.join(f'{each / wall:8.2f}' for each in (cpu, other_cpu))
    return f'{way:12}{traffic}{len(latencies) / options.seconds:10.1f}{times}{cores}'


def main() -> int:
    """Measure each way, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('video')
    parser.add_argument('--ways', nargs='+', choices=WAYS, default=WAYS, metavar='WAY')
    parser.add_argument('--cameras', type=positive, default=1, metavar='N')
    parser.add_argument('--seconds', type=positive, default=20, metavar='S')
    # Without multicast, the link has none.
    parser.add_argument('--discovery', choices=DISCOVERIES, default='multicast')
    # Of the link; 0 is as fast as it goes.
    parser.add_argument('--mbit', type=count, default=0)
    options = parser.parse_args()
    options.video = os.path.abspath(options.video)
    # What was made is taken away.
    for number in SIGNALS:
        signal.signal(number, lambda *_: sys.exit(INTERRUPTED))
    try:
        if os.geteuid():
            raise PersontrackError('network namespaces need root: sudo -E scripts/env ...')
        print(
            f'{machine()["processor"]}, {os.cpu_count()} cores; {os.environ["ROS_DISTRO"]}, '
            f'{os.environ["RMW_IMPLEMENTATION"]}, {options.discovery}; {options.cameras} cameras; '
            f'link: {f"{options.mbit} Mbit/s" if options.mbit else "as fast as it goes"}\n'
            f'{"":12}{"Mbit/s":>9}{"back":>9}{"tracks/s":>10}{"p50":>8}{"p99":>8}{"cores":>8}'
            f'{"on 2":>8}'
        )
        for way in options.ways:
            print(measure(way, options), flush=True)
    except PersontrackError as error:
        print(f'computers: error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
