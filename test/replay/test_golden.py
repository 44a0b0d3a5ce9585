"""The cases in test/golden, replayed through the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from persontrack_ros.testing import find_cases

CASES = find_cases(Path(__file__).resolve().parents[1] / 'golden')


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.directory.name)
def test_golden(case, replay, models):
    replay(case).assert_golden(case)


def test_a_case_is_written_anew(campus, models, persontrack, tmp_path):
    """Its parameter file may be the one that is there already."""
    case = tmp_path / 'case'
    params = tmp_path / 'params.yaml'
    params.write_text('/**: {ros__parameters: {reid: {model: none}}}')
    for arguments in ((params,), (case / 'params.yaml', '--force')):
        done = persontrack(
            'bag', 'golden', case, campus, '--max-frames', 5, '--params', *arguments
        )
        assert done.returncode == 0, done.stderr
    assert (case / 'params.yaml').read_text() == params.read_text()
    assert (case / 'tracks.txt').read_text()
