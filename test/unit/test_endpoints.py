"""Which quality of service does not fit which."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)

from persontrack_ros.ros.tracker.endpoints import QosWatch, mismatches

WEAK = {'reliability': ReliabilityPolicy.BEST_EFFORT}
STRONG = {'reliability': ReliabilityPolicy.RELIABLE}


@pytest.mark.parametrize(
    ('offered', 'requested', 'expected'),
    [
        (STRONG, WEAK, []),
        (WEAK, WEAK, []),
        (WEAK, STRONG, [('reliability', 'best_effort', 'reliable')]),
        (
            {'durability': DurabilityPolicy.VOLATILE},
            {'durability': DurabilityPolicy.TRANSIENT_LOCAL},
            [('durability', 'volatile', 'transient_local')],
        ),
        ({'durability': DurabilityPolicy.TRANSIENT_LOCAL}, {}, []),
        (
            {'liveliness': LivelinessPolicy.AUTOMATIC},
            {'liveliness': LivelinessPolicy.MANUAL_BY_TOPIC},
            [('liveliness', 'automatic', 'manual_by_topic')],
        ),
        ({}, {'deadline': Duration(seconds=2)}, [('deadline', 'inf s', '2 s')]),
        ({'deadline': Duration(seconds=1)}, {'deadline': Duration(seconds=2)}, []),
        (
            {'liveliness_lease_duration': Duration(seconds=3)},
            {'liveliness_lease_duration': Duration(seconds=2)},
            [('liveliness_lease_duration', '3 s', '2 s')],
        ),
        ({'deadline': Duration(nanoseconds=2**63 - 1)}, {}, []),
    ],
)
def test_mismatches_are_those_of_the_middleware(offered, requested, expected):
    profiles = [QoSProfile(depth=1, **policies) for policies in (offered, requested)]
    assert mismatches(*profiles) == expected
    compatibility, _ = qos_check_compatible(*profiles)
    assert (compatibility == QoSCompatibility.ERROR) == bool(expected)


def test_a_node_that_is_not_yet_known_is_looked_at_again():
    """Its endpoints can be known before its name is; one that stays unknown is told of as well."""
    told = []
    logger = SimpleNamespace(warning=told.append)
    watch = QosWatch(SimpleNamespace(get_logger=lambda: logger))

    def endpoint(gid, name='_NODE_NAME_UNKNOWN_', namespace='_NODE_NAMESPACE_UNKNOWN_'):
        return SimpleNamespace(
            qos_profile=QoSProfile(depth=1, **WEAK),
            endpoint_gid=[gid],
            node_name=name,
            node_namespace=namespace,
        )

    listener = SimpleNamespace(topic_name='/image', qos_profile=QoSProfile(depth=1, **STRONG))
    listener.publishers = [endpoint(1), endpoint(2)]
    watch.check([listener], [])
    assert told == []
    listener.publishers = [endpoint(1), endpoint(2, 'driver', '/front')]
    watch.check([listener], [])
    assert len(told) == 1
    assert '/front/driver' in told[0]
    for _ in range(20):
        watch.check([listener], [])
    assert len(told) == 2
    assert 'an unknown node' in told[1]
