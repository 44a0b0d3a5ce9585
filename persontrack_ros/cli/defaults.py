"""Installation of the default models by the first command that needs them."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout

from persontrack_ros.cli.models import install_and_print
from persontrack_ros.core.base.errors import DownloadError, ModelError
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference.catalogue import (
    DEFAULT_DETECTOR,
    DEFAULT_REID,
    EMBEDDED_DETECTOR,
    catalogue,
)
from persontrack_ros.core.inference.download import MIRROR_VARIABLE
from persontrack_ros.core.inference.embedder import COLOR
from persontrack_ros.core.inference.files import find_model


def with_default_models(settings: Settings) -> Settings:
    """
    Install the default models if they are needed and missing, or replacements for them.

    For interactive programs; the node never downloads. Models that the user chose are not
    installed.

    :returns: the settings, with other models if the Open Model Zoo cannot be reached.
    :raises DownloadError: if the replacement cannot be downloaded either.
    """
    missing = _missing(settings)
    if not missing:
        return settings
    reason = 'they are not installed'
    try:
        # Trying again each time would wait for the timeout of a firewall.
        if not _is_installed(EMBEDDED_DETECTOR, ''):
            mirror = os.environ.get(MIRROR_VARIABLE, '')
            for name, model in missing.items():
                # Standard output may be for tracks.
                with redirect_stdout(sys.stderr):
                    precision = getattr(settings, name).precision
                    install_and_print(catalogue()[model], precision, mirror)
            return settings
    except DownloadError as error:
        reason = str(error)
        missing = _missing(settings)
    instead = {'detector': EMBEDDED_DETECTOR, 'reid': COLOR}
    print(
        f'using {" and ".join(instead[name] for name in missing)} instead of '
        f'{" and ".join(missing.values())}: {reason}. Expect more missed persons and changed ids '
        '(vtest.avi: HOTA 61 instead of 67); "persontrack models download" gets the better ones',
        file=sys.stderr,
    )
    if 'detector' in missing:
        entry = catalogue()[EMBEDDED_DETECTOR]
        with redirect_stdout(sys.stderr):
            install_and_print(entry, next(iter(entry.releases)), '')
    return Settings.from_values(
        {f'{name}.model': instead[name] for name in missing}, base=settings
    )


def _missing(settings: Settings) -> dict[str, str]:
    """Return the default models that are needed and not installed, by group of parameters."""
    return {
        name: model
        for name, model in (('detector', DEFAULT_DETECTOR), ('reid', DEFAULT_REID))
        if getattr(settings, name).model == model
        and not _is_installed(model, getattr(settings, name).precision)
    }


def _is_installed(model: str, precision: str) -> bool:
    try:
        return find_model(model, precision).is_file()
    except ModelError:
        return False
