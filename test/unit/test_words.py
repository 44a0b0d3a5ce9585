"""Words of the glossary: those that are not used for one thing any more must not come back."""

import re
import subprocess
from pathlib import Path

import pytest

THIS = Path(__file__)
ROOT = THIS.parents[2]

# What users and contributors read, but the changelog, which lists what was renamed.
SCOPE = (
    *('persontrack_ros', 'launch', 'config', 'docs', 'examples', 'notebooks', 'tools'),
    *('test', 'README.md', 'CONTRIBUTING.md'),
)
SUFFIXES = {'.py', '.md', '.rst', '.yaml', '.ipynb'}

WORDS = re.compile(
    r'\b(who(?:m(?:ever)?|ever)|lest|likewise|befall(?:s|en)?|befell|mend(?:s|ed)?|strayed|'
    r'likeness(?:es)?|sameness|who is who|complain(?:s|ed)?|somebody|known again|take note)\b',
    re.IGNORECASE,
)
# As identifiers; `looks` may be a verb.
NAMES = re.compile(r'\bSeen\b|\blooks\b(?=\s*[=,)\].:\[]|\()|\b(?:looks_|_looks)\w*')


def files():
    """Return the files of the scope that belong to the repository, or all without git."""
    listed = subprocess.run(
        ['git', 'ls-files', *SCOPE], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    paths = [ROOT / each for each in listed] or [
        path for each in SCOPE for path in [ROOT / each, *(ROOT / each).rglob('*')]
    ]
    return [path for path in paths if path.suffix in SUFFIXES and path.is_file() and path != THIS]


@pytest.mark.parametrize('pattern', [WORDS, NAMES], ids=['words', 'names'])
def test_words_that_went_do_not_come_back(pattern):
    found = [
        f'{path.relative_to(ROOT)}:{number}: {match[0]}'
        for path in files()
        for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1)
        for match in pattern.finditer(line)
        if pattern is WORDS or path.suffix == '.py'
    ]
    assert len(files()) > 100
    assert not found, 'use the words of the glossary:\n' + '\n'.join(found)
