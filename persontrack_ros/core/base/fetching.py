"""
Downloaded files: written beside their path, verified, and then moved to it.

HTTP uses the standard library, which saves a robot one more package for a command that runs once;
no sessions or authentication are needed.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import http.client
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from persontrack_ros.core.base.errors import DownloadError, OutputError
from persontrack_ros.core.base.reading import open_regular

# Seconds without a byte after which a server is given up.
TIMEOUT = 20.0
# Seconds that pip or apt-get may take.
TOOL_TIMEOUT = 180.0
CHUNK = 1 << 16

# Called with the number of bytes that have arrived since the last call.
Progress = Callable[[int], object]


@dataclass(frozen=True)
class Facts:
    """
    Size and hash that a file must have.

    :ivar size: in bytes.
    :ivar sha384: as hexadecimal digits.
    """

    size: int
    sha384: str

    def match(self, path: Path) -> bool:
        """Return whether a file has this size and hash; the size is compared first, for free."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        digest = hashlib.sha384()
        with path.open('rb') as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
        return digest.hexdigest() == self.sha384


class NotThereError(DownloadError):
    """The source can be reached but does not have the file."""


def cache_directory() -> Path:
    """Return the user's cache of this package (XDG base directories)."""
    root = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(root) / 'persontrack_ros'


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """
    Create a directory and lock it against other processes that call this function.

    :raises OutputError: if it cannot be created or written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # The lock ends with the process, even if that is killed.
        handle = os.open(directory, os.O_RDONLY)
    except OSError as error:
        raise _cannot_write(directory, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def fetch(source: str, target: Path, limit: int, progress: Progress) -> None:
    """
    Copy a file from a URL or a path; an existing file is overwritten.

    :param target: a temporary name; call this within :func:`locked`.
    :param limit: largest plausible size in bytes.
    :raises NotThereError: if the source does not have the file.
    :raises DownloadError: if the source cannot be reached, breaks off or exceeds the limit.
    :raises OutputError: if the target cannot be written.
    """
    with _reading(source):
        stream = _open(source)
    with stream:
        save(stream, source, target, limit, progress)


def save(stream: IO[bytes], source: str, target: Path, limit: int, progress: Progress) -> None:
    """Copy an open stream as :func:`fetch` does; on any failure, the target is deleted."""
    size = 0
    try:
        try:
            # Unlink any kind of file first: writing to a pipe waits for ever.
            target.unlink(missing_ok=True)
            with target.open('wb') as output:
                while chunk := _read(stream, source):
                    size += len(chunk)
                    if size > limit:
                        raise DownloadError(
                            f'{source} is larger than the {limit} bytes expected: not the file '
                            'that was published'
                        )
                    output.write(chunk)
                    progress(len(chunk))
        except OSError as error:
            raise _cannot_write(target.parent, error) from error
        announced = getattr(stream, 'length', None)
        # http.client counts down what is left of the announced length.
        if announced:
            raise DownloadError(
                f'the connection was cut after {size} of {size + announced} bytes of {source}; '
                'run the command again'
            )
    except BaseException:
        with suppress(OSError):
            target.unlink()
        raise


def run_tool(command: Sequence[str], folder: Path) -> None:
    """
    Run a program that downloads something into a folder.

    :raises DownloadError: if the program does not exist, fails or takes too long; with the end of
        its output.
    """
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=TOOL_TIMEOUT
        )
    except FileNotFoundError as error:
        raise DownloadError(f'{command[0]} is not installed') from error
    except subprocess.TimeoutExpired as error:
        raise DownloadError(f'{Path(command[0]).name} took over {TOOL_TIMEOUT:g} s') from error
    except subprocess.CalledProcessError as error:
        words = (error.stderr.strip() or 'no message').splitlines()[-1]
        raise DownloadError(f'{" ".join(command[:4])} ... failed: {words}') from error


def put(part: Path, target: Path) -> None:
    """
    Rename a complete file to its final name, atomically.

    :raises OutputError: if that fails.
    """
    try:
        os.replace(part, target)
    except OSError as error:
        raise _cannot_write(target.parent, error) from error


def write(file: Path, content: bytes) -> None:
    """
    Write a file that other processes may also read or write; it is complete at all times.

    :raises OutputError: if that fails.
    """
    with locked(file.parent):
        part = file.with_suffix('.part')
        try:
            # Unlink any kind of file first: writing to a pipe waits for ever.
            part.unlink(missing_ok=True)
            part.write_bytes(content)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise _cannot_write(file.parent, error) from error
        put(part, file)


def is_url(source: str) -> bool:
    """Return whether a text is a URL instead of a path."""
    return source.startswith(('http://', 'https://'))


def _open(source: str) -> IO[bytes]:
    if is_url(source):
        # S310 warns of other schemes than is_url has; redirections to files are not followed.
        headers = {'User-Agent': 'persontrack'}
        user, at, _ = urllib.parse.urlsplit(source).netloc.rpartition('@')
        if at:
            # The library would take the login for a part of the host.
            source = source.replace(user + at, '', 1)
            login = urllib.parse.unquote_to_bytes(user)
            headers['Authorization'] = f'Basic {base64.b64encode(login).decode()}'
        request = urllib.request.Request(source, headers=headers)  # noqa: S310
        return urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
    return open_regular(Path(source))


def _read(stream: IO[bytes], source: str) -> bytes:
    with _reading(source):
        return stream.read(CHUNK)


@contextmanager
def _reading(source: str) -> Iterator[None]:
    """Convert errors of the source to the errors of this package."""
    try:
        yield
    except urllib.error.HTTPError as error:
        kind = NotThereError if error.code in (404, 410) else DownloadError
        raise kind(f'cannot download {source}: HTTP {error.code} {error.reason}') from error
    except FileNotFoundError as error:
        raise NotThereError(f'no file {source}') from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        # URLError wraps the error with the reason.
        reason = getattr(error, 'reason', error)
        if isinstance(reason, TimeoutError):
            reason = f'no answer within {TIMEOUT:g} seconds'
        elif isinstance(reason, OSError):
            reason = reason.strerror or reason
        raise DownloadError(f'cannot download {source}: {reason}') from error


def _cannot_write(directory: Path, error: OSError) -> OutputError:
    return OutputError(
        f'cannot write to {directory}: {error.strerror}; make room or give it write permission, '
        'or set XDG_CACHE_HOME to another directory'
    )
