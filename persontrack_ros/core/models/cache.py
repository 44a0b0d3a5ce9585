"""
Compiled models that are kept for the next start, and what they gave when they were compiled.

OpenVINO's own cache (CACHE_DIR) is not used, because it takes what it imports for right. OpenVINO
2026.2.0 to 2026.4.1 do not import INT8 models as they were exported: on CPUs with AVX2 alone they
give nonsense without an error. See "A defect of OpenVINO" in docs/models.md.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from persontrack_ros.core.errors import OutputError
from persontrack_ros.core.files.fetching import write
from persontrack_ros.core.files.reading import open_regular
from persontrack_ros.core.models.devices import processor

_logger = logging.getLogger(__name__)

# What OpenVINO raises; where it quotes a damaged file, its own text may be no Unicode.
FAILURES = (RuntimeError, MemoryError, UnicodeDecodeError)

# The mean difference of outputs that are the same, as a part of their mean size. What is imported
# rightly gave the same bits; another number of threads made up to 0.01 of it, the defect 3.8.
_TOLERANCE = 0.02

_Outputs = list[NDArray[np.generic]]


@dataclass(frozen=True)
class _Kept:
    """
    What is in a file of the cache.

    :ivar blob: the model as OpenVINO exported it; empty where what it imports of it is wrong.
    :ivar outputs: what it gave when it was compiled.
    """

    blob: bytes
    outputs: _Outputs


def compile_model(
    core: ov.Core,
    model: ov.Model,
    device: str,
    hints: Mapping[str, Any],
    directory: Optional[Path],
    identity: object,
) -> ov.CompiledModel:
    """
    Import what was kept of a model if it gives what it gave when it was compiled; else compile it.

    :param directory: where compiled models are kept; None keeps nothing.
    :param identity: what tells this model from others, besides its device and the hints.
    :raises RuntimeError: or others of :data:`FAILURES`, if OpenVINO cannot compile it.
    """
    if directory is None:
        return core.compile_model(model, device, hints)
    name = model.get_friendly_name()
    key = repr((identity, sorted(hints.items()), processor(core, device), ov.__version__))
    file = directory / f'{hashlib.sha384(key.encode()).hexdigest()[:32]}.model'
    kept = _load(file)
    if kept and not kept.blob:
        return core.compile_model(model, device, hints)
    if kept:
        try:
            imported = core.import_model(kept.blob, device, hints)
            if _same(_outputs(imported), kept.outputs):
                return imported
            doubt = 'imported, it gives other results than when it was compiled'
        except FAILURES:
            doubt = 'OpenVINO cannot import it'
    compiled = core.compile_model(model, device, hints)
    outputs = _outputs(compiled)
    keep = True
    if kept:
        # Where these are others than those that were kept, the file was wrong, not the import.
        keep = not _same(outputs, kept.outputs)
        _logger.warning(
            '%s: %s was not used: %s. The model is compiled anew%s',
            name,
            file,
            doubt,
            '' if keep else ', now and at every start, which takes longer',
        )
    blob = b''
    if keep:
        try:
            blob = compiled.export_model().getvalue()
        except FAILURES:
            _logger.warning('%s: %s cannot export what it compiles', name, device)
    try:
        _save(file, _Kept(blob, outputs))
    except OutputError as error:
        _logger.warning('the compiled %s is not kept: %s', name, error)
    return compiled


def _load(file: Path) -> Optional[_Kept]:
    """Read a file of the cache; None where there is none, or it is damaged, which is logged."""
    try:
        with open_regular(file) as stream:
            content = stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        _logger.warning('cannot read the compiled model %s: %s', file, error.strerror)
        return None
    size = hashlib.sha256().digest_size
    if hashlib.sha256(content[size:]).digest() != content[:size]:
        _logger.warning('%s is damaged: the model is compiled anew', file)
        return None
    with np.load(io.BytesIO(content[size:])) as arrays:
        blob = arrays['blob'].tobytes()
        return _Kept(blob, [arrays[name] for name in arrays.files if name != 'blob'])


def _save(file: Path, kept: _Kept) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, *kept.outputs, blob=np.frombuffer(kept.blob, dtype=np.uint8))
    content = buffer.getvalue()
    write(file, hashlib.sha256(content).digest() + content)


def _outputs(compiled: ov.CompiledModel) -> _Outputs:
    """Return what a model gives for noise, the same at all times: it reaches every layer."""
    request = compiled.create_infer_request()
    # The numbers of this old generator are the same in all versions of NumPy.
    noise = np.random.RandomState(0).randint(0, 256, tuple(compiled.input().shape), dtype=np.uint8)
    request.set_input_tensor(ov.Tensor(noise))
    request.infer()
    return [request.get_output_tensor(index).data.copy() for index in range(len(compiled.outputs))]


def _same(found: _Outputs, expected: _Outputs) -> bool:
    """Compare outputs without their order, which a detector may change where scores are near."""
    if [each.shape for each in found] != [each.shape for each in expected]:
        return False
    pairs = [
        [np.sort(each, axis=None).astype(np.float64) for each in pair]
        for pair in zip(found, expected)
    ]
    return all(
        np.abs(one - other).sum() <= _TOLERANCE * np.abs(other).sum() for one, other in pairs
    )
