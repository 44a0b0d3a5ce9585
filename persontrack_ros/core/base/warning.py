"""What the command line tells its user beside results."""

from __future__ import annotations

import sys


def warn(text: str) -> None:
    """Tell the user of something that does not keep the command from going on."""
    print('persontrack: warning:', *text.split(), file=sys.stderr)
