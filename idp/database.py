"""How the provider talks to its database: SQLite by default, PostgreSQL by a setting.

SQLite's driver is left in autocommit mode. A SELECT before the first write of a request reads the latest committed
state and holds nothing; the first write begins the transaction with BEGIN IMMEDIATE, so a writer waits for the lock
instead of failing with "database is locked" when it turns from reader to writer. That is the isolation PostgreSQL
gives by default (READ COMMITTED), which keeps both engines alike.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, exc
from sqlalchemy.dialects.postgresql import Insert as PostgresqlInsert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import Pool, QueuePool

from idp import clock, compact_json, patience, turns, write_turns
from idp.settings import Settings

CONNECTIONS = 15  # to a database server that a process has at most
# How long anybody waits, in seconds; a request's waits have a bound together besides (`idp.patience`).
BUSY_TIMEOUT = 15  # for what others hold: with SQLite its one lock, with a server a connection first and then a row
CONNECTION_WITHIN = 5  # of these: for one of this process's connections; those who have them wait for rows, or work
LOCK_WITHIN = BUSY_TIMEOUT - CONNECTION_WITHIN  # and then for a row, which others keep for some thousandths
CONNECT_WITHIN = 5  # that a database server may take to let us in
DEAD_AFTER = 12  # that a database server may leave what we sent unacknowledged; then we try to connect anew
PROBE_EVERY = 4  # and in between, while nothing is heard of it, we ask whether it is there
LOOK_EVERY = 0.0005  # seconds between two looks whether it is free; less than a transaction takes
STEP_ASIDE_AFTER = 0.05  # seconds of waiting after which requests that only read go on meanwhile
LOOK_AGAIN_EVERY = 0.01  # seconds between two looks from then on
LOOK_FOR_FILE_EVERY = 0.05  # seconds in which requests that only read may go on with a file that is gone
LONG = 0.5  # seconds for which somebody has waited when others step aside at once: it is no transaction of a request's
# How long a PostgreSQL server waits for us, and lets us wait. A host whose power fails says no goodbye: without these
# its rows would stay locked for two hours, and everybody who needs one of them would wait for as long.
_SERVER_LIMITS = {
    "lock_timeout": f"{LOCK_WITHIN}s",
    "idle_in_transaction_session_timeout": "5min",  # for a process that stands still; its host is there
    "tcp_user_timeout": f"{DEAD_AFTER}s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "2",
}
# Sessions that keep SQLite's connection between requests: these take turns, so more are needed only where one waits
# in its midst; who waits for a hash, or for an app's server, keeps none (`pause`).
IDLE_MOST = 2
# KiB of pages that a connection to SQLite keeps: what lies above the rows of a million people in the indexes of a login
# and a token check, and more. SQLite's own 2,000 are too few for that.
PAGES_KEPT = 4_000
LOG_KEPT = 16 * 1024 * 1024  # bytes that SQLite's log keeps on the disk, once nobody reads what it was before
_waiting_since: list[float] = []  # of those here who stepped aside, on `clock.ticks`; in their order, or nearly so
_last_began = [0.0]  # when somebody here began to write
_SHORT = 64  # characters or bytes of JSON that are remembered
_READ_ONLY = "25006"  # PostgreSQL's read_only_sql_transaction
# No SAVEPOINT among them: outside a transaction SQLite takes one for a BEGIN, and its RELEASE for a COMMIT.
_READS = ("SELECT", "PRAGMA", "EXPLAIN", "BEGIN", "COMMIT", "ROLLBACK", "RELEASE")


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments for `create_engine`."""
    if settings.is_sqlite:
        own: dict[str, Any] = {
            # As many as there are threads: whoever waited for one would keep their turn (see `idp.turns`), and those
            # who could give one back wait for just that turn.
            "poolclass": QueuePool,
            "pool_size": 1,
            "max_overflow": -1,
            "connect_args": {
                "timeout": 0,  # `_Cursor` waits, and `_take_write_lock`
                "isolation_level": None,
                "check_same_thread": False,
                "factory": _SqliteConnection,
            },
        }
    else:
        timeouts = {
            "connect_timeout": CONNECT_WITHIN,
            "tcp_user_timeout": 1000 * DEAD_AFTER,
            "keepalives_idle": PROBE_EVERY,
            "keepalives_interval": PROBE_EVERY,
        }
        own = {
            "pool_size": 5,
            "max_overflow": CONNECTIONS - 5,
            "pool_timeout": CONNECTION_WITHIN,
            "pool_pre_ping": True,
            "pool_recycle": 1800,
            "connect_args": timeouts,
        }
    # An error's text would carry addresses and digests into the log.
    return {"hide_parameters": True, "json_serializer": compact_json.text, "json_deserializer": _read_json, **own}


