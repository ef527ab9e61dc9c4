"""How data is printed: tables for people, JSON for programs; and messages, which go elsewhere."""

import json
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, TypeVar

import click

ALIGNED = 500  # rows of a table that are read before the first is printed

Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """Give a command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def note(message: str) -> None:
    """Tell a person something; stdout stays clean for data."""
    click.echo(_printable(message, keep="\n"), err=True)


def data(value: Any) -> None:
    """Print JSON. Times in it are seconds since the epoch, as everywhere in the protocol."""
    click.echo(json.dumps(value, indent=2))


def data_line(value: Any) -> None:
    """Print JSON on one line, for streams."""
    click.echo(json.dumps(value, separators=(",", ":")))


def data_stream(values: Iterable[Any]) -> None:
    """Print a JSON array of any length, an element at a time."""
    is_empty = True
    for value in values:
        click.echo("[\n" if is_empty else ",\n", nl=False)
        click.echo(textwrap.indent(json.dumps(value, indent=2), "  "), nl=False)
        is_empty = False
    click.echo("[]" if is_empty else "\n]")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under headings, which are as wide as the first few hundred rows need.

    Args:
        columns: the headings.
        rows: their cells; lists are joined, None is left empty.
    """
    all_rows = iter(rows)
    cells = [[_cell(value) for value in row] for row in islice(all_rows, ALIGNED)]
    cells.insert(0, [column.upper() for column in columns])
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    for row in chain(cells, ([_cell(value) for value in row] for row in all_rows)):
        line = "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def line(values: Iterable[Any]) -> None:
    """Print one row of a stream, whose columns nobody can align; a hyphen stands for nothing."""
    click.echo("  ".join(_cell(value) or "-" for value in values))


def record(values: Mapping[str, Any]) -> None:
    """Print one thing, a line for each value that it has."""
    shown = {name: _cell(value) for name, value in values.items() if value not in (None, "", [], ())}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        click.echo(f"{name:<{width}}  {value}")


def topics(rows: Iterable[tuple[str, str]]) -> None:
    """Print sentences under what they are about, which is written once for those that follow each other."""
    found = list(rows)
    width = max((len(topic) for topic, _ in found), default=0)
    before = ""
    for topic, sentence in found:
        shown = "" if topic == before else topic
        click.echo(f"{shown:<{width}}  {_printable(sentence)}")
        before = topic


def instant(seconds: int | None) -> str:
    """Return a time as people read it: ISO 8601, UTC; where no calendar reaches that far, its number."""
    if seconds is None:
        return ""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OSError, OverflowError, ValueError):
        return str(seconds)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return _printable(", ".join(map(str, value)))
    return _printable(str(value))


def _printable(text: str, keep: str = "") -> str:
    """What others typed in must not steer the operator's terminal."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(character) in ("W", "F") for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)
