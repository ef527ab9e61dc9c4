"""Work on SQLite that may take long: a signal ends it, and not only when it is done."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from sqlalchemy.orm import Session

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
    result: Future[_Result] = Future()

    def do() -> None:
        if result.set_running_or_notify_cancel():
            try:
                result.set_result(work())
            except BaseException as fault:
                result.set_exception(fault)

    try:
        # No executor: where a signal comes while its thread starts, it does not know of the thread, and nobody waits.
        threading.Thread(target=do, name="sqlite-work").start()
        return result.result()
    finally:
        # However often the wait is ended: whoever closed a connection that is at work would end the process.
        while True:
            with contextlib.suppress(BaseException):
                if result.cancel() or result.done():
                    break
                connection.interrupt()  # between two statements there is nothing to interrupt
                wait([result], _AGAIN_AFTER)


def connection_of(db: Session) -> sqlite3.Connection | None:
    """Return a session's connection as SQLite's driver knows it; None where the database is a server's."""
    driver = db.connection().connection.driver_connection
    return driver if isinstance(driver, sqlite3.Connection) else None
