"""Segments of Fast DDS whose processes are dead."""

import fcntl
import os
import time

from persontrack_ros.ros.memory import remove_segments_of_dead

OLD = time.time() - 3600


def make(folder, name, age=OLD):
    (folder / name).write_bytes(bytes(1000))
    lock = folder / f'{name}_el'
    lock.touch()
    os.utime(lock, (age, age))
    return lock


def test_only_those_of_the_dead_are_removed(tmp_path):
    make(tmp_path, 'fastrtps_0123456789abcdef')
    make(tmp_path, 'fastdds_0123456789abcdef')
    alive = make(tmp_path, 'fastrtps_fedcba9876543210')
    make(tmp_path, 'fastrtps_00000000000000ff', age=time.time())
    make(tmp_path, 'fastrtps_port7411')
    make(tmp_path, 'another_0123456789abcdef')
    with alive.open('rb') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert remove_segments_of_dead(tmp_path) == (2, 2000)
    left = {each.name for each in tmp_path.iterdir() if not each.name.endswith('_el')}
    assert left == {
        'fastrtps_fedcba9876543210',
        'fastrtps_00000000000000ff',
        'fastrtps_port7411',
        'another_0123456789abcdef',
    }
    assert len(list(tmp_path.iterdir())) == 2 * len(left)


def test_what_others_remove_meanwhile_does_no_harm(tmp_path):
    make(tmp_path, 'fastrtps_0123456789abcdef')
    (tmp_path / 'fastrtps_0123456789abcdef').unlink()
    assert remove_segments_of_dead(tmp_path) == (1, 0)
    assert remove_segments_of_dead(tmp_path) == (0, 0)
    assert remove_segments_of_dead(tmp_path / 'nowhere') == (0, 0)


def test_a_pipe_in_the_place_of_a_lock_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'fastrtps_0123456789abcdef_el')
    os.utime(tmp_path / 'fastrtps_0123456789abcdef_el', (OLD, OLD))
    assert remove_segments_of_dead(tmp_path) == (0, 0)
