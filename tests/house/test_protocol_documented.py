"""docs/protocol.md names, for all that is supported, the test that shows it: each of them exists."""

import re

import pytest

from tests.house import pages
from tests.house.pages import ROOT, tables

ROWS = [row for row in tables(pages.read("protocol.md")) if row[0] != "specification"]
_TEST = re.compile(r"(tests/[\w/]+\.py)(?:::(\w+))?")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1]}: {row[2][:40]}")
def test_what_is_supported_is_tested(row):
    assert len(row) == 5
    named = _TEST.findall(row[4])
    assert named, row
    for path, function in named:
        source = (ROOT / path).read_text("utf-8")
        assert not function or f"def {function}(" in source, f"{path} has no {function}"
