"""Output files that are complete or absent."""

from __future__ import annotations

import io
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from persontrack_ros.core.base.errors import OutputError

# The path that is standard output.
STANDARD_OUTPUT = Path('-')


class OutputFile(io.FileIO):
    """
    An output file that has a temporary name in its folder until it is complete.

    A context manager: leaving it completes the file. After an error there is no new file, and an
    existing file stays unchanged. Devices, pipes and standard output are written to directly.
    """

    def __init__(self, path: Path) -> None:
        """
        Create the file.

        :raises OutputError: if it cannot be written.
        """
        self.path = path
        self._error: Optional[OSError] = None
        # Through a link, to what it points at.
        self._target = path.resolve()
        self._temporary: Optional[Path] = None
        if path == STANDARD_OUTPUT:
            super().__init__(os.dup(sys.stdout.fileno()), 'w')
            return
        try:
            regular = self._target.is_file() or not self._target.exists()
            if regular:
                self._temporary = temporary_name(self._target)
            if self._target.exists() and not os.access(self._target, os.W_OK):
                raise PermissionError(0, 'it is write-protected')
            super().__init__(self._temporary or self._target, 'x' if regular else 'w')
        except OSError as error:
            raise self._problem(error) from error

    def write(self, data: Any, /) -> int:
        """
        Append bytes.

        :raises OutputError: if they cannot be written.
        """
        view = memoryview(data).cast('B')
        written = 0
        try:
            while written < len(view):
                written += super().write(view[written:])
        except OSError as error:
            # Libraries that write here may hide the error.
            self._error = error
            raise self._problem(error) from error
        return written

    def commit(self) -> None:
        """
        Complete the file and give it its name.

        :raises OutputError: if the file could not be written; there is no file then.
        """
        try:
            if self._error is None:
                if self._temporary:
                    # Some file systems report only now that they are full.
                    os.fsync(self.fileno())
                self.close()
                if self._temporary:
                    self._temporary.replace(self._target)
        except OSError as error:
            self._error = error
        self.discard()
        if self._error is not None:
            raise self._problem(self._error) from self._error

    def discard(self) -> None:
        """Remove the file; do nothing after :meth:`commit`."""
        with suppress(OSError):
            self.close()
        if self._temporary:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        """Complete the file, or remove it after an error."""
        if kind is None:
            self.commit()
        else:
            self.discard()

    def _problem(self, error: OSError) -> OutputError:
        return OutputError(f'cannot write {self.path}: {error.strerror}')


def temporary_name(path: Path) -> Path:
    """Return a temporary name in the same folder."""
    return path.with_name(f'.{secrets.token_hex(4)}.part')


def write_file(path: Path, content: bytes) -> None:
    """
    Write a whole file.

    :raises OutputError: if it cannot be written.
    """
    with OutputFile(path) as file:
        file.write(content)
