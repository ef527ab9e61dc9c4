"""Work on many rows, a few at a time, so that whoever works beside hardly waits.

Rows whose time is over are found by an index, which takes no lock, and then deleted. Of several workers each takes rows
that no other is at.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Engine, delete, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp import clock
from idp.storage.changes import count_changed

Key = InstrumentedAttribute[str]
Time = InstrumentedAttribute[Any]
BATCH = 200  # plain rows a transaction: a few milliseconds in which SQLite's other writers wait
REST = 3  # times as long as a batch took, until the next: they are to have their turn
FRUITLESS = 25  # batches in a row that a walk looks at in vain before it rests


class Batch(NamedTuple):
    """What became of some rows.

    Attributes:
        done: how many went.
        is_last: there is nothing more to do for now.
    """

    done: int
    is_last: bool


def in_batches(engine: Engine, stop: threading.Event | None, work: Callable[[Session], Batch]) -> int:
    """Do work a batch at a time, in a transaction each, and let others do theirs between two of them.

    Args:
        engine: the database.
        stop: ends it early, between two batches.
        work: does a batch, and says whether it was the last.

    Returns:
        How much was done.
    """
    count = 0
    stop = stop or threading.Event()
    while not stop.is_set():
        begun = clock.ticks()
        with Session(engine) as db, db.begin():
            batch = work(db)
        count += batch.done
        if batch.is_last:
            break
        stop.wait(REST * (clock.ticks() - begun))
    return count


def delete_expired(key: Key, expires_at: Time, db: Session, *, most: int, kept: int = 0) -> int:
    """Delete rows whose time is over, the oldest first.

    Args:
        key: the primary key.
        expires_at: when a row's time is over; indexed.
        most: at most so many.
        kept: seconds that they are kept beyond.

    Returns:
        How many went.
    """
    is_over = expires_at < clock.now() - kept
    oldest = select(key).where(is_over).order_by(expires_at).limit(most).with_for_update(skip_locked=True)
    if not (found := db.scalars(oldest).all()):
        return 0
    statement = delete(key.class_).where(key.in_(found), is_over).execution_options(synchronize_session=False)
    return count_changed(db, statement)


@dataclass
class Walk:
    """A way through rows whose time is over, some of which have to stay: each is looked at once, and then the next.

    Whoever began with the oldest each time would look at the same ones again and again, and there may be many. A walk
    remembers, in its process, how far it came, and begins anew when it has seen all.

    Attributes:
        key: the primary key.
        expires_at: when a row's time is over; indexed.
        unless: keeps a row for which this holds.
        kept: seconds that all are kept beyond.
    """

    key: Key
    expires_at: Time
    unless: ColumnElement[bool]
    kept: int = 0
    _after: tuple[int, str] | None = field(default=None, init=False)
    _fruitless: int = field(default=0, init=False)

    def delete_some(self, db: Session, *, most: int) -> Batch:
        """Look at the next rows, and delete those that may go.

        Args:
            most: at so many.
        """
        is_over = self.expires_at < clock.now() - self.kept
        ahead = select(self.key, self.expires_at).where(is_over)
        if self._after is not None:
            ahead = ahead.where(tuple_(self.expires_at, self.key) > self._after)
        window = db.execute(ahead.order_by(self.expires_at, self.key).limit(most)).all()
        gone = self._delete(db, [row[0] for row in window], is_over) if window else 0
        is_end = len(window) < most
        self._after = None if is_end else (window[-1][1], window[-1][0])
        self._fruitless = 0 if gone or is_end else self._fruitless + 1
        is_tired = self._fruitless >= FRUITLESS
        if is_tired:
            self._fruitless = 0
        return Batch(gone, is_end or is_tired)

    def _delete(self, db: Session, seen: Sequence[str], is_over: ColumnElement[bool]) -> int:
        """Delete rows that nothing keeps, unless something does by now or another worker is at them."""
        # A statement of its own: PostgreSQL would look for what keeps them among all rows, not just for these.
        if not (free := db.scalars(select(self.key).where(self.key.in_(seen), ~self.unless)).all()):
            return 0
        still = select(self.key).where(self.key.in_(free), is_over, ~self.unless).with_for_update(skip_locked=True)
        statement = delete(self.key.class_).where(self.key.in_(still)).execution_options(synchronize_session=False)
        return count_changed(db, statement)
