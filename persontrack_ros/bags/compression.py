"""Compressed parts of bags and whole compressed files, unpacked within bounds."""

from __future__ import annotations

import sys
from pathlib import Path

from lz4.frame import LZ4FrameDecompressor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'

# Recorders close a chunk after some megabytes, or after one message. A few kilobytes may claim, or
# unpack to, far more than there is memory.
MAX_PART = 1 << 28
# A file may grow to a gigabyte, or so many times its size.
_MAX_FILE = 1 << 30
_MAX_RATIO = 200
_PIECE = 1 << 16

_KINDS = {'zstd': zstd.ZstdDecompressor, 'lz4': LZ4FrameDecompressor}
_DAMAGES = (zstd.ZstdError, RuntimeError)  # the latter is lz4's


def unpack(packed: bytes, kind: str) -> tuple[bytes, bool]:
    """
    Unpack a chunk or message.

    :param kind: ``zstd``, ``lz4`` or empty.
    :returns: as much as is undamaged, and whether that is all; nothing of what would be larger
        than MAX_PART or is of another kind.
    """
    if not kind:
        return packed, True
    if kind not in _KINDS:
        return b'', False
    unpacker = _KINDS[kind]()
    unpacked = bytearray()
    try:
        for start in range(0, len(packed), _PIECE):
            piece = packed[start : start + _PIECE]
            unpacked += unpacker.decompress(piece, max_length=MAX_PART + 1 - len(unpacked))
            if len(unpacked) > MAX_PART:
                return b'', False
            if unpacker.eof:
                break
    except _DAMAGES:
        return bytes(unpacked), False
    return bytes(unpacked), unpacker.eof


def unpack_file(source: Path, target: Path) -> str:
    """
    Unpack a file of zstd as far as it is undamaged, within bounds.

    :returns: what was wrong with it; empty if nothing.
    :raises OSError: if it cannot be read, or the other one not written.
    """
    left = max(_MAX_FILE, _MAX_RATIO * source.stat().st_size)
    try:
        with zstd.open(source) as content, target.open('wb') as file:
            while piece := content.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    return f'it unpacks to more than {_MAX_RATIO} times its size'
                file.write(piece)
    except (EOFError, zstd.ZstdError) as error:
        return str(error)
    return ''
