"""The errors this package raises for input it cannot work with."""

_MAX_LENGTH = 2500


class PersontrackError(Exception):
    """
    Base of all errors that a user can mend; its text says what was wrong and what to do.

    What an error quotes may be as long as the file it is from: of long texts, the middle is cut.
    """

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
    An image is empty, cut short, of an unknown kind or encoding, or contradicts itself; or its
    time is none, or not later than that of the one before.
    """


# Characters of an error that are told: enough for a sentence and a path, and little enough for a
# log and for the diagnostics, which repeat it every second.
LONGEST_TEXT = 500


def one_line(error: BaseException) -> str:
    """Return what an error says on one line of bounded length; its kind, if nobody foresaw it."""
    text = ' '.join(str(error)[: 4 * LONGEST_TEXT].split())
    if not isinstance(error, PersontrackError):
        text = f'{type(error).__name__}: {text}' if text else type(error).__name__
    return text if len(text) <= LONGEST_TEXT else f'{text[:LONGEST_TEXT]} ...'
