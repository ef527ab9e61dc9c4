"""The way of a provider from SQLite to PostgreSQL: every row, into the same tables."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Boolean, Connection, Table, func, select

from idp.cli import database_copy, progress
from idp.errors import NotReadyError
from idp.migrations import runner
from idp.models import Base
from idp.settings import Settings, sqlite_url
from idp.storage.database import engine_of
from idp.storage.postgresql import lift_time_limit

_AT_ONCE = 1_000  # rows


def move_to_postgresql(loaded: Settings, copy: Path) -> None:
    """Put the rows of a SQLite database in the place of what PostgreSQL's tables hold, all of them or none.

    Both are brought to the newest schema first, and stay there.

    Args:
        loaded: the settings; say where PostgreSQL is.
        copy: SQLite's database, which nobody else uses.

    Raises:
        NotReadyError: somebody else is connected to PostgreSQL's database, or it refuses a row.
    """
    database_copy.check_unused_server(loaded)  # once more: taking the copy out took its time
    runner.upgrade(replace(loaded, database_url=sqlite_url(copy.resolve())))
    runner.upgrade(loaded)
    tables = Base.metadata.sorted_tables  # whoever is referred to comes first
    with closing(sqlite3.connect(copy)) as source, engine_of(loaded) as engine:
        count = sum(source.execute(f"SELECT count(*) FROM {_quoted([each.name])}").fetchone()[0] for each in tables)  # noqa: S608 - our own names
        with progress.shown("rows", count) as advance, engine.begin() as target:
            lift_time_limit(target)
            # With new counters: `setval` on those that are there would outlast a rollback.
            target.exec_driver_sql(f"TRUNCATE {_quoted(each.name for each in tables)} RESTART IDENTITY")
            for table in tables:
                _move(source, target, table, advance)
                _count_on(target, table)
            target.exec_driver_sql("ANALYZE")  # the first queries are planned as well as later ones


def _move(source: sqlite3.Connection, target: Connection, table: Table, advance: Callable[[int], None]) -> None:
    """Move a table's rows as they are stored: JSON stays the text that it is, but SQLite's flags are numbers."""
    name, columns = _quoted([table.name]), _quoted(column.name for column in table.columns)
    flags = [place for place, column in enumerate(table.columns) if isinstance(column.type, Boolean)]
    rows = source.execute(f"SELECT {columns} FROM {name}")  # noqa: S608 - our own names
    driver: Any = target.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(f"COPY {name} ({columns}) FROM STDIN") as taker:
            while some := rows.fetchmany(_AT_ONCE):
                for row in map(list, some):
                    for place in flags:
                        row[place] = None if row[place] is None else bool(row[place])
                    taker.write_row(row)
                advance(len(some))
    except (psycopg.DataError, psycopg.IntegrityError) as fault:  # its context would show the row
        reason = fault.diag.message_primary or str(fault).partition("\n")[0]
        raise NotReadyError(f"PostgreSQL refuses a row of {table.name}, so none was moved: {reason}") from None


def _count_on(target: Connection, table: Table) -> None:
    """Have a column that counts go on behind the rows that came."""
    column = table.autoincrement_column
    if column is not None:
        sequence = func.pg_get_serial_sequence(_quoted([table.name]), column.name)
        target.execute(select(func.setval(sequence, func.coalesce(func.max(column), 0) + 1, False)))


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
