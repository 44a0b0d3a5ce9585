"""ROS domains that are nobody else's."""

from __future__ import annotations

import pytest
import rclpy

from persontrack_ros.ros import discovery
from persontrack_ros.ros.discovery import DomainError, own_domain


@pytest.fixture
def domain(monkeypatch):
    """Let there be just one domain, a free one; return it."""
    with own_domain() as domain:
        pass
    monkeypatch.setattr(discovery, '_DOMAINS', [domain])
    return domain


def test_a_domain_is_taken_during_the_block(domain):
    with own_domain() as taken:
        assert taken == domain
        with pytest.raises(DomainError, match='no ROS domain is free'), own_domain():
            pass
    with own_domain() as again:
        assert again == domain


def test_a_domain_with_a_node_in_it_is_not_free(domain):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node('somebody', context=context)
    with pytest.raises(DomainError), own_domain():
        pass
    node.destroy_node()
    rclpy.shutdown(context=context)
