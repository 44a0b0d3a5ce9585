"""The pages in docs/nodes, and the policy of SROS 2, say what the nodes have, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from test_video_publisher import publisher

CHECKOUT = Path(__file__).resolve().parents[2]
TRACKER = 'person_tracker'
# Every node has these, or every lifecycle node.
COMMON = re.compile(r'/(rosout|parameter_events|clock|bond|\w+/transition_event)')
COMMON_SERVICES = re.compile(
    r'.*/(\w*parameters\w*|\w*parameter_types|get_type_description'
    r'|change_state|get_state|get_available_\w+|get_transition_graph)'
)
# What nodes do not have on Humble, where there are no messages of bond, or where another node of
# the same name in the process has ended, with which rcl on Humble ends the publisher of the log.
NOT_ALWAYS = {
    ('reply', f'/{TRACKER}/get_type_description'),
    ('publish', '/bond'),
    ('publish', '/rosout'),
}

# Subscribed in every configuration.
OTHERS = {'/clock', '/target_point', '/target_pixel'}

# What decides which topics there are: the parameters, and what is subscribed with them.
CONFIGURATIONS = [
    ({'input': 'detections'}, {'/detections'}),
    *(
        (
            {'input': source, 'image_transport': transport, 'depth': depth},
            {images}
            | ({'/detections'} if source != 'image' else set())
            | ({'/depth_image', '/camera_info'} if depth else set()),
        )
        for source in ('image', 'image+detections')
        for transport, images in (('raw', '/image_raw'), ('compressed', '/image_raw/compressed'))
        for depth in (False, True)
    ),
]


def rows(node, what):
    """Return the cells of the rows of a table of a page."""
    text = (CHECKOUT / 'docs' / 'nodes' / f'{node}.md').read_text()
    (block,) = re.findall(rf'<!-- {what}:{node} -->\n(.*?)<!-- /{what} -->', text, re.S)
    lines = [line for line in block.splitlines()[2:] if line.startswith('|')]
    return [[cell.strip(' `') for cell in line.strip('|').split('|')] for line in lines]


def has(node, name):
    """Return what a node has in the graph of ROS: access, full name and type."""
    return {
        (access, full, kind)
        for access, ask in (
            ('publish', node.get_publisher_names_and_types_by_node),
            ('subscribe', node.get_subscriber_names_and_types_by_node),
            ('reply', node.get_service_names_and_types_by_node),
            ('request', node.get_client_names_and_types_by_node),
        )
        for full, kinds in ask(name, '/')
        for kind in kinds
    }


def check_page(page, name, found):
    directions = {'publish': 'published', 'subscribe': 'subscribed'}
    assert {
        (full, kind, directions[access])
        for access, full, kind in found
        if access in directions and not COMMON.fullmatch(full)
    } == {
        (full if full.startswith('/') else f'/{full}', kind, direction)
        for full, kind, direction, _ in rows(page, 'topics')
    }
    assert {
        (full, kind)
        for access, full, kind in found
        if access == 'reply' and not COMMON_SERVICES.fullmatch(full)
    } == {(f'/{name}/{service[2:]}', kind) for service, kind, _ in rows(page, 'services')}


def allowed():
    """Return what the policy allows the tracker: the kind of access, and the full name."""
    path = CHECKOUT / 'config' / 'persontrack_policy.xml'
    (profile,) = ElementTree.parse(path).iterfind('enclaves/enclave/profiles/profile')
    assert profile.attrib == {'ns': '/', 'node': TRACKER}
    found = [
        (access, element.text.replace('~', f'/{TRACKER}'))
        for elements in profile
        for access, qualifier in elements.attrib.items()
        for element in elements
        if qualifier == 'ALLOW'
    ]
    assert len(set(found)) == len(found)
    return {(access, name if name[0] == '/' else f'/{name}') for access, name in found}


def test_the_tracker(models, start, peer):
    """In no configuration is there more, and all of it is there in one of them."""
    start('tracker_node', autostart=False, use_sim_time=True, reid__model='none')
    seen = set()

    def found():
        """Return the inputs, and whether there are 3D positions; remember all that there is."""
        now = has(peer.node, TRACKER)
        seen.update(now)
        inputs = {name for access, name, _ in now if access == 'subscribe'} - OTHERS
        return inputs, ('publish', '/tracks_3d') in {each[:2] for each in now}

    for parameters, inputs in CONFIGURATIONS:
        assert peer.set(**parameters).successful
        assert peer.change_state('configure', 'activate')
        wanted = inputs, parameters.get('depth', False)
        peer.until(lambda wanted=wanted: found() == wanted, f'{wanted}, but {found()}')
        assert peer.change_state('deactivate', 'cleanup')
    assert {each[:2] for each in seen} | NOT_ALWAYS == allowed()
    check_page('tracker_node', TRACKER, seen)


def test_the_video_publisher(data, own_graph):
    source = str(data('videos/vtest.avi'))
    with publisher(source=source, wait_for_tracker=True) as node:
        check_page('video_publisher', 'video_publisher', has(node, 'video_publisher'))
