"""Progress bars, on terminals only."""

from __future__ import annotations

import sys
from typing import Any

import tqdm as library


class tqdm(library.tqdm):  # type: ignore[misc]  # noqa: N801 - as in the library
    """
    A progress bar.

    :cvar quiet: whether there are none, with ``--quiet``.
    """

    quiet = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Begin a bar, with the arguments of the library."""
        hidden = self.quiet or not sys.stderr.isatty()
        super().__init__(*arguments, mininterval=0.5, disable=hidden, **options)
