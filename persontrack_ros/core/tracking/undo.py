"""Updates of a tracker that happen as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def undone_by_errors(*objects: Any) -> Iterator[None]:
    """
    Restore the attributes of objects if the block raises an error.

    The block must assign new values to the attributes, and not change the old ones in place.
    """
    before = [vars(each).copy() for each in objects]
    try:
        yield
    except BaseException:
        for each, attributes in zip(objects, before):
            vars(each).clear()
            vars(each).update(attributes)
        raise
