"""The Dockerfile does what the README tells a robot's engineer to do."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def parts(block):
    """Return the commands of lines, each up to the next ``&&``."""
    return [part.strip() for line in block.splitlines() for part in line.split(' && ') if part]


def test_the_dockerfile_follows_the_readme():
    readme = (CHECKOUT / 'README.md').read_text()
    (block,) = re.findall(r'## On a robot\n\n```bash\n(.*?)```', readme, re.DOTALL)
    text = (CHECKOUT / 'Dockerfile').read_text().replace('\\\n', '')
    # What docker has its own words for: where one is, what is copied there, and what runs at last.
    steps = text.replace('WORKDIR /ros2_ws', 'cd ~/ros2_ws/src')
    steps = steps.replace('COPY . src/persontrack_ros', 'git clone <this repository> && cd ..')
    last = ' '.join(re.findall(r'"([^"]+)"', text.splitlines()[-1]))
    place = 0
    for command in parts(block):
        if command == last:
            continue
        assert command in steps[place:], command
        place = steps.index(command, place) + len(command)
    assert parts(block)[-1] == last
