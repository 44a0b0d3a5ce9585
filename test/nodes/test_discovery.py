"""ROS domains that are nobody else's."""

from __future__ import annotations

import pytest
import rclpy

from persontrack_ros.core.base.errors import PersontrackError
from persontrack_ros.ros import discovery
from persontrack_ros.ros.discovery import own_domain


def test_domains_are_taken_during_the_block_and_not_where_a_node_is(monkeypatch):
    with own_domain() as domain:
        pass
    monkeypatch.setattr(discovery, '_DOMAINS', [domain])
    with own_domain() as taken:
        assert taken == domain
        with pytest.raises(PersontrackError, match='no ROS domain is free'), own_domain():
            pass
    with own_domain() as again:
        assert again == domain
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node('another', context=context)
    with pytest.raises(PersontrackError), own_domain():
        pass
    node.destroy_node()
    rclpy.shutdown(context=context)
