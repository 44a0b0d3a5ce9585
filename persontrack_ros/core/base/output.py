"""Output files that are complete or absent, and never overwrite an input."""

from __future__ import annotations

import io
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Optional

import cv2

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.images import BgrImage


class OutputFile(io.RawIOBase):
    """
    An output file that has a temporary name in its folder until it is complete.

    A context manager: leaving it completes the file. After an error there is no new file, and an
    existing file stays unchanged. Devices and pipes are written to directly.
    """

    def __init__(self, path: Path) -> None:
        """
        Create the file.

        :raises OutputError: if it cannot be written.
        """
        super().__init__()
        self.path = path
        self._error: Optional[OSError] = None
        # Through a link, to what it points at.
        self._target = path.resolve()
        self._temporary: Optional[Path] = None
        mode = None
        try:
            with suppress(FileNotFoundError):
                mode = self._target.stat().st_mode
            if mode is not None and not stat.S_ISREG(mode):
                self._file = self._target.open('wb', buffering=0)
                return
            if mode is not None and not os.access(self._target, os.W_OK):
                raise PermissionError(0, 'it is write-protected')
            temporary = temporary_name(self._target)
            self._file = temporary.open('xb', buffering=0)
            self._temporary = temporary
            if mode is not None:
                temporary.chmod(stat.S_IMODE(mode))
        except OSError as error:
            if self._temporary:
                self.discard()
            raise self._problem(error) from error

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """
        Append bytes.

        :raises OutputError: if they cannot be written.
        """
        view = memoryview(data).cast('B')
        written = 0
        try:
            while written < len(view):
                written += self._file.write(view[written:])
        except OSError as error:
            # Libraries that write here may hide the error.
            self._error = error
            raise self._problem(error) from error
        return written

    def readable(self) -> bool:
        """Not readable."""
        return False

    def writable(self) -> bool:
        """Writable."""
        return True

    def seekable(self) -> bool:
        """Whether the position can be changed; not in pipes."""
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Change the position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def commit(self) -> None:
        """
        Complete the file and give it its name.

        :raises OutputError: if the file could not be written; there is no file then.
        """
        try:
            if self._error is None:
                if self._temporary:
                    # Some file systems report only now that they are full.
                    os.fsync(self._file.fileno())
                self._file.close()
                if self._temporary:
                    self._temporary.replace(self._target)
                    self._temporary = None
        except OSError as error:
            self._error = error
        self.discard()
        if self._error is not None:
            raise self._problem(self._error) from self._error

    def discard(self) -> None:
        """Remove the file; do nothing after :meth:`commit`."""
        with suppress(OSError):
            self._file.close()
        if self._temporary:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
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


def write_image(path: Path, image: BgrImage) -> None:
    """
    Write an image file.

    :param path: the suffix decides the format.
    :raises OutputError: if it cannot be written, or OpenCV does not know the suffix.
    """
    try:
        content = cv2.imencode(path.suffix, image)[1].tobytes()
    except cv2.error as error:
        raise OutputError(f'cannot write {path}: the name has to end in .png or .jpg') from error
    write_file(path, content)


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """
    Check that no output is an input or another output, also through links and hard links.

    :raises OutputError: if one is.
    """
    read = {_identity(path) for path in inputs}
    written: dict[object, Path] = {}
    for output in outputs:
        identity = _identity(output)
        if identity is None:
            continue
        if identity in read:
            raise OutputError(f'{output} is the input; write to another file')
        if identity in written:
            raise OutputError(
                f'{output} and {written[identity]} are the same file; give one another name'
            )
        written[identity] = output


def _identity(path: Path) -> object:
    """Return the identity of a file, for all its names; None for devices, pipes and no path."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        with suppress(OSError, RuntimeError, ValueError):
            return path.resolve()
        return None
    if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
        return None
    return state.st_dev, state.st_ino
