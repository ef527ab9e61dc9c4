"""How a transaction that writes to SQLite begins: whoever wants to write waits for the one lock there is."""

import sqlite3
import time
from typing import Any

from idp import clock, patience, turns
from idp.storage import write_turns

LOOK_EVERY = 0.0005  # seconds between two looks whether it is free; less than a transaction takes
STEP_ASIDE_AFTER = 0.05  # seconds of waiting after which requests that only read go on meanwhile
LOOK_AGAIN_EVERY = 0.01  # seconds between two looks from then on
LONG = 0.5  # seconds for which somebody has waited when others step aside at once: it is no transaction of a request's
_waiting_since: list[float] = []  # of those here who stepped aside, on `clock.ticks`; in their order, or nearly so
_last_began = [0.0]  # when somebody here began to write


def take_write_lock(cursor: Any) -> None:
    """Begin to write."""
    if write_turns.SHARED.are_taken:
        _begin_in_turn(cursor)
    elif not _begins(cursor):
        _wait_and_begin(cursor, clock.ticks())


def _begin_in_turn(cursor: Any) -> None:
    """Begin to write when it is this process's turn (`write_turns`).

    A turn that does not come is lost, or whoever has it takes long. In the first case SQLite's lock is free: then we
    write, and it is there again when we have. In the second we wait for the lock like everybody else.
    """
    connection = cursor.connection
    began_at = clock.ticks()
    connection.has_turn = connection.has_turn or write_turns.SHARED.take(0 if _is_long_taken() else STEP_ASIDE_AFTER)
    if _begins(cursor):
        connection.has_turn = True
    else:
        _wait_and_begin(cursor, began_at)


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
    until = began_at + patience.left(patience.BUSY_TIMEOUT)
    while not _is_long_taken() and clock.ticks() < began_at + STEP_ASIDE_AFTER:
        time.sleep(LOOK_EVERY)
        if _begins(cursor):
            return
    if write_turns.SHARED.are_taken:
        cursor.connection.give_back_turn()  # others may have better luck
    _waiting_since.append(began_at)
    try:
        while clock.ticks() < until:
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
        if not is_busy(fault):
            raise
        return False
    _last_began[0] = clock.ticks()
    return True


def _begin(cursor: sqlite3.Cursor) -> None:
    """Begin to write, at once or not at all."""
    sqlite3.Cursor.execute(cursor, "BEGIN IMMEDIATE")


def is_busy(fault: sqlite3.OperationalError) -> bool:
    """Tell whether others hold what is needed: SQLITE_BUSY, and its kinds in the upper bits.

    Not where we have read something and others have written since: that stays so, however long one waits.
    """
    code = getattr(fault, "sqlite_errorcode", 0)  # the driver's own faults have none
    return code & 0xFF == sqlite3.SQLITE_BUSY and code != sqlite3.SQLITE_BUSY_SNAPSHOT
