"""Areas of the image where nobody is detected, and the command that paints them."""

import cv2
import numpy as np
import pytest
import yaml

from persontrack_ros.cli import mask as command
from persontrack_ros.cli.commands import main
from persontrack_ros.core.base.detections import Detections
from persontrack_ros.core.base.errors import SettingsError
from persontrack_ros.core.config.node_options import Configuration
from persontrack_ros.core.drawing import draw
from persontrack_ros.core.evaluation.mot import read_mot
from persontrack_ros.core.evaluation.recording import Recording
from persontrack_ros.core.inference.ignore import IgnoreMask, read_polygons
from persontrack_ros.core.media.window import ESCAPE
from persontrack_ros.core.report.zones import Zones

LEFT_HALF = {'left': [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}


def write(path, content):
    path.write_text(yaml.safe_dump(content))
    return path


def standing(*feet, size=(640, 480)):
    """Return persons of 40x100 pixels whose feet are at these places."""
    boxes = [[x - 20, y - 100, 40, 100] for x, y in feet]
    return Detections.create(boxes, [0.9] * len(boxes), image_size=size)


@pytest.mark.parametrize('size', [(640, 480), (1920, 1080), (31, 17)])
def test_feet_in_a_polygon(tmp_path, size):
    triangle = {'poster': [[0.2, 0.2], [0.8, 0.2], [0.2, 0.8]]}
    mask = IgnoreMask.load(write(tmp_path / 'ignore.yaml', triangle))
    places = [(0.25, 0.25), (0.3, 0.6), (0.6, 0.6), (0.1, 0.5), (0.5, 0.1), (0.45, 0.45)]
    feet = [(x * size[0], y * size[1]) for x, y in places]
    people = standing(*feet, size=size)
    assert mask.hides(people.boxes, size).tolist() == [True, True, False, False, False, True]


def test_feet_beyond_the_image_count_at_its_border(tmp_path):
    mask = IgnoreMask.load(write(tmp_path / 'ignore.yaml', LEFT_HALF))
    people = standing((10, 900), (-300, 200), (639, 900), (1e5, 1e5))
    assert mask.hides(people.boxes, (640, 480)).tolist() == [True, True, False, False]


def test_an_image_is_stretched_over_others(tmp_path):
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[5:, :10] = 255
    cv2.imwrite(str(tmp_path / 'ignore.png'), picture)
    mask = IgnoreMask.load(tmp_path / 'ignore.png')
    people = standing((100, 400), (100, 200), (500, 400))
    assert mask.hides(people.boxes, (640, 480)).tolist() == [True, False, False]
    over = mask.over(np.zeros((480, 640, 3), np.uint8))
    assert over.shape == (480, 640)
    assert over[240:, :320].all()
    assert over.sum() == 240 * 320


@pytest.mark.parametrize('kind', ['labels', 'labels16', 'alpha', 'red on alpha', 'white', '16'])
def test_masks_as_tools_write_them(tmp_path, kind):
    areas = np.zeros((10, 20), np.uint8)
    areas[5:, :10] = 1
    opaque = 255 * areas
    picture = {
        'labels': areas,
        'labels16': areas.astype(np.uint16),
        'alpha': np.dstack([0 * areas] * 3 + [opaque]),
        'red on alpha': np.dstack([0 * areas, 0 * areas, opaque, opaque]),
        'white': np.dstack([opaque] * 4),
        '16': areas.astype(np.uint16) * 65535,
    }[kind]
    cv2.imwrite(str(tmp_path / 'ignore.png'), picture)
    mask = IgnoreMask.load(tmp_path / 'ignore.png')
    assert (mask.over(np.zeros((10, 20, 3), np.uint8)) == (areas > 0)).all()


@pytest.mark.parametrize(
    ('levels', 'alpha', 'said'),
    [
        ([0, 5], [255, 255], 'nowhere white'),
        ([0, 0], [255, 255], 'nowhere white'),
        ([255, 255], [255, 255], 'white all over'),
        ([1, 1], [255, 255], 'white all over'),
        ([0, 255, 0], [255, 255, 0], 'transparent in places and both white and dark'),
    ],
)
def test_masks_that_are_not_clear(tmp_path, levels, alpha, said):
    picture = np.array([[[level] * 3 + [a] for level, a in zip(levels, alpha)]], np.uint8)
    cv2.imwrite(str(tmp_path / 'ignore.png'), picture)
    with pytest.raises(SettingsError, match=said):
        IgnoreMask.load(tmp_path / 'ignore.png')


def test_areas_that_overlap_make_no_hole(tmp_path):
    both = {**LEFT_HALF, 'again': [[0, 0], [0.4, 0], [0.4, 1], [0, 1]]}
    mask = IgnoreMask.load(write(tmp_path / 'ignore.yaml', both))
    assert mask.hides(standing((100, 200)).boxes, (640, 480)).all()


def test_those_left_out_are_told_of(tmp_path):
    mask = IgnoreMask.load(write(tmp_path / 'ignore.yaml', LEFT_HALF))
    people = standing((100, 200), (500, 300))
    seen = mask.apply(people)
    assert seen.boxes.tolist() == people.boxes[1:].tolist()
    assert seen.ignored is not None
    assert seen.ignored.tolist() == people.boxes[:1].tolist()
    assert mask.apply(standing((500, 300))).ignored is None


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ({}, 'has no areas'),
        ([[0, 0], [1, 0], [1, 1]], 'has no areas'),
        ({'a': [[0, 0], [1, 1]]}, 'expected at least three corners'),
        ({'a': [[0, 0], [1, 0], [1, 480]]}, r'a is .*\[1, 480\]\], expected'),
        ({'a': [[0, 0], [1, 0], [1, -0.1]]}, 'from 0 to 1'),
        ({'a': [[0, 0], [1, 0], [1, float('nan')]]}, 'from 0 to 1'),
        ({'a': [[0, 0], [1, 0], [True, 1]]}, 'from 0 to 1'),
        ({'a': [[0, 0], [1, 0], 'x']}, 'from 0 to 1'),
        ({'a': 'x'}, 'at least three corners'),
    ],
)
def test_what_is_no_polygon_is_refused(tmp_path, content, said):
    with pytest.raises(SettingsError, match=said):
        read_polygons(write(tmp_path / 'ignore.yaml', content))


