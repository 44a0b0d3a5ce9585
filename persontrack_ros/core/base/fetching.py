"""
Downloads into the user's cache, verified before they are stored.

HTTP uses the standard library, which saves a robot one more package for a command that runs once.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from persontrack_ros.core.base.errors import DownloadError, OutputError
from persontrack_ros.core.base.output import write_file
from persontrack_ros.core.base.reading import open_regular
from persontrack_ros.core.base.terminal import tqdm

# Seconds without a byte after which a server is given up.
TIMEOUT = 20.0
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Facts:
    """
    Size and hash that a file must have.

    :ivar size: in bytes.
    :ivar sha384: as hexadecimal digits.
    """

    size: int
    sha384: str

    def match(self, content: bytes) -> bool:
        """Return whether the content of a file has this size and hash."""
        return len(content) == self.size and hashlib.sha384(content).hexdigest() == self.sha384


class NotThereError(DownloadError):
    """The source can be reached but does not have the file."""


def cache_directory() -> Path:
    """Return the user's cache of this package (XDG base directories)."""
    root = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(root) / 'persontrack_ros'


def store(path: Path, content: bytes) -> None:
    """
    Write a file of the cache, and its folder; other processes find it complete or not at all.

    :raises OutputError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            open_regular(path).close()
        write_file(path, content)
    except (OSError, OutputError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputError(
            f'cannot write to {path.parent}: {reason}; make room or give it write permission, or '
            'set XDG_CACHE_HOME to another directory'
        ) from error


def fetch(source: str, limit: int) -> bytes:
    """
    Read a file from a URL or a path, with a progress bar on a terminal.

    :param limit: largest plausible size in bytes.
    :raises NotThereError: if the source does not have the file.
    :raises DownloadError: if the source cannot be reached, breaks off or exceeds the limit.
    """
    content = bytearray()
    name = source.rpartition('/')[2]
    try:
        with (
            _open(source) as stream,
            tqdm(total=limit, desc=name, unit='B', unit_scale=True, leave=False) as bar,
        ):
            while chunk := stream.read(_CHUNK):
                content += chunk
                bar.update(len(chunk))
                if len(content) > limit:
                    raise DownloadError(f'{source} is larger than the {limit} bytes expected')
            # http.client counts down what is left of the announced length.
            if left := getattr(stream, 'length', None):
                raise DownloadError(
                    f'the connection was cut after {len(content)} of {len(content) + left} bytes '
                    f'of {source}; run the command again'
                )
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
    return bytes(content)


def _open(source: str) -> IO[bytes]:
    if not source.startswith(('http://', 'https://')):
        return open_regular(Path(source).expanduser())
    headers = {'User-Agent': 'persontrack'}
    user, at, _ = urllib.parse.urlsplit(source).netloc.rpartition('@')
    if at:
        # The library would take the login for a part of the host.
        source = source.replace(user + at, '', 1)
        login = urllib.parse.unquote_to_bytes(user)
        headers['Authorization'] = f'Basic {base64.b64encode(login).decode()}'
    # S310 warns of other schemes than those above; redirections to files are not followed.
    request = urllib.request.Request(source, headers=headers)  # noqa: S310
    return urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
