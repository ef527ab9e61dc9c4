"""Rows that are work to be done by one worker at a time: claimed for a while, put off, done with, forgotten.

A worker claims a row by a lease, which ends by itself: if the worker dies, another takes the row when the time is over,
and nothing is lost. A worker that took longer than its lease must not undo what another did meanwhile. A clock that was
ahead and is set back puts nothing off for much longer than its wait.

Such a table has the columns `id`, `state` (`waiting`, and others when it is done), `attempts`, `created_at`,
`next_attempt_at`, `claimed_until`, `finished_at` and `last_error`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, RowMapping, Update, and_, case, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp import clock
from idp.clock import CLOCKS_APART
from idp.storage.batches import delete_expired
from idp.storage.changes import count_changed

Conditions = tuple[ColumnElement[bool], ...]


class ClaimedRow(Protocol):
    """What is needed of a row that was claimed."""

    @property
    def id(self) -> str:
        """The row's."""

    @property
    def attempts(self) -> int:
        """How many there were before this one."""

    @property
    def claimed_until(self) -> int:
        """Names the claim: nobody else's ends at this second, or the row would not have been free."""


@dataclass(frozen=True)
class Leases:
    """A table of such rows.

    Attributes:
        table: the model.
        waits: seconds after the first, second ... attempt; the last one goes on.
    """

    table: type[Any]
    waits: Sequence[int]

    def are_unclaimed(self) -> Conditions:
        """The conditions for rows that wait, and that nobody is at."""
        claimed_until = self.table.claimed_until
        return self.table.state == "waiting", or_(claimed_until.is_(None), claimed_until < clock.now())

    def are_due(self) -> Conditions:
        """The conditions for rows that may be claimed now."""
        return *self.are_unclaimed(), self.table.next_attempt_at <= clock.now()

    def claim_next(
        self,
        db: Session,
        lease: int,
        columns: Sequence[InstrumentedAttribute[Any]],
        order: Sequence[Any] = (),
        only: Conditions = (),
    ) -> RowMapping | None:
        """Claim the row that has been due for longest. Commit at once: others look for the next one.

        Args:
            lease: seconds; after them another worker may take it, because this one must have died.
            columns: what to return of it.
            order: decides between rows that are due for equally long.
            only: conditions for rows that are wanted.

        Returns:
            The columns, or None when no row is due.
        """
        due = select(self.table.id).where(*self.are_due(), *only).order_by(self.table.next_attempt_at, *order).limit(1)
        while (found := db.scalar(due)) is not None:
            claim = update(self.table).where(self.table.id == found, *self.are_due())
            row = db.execute(claim.values(claimed_until=clock.now() + lease).returning(*columns)).one_or_none()
            if row is not None:
                return row._mapping
        return None

    def _ours(self, claimed: ClaimedRow) -> Update:
        """Begin an UPDATE of a claimed row that does nothing when the claim does not hold any more."""
        return update(self.table).where(
            self.table.id == claimed.id,
            self.table.state == "waiting",
            self.table.claimed_until == claimed.claimed_until,
        )

    def untaken_since(self, db: Session, within: int) -> int | None:
        """Return since when a row has been due while no worker is seen at work; None where all is well.

        Seen is what one leaves behind: a claim, a row that was finished, one that was tried and put off to later.

        Args:
            within: seconds for which a row that was finished shows a worker at work.
        """
        now, table = clock.now(), self.table
        # What is more urgent than the rest is due from before it was there.
        due_at = case((table.next_attempt_at < table.created_at, table.created_at), else_=table.next_attempt_at)
        since: int | None = db.scalar(select(func.min(due_at)).where(*self.are_due()))
        if since is None:
            return None
        is_put_off = and_(table.state == "waiting", table.next_attempt_at > now, table.attempts > 0)
        traces = (table.claimed_until >= now, table.finished_at > now - within, is_put_off)
        is_at_work = any(db.scalar(select(table.id).where(each).limit(1)) is not None for each in traces)
        return None if is_at_work else since

    def put_off(self, db: Session, claimed: ClaimedRow, reason: str) -> None:
        """Have a claimed row tried again later.

        Args:
            reason: why the attempt came to nothing.
        """
        db.execute(
            self._ours(claimed).values(
                attempts=claimed.attempts + 1,
                next_attempt_at=clock.now() + self.wait_after(claimed.attempts),
                claimed_until=None,
                last_error=reason,
            )
        )

    def finish(self, db: Session, claimed: ClaimedRow, state: str, reason: str | None = None) -> bool:
        """Be done with a claimed row.

        Args:
            state: what has become of it.
            reason: why it failed, if it did.

        Returns:
            Whether the claim still held.
        """
        change = self._ours(claimed).values(
            state=state,
            attempts=claimed.attempts + 1,
            claimed_until=None,
            finished_at=clock.now(),
            last_error=reason,
        )
        return bool(count_changed(db, change))

    def wait_after(self, attempts: int) -> int:
        """Return the seconds between an attempt and the next.

        Args:
            attempts: how many there were before that one.
        """
        return self.waits[min(attempts, len(self.waits) - 1)]

    def bring_back(self, db: Session) -> int:
        """Have rows that lie further ahead than their wait or any lease tried now: the clock was set back since.

        Returns:
            How many.
        """
        farthest = clock.now() + CLOCKS_APART
        waits = dict(enumerate((0, *self.waits)))
        wait = case(waits, value=self.table.attempts, else_=self.waits[-1])
        next_attempt_at = self.table.next_attempt_at
        is_ahead = or_(
            and_(next_attempt_at > farthest, next_attempt_at > farthest + wait),  # the first of them is for the index
            self.table.claimed_until > farthest + max(self.waits),  # no lease is longer
        )
        found = select(self.table.id).where(self.table.state == "waiting", is_ahead)
        if db.scalar(found.limit(1)) is None:
            return 0  # the common case takes no write lock
        statement = update(self.table).where(self.table.id.in_(found))
        return count_changed(db, statement.values(next_attempt_at=clock.now(), claimed_until=None))

    def sweep(self, db: Session, *, most: int, kept_after_end: int) -> int:
        """Forget rows that were finished long ago, and bring back those that a wrong clock has put off.

        Args:
            most: at most so many.
            kept_after_end: seconds since then.

        Returns:
            How many were forgotten.
        """
        self.bring_back(db)
        # What waits has no such time, and what is put back among what waits loses it.
        return delete_expired(self.table.id, self.table.finished_at, db, most=most, kept=kept_after_end)
