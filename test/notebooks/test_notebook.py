"""notebooks/person_tracking.ipynb as it is stored, and run from top to bottom."""

import asyncio
import base64
import os
import re
import shutil
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).resolve().parents[2] / 'notebooks' / 'person_tracking.ipynb'
# Of a cell; on a machine that is busy with other things.
TIMEOUT = 600
# A mirror that cannot be reached, as the zoo on some networks.
NOWHERE = 'http://127.0.0.1:9'


class Impatient(NotebookClient):
    """Presses the button that interrupts the kernel when the first image of a cell is shown."""

    cell = ''

    def process_message(self, msg, cell, cell_index):
        if cell.id == self.cell and msg['msg_type'] == 'update_display_data':
            self.cell = ''
            self.pressing = asyncio.ensure_future(self.km.interrupt_kernel())
        return super().process_message(msg, cell, cell_index)


class Page:
    """What the cells of a notebook put out, by their id; nothing of it in a red box."""

    def __init__(self, notebook):
        self.outputs = {cell.id: cell.get('outputs', []) for cell in notebook.cells}
        every = [output for outputs in self.outputs.values() for output in outputs]
        assert [each for each in every if each.get('name') == 'stderr'] == []

    def text(self, cell):
        return ''.join(each.text for each in self.outputs[cell] if each.get('name') == 'stdout')

    def shown(self, cell, kind):
        """Return the only output of a kind."""
        (data,) = (each.data for each in self.outputs[cell] if kind in each.get('data', ()))
        return data[kind]

    def picture(self, cell, kind):
        data = np.frombuffer(base64.b64decode(self.shown(cell, f'image/{kind}')), np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR)

    def persons(self, cell):
        """Return the table of persons: id, from, to, images."""
        table = self.shown(cell, 'text/markdown')
        rows = [re.findall(r'[\d.]+', line) for line in table.splitlines()[2:]]
        return np.array(rows, dtype=float).reshape(-1, 4)


@pytest.fixture
def run(zoo, data, tmp_path):
    """Return a function that runs the notebook for a user without models, beside a mirror."""

    def run(interrupt='', **variables):
        videos = tmp_path / 'cache' / 'persontrack_ros' / 'videos'
        videos.mkdir(parents=True)
        shutil.copy(data('videos/vtest.avi'), videos)
        ours = ('PERSONTRACK_MODEL_PATH', 'PERSONTRACK_VIDEO', 'PERSONTRACK_SOURCE', 'MPLBACKEND')
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        environment |= {
            'XDG_CACHE_HOME': str(tmp_path / 'cache'),
            'IPYTHONDIR': str(tmp_path / 'ipython'),
            'PERSONTRACK_MODEL_MIRROR': str(zoo),
            **{name: str(value) for name, value in variables.items()},
        }
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        with pytest.MonkeyPatch.context() as patch:
            # Where a kernel python3 of the user would be found.
            patch.setenv('JUPYTER_DATA_DIR', str(tmp_path / 'jupyter'))
            patch.setenv('JUPYTER_RUNTIME_DIR', str(tmp_path / 'runtime'))
            folder = {'metadata': {'path': str(tmp_path)}}
            client = Impatient(notebook, timeout=TIMEOUT, resources=folder)
            client.cell = interrupt
            client.execute(env=environment)
        return Page(notebook)

    return run


def test_it_is_stored_without_what_a_run_leaves_and_uses_what_is_public():
    notebook = nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert len(code) > 5
    for cell in code:
        assert (cell.outputs, cell.execution_count) == ([], None)
    assert all(cell.metadata == {} for cell in notebook.cells)
    source = '\n'.join(cell.source for cell in code)
    modules = re.findall(r'^(?:from|import) (persontrack_ros\S*)', source, re.MULTILINE)
    assert set(modules) == {'persontrack_ros'}


def test_the_sample_video_and_a_video_in_the_place_of_a_webcam(run, data):
    page = run(PERSONTRACK_SOURCE=data('videos/TUD-Campus.mp4'))
    assert Path(page.text('download').strip()).name == 'vtest.avi'
    assert [line.split(' in ')[0] for line in page.text('load').splitlines()] == [
        'person-detection-0202 FP16: installed',
        'person-reidentification-retail-0287 FP16: installed',
    ]
    assert 'CPU: CPU' in page.text('list-devices').splitlines()

    assert page.picture('cut', 'jpeg').shape == (250, 300, 3)
    same, other = (
        re.fullmatch(r'(a and \w): (.*) \(similarity (\S+), threshold (\S+)\)', line).groups()
        for line in page.text('similarity').splitlines()
    )
    assert same[:2] == ('a and b', 'the same person')
    assert other[:2] == ('a and c', 'two persons')
    assert float(other[2]) < float(same[3]) <= float(same[2]) < 1

    image = page.picture('follow', 'jpeg')
    assert image.shape == (360, 480, 3)
    # Nothing in the video has colours as full as those of the boxes.
    assert np.count_nonzero(np.ptp(image.astype(int), axis=2) > 150) > 300
    persons = page.persons('show')
    # In these 30 seconds there are ten persons; one of them gets a new id on the way.
    assert 10 <= len(persons) <= 12
    assert (persons[:, 1].min(), persons[:, 2].max()) == (0.0, 30.0)

    assert page.picture('live', 'jpeg').shape == (360, 480, 3)
    persons = page.persons('live')
    truth = np.loadtxt(data('mot/TUD-Campus') / 'gt' / 'gt.txt', delimiter=',')
    assert persons[:, 0].tolist() == np.unique(truth[:, 1]).tolist() == list(range(1, 9))
    assert persons[:, 3].max() == 71

    for cell in ('show', 'live'):
        figure = page.picture(cell, 'png')
        # The strokes of each person are in the colour of that person, in the right half.
        times = figure[:, figure.shape[1] // 2 :].reshape(-1, 3).astype(int)
        _, counts = np.unique(times[np.ptp(times, axis=1) > 200], axis=0, return_counts=True)
        # A person may be there for a moment only.
        assert np.count_nonzero(counts > 25) == len(page.persons(cell))


@pytest.mark.parametrize('place', ['cache', 'folder'])
def test_models_that_are_there_without_the_zoo(run, zoo, campus, tmp_path, place):
    variables = {'PERSONTRACK_MODEL_PATH': zoo}
    if place == 'cache':
        shutil.copytree(zoo / 'intel', tmp_path / 'cache' / 'persontrack_ros' / 'models')
        variables = {}
    page = run(PERSONTRACK_VIDEO=campus, PERSONTRACK_MODEL_MIRROR=NOWHERE, **variables)
    assert page.text('load') == ''
    assert len(page.persons('show')) == 8


def test_the_small_models_where_the_zoo_cannot_be_reached(run, campus, small_models):
    page = run(PERSONTRACK_VIDEO=campus, PERSONTRACK_MODEL_MIRROR=NOWHERE)
    (line,) = page.text('load').splitlines()
    assert line.startswith('using yolox-nano and color instead of person-detection-0202 and ')
    assert '--mirror' in line
    assert len(page.persons('show')) >= 5


def test_the_button_ends_it_and_without_a_webcam_it_says_what_to_do(run, data):
    page = run(PERSONTRACK_VIDEO=data('videos/vtest.avi'), interrupt='follow')
    assert page.text('download').splitlines()[-1] == str(data('videos/vtest.avi'))
    assert page.text('follow') == 'Stopped.\n'
    persons = page.persons('show')
    assert len(persons) > 0
    assert persons[:, 2].max() < 30.0
    (output,) = page.outputs['live']
    assert output.text.count('\n') == 1
    assert 'source = 0' in output.text
