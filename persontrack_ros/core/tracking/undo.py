"""Updates of a tracker that happen as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def undone_by_errors(*objects: Any) -> Iterator[None]:
    """
    Put the attributes of objects back if the block raises: what is half done is done away with.

    The block has to replace what the attributes refer to; it may not change it in place.
    """
    before = [vars(each).copy() for each in objects]
    try:
        yield
    except BaseException:
        for each, attributes in zip(objects, before):
            vars(each).clear()
            vars(each).update(attributes)
        raise
