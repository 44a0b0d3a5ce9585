"""The policy of SROS 2 allows what the node has, and nothing else."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'persontrack_policy.xml'
NODE = 'person_tracker'
# Services that Humble's nodes do not have.
NEWER = {('reply', f'/{NODE}/get_type_description')}

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


def allowed():
    """Return what the policy allows the node: the kind of access, and the full name."""
    (profile,) = ElementTree.parse(POLICY).iterfind('enclaves/enclave/profiles/profile')
    assert profile.attrib == {'ns': '/', 'node': NODE}
    found = [
        (access, element.text.replace('~', f'/{NODE}'))
        for elements in profile
        for access, qualifier in elements.attrib.items()
        for element in elements
        if qualifier == 'ALLOW'
    ]
    assert len(set(found)) == len(found)
    return {(access, name if name[0] == '/' else f'/{name}') for access, name in found}


def has(node):
    """Return what the tracker has in the graph of ROS; actions are topics and services there."""
    return {
        (access, name)
        for access, ask in (
            ('publish', node.get_publisher_names_and_types_by_node),
            ('subscribe', node.get_subscriber_names_and_types_by_node),
            ('reply', node.get_service_names_and_types_by_node),
            ('request', node.get_client_names_and_types_by_node),
        )
        for name, _ in ask(NODE, '/')
    }


def test_the_policy_is_what_the_node_has(models, start, peer):
    """In no configuration is there more, and all of it is there in one of them."""
    start('tracker_node', autostart=False, use_sim_time=True, reid__model='none')
    seen = set()

    def subscribed():
        """Return what the node subscribes now, and remember all that it has."""
        now = has(peer.node)
        seen.update(now)
        return {name for access, name in now if access == 'subscribe'} - {'/clock'}

    for parameters, inputs in CONFIGURATIONS:
        assert peer.set(**parameters).successful
        assert peer.change_state('configure')
        assert peer.change_state('activate')
        peer.until(lambda inputs=inputs: subscribed() == inputs, f'{inputs}, but {subscribed()}')
        assert peer.change_state('deactivate')
        assert peer.change_state('cleanup')
    assert seen | NEWER == allowed()