class _Cursor(sqlite3.Cursor):
    """A cursor that waits where a reader finds the database busy, and lets others have their turn meanwhile.

    That is rare: while a log is read again after a crash, or the last connection of a command closes it. SQLite's own
    way to wait would keep the turn (see `idp.turns`), and had to be switched off and on around each write.
    """

    def execute(self, sql: str, parameters: Any = ()) -> "_Cursor":
        """Execute a statement.

        Raises:
            sqlite3.OperationalError: among others, the database was busy all the while.
        """
        try:
            return super().execute(sql, parameters)
        except sqlite3.OperationalError as fault:
            if not _is_busy(fault):
                raise
        return self._execute_again(sql, parameters)

    def _execute_again(self, sql: str, parameters: Any) -> "_Cursor":
        until = clock.ticks() + patience.left(BUSY_TIMEOUT)
        while True:
            with turns.aside():
                time.sleep(LOOK_AGAIN_EVERY)
            try:
                return super().execute(sql, parameters)
            except sqlite3.OperationalError as fault:
                if not _is_busy(fault) or clock.ticks() >= until:
                    raise


class _SqliteConnection(sqlite3.Connection):
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

    def cursor(self, factory: Any = _Cursor) -> Any:
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


def _has_lost_file(driver: Any) -> bool:
    """Tell whether a driver's connection is to a file of SQLite's that is gone, or was replaced."""
    return isinstance(driver, _SqliteConnection) and driver.has_lost_file


def _read_json(text: str | bytes) -> Any:
    """Read a column's JSON. The same short lists come again and again: the methods of a sign-in, no resources."""
    if text == "null":  # of a column that may hold a document, and mostly holds none
        return None
    words = _words(text) if len(text) <= _SHORT else None
    return json.loads(text) if words is None else list(words)


@lru_cache
def _words(text: str | bytes) -> tuple[str, ...] | None:
    """Return the strings of a list; None where it is something else."""
    read = json.loads(text)
    return tuple(read) if isinstance(read, list) and all(isinstance(each, str) for each in read) else None


def open_engine(settings: Settings) -> Engine:
    """Open the database for a command or the worker; the web application has its own by Flask-SQLAlchemy."""
    engine = create_engine(settings.sqlalchemy_url, **engine_options(settings))
    prepare_engine(engine)
    return engine


def prepare_engine(engine: Engine) -> None:
    """Give an engine this project's habits. Safe to call more than once."""
    if engine.dialect.name == "postgresql" and not event.contains(engine, "connect", _set_limits):
        event.listen(engine, "connect", _set_limits)
        event.listen(engine, "before_cursor_execute", _wait_no_longer)
        event.listen(engine, "handle_error", _leave_read_only)
    if engine.dialect.name != "sqlite" or event.contains(engine, "connect", _set_pragmas):
        return
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


EitherInsert = SqliteInsert | PostgresqlInsert
# An INSERT that may say what to do on a conflict: both engines have it, SQLAlchemy's own `insert` not.
INSERTS: Mapping[str, Callable[[Any], EitherInsert]] = {"sqlite": sqlite_insert, "postgresql": postgresql_insert}


def insert_into(db: Session, table: type[DeclarativeBase]) -> EitherInsert:
    """Begin an INSERT that may say what to do on a conflict."""
    return INSERTS[db.get_bind().dialect.name](table)


def is_fault_of_storage(error: BaseException) -> bool:
    """Tell whether the database is away, locked, full, read-only or broken; what was asked of it was right.

    Args:
        error: what SQLAlchemy raised.
    """
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.InternalError | exc.TimeoutError):
        return True  # InternalError: PostgreSQL answers a write so while it is a read-only standby
    # Exactly this class: SQLite's "file is not a database" and "disk image is malformed".
    return type(error) is exc.DatabaseError or bool(getattr(error, "connection_invalidated", False))


def is_of_standby(fault: BaseException | None) -> bool:
    """Tell whether a driver's error says that the server takes no writes: it is a standby, or was told to be one.

    Its connection is to be given up then. It works, and would stay for half an hour, while a new one may lead to the
    server that takes writes by now.
    """
    return getattr(fault, "sqlstate", None) == _READ_ONLY


