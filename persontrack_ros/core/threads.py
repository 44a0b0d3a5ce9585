"""Threads of the libraries beside OpenVINO."""

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
