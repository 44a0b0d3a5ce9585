"""Threads of libraries."""

import ctypes
import os
from typing import Any
from weakref import WeakSet

import cv2
from threadpoolctl import threadpool_limits


def use_one_thread_beside_inference() -> None:
    """
    Limit BLAS and OpenCV to one thread in this process; call it once, at the start of a program.

    The matrices and images are too small to gain from threads, and OpenBLAS's idle threads compete
    with OpenVINO's: a third of the time per image on a machine with two cores.
    """
    cv2.setNumThreads(1)
    threadpool_limits(1, 'blas')


_kept: WeakSet[Any] = WeakSet()


def keep_after_fork(value: Any) -> None:
    """
    Never release an object in a forked process.

    An object with threads waits for them when it is released; the child has no such threads.
    """
    _kept.add(value)


def _keep() -> None:
    for value in list(_kept):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


os.register_at_fork(after_in_child=_keep)
