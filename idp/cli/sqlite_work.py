"""Work on SQLite that may take long: a signal ends it, and not only when it is done."""

import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

_AGAIN_AFTER = 0.05  # seconds

_Result = TypeVar("_Result")


def ended_by_signals(connection: sqlite3.Connection, work: Callable[[], _Result]) -> _Result:
    """Do some work on a connection, and return its result; a signal interrupts the statement that it is at.

    Python heeds signals between two of its own steps, and to it a statement is one: a thread takes it, we wait.

    Args:
        connection: one that other threads may use.
        work: runs statements on it, and gives up when one fails.

    Raises:
        Exception: what the work raises.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        result = pool.submit(work)
        try:
            return result.result()
        finally:  # whatever ended the wait, and however often
            while not result.done():
                with contextlib.suppress(BaseException):
                    connection.interrupt()  # between two statements there is nothing to interrupt
                    wait([result], _AGAIN_AFTER)


def find_damage(connection: sqlite3.Connection) -> list[str]:
    """Say what is wrong with a database's pages and indexes; or, where they are well, with its references.

    Raises:
        sqlite3.DatabaseError: it is so damaged that it cannot be asked.
    """

    def ask() -> list[str]:
        damaged = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
        if damaged != ["ok"]:
            return damaged
        return [
            orphaned(table) for table in sorted({str(row[0]) for row in connection.execute("PRAGMA foreign_key_check")})
        ]

    return ended_by_signals(connection, ask)


def orphaned(table: str) -> str:
    """Say that a table's rows refer to others that are not there."""
    return f"{table} has rows without parents"
