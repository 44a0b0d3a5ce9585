"""The page of what goes wrong quotes messages that exist."""

import ast
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = (CHECKOUT / 'docs' / 'troubleshooting.md').read_text()
# Words before a message of another program.
OTHERS = ('pip: ', 'NumPy: ', '`ros2 ', 'Diagnostics: ', 'Messages of ')


def literals():
    """Return all texts that are written in the package, as they are between what is inserted."""
    for path in CHECKOUT.joinpath('persontrack_ros').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def quotations():
    """Return the messages in the first column of the tables."""
    for row in re.findall(r'^\| (.*?) \|', PAGE, re.M):
        if not row.startswith(OTHERS) and 'There is no id' not in row:
            yield from re.findall(r'`(.*?)`', row)


def test_every_message_exists():
    written = list(literals())
    found = list(quotations())
    assert len(found) > 30
    for quotation in found:
        parts = [part.strip() for part in quotation.split('...') if part.strip(' ,:')]
        assert parts, quotation
        for part in parts:
            assert any(part in text for text in written), f'{part!r} of {quotation!r}'
