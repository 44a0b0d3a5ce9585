"""The message types in bags, as classes that need no ROS."""

from __future__ import annotations

import struct
from importlib.resources import files
from typing import Any

from rosbags.interfaces import Connection
from rosbags.serde import SerdeError
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)
from rosbags.typesys.store import Typestore

from persontrack_ros.core.base.errors import SourceError

COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
IMAGE = 'sensor_msgs/msg/Image'
TRACKS = 'vision_msgs/msg/Detection2DArray'

_IDL_SEPARATOR = '=' * 80 + '\nIDL: '


def _make_types() -> Typestore:
    types = get_typestore(Stores.ROS2_JAZZY)
    for file in (files(__package__) / 'vision_msgs' / 'msg').iterdir():
        name = f'vision_msgs/msg/{file.name.removesuffix(".msg")}'
        types.register(get_types_from_msg(file.read_text(), name))
    return types


# The types of ROS 2 Jazzy and vision_msgs. Those used here are the same in all distributions.
TYPES = _make_types()


def new(name: str, **fields: Any) -> Any:
    """Make a message; a name without ``/msg/`` is of ``std_msgs``."""
    return TYPES.types[name if '/' in name else f'std_msgs/msg/{name}'](**fields)


def make_header(stamp: int, frame_id: str) -> Any:
    """Make the header of an image with a stamp in nanoseconds."""
    sec, nanosec = divmod(stamp, 1_000_000_000)
    return new(
        'Header',
        stamp=new('builtin_interfaces/msg/Time', sec=sec, nanosec=nanosec),
        frame_id=frame_id,
    )


def serialise(message: Any) -> memoryview:
    """Return the bytes of a message."""
    return TYPES.serialize_cdr(message, message.__msgtype__)


def deserialise(data: bytes, name: str) -> Any:
    """
    Return the message in some bytes.

    :param name: name of a type in TYPES.
    :raises SourceError: if the bytes are no such message.
    """
    try:
        return TYPES.deserialize_cdr(data, name)
    # With damaged lengths, the library's generated code raises various errors.
    except (SerdeError, IndexError, MemoryError, OverflowError, AssertionError) as error:
        raise SourceError(f'a message is no {name}: {error}') from error


def stamp_of(data: bytes) -> int:
    """
    Return the stamp in nanoseconds of a message that begins with a header.

    :raises SourceError: if the message is too short.
    """
    if len(data) < 12:
        raise SourceError(f'a message of {len(data)} bytes has no header')
    sec, nanosec = struct.unpack_from('<iI' if data[1] else '>iI', data, 4)
    return sec * 1_000_000_000 + nanosec


def define(connection: Connection) -> tuple[str, str]:
    """
    Find the definition of a topic's type.

    :returns: the definition and its hash. The definition is empty if neither the bag nor TYPES has
        the type, or it cannot be parsed.
    """
    name, text = connection.msgtype, connection.msgdef.data
    store = get_typestore(Stores.EMPTY)
    try:
        if not text and name in TYPES.types:
            text = TYPES.generate_msgdef(name, ros_version=2)[0]
        _, *idl = text.split(_IDL_SEPARATOR)
        for part in idl:
            store.register(get_types_from_idl(part.partition('\n')[2]))
        if not idl:
            store.register(get_types_from_msg(text, name))
        return text, connection.digest or store.hash_rihs01(name)
    except (TypesysError, KeyError):
        # Of its own: the other store may have half of it already.
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg('', name))
        return '', connection.digest or store.hash_rihs01(name)
