"""Threads of libraries."""

import ctypes
import os
from typing import Any
from weakref import WeakSet

import cv2
from threadpoolctl import threadpool_limits


def use_one_thread_beside_inference() -> None:
    """
    Limit BLAS and OpenCV to one thread in this process; programs call it once, at their start.

    Their products and pictures are too small to gain from threads, and OpenBLAS's idle threads
    spin against OpenVINO's: a third of the time per image on a machine with two cores.
    """
    cv2.setNumThreads(1)
    threadpool_limits(1, 'blas')


_kept: WeakSet[Any] = WeakSet()


def keep_after_fork(value: Any) -> None:
    """
    Never release an object in a child process that is made by fork.

    What has threads waits for them when it is released, and in the child there are none.
    """
    _kept.add(value)


def _keep() -> None:
    for value in list(_kept):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


os.register_at_fork(after_in_child=_keep)
