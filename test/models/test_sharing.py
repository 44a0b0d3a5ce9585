"""Several cameras in one process: models are compiled once, and work at once."""

from __future__ import annotations

import dataclasses
import gc
import threading
from collections import Counter
from weakref import WeakValueDictionary

import cv2
import numpy as np
import openvino as ov
import pytest

from persontrack_ros.core.base.geometry import iou
from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference import runtime
from persontrack_ros.core.pipeline import Pipeline
from persontrack_ros.core.tracking.gallery import Camera, Gallery
from persontrack_ros.core.tracking.tracker import make_tracker

# Without a cache, from which models would come that are not compiled.
NO_CACHE = {'inference.cache_dir': 'none'}
SETTINGS = Settings.from_values({'detector.device': 'CPU', 'reid.device': 'CPU', **NO_CACHE})
REMEMBERING = dataclasses.replace(SETTINGS.tracker, remember=60.0)


@pytest.fixture
def compiled(models, monkeypatch):
    """Count what OpenVINO compiles, as in a process that has nothing compiled yet."""
    monkeypatch.setattr(runtime, '_compiled', WeakValueDictionary())
    names = []
    compile_model = ov.Core.compile_model

    def count(core, model, *arguments):
        names.append(model.get_friendly_name())
        return compile_model(core, model, *arguments)

    monkeypatch.setattr(ov.Core, 'compile_model', count)
    return names


def test_compiled_once_for_all_cameras(compiled):
    first = Pipeline(SETTINGS)
    # A detector and a re-identification model.
    assert len(compiled) == 2
    second = Pipeline(SETTINGS)
    assert len(compiled) == 2
    # Another way of compiling is another model.
    third = Pipeline(
        Settings.from_values({'reid.model': 'color', 'inference.streams': 2, **NO_CACHE})
    )
    assert len(compiled) == 3
    del first, second, third
    gc.collect()
    again = Pipeline(SETTINGS)
    assert len(compiled) == 5, 'memory is freed with the last user'
    del again


def test_cameras_that_start_at_once_compile_once(compiled):
    pipelines = []
    threads = [
        threading.Thread(target=lambda: pipelines.append(Pipeline(SETTINGS))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pipelines) == 3
    assert len(compiled) == 2


def test_two_cameras_see_the_same_persons(models, data, truth):
    """
    One looks at the left of vtest.avi, the other one at the right, later and otherwise.

    Some persons of the ground truth are in the video several times, under new ids.
    """
    same = {19: 1, 13: 2, 11: 3, 12: 4, 9: 5, 10: 6, 14: 8, 15: 8, 18: 8}
    capture = cv2.VideoCapture(str(data('videos/vtest.avi')))
    pictures = [capture.read()[1] for _ in range(95)]
    darker = (255 * (np.arange(256) / 255) ** 1.3).astype(np.uint8)
    gallery = Gallery()

    def watch(numbers, picture_of, box_in_video):
        """Return which persons of the ground truth had which ids."""
        pipeline = Pipeline(SETTINGS)
        pipeline.tracker = make_tracker(REMEMBERING, Camera(gallery))
        found = {}
        for number in numbers:
            result = pipeline.process(picture_of(pictures[number]), number * 100_000_000)
            rows = truth[truth[:, 0] == number + 1]
            for track in result.tracks:
                overlap = iou(box_in_video(track.box)[None], rows[:, 2:6])[0]
                if overlap.max() > 0.6:
                    person = int(rows[overlap.argmax(), 1])
                    found.setdefault(track.id, Counter())[same.get(person, person)] += 1
        return {id_: persons.most_common(1)[0][0] for id_, persons in found.items()}

    def mirrored(picture):
        right = np.ascontiguousarray(picture[:, 268:][:, ::-1])
        return cv2.resize(cv2.LUT(right, darker), None, fx=0.8, fy=0.8)

    def unmirrored(box):
        left, top, width, height = box / 0.8
        return np.array([768 - left - width, top, width, height])

    left = watch(range(0, 45), lambda picture: picture[:, :500].copy(), lambda box: box)
    right = watch(range(60, 95), mirrored, unmirrored)
    known = {id_: person for id_, person in right.items() if person in left.values()}
    again = {id_ for id_ in known if id_ in left}
    assert {id_: left[id_] for id_ in again} == {id_: known[id_] for id_ in again}
    assert len(again) >= 2


def test_cameras_at_work_at_once_do_not_disturb_each_other(models, vtest):
    """Two threads with different images get what one alone gets."""
    numbers = sorted(vtest)[:5]
    streams = [numbers, numbers[::-1]]

    def run(pipeline, stream):
        results = [pipeline.process(vtest[n], 10**9 * i) for i, n in enumerate(stream)]
        return [result.detections.boxes for result in results]

    alone = [run(Pipeline(SETTINGS), stream) for stream in streams]
    pipelines = [Pipeline(SETTINGS) for _ in streams]
    together = [None, None]

    def work(index):
        together[index] = run(pipelines[index], streams[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected, found in zip(alone, together):
        for one, other in zip(expected, found):
            np.testing.assert_allclose(other, one, atol=1e-3)
