"""Results of a source that fails later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, Optional, TypeVar

from persontrack_ros.core.base.errors import SourceError

Item = TypeVar('Item')


class Partial(Generic[Item]):
    """
    Iterates over items until the source fails, so that results so far can be completed.

    Without any item, the error is raised at once.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        """Start without an error."""
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
        Raise the error of the source, after the results are completed.

        :raises SourceError: if the source failed.
        """
        if self._error is not None:
            raise self._error
