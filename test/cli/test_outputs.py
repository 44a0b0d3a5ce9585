"""Tables, events, zones and the choice of persons, of all commands that track."""

import csv
import json

import pytest

from persontrack_ros.core.evaluation.mot import read_mot

ZONES = """
lines: {path: {points: [[0.3, 0.35], [0.75, 0.9]], left: up, right: down}}
zones: {left: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
"""


@pytest.fixture
def zones(tmp_path):
    path = tmp_path / 'zones.yaml'
    path.write_text(ZONES)
    return path


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_video_a_recording_and_a_bag(persontrack, campus, models, zones, tmp_path):
    """The same video gives the same events and tables on each way."""
    stored, bag = tmp_path / 'stored.npz', tmp_path / 'bag'
    assert persontrack('detect', campus, stored).returncode == 0
    assert persontrack('bag', 'record', campus, '-o', bag).returncode == 0
    commands = {
        'run': ('run', campus, '--online', '--mot-output'),
        'track': ('track', stored),
        'bag': ('bag', 'track', bag, '--mot-output'),
    }
    for name, command in commands.items():
        files = {kind: tmp_path / f'{name}.{kind}.csv' for kind in ('tracks', 'events', 'table')}
        done = persontrack(
            *command,
            files['tracks'],
            '--zones',
            zones,
            '--events',
            files['events'],
            '--table',
            files['table'],
        )
        assert done.returncode == 0, done.stderr
        rows = read(files['table'])
        assert [(int(row['frame']), int(row['id'])) for row in rows] == [
            (frame, id_) for frame, id_ in read_mot(files['tracks'])[:, :2].astype(int).tolist()
        ]
        events = [(row['name'], row['event']) for row in read(files['events'])]
        assert {('path', 'up'), ('left', 'entered'), ('left', 'left')} <= {*events}
        if name == 'run':
            expected = read(files['events'])
        assert [row['event'] for row in read(files['events'])] == [
            row['event'] for row in expected
        ]


def test_the_choice_of_persons(persontrack, campus, models, zones, tmp_path):
    table = tmp_path / 'table.jsonl'
    arguments = ('run', campus, '--zones', zones, '--table', table, '--overwrite')
    assert persontrack(*arguments, '--ids', '1,3').returncode == 0
    assert {json.loads(line)['id'] for line in table.read_text().splitlines()} == {1, 3}
    assert persontrack(*arguments, '--zone', 'left').returncode == 0
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    assert rows
    # Half of the image, and the margin of 1.5 %.
    assert all(row['left'] + row['width'] / 2 < 0.52 * 640 for row in rows)


@pytest.mark.parametrize(
    ('arguments', 'problem'),
    [
        (('--events', 'e.csv'), '--events and --zone need --zones'),
        (('--zones', 'missing.yaml'), 'cannot read the file of zones missing.yaml'),
        (('--zones', 'zones.yaml', '--zone', 'hall'), 'zones.yaml has no zone hall'),
        (('--zones', 'zones.yaml', '--events', 'e.txt'), '.csv or .jsonl or .parquet'),
        (('--zones', 'pixels.yaml'), 'image of 9x9, but this one is 640x480'),
        (('--zones', 'metres.yaml'), 'metres of map, which needs depth'),
    ],
)
def test_wrong_outputs_are_refused_before_the_work(
    persontrack, campus, zones, tmp_path, monkeypatch, arguments, problem
):
    monkeypatch.chdir(tmp_path)
    text = 'lines: {a: {points: [[0, 0], [1, 1]]}}'
    (tmp_path / 'pixels.yaml').write_text(f'image_size: [9, 9]\n{text}')
    (tmp_path / 'metres.yaml').write_text(f'frame: map\n{text}')
    done = persontrack('run', campus, *arguments)
    assert (done.returncode, problem in done.stderr) == (2, True), done.stderr
    assert len(done.stderr.splitlines()) == 1