@pytest.mark.parametrize('name', ['missing.yaml', 'missing.png', 'damaged.png', 'mask.txt', '.'])
def test_files_that_cannot_be_used(tmp_path, name):
    (tmp_path / 'damaged.png').write_bytes(b'no image')
    with pytest.raises(SettingsError, match=r'detector\.ignore: '):
        IgnoreMask.load(tmp_path / name)


def test_without_images_there_is_nothing_to_be_relative_to(tmp_path):
    with pytest.raises(SettingsError, match='with input: detections'):
        Configuration().changed({'input': 'detections', 'detector.ignore': 'ignore.yaml'})
    mask = IgnoreMask.load(write(tmp_path / 'ignore.yaml', LEFT_HALF))
    with pytest.raises(SettingsError, match='the size of that is not known'):
        mask.apply(Detections.create([[0, 0, 40, 100]], [0.9]))


def test_areas_are_drawn_faintly():
    mask = IgnoreMask.of({'left': [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]})
    image = np.full((100, 200, 3), 200, np.uint8)
    box = np.array([[20.0, 20.0, 30.0, 50.0]])
    annotated = draw(image, [], 0.0, mask=mask, ignored=box)
    assert (annotated[:, 110:] == 200).all()
    assert (annotated[80, 10] < 200).all()
    assert (annotated[80, 10] > 100).all()
    assert (annotated[40, 20] == 128).all()
    assert (image == 200).all()


