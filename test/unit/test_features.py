"""docs/features.md names a test of each feature, and the tests are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
ROWS = [
    [cell.strip() for cell in line.strip('|').split('|')]
    for line in (CHECKOUT / 'docs' / 'features.md').read_text().splitlines()
    if line.startswith('|')
][2:]

# What the strongest packages have together.
EXPECTED = {
    'lifecycle',
    'described, ranged, run-time parameters',
    'QoS configurable',
    'newest frame only',
    'lazy debug image',
    'compressed input',
    'depth / 3D',
    'markers / rviz config',
    'diagnostics',
    'services (enable, reset)',
    'detections of another detector as input',
    'time going backwards',
    'video file input',
    'behaviour tests',
    'benchmarks',
}


def test_every_feature_is_there():
    assert {feature for feature, *_ in ROWS} >= EXPECTED


def test_every_feature_has_tests_that_exist():
    for feature, _, tests in ROWS:
        named = re.findall(r'`(test/\S+\.py)::(test_\w+)`', tests)
        assert named, f'{feature} has no test'
        for file, name in named:
            tree = ast.parse((CHECKOUT / file).read_text())
            functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert name in functions, f'{feature}: {file} has no {name}'
