"""The cases in test/golden, replayed through the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from persontrack_ros.testing import find_cases

CASES = find_cases(Path(__file__).resolve().parents[1] / 'golden')


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.directory.name)
def test_golden(case, replay, models):
    replay(case).assert_golden(case)
