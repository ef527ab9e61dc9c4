"""PostgreSQL with this project's habits: what it waits for, when a connection is given up, and no needless way to it.

As with SQLite the driver is left in autocommit mode: a SELECT before the first write of a request reads the latest
committed state and holds nothing, and the first statement that writes or locks begins the transaction. That is the
isolation PostgreSQL gives by default (READ COMMITTED), without a BEGIN and a COMMIT around what was only read.
"""

import math
import select
import sys
from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, event, exc

from idp import clock, patience
from idp.errors import NotReadyError

CONNECTIONS = 15  # to a server that a process has at most
# How long anybody waits, in seconds; a request's waits have a bound together besides (`idp.patience`).
CONNECTION_WITHIN = 5  # for one of this process's connections; those who have them wait for rows, or work
LOCK_WITHIN = patience.BUSY_TIMEOUT - CONNECTION_WITHIN  # and then for a row, which others keep for some thousandths
CONNECT_WITHIN = 5  # that a server may take to let us in
DEAD_AFTER = 12  # that a server may leave what we sent unacknowledged; then we try to connect anew
PROBE_EVERY = 4  # and in between, while nothing is heard of it, we ask whether it is there
# How long a server waits for us, and lets us wait. A host whose power fails says no goodbye: without these its rows
# would stay locked for two hours, and everybody who needs one of them would wait for as long.
_SERVER_LIMITS = {
    "lock_timeout": f"{LOCK_WITHIN}s",
    "idle_in_transaction_session_timeout": "5min",  # for a process that stands still; its host is there
    "tcp_user_timeout": f"{DEAD_AFTER}s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "2",
}
ASK_AFTER = 1.0  # seconds of rest after which a connection is asked whether it still works
_READ_ONLY = "25006"  # read_only_sql_transaction
_IDLE = 0  # libpq's PQTRANS_IDLE


def engine_options() -> dict[str, Any]:
    """Return the keyword arguments for `create_engine`."""
    return {
        "pool_size": 5,
        "max_overflow": CONNECTIONS - 5,
        "pool_timeout": CONNECTION_WITHIN,
        "pool_use_lifo": True,  # what was used last need not be asked (`ASK_AFTER`); taken by turns, all would rest
        "pool_recycle": 1800,
        "connect_args": {
            "connect_timeout": CONNECT_WITHIN,
            "tcp_user_timeout": 1000 * DEAD_AFTER,
            "keepalives_idle": PROBE_EVERY,
            "keepalives_interval": PROBE_EVERY,
        },
    }


def prepare_engine(engine: Engine) -> None:
    """Give an engine these habits. Safe to call more than once."""
    if not event.contains(engine, "connect", _set_limits):
        event.listen(engine, "do_connect", _connect)
        event.listen(engine, "connect", _refuse_other_letters, insert=True)  # before SQLAlchemy reads anything
        event.listen(engine, "connect", _set_limits)
        event.listen(engine, "checkin", _note_rest)
        event.listen(engine, "checkout", _leave_dead)
        event.listen(engine, "before_cursor_execute", _begin_when_needed)
        event.listen(engine, "handle_error", _leave_read_only)


def lift_time_limit(connection: Connection) -> None:
    """Let the statements of a transaction take as long as they take: a server's own limit is meant for requests."""
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def is_of_standby(fault: BaseException | None) -> bool:
    """Tell whether a driver's error says that the server takes no writes: it is a standby, or was told to be one.

    Its connection is to be given up then. It works, and would stay for half an hour, while a new one may lead to the
    server that takes writes by now.
    """
    return getattr(fault, "sqlstate", None) == _READ_ONLY


def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
    from idp.storage.patient_connection import PatientConnection  # noqa: PLC0415 - needs the driver

    within = math.ceil(patience.left(options["connect_timeout"]))  # the driver takes whole seconds, 2 at least
    return PatientConnection.connect(*arguments, **options | {"connect_timeout": within})


def _refuse_other_letters(connection: Any, _record: Any) -> None:
    """Refuse a database that has no place for people's names: each would fail where it is written, or be bytes."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in ("UTF8", None):  # some poolers do not pass it on
        connection.close()
        raise NotReadyError(
            f"The database is in {encoding}, which has not all letters: make one with `CREATE DATABASE ... ENCODING "
            "'UTF8' TEMPLATE template0`, and move there what this one holds."
        )


def _set_limits(connection: Any, _record: Any) -> None:
    # Not by the connection's startup options: those are the operator's, in the URL, and some poolers refuse them.
    asked = ", ".join(f"set_config('{name}', '{limit}', false)" for name, limit in _SERVER_LIMITS.items())
    connection.autocommit = True
    served_by = connection.execute(f"SELECT {asked}, pg_backend_pid()").fetchone()[-1]
    if served_by != connection.info.backend_pid:
        # A pooler stands between, and may give each transaction another of its connections: on that the driver's name
        # for a statement is not known, or somebody else's statement has it.
        connection.prepare_threshold = None


def _note_rest(_connection: Any, record: Any) -> None:
    record.info["rests_since"] = clock.ticks()


def _leave_dead(connection: Any, record: Any, _proxy: Any) -> None:
    """Leave a connection that has ended, and all that are as old: the server was restarted, or another has its place.

    A connection that ended has something to read, which costs no way to the server. A host whose power failed says
    nothing: whoever has rested is asked.
    """
    rests_since = record.info.get("rests_since")
    if rests_since is None:  # it has just been opened
        return
    try:
        if clock.ticks() >= rests_since + ASK_AFTER or _has_news(connection):
            with patience.at_most(CONNECT_WITHIN):
                connection.execute("")
    except connection.Error as fault:  # DB-API's name for all of the driver's
        raise exc.InvalidatePoolError from fault


def _has_news(connection: Any) -> bool:
    """Tell whether the server has sent something that nobody asked for: that it ends, most often."""
    if sys.platform == "win32":  # whose `select` takes any number
        return bool(select.select([connection.fileno()], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def has_begun(driver: Any) -> bool:
    """Tell whether a driver's connection is within a transaction."""
    return bool(driver.pgconn.transaction_status != _IDLE)


def _begin_when_needed(
    connection: Connection, cursor: Any, statement: str, _parameters: Any, _context: Any, _executemany: bool
) -> None:
    """Begin a transaction before a statement that needs one: it writes, locks, or is read a piece at a time.

    It waits for rows only as long as its request may, where that is less than all may.
    """
    left = patience.left(LOCK_WITHIN)
    # What goes back to a savepoint, after a fault, comes alone: the server takes nothing else then.
    is_hurried = left < LOCK_WITHIN and not statement.startswith("ROLLBACK")
    if not is_hurried and _only_reads(cursor, statement):
        return
    driver: Any = connection.connection.driver_connection
    before = [] if has_begun(driver) else ["BEGIN"]
    if is_hurried:
        before.append(f"SET LOCAL lock_timeout = {int(left * 1000)}")
    if before:
        driver.execute("; ".join(before), prepare=False)


def _only_reads(cursor: Any, statement: str) -> bool:
    """Tell whether a statement needs no transaction."""
    is_named = getattr(cursor, "name", None) is not None  # the server keeps its rows for as long as the transaction
    return (
        not is_named
        and statement.startswith("SELECT")
        and " FOR " not in statement  # UPDATE, SHARE
        and "pg_advisory_" not in statement  # a lock until the end of the transaction
    )


def _leave_read_only(fault: ExceptionContext) -> None:
    if is_of_standby(fault.original_exception):
        fault.is_disconnect = True
        fault.invalidate_pool_on_disconnect = False  # the others go on reading
