"""The rows of mail: claimed by one worker at a time, finished one way or the other, put off, tried again, forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, insert, select, update
from sqlalchemy.orm import Session

from idp import clock, metrics
from idp.clock import DAY
from idp.models import AuditEvent, MailMessage
from idp.storage.changes import count_changed
from idp.storage.leases import Leases

GIVEN_UP = "provider:mail:give_up"  # the audit's event
WAITS = (60, 300, 900, 3_600)  # seconds after the first, second ... attempt; the last one goes on
WAIT_FOR_SERVER = 300  # seconds at most between two attempts to reach a mail server that is away
GIVE_UP_AFTER = 2 * DAY  # seconds since the mail was posted
LEAST_ATTEMPTS = 3  # an old mail that was put back, or found by a worker that was away, has a chance too
KEPT_AFTER_END = 30 * DAY
STATES = ("waiting", "sent", "failed")


@dataclass(frozen=True)
class Claimed:
    """A mail that is ours to deliver, until `claimed_until`."""

    id: str
    kind: str
    recipient: str
    subject: str
    body_sealed: str
    attempts: int
    created_at: int
    claimed_until: int


_COLUMNS = tuple(getattr(MailMessage, name) for name in Claimed.__dataclass_fields__)
_LEASES = Leases(MailMessage, WAITS)


def has_due(db: Session) -> bool:
    """Tell whether a mail waits for somebody to deliver it."""
    return db.scalar(select(MailMessage.id).where(*_LEASES.are_due()).limit(1)) is not None


def claim_next(db: Session, lease: int) -> Claimed | None:
    """Claim the mail that has been due for longest. Commit at once: others look for the next one.

    Args:
        lease: seconds; after them another worker may take it, because this one must have died.

    Returns:
        The mail, or None when none is due.
    """
    row = _LEASES.claim_next(db, lease, _COLUMNS, (MailMessage.created_at,))
    return None if row is None else Claimed(**row)


def mark_sent(db: Session, claimed: Claimed) -> None:
    """Note that a mail went, and forget what it said.

    Without regard to whether the claim still holds: it did go.
    """
    db.execute(
        update(MailMessage)
        .where(MailMessage.id == claimed.id)
        .values(
            state="sent",
            body_sealed="",
            attempts=claimed.attempts + 1,
            finished_at=clock.now(),
            claimed_until=None,
            last_error=None,
        )
    )


def put_off(db: Session, claimed: Claimed, reason: str) -> None:
    """Have a mail tried again later.

    Args:
        reason: why it did not go.
    """
    _LEASES.put_off(db, claimed, reason)


def put_off_some(db: Session, reason: str, *, most: int) -> int:
    """Have mails that are due tried again in a few minutes: nobody could be reached.

    Args:
        reason: why.
        most: at most so many.

    Returns:
        How many.
    """
    due = select(MailMessage.id).where(*_LEASES.are_due()).order_by(MailMessage.next_attempt_at).limit(most)
    if not (found := db.scalars(due.with_for_update(skip_locked=True)).all()):
        return 0
    wait = case((MailMessage.attempts == 0, min(_LEASES.wait_after(0), WAIT_FOR_SERVER)), else_=WAIT_FOR_SERVER)
    statement = (
        update(MailMessage)
        .where(MailMessage.id.in_(found), *_LEASES.are_due())
        .values(attempts=MailMessage.attempts + 1, next_attempt_at=clock.now() + wait, last_error=reason)
        .execution_options(synchronize_session=False)
    )
    return count_changed(db, statement)


def give_up(db: Session, claimed: Claimed, reason: str) -> None:
    """Note that a mail will not go. Its body stays, for `retry`, until it is swept.

    Args:
        reason: why.
    """
    if _LEASES.finish(db, claimed, "failed", reason):
        _write_down(db, claimed.id, claimed.kind, reason)


def give_up_waiting(db: Session, reason: str) -> int:
    """Give up all mail that waits.

    Args:
        reason: why it will never go.

    Returns:
        How many.
    """
    return len(_give_up_all(db, MailMessage.state == "waiting", claimed_until=None, last_error=reason))


def give_up_old(db: Session, *, most: int, least_attempts: int = LEAST_ATTEMPTS) -> Sequence[tuple[str, str, str]]:
    """Give up mails that were tried for two days.

    Args:
        most: at most so many.
        least_attempts: only those that were tried so often.

    Returns:
        Id, kind and reason of each.
    """
    are_old = (
        *_LEASES.are_unclaimed(),
        MailMessage.attempts >= least_attempts,
        MailMessage.created_at <= clock.now() - GIVE_UP_AFTER,
    )
    found = db.scalars(select(MailMessage.id).where(*are_old).order_by(MailMessage.created_at).limit(most)).all()
    if not found:
        return ()  # the common case takes no write lock
    return _give_up_all(db, MailMessage.id.in_(found), *are_old)


def _give_up_all(db: Session, *which: ColumnElement[bool], **also: Any) -> Sequence[tuple[str, str, str]]:
    statement = (
        update(MailMessage)
        .where(*which)
        .values(state="failed", finished_at=clock.now(), **also)
        .returning(MailMessage.id, MailMessage.kind, MailMessage.last_error)
        .execution_options(synchronize_session=False)
    )
    given_up = [(each.id, each.kind, each.last_error or "no mail server is set") for each in db.execute(statement)]
    for mail_id, kind, reason in given_up:
        _write_down(db, mail_id, kind, reason)
    return given_up


def list_mail(db: Session, *, state: str = "", limit: int = 100) -> Sequence[MailMessage]:
    """Return mails, newest first.

    Args:
        state: only those that are `waiting`, `sent` or `failed`.
        limit: at most so many.
    """
    newest = select(MailMessage).order_by(MailMessage.created_at.desc(), MailMessage.id).limit(limit)
    states = (state,) if state else STATES
    found = [mail for each in states for mail in db.scalars(newest.where(MailMessage.state == each))]
    return sorted(found, key=lambda mail: (-mail.created_at, mail.id))[:limit]


def untaken_since(db: Session, within: int) -> int | None:
    """Return since when a mail has been due that no worker takes, or None.

    Args:
        within: seconds in which one that is at work would have finished some other mail.
    """
    return _LEASES.untaken_since(db, within)


def put_off_last(db: Session) -> tuple[int, str]:
    """Return how many mails wait that were tried already, and why the last of them in the queue did not go."""
    were_tried = MailMessage.state == "waiting", MailMessage.attempts > 0
    count = db.scalar(select(func.count()).where(*were_tried)) or 0
    newest = select(MailMessage.last_error).where(*were_tried).order_by(MailMessage.next_attempt_at.desc()).limit(1)
    return count, db.scalar(newest) or ""


def retry(db: Session, *which: ColumnElement[bool]) -> int:
    """Have mails that wait or failed tried again at once.

    Args:
        which: conditions on `MailMessage`.

    Returns:
        How many; what was sent already is not sent again.
    """
    statement = (
        update(MailMessage)
        .where(MailMessage.state != "sent", *which)
        .values(state="waiting", attempts=0, next_attempt_at=clock.now(), finished_at=None)
    )
    return count_changed(db, statement)


def sweep(db: Session, *, most: int) -> int:
    """Forget mails that were finished 30 days ago.

    Args:
        most: at most so many.

    Returns:
        How many.
    """
    return _LEASES.sweep(db, most=most, kept_after_end=KEPT_AFTER_END)


def _write_down(db: Session, mail_id: str, kind: str, reason: str) -> None:
    db.execute(
        insert(AuditEvent).values(
            at=clock.now(), event=GIVEN_UP, actor="system", details={"mail": mail_id, "kind": kind, "reason": reason}
        )
    )
    metrics.add(metrics.audit_events(GIVEN_UP))
