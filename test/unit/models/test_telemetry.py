"""What OpenVINO would tell its makers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
import persontrack_ros.core.inference.runtime
assert 'openvino.tools.ovc' in sys.modules
sys.exit('openvino_telemetry.main' in sys.modules)
"""


@pytest.mark.slow
def test_nothing_is_sent_when_openvino_is_loaded(tmp_path: Path) -> None:
    """With its telemetry it would be, and note in ~/intel who sends."""
    variables = {name: value for name, value in os.environ.items() if name != 'CI'}
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM], env={**variables, 'HOME': str(tmp_path)}
    )
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []
