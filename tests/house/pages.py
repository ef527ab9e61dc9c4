"""Reading the pages of `docs/`."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def read(name: str) -> str:
    """Return a page."""
    return (DOCS / name).read_text("utf-8")


def tables(text: str) -> list[list[str]]:
    """Return the rows of all tables of a text, cell by cell, without backticks."""
    rows = [line.strip() for line in text.splitlines() if line.strip().startswith("|")]
    cells = [[cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    return [row for row in cells if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of its kind or higher."""
    level = len(heading) - len(heading.lstrip("#"))
    _, found, rest = f"\n{text}".partition(f"\n{heading}\n")
    assert found, f"there is no heading {heading!r}"
    return re.split(rf"\n#{{1,{level}}} ", rest)[0]


def without_code(text: str) -> str:
    """Return a text without its blocks of code, where `#` begins a comment."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)
