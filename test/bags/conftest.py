"""Small bags."""

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from persontrack_ros.bags.images import make_image
from persontrack_ros.bags.types import IMAGE, TYPES, make_header, new, serialise

FOREIGN = get_typestore(Stores.EMPTY)
FOREIGN.register(get_types_from_msg('uint8 code\nfloat32[] values\n', 'robot_msgs/msg/Battery'))


@pytest.fixture(params=['mcap', 'sqlite3'])
def storage(request):
    return request.param


@pytest.fixture
def make_bag(tmp_path):
    """Return a function that writes a bag of images and a foreign type, and what is in it."""

    def make(storage='mcap', name='bag', mode=CompressionMode.NONE, count=40, topics=('/image',)):
        path = tmp_path / name
        writer = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
        writer.set_compression(mode, CompressionFormat.ZSTD)
        noise = np.random.default_rng(5)
        messages = []
        with writer:
            images = [writer.add_connection(topic, IMAGE, typestore=TYPES) for topic in topics]
            text = writer.add_connection('/text', 'std_msgs/msg/String', typestore=TYPES)
            battery = writer.add_connection(
                '/battery', 'robot_msgs/msg/Battery', typestore=FOREIGN
            )
            for index in range(count):
                stamp = 1_700_000_000_000_000_000 + index * 100_000_000
                pixels = noise.integers(0, 255, (24, 4 * (1 + index % 40), 3), dtype=np.uint8)
                charge = FOREIGN.types['robot_msgs/msg/Battery'](
                    code=index % 256, values=np.ones(index, dtype=np.float32)
                )
                image = serialise(make_image(pixels, make_header(stamp, 'camera')))
                each = [
                    *((topic, image) for topic in images),
                    (text, serialise(new('String', data=f'text {index}'))),
                    (battery, FOREIGN.serialize_cdr(charge, charge.__msgtype__)),
                ]
                for offset, (topic, data) in enumerate(each):
                    time = stamp + 5_000_000 + offset
                    writer.write(topic, time, data)
                    messages.append((topic.topic, time, bytes(data)))
        return path, messages

    return make


@pytest.fixture
def warnings():
    return []
