"""
Cached compiled models for the next start, each with its checksum.

OpenVINO's own cache (CACHE_DIR) is not used: it loads files with damaged weights without an error.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import openvino as ov

from persontrack_ros.core.base.errors import OutputError
from persontrack_ros.core.base.fetching import store
from persontrack_ros.core.inference.devices import processor

_logger = logging.getLogger(__name__)

# The errors of OpenVINO; with quotes from a damaged file, their text may be no Unicode.
FAILURES = (RuntimeError, MemoryError, UnicodeDecodeError)

_DIGEST_SIZE = 32


def compile_model(
    core: ov.Core,
    model: ov.Model,
    device: str,
    hints: Mapping[str, Any],
    directory: Optional[Path],
    identity: object,
) -> ov.CompiledModel:
    """
    Import a compiled model from the cache, or compile it and store it there.

    :param directory: directory of the cache; None for no cache.
    :param identity: identifies the model, in addition to its device and the hints.
    :raises RuntimeError: or others of :data:`FAILURES`, if OpenVINO cannot compile it.
    """
    # OpenVINO 2026.2.0 to 2026.4.1 imports INT8 models wrongly, see docs/models.md.
    if directory is None or any(one.get_type_name() == 'FakeQuantize' for one in model.get_ops()):
        return core.compile_model(model, device, hints)
    key = repr((identity, sorted(hints.items()), processor(core, device), ov.__version__))
    file = directory / f'{hashlib.sha384(key.encode()).hexdigest()[:32]}.blob'
    try:
        # Reading a pipe would block.
        content = file.read_bytes() if file.is_file() else b''
        digest, blob = content[:_DIGEST_SIZE], content[_DIGEST_SIZE:]
        if blob and hashlib.sha256(blob).digest() == digest:
            return core.import_model(blob, device, hints)
        if content:
            _logger.warning('%s is damaged: the model is compiled again', file)
    except (OSError, *FAILURES) as error:
        _logger.warning('%s is not used, the model is compiled again: %s', file, error)
    compiled = core.compile_model(model, device, hints)
    try:
        blob = compiled.export_model().getvalue()
        store(file, hashlib.sha256(blob).digest() + blob)
    except (OutputError, *FAILURES) as error:
        _logger.warning('the compiled %s is not kept: %s', model.get_friendly_name(), error)
    return compiled
