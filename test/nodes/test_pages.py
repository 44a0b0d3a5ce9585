"""The pages in docs/nodes say what the nodes have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[2] / 'docs' / 'nodes'
# Every node has these, or every lifecycle node.
COMMON = re.compile(r'/(rosout|parameter_events|\w+/transition_event)')
COMMON_SERVICES = re.compile(
    r'.*/(\w*parameters\w*|\w*parameter_types|get_type_description'
    r'|change_state|get_state|get_available_\w+|get_transition_graph)'
)


def rows(node, what):
    """Return the cells of the rows of a table."""
    text = (PAGES / f'{node}.md').read_text()
    (block,) = re.findall(rf'<!-- {what}:{node} -->\n(.*?)<!-- /{what} -->', text, re.S)
    lines = [line for line in block.splitlines()[2:] if line.startswith('|')]
    return [[cell.strip(' `') for cell in line.strip('|').split('|')] for line in lines]


def topics_in_page(node):
    return {
        (name if name.startswith('/') else f'/{name}', kind, direction)
        for name, kind, direction, _ in rows(node, 'topics')
    }


def topics_of(peer, name):
    """Return the topics of a node in the graph of ROS."""
    ends = [
        (topic, kind, direction)
        for direction, ask in (
            ('published', peer.node.get_publisher_names_and_types_by_node),
            ('subscribed', peer.node.get_subscriber_names_and_types_by_node),
        )
        for topic, kinds in ask(name, '/')
        for kind in kinds
    ]
    return {end for end in ends if not COMMON.fullmatch(end[0])}


CONFIGURATIONS = {
    'tracker_node': (
        {'reid__model': 'none', 'depth': True},
        {'reid__model': 'none', 'input': 'image+detections', 'image_transport': 'compressed'},
    ),
    'video_publisher': ({'wait_for_tracker': True},),
}


@pytest.mark.parametrize('node', sorted(CONFIGURATIONS))
def test_topics_and_services(models, data, start, peer, node):
    """Each topic of the page is there in one of the configurations, and no other is."""
    expected = topics_in_page(node)
    names = []
    for number, parameters in enumerate(CONFIGURATIONS[node]):
        values = dict(parameters)
        if node == 'video_publisher':
            values['source'] = str(data('videos/vtest.avi'))
        names.append(f'node_{number}')
        start(node, '-r', f'__node:={names[-1]}', **values)

    def found():
        running = peer.node.get_node_names()
        return {end for name in names if name in running for end in topics_of(peer, name)}

    peer.until(lambda: found() == expected, f'{expected}, but {found()}')
    for name in names:
        services = {
            (service, *kinds)
            for service, kinds in peer.node.get_service_names_and_types_by_node(name, '/')
            if not COMMON_SERVICES.fullmatch(service)
        }
        assert services == {
            (f'/{name}/{service[2:]}', kind) for service, kind, _ in rows(node, 'services')
        }
