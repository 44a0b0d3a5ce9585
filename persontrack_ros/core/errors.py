"""The errors this package raises for input it cannot work with."""


class PersontrackError(Exception):
    """Base of all errors that a user can mend; its text says what was wrong and what to do."""


class SettingsError(PersontrackError):
    """A parameter is unknown, or its value has the wrong type or lies outside its range."""


class ModelError(PersontrackError):
    """A model is missing, damaged, of another kind than needed, or its device is not there."""


class DownloadError(ModelError):
    """A file cannot be fetched: its source is out of reach, lacks it, or gave something else."""


class SourceError(PersontrackError):
    """A video, image folder, image or camera cannot be read."""


class OutputError(PersontrackError):
    """A result cannot be written or shown."""


class ImageError(PersontrackError):
    """An image message is empty, cut short or contradicts itself, or its encoding is unknown."""
