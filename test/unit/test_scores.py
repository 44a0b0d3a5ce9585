"""Scores as those of TrackEval, and who is followed under which id."""

import dataclasses

import numpy as np
import pytest

from persontrack_ros.core.evaluation.mot import BENCHMARKS, GroundTruth, read_mot
from persontrack_ros.core.evaluation.scores import evaluate, follow

CASES = 25
FRAMES = 8


def random_case(generator, with_classes):
    """Return lines of ground truth and of tracks: persons, distractors, and tracks near them."""
    truth, tracks = [], []
    count = generator.integers(2, 9)
    # Crowded, so that persons and distractors compete for tracks.
    boxes = np.column_stack(
        [generator.integers(0, 90, (count, 2)), generator.integers(20, 60, (count, 2))]
    ).astype(float)
    classes = generator.integers(1, 14, count)
    classes[0] = 1
    for frame in range(1, FRAMES + 1):
        boxes[:, :2] += generator.integers(-4, 5, (count, 2))
        ids = generator.permutation(count) if generator.random() < 0.2 else np.arange(count)
        for person, box in enumerate(boxes):
            flag = int(person == 0 or generator.random() < 0.8)
            # A file of 2015 has no classes, and places in the world.
            more = [classes[person], 0.5] if with_classes else [-1, -1, -1]
            if generator.random() < 0.9:
                truth.append([frame, person + 1, *box, flag, *more])
            if generator.random() < 0.8:
                near = box + np.append(generator.integers(-6, 7, 2), generator.integers(-4, 5, 2))
                tracks.append([frame, ids[person] + 1, *near, 0.9, -1, -1, -1])
        if generator.random() < 0.3:
            tracks.append([frame, 99, *generator.integers(10, 70, 4), 0.5, -1, -1, -1])
    return truth, tracks


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(','.join(f'{value:g}' for value in line) + '\n' for line in lines))


def scores_of_trackeval(folder, names, benchmark):
    trackeval = pytest.importorskip('trackeval', reason='TrackEval is not installed')
    quiet = {'PRINT_CONFIG': False}
    folders = {
        f'{name}_FOLDER': str(folder / name.lower()) for name in ('GT', 'TRACKERS', 'OUTPUT')
    }
    sequences = {'BENCHMARK': benchmark, 'SEQ_INFO': dict.fromkeys(names, FRAMES)}
    dataset = trackeval.datasets.MotChallenge2DBox(
        quiet | folders | sequences | {'SKIP_SPLIT_FOL': True}
    )
    outputs = (
        'PRINT_RESULTS',
        'TIME_PROGRESS',
        'OUTPUT_SUMMARY',
        'OUTPUT_DETAILED',
        'PLOT_CURVES',
    )
    strict = {'BREAK_ON_ERROR': True, 'LOG_ON_ERROR': None}
    evaluator = trackeval.Evaluator(quiet | dict.fromkeys(outputs, False) | strict)
    metrics = trackeval.metrics
    found = evaluator.evaluate(
        [dataset], [metrics.HOTA(quiet), metrics.CLEAR(quiet), metrics.Identity(quiet)]
    )[0]['MotChallenge2DBox']['t']
    for name in [*names, 'COMBINED_SEQ']:
        one = found[name]['pedestrian']
        hota, clear = one['HOTA'], one['CLEAR']
        yield (
            *(100 * hota[part].mean() for part in ('HOTA', 'DetA', 'AssA')),
            100 * one['Identity']['IDF1'],
            100 * clear['MOTA'],
            clear['IDSW'],
            clear['Frag'],
        )


@pytest.mark.parametrize('benchmark', BENCHMARKS)
def test_random_cases(benchmark, tmp_path):
    pytest.importorskip('motrics')
    generator = np.random.default_rng(BENCHMARKS.index(benchmark))
    names = [f'{benchmark}-{number}' for number in range(CASES)]
    pairs = []
    removed = 0
    for name in names:
        truth, tracks = random_case(generator, benchmark != 'MOT15')
        write(tmp_path / 'gt' / name / 'gt' / 'gt.txt', truth)
        path = tmp_path / 'trackers' / 't' / 'data' / f'{name}.txt'
        write(path, tracks)
        known = GroundTruth.load(tmp_path / 'gt' / name)
        assert known.benchmark == benchmark
        rows = read_mot(path)
        kept = known.without_distractors(rows)
        removed += len(rows) - len(kept)
        pairs.append((known.rows, kept))
    assert (removed > 100) == (benchmark != 'MOT15')
    ours = [dataclasses.astuple(evaluate([pair])) for pair in pairs]
    ours.append(dataclasses.astuple(evaluate(pairs)))
    theirs = list(scores_of_trackeval(tmp_path, names, benchmark))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_who_is_followed_under_which_id():
    # Person 7 is followed as 1, missed, and followed as 2; person 8 always as 3; 4 is nobody.
    boxes = [
        [frame, person, 100 * person, 50, 40, 100] for frame in range(1, 7) for person in (7, 8)
    ]
    truth = np.array(boxes, dtype=np.float64)
    rows = np.array(
        [[frame, id_, 702, 50, 40, 100] for frame, id_ in [(1, 1), (2, 1), (5, 2), (6, 2)]]
        + [[frame, 3, 800, 55, 40, 100] for frame in range(1, 7)]
        + [[3, 4, 20, 20, 40, 100]],
        dtype=np.float64,
    )
    persons = follow(truth, rows)
    assert persons == {
        7: {1: 1, 2: 1, 3: 0, 4: 0, 5: 2, 6: 2},
        8: dict.fromkeys(range(1, 7), 3),
    }
    assert follow(truth, np.empty((0, 7)))[7] == dict.fromkeys(range(1, 7), 0)
