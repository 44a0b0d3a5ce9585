"""
The faults that are tested, as tables in Markdown: run it to print those of docs/faults.md.

A test anywhere in the suite is a row if it is marked
``@pytest.mark.fault(driver, what, happens=..., lost=...)``, the driver being one of `DRIVERS`.
Where `what` has braces, each key of the dictionary that the test is parametrised with is a row.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

TESTS = Path(__file__).resolve().parents[1]

# Who brings the fault, in the order of the page.
DRIVERS = {
    'publishers': 'Images, detections and depth, and who publishes them',
    'subscribers': 'Who subscribes to the results',
    'parameters': 'Parameters and arguments',
    'services': 'Services and transitions',
    'clocks': 'Clocks and stamps',
    'signals': 'Signals, and processes that end',
    'files': 'Files that are read',
    'disks': 'Disks and memory that are written to',
}


class Row(NamedTuple):
    """What happens to whom, what has to come of it, and what it may cost."""

    driver: str
    fault: str
    happens: str
    lost: str
    test: str


def rows() -> Iterator[Row]:
    """Find the marked tests, in the order of files and lines."""
    for path in sorted(TESTS.rglob('test_*.py')):
        tree = ast.parse(path.read_text(encoding='utf-8'))
        dictionaries = {
            target.id: statement.value
            for statement in tree.body
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Dict)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        for function in tree.body:
            calls = [
                each
                for each in getattr(function, 'decorator_list', ())
                if isinstance(each, ast.Call)
            ]
            for call in calls:
                if ast.unparse(call.func) != 'pytest.mark.fault':
                    continue
                driver, what = map(ast.literal_eval, call.args)
                others = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
                place = f'{path.relative_to(TESTS.parent)}::{function.name}'
                for fault in _cases(what, calls, dictionaries):
                    yield Row(driver, fault, others['happens'], others['lost'], place)


def _cases(what: str, calls: list[ast.Call], dictionaries: dict[str, ast.Dict]) -> Iterator[str]:
    """Return what the braces stand for, in all cases."""
    if '{}' not in what:
        yield what
        return
    (names,) = (each.value for call in calls for each in call.keywords if each.arg == 'ids')
    keys: list[Any] = dictionaries[ast.unparse(names)].keys
    for key in keys:
        yield what.format(ast.literal_eval(key))


def tables() -> str:
    """Return a section with a table for each driver."""
    found = list(rows())
    lines = []
    for driver, title in DRIVERS.items():
        lines += [
            f'## {title}',
            '| fault | what happens | what is lost | test |',
            '|---|---|---|---|',
        ]
        for row in found:
            if row.driver == driver:
                path, _, name = row.test.partition('::')
                lines.append(f'| {row.fault} | {row.happens} | {row.lost} | `{path}` {name[5:]} |')
        lines.append('')
    return '\n'.join(lines).rstrip()


if __name__ == '__main__':
    print(tables())