def _as_sqlalchemys(engine: Engine, fault: Exception) -> BaseException:
    """Return a driver's error as SQLAlchemy raises it: nobody else does for a connection that is used directly."""
    driver = engine.dialect.loaded_dbapi
    if not isinstance(fault, driver.Error):
        return fault
    wrapped: BaseException = exc.DBAPIError.instance(
        None, None, fault, driver.Error, hide_parameters=True, dialect=engine.dialect
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
    _is_used = False  # since the last commit

    @property
    def engine(self) -> Engine:
        """Where the connection comes from."""
        raise NotImplementedError

    def lean_connection(self) -> Connection:
        """Return the session's connection; borrows one at first use."""
        borrowed = self._borrowed
        if borrowed is None:
            try:
                borrowed = self._borrowed = Connection(self.engine, connection=self.engine.raw_connection())
            except Exception as fault:
                raise _as_sqlalchemys(self.engine, fault) from fault
            self._lender = self.engine.pool
        self._is_used = True
        return borrowed

    def get_bind(self, *_: Any, **__: Any) -> Connection:
        """Return the connection that everything of this session runs on."""
        return self.lean_connection()

    def commit(self) -> None:
        """Commit what objects and statements did since the last time; nothing, where they only read from SQLite."""
        is_usual = self.in_transaction()
        if not is_usual and (not self._is_used or self._has_only_read()):
            return
        self.flush()
        if is_usual:
            super().commit()
        self._is_used = False
        if self._borrowed is not None and not self._borrowed.invalidated:
            if not is_usual:
                for listener in self.engine.dispatch.commit:
                    listener(self._borrowed)
            try:
                self._borrowed.connection.commit()  # nothing is left to do where SQLAlchemy has done it
            except Exception as fault:
                raise _as_sqlalchemys(self.engine, fault) from fault

    def _has_only_read(self) -> bool:
        """Tell whether nothing is there to commit. PostgreSQL's transactions begin with reading, and have to end."""
        borrowed = self._borrowed
        if borrowed is None or borrowed.invalidated:
            return True
        driver = borrowed.connection.driver_connection
        return isinstance(driver, sqlite3.Connection) and not driver.in_transaction

    def rollback(self) -> None:
        """Undo what objects and statements did."""
        super().rollback()
        if self._borrowed is not None and not self._borrowed.invalidated:
            try:
                self._borrowed.connection.rollback()
            except Exception as fault:
                raise _as_sqlalchemys(self.engine, fault) from fault

    def invalidate(self) -> None:
        """Give up the connection, with what was not committed: nobody uses it again."""
        super().invalidate()
        if self._borrowed is not None and not self._borrowed.invalidated:
            self._borrowed.invalidate()

    def close(self) -> None:
        """Undo what was not committed, and give the connection back unless it may stay."""
        if self.in_transaction() or self.identity_map or self.new:
            super().close()
        self.give_back_connection()

    def give_back_connection(self) -> None:
        """Give the connection back to the pool, unless it may stay."""
        if self._borrowed is not None and not self._may_keep(self._borrowed):
            self.let_go_of_connection()

    @property
    def has_stale_connection(self) -> bool:
        """Whether the connection is of a pool that was put away meanwhile, or to a file that was."""
        borrowed = self._borrowed
        if borrowed is None:
            return False
        return not self._may_keep(borrowed) or _has_lost_file(borrowed.connection.driver_connection)

    @property
    def has_connection(self) -> bool:
        """Whether a connection is at hand."""
        return self._borrowed is not None

    def let_go_of_connection(self) -> None:
        """Give the connection back to the pool."""
        if self._borrowed is not None:
            self._borrowed.close()
            self._borrowed = None
            self._is_used = False

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


@contextmanager
def open_session(settings: Settings) -> Iterator[Session]:
    """Open a session that commits when the block ends well and rolls back when it does not."""
    engine = open_engine(settings)
    try:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session
    finally:
        engine.dispose()


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    kept = (f"cache_size=-{PAGES_KEPT}", f"journal_size_limit={LOG_KEPT}")
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF", *kept):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _set_limits(connection: Any, _record: Any) -> None:
    # Not by the connection's startup options: those are the operator's, in the URL, and some poolers refuse them.
    asked = ", ".join(f"set_config('{name}', '{limit}', false)" for name, limit in _SERVER_LIMITS.items())
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {asked}")
    connection.commit()


def _wait_no_longer(
    connection: Connection, _cursor: Any, statement: str, _parameters: Any, _context: Any, _executemany: bool
) -> None:
    """Let a statement wait for rows only as long as its request may, where that is less than all may."""
    left = patience.left(LOCK_WITHIN)
    if left < LOCK_WITHIN and not statement.startswith("ROLLBACK"):  # to a savepoint, after a fault: no other may come
        with contextlib.closing(connection.connection.cursor()) as own:
            own.execute(f"SET LOCAL lock_timeout = {int(left * 1000)}")


def _leave_read_only(fault: ExceptionContext) -> None:
    if is_of_standby(fault.original_exception):
        fault.is_disconnect = True
        fault.invalidate_pool_on_disconnect = False  # the others go on reading


def _refuse_missing(_dialect: Any, _record: Any, arguments: list[Any], _more: Any) -> None:
    path = str(arguments[0]) if arguments else ""
    if path and path != ":memory:" and not Path(path).exists():
        raise sqlite3.OperationalError("the database's file is gone")


def _leave_lost(connection: Any, _record: Any, _proxy: Any) -> None:
    if _has_lost_file(connection):
        raise exc.DisconnectionError("the database's file is gone, or another")  # the pool opens it anew


def _begin_immediate(
    _connection: Any, cursor: Any, statement: str, _parameters: Any, _context: Any, _executemany: bool
) -> None:
    if cursor.connection.in_transaction or statement.lstrip()[:9].upper().startswith(_READS):
        return
    _take_write_lock(cursor)


def _take_write_lock(cursor: Any) -> None:
    """Begin to write."""
    if write_turns.SHARED.are_taken:
        _begin_in_turn(cursor)
    elif not _begins(cursor):
        _wait_and_begin(cursor, clock.ticks())


def _begin_in_turn(cursor: Any) -> None:
    """Begin to write when it is this process's turn (`idp.write_turns`).

    A turn that does not come is lost, or whoever has it takes long. In the first case SQLite's lock is free: then we
    write, and it is there again when we have. In the second we wait for the lock like everybody else.
    """
    connection = cursor.connection
    began_at = clock.ticks()
    connection.has_turn = connection.has_turn or write_turns.SHARED.take(0 if _is_long_taken() else STEP_ASIDE_AFTER)
    if _begins(cursor):
        connection.has_turn = True
        return
    try:
        _wait_and_begin(cursor, began_at)
    except BaseException:
        connection.give_back_turn()
        raise


def _wait_and_begin(cursor: Any, began_at: float) -> None:
    """Begin to write, as soon as whoever does now has finished.

    SQLite's own way to wait sleeps ever longer between two looks, up to a tenth of a second, while a transaction here
    takes a thousandth: whoever came first would often be the last to see that the lock is free. Whoever waits keeps
    their turn at first (see `idp.turns`), so that of all threads of a process one looks; when the wait gets long, they
    step aside, for those who only read. Who comes when somebody else's wait is long does so at once.

    Args:
        began_at: when this process began to wait, on `clock.ticks`.

    Raises:
        sqlite3.OperationalError: somebody else has been writing all the while.
    """
    until = began_at + patience.left(BUSY_TIMEOUT)
    while not _is_long_taken() and clock.ticks() < began_at + STEP_ASIDE_AFTER:
        time.sleep(LOOK_EVERY)
        if _begins(cursor):
            return
    _waiting_since.append(began_at)
    try:
        while clock.ticks() < until:
            if write_turns.SHARED.are_taken:
                cursor.connection.give_back_turn()  # others may have better luck
            with turns.aside():
                time.sleep(LOOK_AGAIN_EVERY)
            # Only with the turn: who held SQLite's lock and waited for a turn would stop whoever has the turn and waits
            # for that lock.
            if _begins(cursor):
                return
    finally:
        _waiting_since.remove(began_at)
    _begin(cursor)


def _is_long_taken() -> bool:
    """Tell whether nobody here gets SQLite's lock for long: who kept their turn for it would keep it in vain.

    Of many who come meanwhile each would, one after the other, and nobody else would be answered.
    """
    oldest = next(iter(_waiting_since), None)
    return oldest is not None and clock.ticks() >= max(oldest, _last_began[0]) + LONG


def _begins(cursor: sqlite3.Cursor) -> bool:
    """Begin to write unless somebody else does; tells whether it did."""
    try:
        _begin(cursor)
    except sqlite3.OperationalError as fault:
        if not _is_busy(fault):
            raise
        return False
    _last_began[0] = clock.ticks()
    return True


def _begin(cursor: sqlite3.Cursor) -> None:
    """Begin to write, at once or not at all."""
    sqlite3.Cursor.execute(cursor, "BEGIN IMMEDIATE")


def _is_busy(fault: sqlite3.OperationalError) -> bool:
    """Tell whether others hold what is needed: SQLITE_BUSY, and its kinds in the upper bits.

    Not where we have read something and others have written since: that stays so, however long one waits.
    """
    code = getattr(fault, "sqlite_errorcode", 0)  # the driver's own faults have none
    return code & 0xFF == sqlite3.SQLITE_BUSY and code != sqlite3.SQLITE_BUSY_SNAPSHOT
