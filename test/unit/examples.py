"""How many examples a test of faults draws."""

from __future__ import annotations

import os

_FACTOR = 50 if os.environ.get('PERSONTRACK_FAULTS') == 'all' else 1


def examples(count: int) -> int:
    """Return this number, or many times as much for `scripts/faults --all`."""
    return _FACTOR * count