def test_stored_detections_are_seen_through_it(data, stored, tmp_path):
    area = write(tmp_path / 'ignore.yaml', LEFT_HALF)
    output = tmp_path / 'tracks.txt'
    width = 640
    if Recording.load(stored).detections.image_size is None:
        assert main(['track', str(stored), str(output), '--set', f'detector.ignore={area}']) == 2
        stored, width = data('mot/PETS09-S2L1') / 'det' / 'det.txt', 768
    for options in ([], ['--set', f'detector.ignore={area}']):
        assert main(['track', str(stored), str(output), '--overwrite', *options]) == 0
        rows = read_mot(output)
        feet = rows[:, 2] + rows[:, 4] / 2
        # A track that is lost on its way into the area goes on for a moment.
        assert ((feet < 0.45 * width).mean() < 0.02) == bool(options)


class Screen:
    """A window that is clicked into."""

    actions: list[object] = []
    pictures: list[np.ndarray] = []

    def __init__(self, title):
        self.pictures.clear()

    def on_click(self, callback):
        self.callback = callback

    def key(self, image, wait):
        self.pictures.append(image)
        action = self.actions.pop(0)
        if isinstance(action, str):
            return action
        self.callback(*action)
        return ''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert not self.actions


@pytest.fixture
def screen(monkeypatch):
    monkeypatch.setattr(command, 'Window', Screen)
    return Screen


@pytest.fixture
def picture(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    cv2.imwrite(str(folder / '1.png'), np.full((100, 200, 3), 200, np.uint8))
    return str(folder)


def test_painting(screen, picture, tmp_path, monkeypatch):
    output = tmp_path / 'ignore.yaml'
    triangle = [(20, 10), (100, 10), (100, 90)]
    screen.actions = [*triangle, (150, 50), '\b', '\r', *triangle, 's']
    assert main(['mask', picture, str(output)]) == 0
    corners = [[0.1025, 0.105], [0.5025, 0.105], [0.5025, 0.905]]
    assert read_polygons(output) == {'area_1': corners, 'area_2': corners}
    # What is complete is shown as in the annotated image.
    assert (screen.pictures[-1][20, 90] < 200).all()
    # It goes on with what there is; Backspace takes the newest area.
    screen.actions = ['\b', 's']
    monkeypatch.chdir(tmp_path)
    assert main(['mask', picture]) == 0
    assert read_polygons(output) == {'area_1': corners}


def test_painting_nothing(screen, picture, tmp_path, capsys):
    output = tmp_path / 'ignore.yaml'
    screen.actions = [(1, 1), (2, 2), '\r', 's']
    assert main(['mask', picture, str(output)]) == 2
    assert 'no area to save' in capsys.readouterr().err
    screen.actions = [(1, 1), (50, 2), (50, 50), '\r', ESCAPE]
    assert main(['mask', picture, str(output)]) == 0
    assert not output.exists()
    assert main(['mask', picture, str(tmp_path / 'ignore.png')]) == 2
    assert main(['mask', picture, str(output), '--skip-frames', '5']) == 2


def test_drawing_lines_and_zones(screen, picture, tmp_path, capsys):
    output = tmp_path / 'zones.yaml'
    screen.actions = [(20, 10), (100, 10), 'l', (20, 10), (100, 10), (100, 90), '\r', 's']
    assert main(['zones', picture, str(output)]) == 0
    output.write_text(output.read_text().replace('line_1', 'door') + 'margin: 0.05\n')
    # What is there is kept, with its name; a line is no zone.
    screen.actions = ['\b', (20, 10), (100, 90), '\r', 'l', 's']
    assert main(['zones', picture, str(output)]) == 0
    zones = Zones.load(output)
    assert (list(zones.lines), list(zones.zones), zones.margin) == (['door', 'line_1'], [], 0.05)
    output.write_text('image_size: [9, 9]\nlines: {a: {points: [[0, 0], [1, 1]]}}')
    assert main(['zones', picture, str(output)]) == 2
    assert 'edit it by hand' in capsys.readouterr().err
