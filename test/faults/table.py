"""
The faults that are tested, as a table in Markdown: run it to print the one of docs/faults.md.

A test anywhere in the suite is a row of it if it is marked
``@pytest.mark.fault(what, happens=..., lost=...)``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parents[1]


class Row(NamedTuple):
    """What happens to whom, what has to come of it, and what it may cost."""

    fault: str
    happens: str
    lost: str
    test: str


def rows() -> Iterator[Row]:
    """Find the marked tests, in the order of files and lines."""
    for path in sorted(TESTS.rglob('test_*.py')):
        for function in ast.parse(path.read_text(encoding='utf-8')).body:
            for decorator in getattr(function, 'decorator_list', ()):
                if ast.unparse(getattr(decorator, 'func', decorator)) == 'pytest.mark.fault':
                    (what,) = map(ast.literal_eval, decorator.args)
                    others = {
                        each.arg: ast.literal_eval(each.value) for each in decorator.keywords
                    }
                    place = f'{path.relative_to(TESTS.parent)}::{function.name}'
                    yield Row(what, others['happens'], others['lost'], place)


def table() -> str:
    """Return the table."""
    lines = ['| fault | what happens | what is lost | test |', '|---|---|---|---|']
    for row in rows():
        path, _, name = row.test.partition('::')
        lines.append(f'| {row.fault} | {row.happens} | {row.lost} | `{path}` {name[5:]} |')
    return '\n'.join(lines)


if __name__ == '__main__':
    print(table())
