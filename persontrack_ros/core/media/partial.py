"""What could be read of a source that fails later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, Optional, TypeVar

from persontrack_ros.core.base.errors import SourceError

Item = TypeVar('Item')


class Partial(Generic[Item]):
    """
    Iterates over items until the source fails, so that what was made of them can be completed.

    Where there is no item at all, the failure is raised at once.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        """Nothing failed yet."""
        self._items = items
        self._error: Optional[SourceError] = None

    def __iter__(self) -> Iterator[Item]:
        """Return the items."""
        some = False
        try:
            for item in self._items:
                some = True
                yield item
        except SourceError as error:
            if not some:
                raise
            self._error = error

    def check(self) -> None:
        """
        Pass on what the source failed of, after the results are completed.

        :raises SourceError: if it failed.
        """
        if self._error is not None:
            raise self._error
