"""SQLite with this project's habits: connections wait, take turns at writing, and know their file.

The driver is left in autocommit mode. A SELECT before the first write of a request reads the latest committed state
and holds nothing; the first write begins the transaction with BEGIN IMMEDIATE, so a writer waits for the lock instead
of failing with "database is locked" when it turns from reader to writer. That is the isolation PostgreSQL gives by
default (READ COMMITTED), which keeps both engines alike.
"""

import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, exc
from sqlalchemy.pool import QueuePool

from idp import clock, patience, turns
from idp.errors import NotReadyError
from idp.storage import write_lock, write_turns

LOOK_FOR_FILE_EVERY = 0.05  # seconds in which requests that only read may go on with a file that is gone
# KiB of pages that a connection keeps: what lies above the rows of a million people in the indexes of a login and a
# token check, and more. SQLite's own 2,000 are too few for that.
PAGES_KEPT = 4_000
OLDEST = (3, 35)  # which knows RETURNING
LOG_KEPT = 16 * 1024 * 1024  # bytes that the log keeps on the disk, once nobody reads what it was before
# No SAVEPOINT among them: outside a transaction SQLite takes one for a BEGIN, and its RELEASE for a COMMIT.
_READS = ("SELECT", "PRAGMA", "EXPLAIN", "BEGIN", "COMMIT", "ROLLBACK", "RELEASE")


def engine_options() -> dict[str, Any]:
    """Return the keyword arguments for `create_engine`."""
    return {
        # As many as there are threads: whoever waited for one would keep their turn (see `idp.turns`), and those who
        # could give one back wait for just that turn.
        "poolclass": QueuePool,
        "pool_size": 1,
        "max_overflow": -1,
        "connect_args": {
            "timeout": 0,  # `WaitingCursor` waits, and `write_lock`
            "isolation_level": None,
            "check_same_thread": False,
            "factory": WaitingConnection,
        },
    }


def prepare_engine(engine: Engine) -> None:
    """Give an engine these habits. Safe to call more than once.

    Raises:
        NotReadyError: SQLite is too old, as the one of RHEL 9 is, which Python has from the system.
    """
    if sqlite3.sqlite_version_info < OLDEST:
        raise NotReadyError(
            f"{sys.executable} works with SQLite {sqlite3.sqlite_version}, and {'.'.join(map(str, OLDEST))} or newer "
            "is needed: use a Python with a newer one, such as uv's (`uv venv --managed-python`), or PostgreSQL."
        )
    if not event.contains(engine, "connect", _set_pragmas):
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "before_cursor_execute", _begin_immediate)


def keep_to_file(engine: Engine) -> None:
    """Have an engine fail where SQLite's file is gone, and leave a file that is gone, or was replaced.

    An empty one in its place would look like a fresh start; and connections that are open already go on with a file
    that has no name any more, as if all were well.
    """
    if engine.dialect.name == "sqlite" and not event.contains(engine, "do_connect", _refuse_missing):
        event.listen(engine, "do_connect", _refuse_missing)
        event.listen(engine, "checkout", _leave_lost)


class WaitingCursor(sqlite3.Cursor):
    """A cursor that waits where a reader finds the database busy, and lets others have their turn meanwhile.

    That is rare: while a log is read again after a crash, or the last connection of a command closes it. SQLite's own
    way to wait would keep the turn (see `idp.turns`), and had to be switched off and on around each write.
    """

    def execute(self, sql: str, parameters: Any = ()) -> "WaitingCursor":
        """Execute a statement.

        Raises:
            sqlite3.OperationalError: among others, the database was busy all the while.
        """
        try:
            return super().execute(sql, parameters)
        except sqlite3.OperationalError as fault:
            if not write_lock.is_busy(fault):
                raise
        return self._execute_again(sql, parameters)

    def _execute_again(self, sql: str, parameters: Any) -> "WaitingCursor":
        until = clock.ticks() + patience.left(patience.BUSY_TIMEOUT)
        while True:
            with turns.aside():
                time.sleep(write_lock.LOOK_AGAIN_EVERY)
            try:
                return super().execute(sql, parameters)
            except sqlite3.OperationalError as fault:
                if not write_lock.is_busy(fault) or clock.ticks() >= until:
                    raise


class WaitingConnection(sqlite3.Connection):
    """A connection that knows its file, and gives this process's turn at writing back when its transaction has ended.

    Args:
        path: of the file, or `:memory:`.
    """

    has_turn = False

    def __init__(self, path: str, *given: Any, **more: Any) -> None:
        self._path = path
        self._file = _file_at(path)  # before it is opened: one that comes between counts as another
        self._look_at = 0.0
        self._is_lost = False
        super().__init__(path, *given, **more)

    def cursor(self, factory: Any = WaitingCursor) -> Any:
        """Return a cursor that waits."""
        return super().cursor(factory)

    @property
    def has_lost_file(self) -> bool:
        """Whether its path leads to another file now, or to none; looked at now and then."""
        now = clock.ticks()
        if now >= self._look_at:
            self._look_at = now + LOOK_FOR_FILE_EVERY
            self._is_lost = _file_at(self._path) != self._file
        return self._is_lost

    def commit(self) -> None:
        """Commit.

        Raises:
            sqlite3.OperationalError: the file is gone, or another has its name: nobody would find what was written.
        """
        if self._file is not None and self.in_transaction:
            self._look_at = 0.0  # who writes looks each time
            if self.has_lost_file:
                raise sqlite3.OperationalError("the database's file is gone, or another")
        super().commit()
        self.give_back_turn()

    def rollback(self) -> None:
        """Roll back."""
        super().rollback()
        self.give_back_turn()

    def close(self) -> None:
        """Close, and roll back what is open."""
        super().close()
        self.give_back_turn()

    def give_back_turn(self) -> None:
        """Let others write."""
        if self.has_turn:
            self.has_turn = False
            write_turns.SHARED.give_back()


def _file_at(path: str) -> tuple[int, int] | None:
    """Return what tells a file from all others, whatever its name; None where there is none."""
    try:
        status = os.stat(path)  # each commit asks, and a Path would take as long again
    except OSError:
        return None
    return status.st_dev, status.st_ino


def has_lost_file(driver: Any) -> bool:
    """Tell whether a driver's connection is to a file of SQLite's that is gone, or was replaced."""
    return isinstance(driver, WaitingConnection) and driver.has_lost_file


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    kept = (f"cache_size=-{PAGES_KEPT}", f"journal_size_limit={LOG_KEPT}")
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF", *kept):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _refuse_missing(_dialect: Any, _record: Any, arguments: list[Any], _more: Any) -> None:
    path = str(arguments[0]) if arguments else ""
    if path and path != ":memory:" and not Path(path).exists():
        raise sqlite3.OperationalError("the database's file is gone")


def _leave_lost(connection: Any, _record: Any, _proxy: Any) -> None:
    if has_lost_file(connection):
        raise exc.DisconnectionError("the database's file is gone, or another")  # the pool opens it anew


def _begin_immediate(
    _connection: Any, cursor: Any, statement: str, _parameters: Any, _context: Any, _executemany: bool
) -> None:
    if cursor.connection.in_transaction or statement.lstrip()[:9].upper().startswith(_READS):
        return
    write_lock.take_write_lock(cursor)
