"""What goes to the database inside a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event


@dataclass
class Traffic:
    """What went to the database."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0


@contextmanager
def counting(engine: Engine | type[Engine]) -> Iterator[Traffic]:
    """Note the SQL statements and count the commits of an engine, or of all, inside the block."""
    traffic = Traffic()

    def note_statement(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        traffic.statements.append(statement)

    def note_commit(_connection: Any) -> None:
        traffic.commits += 1

    event.listen(engine, "before_cursor_execute", note_statement)
    event.listen(engine, "commit", note_commit)
    try:
        yield traffic
    finally:
        event.remove(engine, "before_cursor_execute", note_statement)
        event.remove(engine, "commit", note_commit)
