"""Warnings of the command line."""

from __future__ import annotations

import sys


def warn(text: str) -> None:
    """Print a warning; the command goes on."""
    print('persontrack: warning:', *text.split(), file=sys.stderr)
