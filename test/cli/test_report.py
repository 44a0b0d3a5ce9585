"""The page of ``--report``, as a browser shows it."""

import csv
import html
import json
import re
import shutil
import subprocess

import pytest

from persontrack_ros.core.evaluation.mot import read_mot

pytestmark = pytest.mark.slow

# Without what a browser does for itself in the background.
OPTIONS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--allow-file-access-from-files',
    '--enable-logging=stderr',
    '--dump-dom',
)
# Shows the page in a window of its own size, and tells what is there.
FRAME = """<iframe id="frame" style="width: {width}px; height: 900px; border: 0"></iframe>
<pre id="told"></pre>
<script>
// Sorts by the longest stay, opens the first person, and saves the table.
function use(page, body) {{
  const ids = () => [...body.querySelectorAll('tr[data-id]')].map(row => Number(row.dataset.id));
  const buttons = [...body.querySelectorAll('th button')];
  const title = buttons.find(button => button.textContent === 'present');
  if (!title) return {{}};
  title.click();
  title.click();
  const longest = ids();
  body.querySelector('tr[data-id]').click();
  const more = body.querySelector('.more');
  let saved = '';
  page.HTMLAnchorElement.prototype.click = function () {{
    saved = `${{this.download}}\n${{decodeURIComponent(this.href)}}`;
  }};
  body.querySelector('#csv').click();
  return {{longest, saved, moments: more.querySelectorAll('figure').length,
    way: more.querySelectorAll('polyline').length, sorted: title.parentNode.ariaSort}};
}}
window.onerror = (...problem) => console.error(problem);
frame.onload = () => {{
  const page = frame.contentWindow, body = page.document.body;
  told.textContent = JSON.stringify({{
    rows: [...body.querySelectorAll('tr[data-id]')].map(row => Number(row.dataset.id)),
    pictures: [...body.querySelectorAll('img')].map(image => image.naturalWidth),
    ways: body.querySelectorAll('polyline').length,
    width: page.document.documentElement.scrollWidth,
    background: page.getComputedStyle(body).backgroundColor,
    columns: page.getComputedStyle(body.querySelector('.wide')).display,
    fetched: page.performance.getEntriesByType('resource').map(one => one.name)
      .filter(name => !name.startsWith('data:')),
    settings: body.querySelector('.settings').textContent,
    text: body.innerText,
    ...use(page, body),
  }});
}};
frame.src = 'page.html';
</script>
"""


@pytest.fixture(scope='module')
def browser():
    path = shutil.which('chromium') or shutil.which('google-chrome')
    if path is None:
        pytest.skip('no chromium: apt-get install chromium')
    return path


def look(browser, page, tmp_path, width, dark=False):
    """Return what a browser finds in a page, after it has said nothing on its console."""
    shutil.copy(page, tmp_path / 'page.html')
    (tmp_path / 'frame.html').write_text(FRAME.format(width=width))
    command = [browser, *OPTIONS, f'--user-data-dir={tmp_path / "profile"}']
    command.append(f'--blink-settings=preferredColorScheme={int(not dark)}')
    url = (tmp_path / 'frame.html').as_uri()
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=120)
    assert 'CONSOLE' not in done.stderr
    told = re.search(r'<pre id="told">(.+?)</pre>', done.stdout, re.DOTALL)
    assert told, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(html.unescape(told[1]))


def ids_of(path):
    return sorted(set(read_mot(path)[:, 1].astype(int).tolist()))


@pytest.fixture(scope='module')
def run(campus, models, persontrack, tmp_path_factory):
    """Return a function that tracks a video and returns the page and tracks."""

    def track(*options):
        folder = tmp_path_factory.mktemp('run')
        page, tracks = folder / 'report.html', folder / 'tracks.txt'
        done = persontrack('run', campus, '--report', page, '--mot-output', tracks, *options)
        assert done.returncode == 0, done.stderr
        return page, tracks

    return track


@pytest.mark.parametrize('options', [(), ('--online',)])
def test_as_many_persons_as_tracks(browser, campus, run, tmp_path, options):
    page, tracks = run(*options, '--set', 'tracker.n_init=2')
    seen = look(browser, page, tmp_path, 1280)
    assert sorted(seen['rows']) == ids_of(tracks)
    assert len(seen['pictures']) == len(seen['rows'])
    assert min(seen['pictures']) > 10
    assert seen['ways'] >= len(seen['rows'])
    assert seen['fetched'] == []
    assert 'tracker.n_init2' in seen['settings']
    assert f'Persons in {campus.name}' in seen['text']
    assert re.search(r'images\s+71\b|\b71\s+images', seen['text'])
    # Sorted by the time present, the table as CSV, and the moments of the first person.
    assert seen['sorted'] == 'descending'
    name, kind, *lines = seen['saved'].strip().split('\n')
    header, *cells = csv.reader([kind.partition('utf-8,')[2], *lines])
    assert (name, header) == ('persons.csv', ['id', 'from', 'to', 'present'])
    present = {int(row[0]): float(row[3]) for row in cells}
    assert sorted(present) == sorted(seen['rows'])
    assert [present[id_] for id_ in seen['longest']] == sorted(present.values(), reverse=True)
    assert seen['moments'] >= 2
    assert seen['way'] >= 1


def test_narrow_and_wide_light_and_dark(browser, run, tmp_path):
    page, _ = run()
    backgrounds = set()
    for width in (390, 800, 1440):
        for dark in (False, True):
            seen = look(browser, page, tmp_path, width, dark)
            # Nothing sticks out; a scroll bar may take some of it.
            assert width - 20 < seen['width'] <= width
            assert (seen['columns'] == 'none') == (width == 390)
            red, green, blue = map(int, re.findall(r'\d+', seen['background'])[:3])
            assert (red + green + blue < 200) == dark
            backgrounds.add(seen['background'])
    assert len(backgrounds) == 2


def test_from_stored_detections(browser, stored, persontrack, tmp_path):
    page, tracks = tmp_path / 'report.html', tmp_path / 'tracks.txt'
    done = persontrack('track', stored, tracks, '--report', page)
    assert done.returncode == 0, done.stderr
    seen = look(browser, page, tmp_path, 1280)
    assert sorted(seen['rows']) == ids_of(tracks)
    assert (seen['pictures'], seen['ways'] > 0) == ([], True)
    assert 'From stored detections, without images.' in seen['text']
    assert 'There are no images to show.' in seen['text']
