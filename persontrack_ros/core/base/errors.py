"""The errors that this package raises for unusable input."""

from __future__ import annotations

import re
import sys

_MAX_LENGTH = 2500

# User and password before the host of a URL, also with an unescaped slash, space or at sign.
_USER = re.compile(
    r'(?<=[a-z0-9+.-]{2}:)(//?)'
    r'(?:(?:[^/?#\n:]|:(?!\s))*@|[^/?#\n@:[]*:\d*/[^\s\'"]*@|'
    r'[^/?#\n@:[]*:(?!\d*(?:[/?#:\s]|$))[^\n]{0,200}@)',
    re.IGNORECASE,
)

# Some cameras take the password in a query, under any name, or in a path.
_QUERY = re.compile(r'(:/[^\s\'"?#]*[?#])[^\s\'"]*[^\s\'":;,.)\]]')
_SECRET = re.compile(
    r'((?:pass\w*|pwd|pw|token|secret|key|auth|sig(?:nature)?)=)[^&;/\s\'"]+', re.IGNORECASE
)


def without_passwords(text: str) -> str:
    """Return a text with users, passwords and queries in URLs replaced by stars."""
    if ':/' not in text:
        return text
    return _SECRET.sub(r'\1***', _QUERY.sub(r'\1***', _USER.sub(r'\1***@', text)))


class PersontrackError(Exception):
    """
    Base of all errors that a user can fix; the text says what was wrong and what to do.

    Quotes from files can make it long: the middle of a long text is cut. Passwords in URLs are
    left out.
    """

    def __init__(self, text: str = '') -> None:
        """Take the text."""
        text = without_passwords(text)
        if len(text) > _MAX_LENGTH:
            text = f'{text[: _MAX_LENGTH // 2]} ... {text[-_MAX_LENGTH // 2 :]}'
        super().__init__(text)


class SettingsError(PersontrackError):
    """A parameter is unknown, or its value has the wrong type or lies outside its range."""


class ModelError(PersontrackError):
    """A model is missing, damaged or of the wrong kind, or its device is not available."""


class DownloadError(ModelError):
    """A file cannot be fetched: the source is unreachable, lacks it, or sent another file."""


class SourceError(PersontrackError):
    """A video, image folder, image or camera cannot be read, or not at the moment."""


class OutputError(PersontrackError):
    """A result cannot be written or shown."""


class ImageError(PersontrackError):
    """
    An image cannot be used.

    It is empty, truncated, inconsistent or of an unknown kind or encoding, or its time is invalid
    or not later than the time of the last image.
    """


# Longest text of an error: enough for a sentence and a path, and short enough for the diagnostics,
# which repeat it every second.
LONGEST_TEXT = 500


def one_line(error: BaseException) -> str:
    """Return the text of an error on one line of bounded length, with its type if unforeseen."""
    text = without_passwords(' '.join(str(error)[: 4 * LONGEST_TEXT].split()))
    if not isinstance(error, PersontrackError):
        text = f'{type(error).__name__}: {text}' if text else type(error).__name__
    return text if len(text) <= LONGEST_TEXT else f'{text[:LONGEST_TEXT]} ...'


def warn(text: str) -> None:
    """Print a warning; the command goes on."""
    print('persontrack: warning:', *text.split(), file=sys.stderr)
