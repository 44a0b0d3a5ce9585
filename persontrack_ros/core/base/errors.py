"""The errors this package raises for input it cannot work with."""

from __future__ import annotations

import re

_MAX_LENGTH = 2500

# What stands before the host of a URL; also with an unescaped slash, space or at sign in it.
_USER = re.compile(
    r'(?<=[a-z0-9+.-]{2}:)(//?)'
    r'(?:(?:[^/?#\n:]|:(?!\s))*@|[^/?#\n@:[]*:(?!\d*(?:[/?#:\s]|$))[^\n]{0,200}@)',
    re.IGNORECASE,
)

# Cameras also take it in a query or in a path.
_SECRET = re.compile(
    r'((?:pass(?:word|wd|phrase)?|pwd|pw|token|secret|key|auth|sig(?:nature)?)=)[^&;/\s\'"]+',
    re.IGNORECASE,
)


def without_passwords(text: str) -> str:
    """Return a text with stars for users and passwords in the URLs in it."""
    if ':/' not in text:
        return text
    return _SECRET.sub(r'\1***', _USER.sub(r'\1***@', text))


class PersontrackError(Exception):
    """
    Base of all errors that a user can mend; its text says what was wrong and what to do.

    What an error quotes may be as long as the file it is from: of long texts, the middle is cut.
    Passwords in URLs are left out.
    """

    def __init__(self, *arguments: object) -> None:
        """Take the text."""
        super().__init__(
            *(without_passwords(one) if isinstance(one, str) else one for one in arguments)
        )

    def __str__(self) -> str:
        """Return the text."""
        text = super().__str__()
        if len(text) > _MAX_LENGTH:
            text = f'{text[: _MAX_LENGTH // 2]} ... {text[-_MAX_LENGTH // 2 :]}'
        return text


class SettingsError(PersontrackError):
    """A parameter is unknown, or its value has the wrong type or lies outside its range."""


class ModelError(PersontrackError):
    """A model is missing, damaged, of another kind than needed, or its device is not there."""


class DownloadError(ModelError):
    """A file cannot be fetched: its source is out of reach, lacks it, or gave something else."""


class SourceError(PersontrackError):
    """A video, image folder, image or camera cannot be read, or not now."""


class OutputError(PersontrackError):
    """A result cannot be written or shown."""


class ImageError(PersontrackError):
    """
    An image cannot be used.

    It is empty, cut short, of an unknown kind or encoding, or contradicts itself; or its time is
    none, or not later than that of the one before.
    """


# Characters of an error that are told: enough for a sentence and a path, and little enough for a
# log and for the diagnostics, which repeat it every second.
LONGEST_TEXT = 500


def one_line(error: BaseException) -> str:
    """Return what an error says on one line of bounded length; its kind, if nobody foresaw it."""
    text = without_passwords(' '.join(str(error)[: 4 * LONGEST_TEXT].split()))
    if not isinstance(error, PersontrackError):
        text = f'{type(error).__name__}: {text}' if text else type(error).__name__
    return text if len(text) <= LONGEST_TEXT else f'{text[:LONGEST_TEXT]} ...'
