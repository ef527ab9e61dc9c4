"""Sessions for requests: most run prepared statements and nothing else, and need little of SQLAlchemy's own."""

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Engine, exc
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool

from idp.storage import postgresql, sqlite

# Sessions that keep SQLite's connection between requests: these take turns, so more are needed only where one waits
# in its midst; who waits for a hash, or for an app's server, keeps none (`pause`).
IDLE_MOST = 2


def as_sqlalchemys(
    dialect: Dialect, fault: Exception, sql: str | None = None, *, is_gone: bool = False
) -> BaseException:
    """Return a driver's error as the one that SQLAlchemy raises for it; it holds no values.

    Nobody else does so for a connection that is used directly.

    Args:
        dialect: of its engine.
        fault: what was raised.
        sql: the statement that failed, if it was one.
        is_gone: whether the connection was given up for it.
    """
    driver: Any = dialect.loaded_dbapi
    if not isinstance(fault, driver.Error):
        return fault
    wrapped: BaseException = exc.DBAPIError.instance(
        sql, None, fault, driver.Error, hide_parameters=True, connection_invalidated=is_gone, dialect=dialect
    )
    return wrapped


class LeanSession(Session):
    """A session that borrows its connection from the pool and binds itself to it, without a transaction of its own yet.

    Prepared statements need no more than that, and most requests run nothing else. Whatever else is asked of the
    session takes SQLAlchemy's usual way, on that very connection: all of it is one transaction.

    Closed, it is ready for the next request. A connection to SQLite stays with it meanwhile: nobody else lacks it, and
    borrowing it anew costs more than a statement does.
    """

    _borrowed: Connection | None = None
    _lender: Pool | None = None

    @property
    def engine(self) -> Engine:
        """Where the connection comes from."""
        raise NotImplementedError

    def lean_connection(self) -> Connection:
        """Return the session's connection; borrows one at first use."""
        borrowed = self._borrowed
        if borrowed is None:
            borrowed = self._borrowed = Connection(self.engine)
            self._lender = self.engine.pool
        return borrowed

    def get_bind(self, *_: Any, **__: Any) -> Connection:
        """Return the connection that everything of this session runs on."""
        return self.lean_connection()

    def commit(self) -> None:
        """Commit what objects and statements did since the last time; nothing, where they only read."""
        is_usual = self.in_transaction()
        if not is_usual and self._has_only_read():
            return
        if is_usual:
            super().commit()
        if self._borrowed is not None and not self._borrowed.invalidated:
            if not is_usual:
                for listener in self.engine.dispatch.commit:
                    listener(self._borrowed)
            try:
                self._borrowed.connection.commit()  # nothing is left to do where SQLAlchemy has done it
            except Exception as fault:
                raise as_sqlalchemys(self.engine.dialect, fault) from fault

    def _has_only_read(self) -> bool:
        """Tell whether nothing is there to commit: no statement has begun a transaction."""
        borrowed = self._borrowed
        if borrowed is None or borrowed.invalidated:
            return True
        driver = borrowed.connection.driver_connection
        has_begun = driver.in_transaction if isinstance(driver, sqlite3.Connection) else postgresql.has_begun(driver)
        return not has_begun

    def rollback(self) -> None:
        """Undo what objects and statements did."""
        super().rollback()
        if self._borrowed is not None and not self._borrowed.invalidated:
            try:
                self._borrowed.connection.rollback()
            except Exception as fault:
                raise as_sqlalchemys(self.engine.dialect, fault) from fault

    def invalidate(self) -> None:
        """Give up the connection, with what was not committed: nobody uses it again."""
        super().invalidate()
        if self._borrowed is not None and not self._borrowed.invalidated:
            self._borrowed.invalidate()

    def close(self) -> None:
        """Undo what was not committed, and give the connection back unless it may stay."""
        if self.in_transaction() or self.identity_map:
            super().close()
        if self._borrowed is not None and not self._may_keep(self._borrowed):
            self.let_go_of_connection()

    @property
    def has_stale_connection(self) -> bool:
        """Whether the connection is of a pool that was put away meanwhile, or to a file that was."""
        borrowed = self._borrowed
        if borrowed is None:
            return False
        return not self._may_keep(borrowed) or sqlite.has_lost_file(borrowed.connection.driver_connection)

    @property
    def has_connection(self) -> bool:
        """Whether a connection is at hand."""
        return self._borrowed is not None

    def let_go_of_connection(self) -> None:
        """Give the connection back to the pool; close it, if that was put away and closes nothing any more."""
        if self._borrowed is not None:
            if self.engine.pool is not self._lender:
                self._borrowed.invalidate()
            self._borrowed.close()
            self._borrowed = None

    def _may_keep(self, connection: Connection) -> bool:
        """Tell whether a connection is SQLite's, in order, of a pool that is still in use, and between transactions."""
        if connection.dialect.name != "sqlite" or connection.invalidated or self.engine.pool is not self._lender:
            return False
        return self._has_only_read()


def pause(db: Session) -> None:
    """Commit, and give the connection back, before a wait that has nothing to do with the database.

    Of connections there are fewer than of requests that may wait for a hash, or for an app's server to answer; on
    SQLite each holds pages in memory. Objects stay with the session, as they were read.
    """
    db.commit()
    if isinstance(db, LeanSession):  # the others do so at each commit
        db.let_go_of_connection()


class SessionPool:
    """Sessions that wait for their next request.

    A connection holds pages in memory, so few sessions keep theirs: what a burst has opened is closed again.

    Args:
        make: makes one.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        # Pop and append are one step each, whatever the number of threads; one kept too many does no harm.
        self._connected: list[LeanSession] = []
        self._bare: list[LeanSession] = []

    def take(self) -> LeanSession:
        """Return a session that nobody else uses."""
        for idle in (self._connected, self._bare):
            with contextlib.suppress(IndexError):
                session = idle.pop()
                if session.has_stale_connection:
                    session.let_go_of_connection()
                return session
        return cast(LeanSession, self._make())

    def give_back(self, session: LeanSession) -> None:
        """Close a session, and keep it for the next request."""
        session.close()
        if session.has_connection and len(self._connected) < IDLE_MOST:
            self._connected.append(session)
        else:
            session.let_go_of_connection()
            self._bare.append(session)

    def disconnect(self) -> None:
        """Have sessions that wait let go of their connections."""
        with contextlib.suppress(IndexError):
            while True:
                session = self._connected.pop()
                session.let_go_of_connection()
                self._bare.append(session)
