"""Delivery: what is due is claimed, handed over, and then forgotten; what did not go is tried again for two days.

A mail is claimed in a transaction of its own just before it is handed over. So any number of workers may be at it, each
mail goes once, and a worker that dies leaves one mail at most in doubt: the one in its hands, which goes again when the
claim has run out. That mail bears the same Message-ID then. A database that is away when a mail has gone is waited for
until then, so that this one does not go twice.
"""

import logging
import threading
from collections.abc import Mapping
from contextlib import closing

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from idp import clock
from idp.errors import NotReadyError
from idp.mail import queue
from idp.mail.envelope import Envelope, compose
from idp.mail.outbox import open_body
from idp.mail.outbox_folder import OutboxFolder
from idp.mail.queue import Claimed
from idp.mail.smtp import SmtpTransport, longest_step
from idp.mail.transport import NotEver, NotNow, Transport, TransportError, Unreachable
from idp.settings import Settings
from idp.storage import batches
from idp.storage.batches import Batch, in_batches
from idp.storage.database import is_fault_of_storage

BROKEN_MOST = 3  # connections that may break in one round before it ends
NOTE_AGAIN_AFTER = 2  # seconds, where the database is away when a mail has gone

log = logging.getLogger(__name__)


def deliver_due(engine: Engine, settings: Settings, stop: threading.Event | None = None) -> Mapping[str, int]:
    """Deliver every mail that is due.

    Args:
        engine: the database.
        settings: say which way mail takes.
        stop: ends the round early, between two mails.

    Returns:
        How many went (`mail_sent`), are tried again later (`mail_put_off`), or were given up (`mail_failed`).
    """
    is_nowhere = settings.mail_route == "nowhere"
    counts = dict.fromkeys(("mail_sent", "mail_put_off", "mail_failed"), 0)
    if not is_nowhere and _has_due(engine):
        with closing(transport_of(settings)) as transport:
            _deliver(engine, settings, transport, stop or threading.Event(), counts)
    least = 0 if is_nowhere else queue.LEAST_ATTEMPTS
    with Session(engine) as db, db.begin():
        given_up = queue.give_up_old(db, most=batches.BATCH, least_attempts=least)
    for mail_id, kind, reason in given_up:
        _lament(mail_id, kind, reason)
    counts["mail_failed"] += len(given_up)
    return counts


def transport_of(settings: Settings) -> Transport:
    """Return the way that mail takes.

    Args:
        settings: their `mail_route` must not be `nowhere`.
    """
    return SmtpTransport(settings) if settings.mail_route == "smtp" else OutboxFolder(settings)


def file_name(created_at: int, mail_id: str) -> str:
    """Return what a mail is called in a folder: names sort by time.

    Args:
        created_at: when it was posted.
        mail_id: the row's id.
    """
    return f"{created_at:012}-{mail_id}"


def _deliver(
    engine: Engine, settings: Settings, transport: Transport, stop: threading.Event, counts: dict[str, int]
) -> None:
    broken = 0
    while not stop.is_set() and broken < BROKEN_MOST:
        if not transport.is_open:
            if not _has_due(engine):
                return
            try:
                transport.open()
            except Unreachable as fault:
                counts["mail_put_off"] += _put_off_all(engine, fault, stop)
                return
        with Session(engine) as db, db.begin():
            claimed = queue.claim_next(db, longest_step(settings))
        if claimed is None:
            return
        outcome = _hand_over(settings, transport, claimed)
        _note(engine, claimed, outcome, stop)
        counts[_told(claimed, outcome)] += 1
        broken += isinstance(outcome, Unreachable)


def _hand_over(settings: Settings, transport: Transport, claimed: Claimed) -> TransportError | None:
    """Hand a mail over; return why it did not go."""
    try:
        envelope = _envelope(settings, claimed)
    except NotReadyError:  # the operator may bring that key back; where it is gone, `idp keys rotate` gives mail up
        return NotNow("it is sealed with another secret key")
    except Exception as fault:  # one row that nobody can read must not stand in the way of all others
        log.exception("Mail %s (%s) cannot be written.", claimed.id, claimed.kind)
        return NotEver(f"it cannot be written as a mail: {fault}")
    try:
        transport.hand_over(envelope, file_name(claimed.created_at, claimed.id))
    except TransportError as fault:
        return fault
    return None


def _note(engine: Engine, claimed: Claimed, outcome: TransportError | None, stop: threading.Event) -> None:
    """Write down what became of a mail; while the database is away, again and again for as long as the claim holds."""
    while True:
        try:
            with Session(engine) as db, db.begin():
                if outcome is None:
                    queue.mark_sent(db, claimed)
                elif isinstance(outcome, NotEver):
                    queue.give_up(db, claimed, outcome.message)
                else:
                    queue.put_off(db, claimed, outcome.message)
        except SQLAlchemyError as fault:
            if not is_fault_of_storage(fault) or clock.now() >= claimed.claimed_until or stop.is_set():
                raise
            stop.wait(NOTE_AGAIN_AFTER)
        else:
            return


def _envelope(settings: Settings, claimed: Claimed) -> Envelope:
    text, html = open_body(settings, claimed.body_sealed)
    return compose(
        settings,
        mail_id=claimed.id,
        recipient=claimed.recipient,
        subject=claimed.subject,
        text=text,
        html=html,
        created_at=claimed.created_at,
    )


def _told(claimed: Claimed, outcome: TransportError | None) -> str:
    """Write an outcome into the log, and return what it counts as. Addresses stay out of the log."""
    if outcome is None:
        log.info("Mail %s (%s) went.", claimed.id, claimed.kind)
        return "mail_sent"
    if isinstance(outcome, NotEver):
        _lament(claimed.id, claimed.kind, outcome.message)
        return "mail_failed"
    log.warning("Mail %s (%s) did not go: %s. It is tried again.", claimed.id, claimed.kind, outcome.message)
    return "mail_put_off"


def _lament(mail_id: str, kind: str, reason: str) -> None:
    log.error("Mail %s (%s) is given up: %s. `idp mail retry %s` tries again.", mail_id, kind, reason, mail_id)


def _put_off_all(engine: Engine, fault: Unreachable, stop: threading.Event) -> int:
    def put_off_some(db: Session) -> Batch:
        done = queue.put_off_some(db, fault.message, most=batches.BATCH)
        return Batch(done, done < batches.BATCH)

    count = in_batches(engine, stop, put_off_some)
    log.error("No mail goes (%s); %d wait, and are tried again within minutes.", fault.message, count)
    return count


def _has_due(engine: Engine) -> bool:
    with Session(engine) as db:
        return queue.has_due(db)
