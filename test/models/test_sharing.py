"""Several cameras in one process: models are compiled once, and work at once."""

import dataclasses
import gc
import threading
from weakref import WeakValueDictionary

import numpy as np
import openvino as ov
import pytest

from persontrack_ros.core.config.settings import Settings
from persontrack_ros.core.inference import runtime
from persontrack_ros.core.pipeline import Pipeline

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
