"""What happens later, beside the web server: mail goes out, old sessions end, apps are told, old rows are swept."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine, and_, exists
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, aliased

from idp.accounts import deletion, registration, sessions, throttle
from idp.mail import delivery, queue
from idp.models import (
    AuthorizationGrant,
    BrowserSession,
    DeviceAuthorization,
    InitialAccessToken,
    KeptAnswer,
    OneTimeCode,
    OneTimeLink,
    ParkedRequest,
    Preauthorization,
    PushedRequest,
    RefreshToken,
    RevokedAccessToken,
    SeenAssertion,
)
from idp.oidc import backchannel, client_logos, client_store, key_rotation
from idp.settings import Settings
from idp.storage import batches
from idp.storage.batches import Batch, Walk, delete_expired, in_batches
from idp.storage.database import open_engine
from idp.storage.sqlite import keep_to_file

EVERY = 60  # seconds between two rounds of sweeping
AFTER_A_FAULT = 30  # seconds until the next round, at least

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweep:
    """One kind of row that expires.

    Attributes:
        name: the table, for the log.
        delete_some: deletes at most `most` rows, and returns how many they were; or a `Batch`, where some have to stay.
        weight: as how many plain rows one of them counts, because others go with it: batches are smaller then.
    """

    name: str
    delete_some: Callable[..., int | Batch]
    weight: int = 1

    def delete_batch(self, db: Session) -> Batch:
        """Delete as many as a short transaction may."""
        most = max(1, batches.BATCH // self.weight)
        gone = self.delete_some(db, most=most)
        return gone if isinstance(gone, Batch) else Batch(gone, gone < most)


# An app that may act while the person is away goes on after their browser session: its grant names that session.
_HAS_GRANTS = exists().where(AuthorizationGrant.session_id == BrowserSession.id)

# Who is still to be told of a session's end is read from its grants: the last ones of each app stay until it has ended.
# Those before need not: whoever proves now and then that it is still them may have one session for years.
_LATER = aliased(AuthorizationGrant)
_HAS_LIVING_SESSION = exists().where(
    BrowserSession.id == AuthorizationGrant.session_id, BrowserSession.ended_at.is_(None)
)
_HAS_LATER_ONE = exists().where(
    _LATER.session_id == AuthorizationGrant.session_id,
    _LATER.client_id == AuthorizationGrant.client_id,
    _LATER.created_at > AuthorizationGrant.expires_at + 3_600,  # a code that it carried is none any more
)

_GRANTS = Walk(AuthorizationGrant.id, AuthorizationGrant.expires_at, unless=and_(_HAS_LIVING_SESSION, ~_HAS_LATER_ONE))
_SESSIONS = Walk(BrowserSession.id, BrowserSession.expires_at, unless=_HAS_GRANTS, kept=sessions.KEPT_AFTER_END)
_DEVICES = partial(delete_expired, DeviceAuthorization.id, DeviceAuthorization.expires_at)
_SEEN = partial(delete_expired, SeenAssertion.id, SeenAssertion.expires_at)

SWEEPS: tuple[Sweep, ...] = (
    Sweep("parked_request", partial(delete_expired, ParkedRequest.id, ParkedRequest.expires_at)),
    Sweep("pushed_request", partial(delete_expired, PushedRequest.id, PushedRequest.expires_at)),
    # For an hour a device is told that its code has expired, and not that nobody knows it.
    Sweep("device_authorization", partial(_DEVICES, kept=3_600)),
    # A clock that was ahead and is set back makes proofs and assertions good again: those used before have to be known.
    Sweep("seen_assertion", partial(_SEEN, kept=3_600)),
    Sweep("initial_access_token", partial(delete_expired, InitialAccessToken.id, InitialAccessToken.expires_at)),
    Sweep("refresh_token", partial(delete_expired, RefreshToken.id, RefreshToken.expires_at)),
    Sweep("authorization_grant", _GRANTS.delete_some, weight=2),
    Sweep("revoked_access_token", partial(delete_expired, RevokedAccessToken.token_id, RevokedAccessToken.expires_at)),
    Sweep("one_time_link", partial(delete_expired, OneTimeLink.id, OneTimeLink.expires_at)),
    Sweep("one_time_code", partial(delete_expired, OneTimeCode.id, OneTimeCode.expires_at)),
    Sweep("kept_answer", partial(delete_expired, KeptAnswer.key_digest, KeptAnswer.expires_at)),
    Sweep("preauthorization", partial(delete_expired, Preauthorization.id, Preauthorization.expires_at)),
    Sweep("mail_message", queue.sweep),
    Sweep("logout_notice", backchannel.sweep),
    Sweep("deleted_account", deletion.delete_due, weight=40),
    Sweep("pending_registration", registration.sweep_pending, weight=10),
    Sweep("unused_client", client_store.sweep_unused, weight=20),
    Sweep("throttle", throttle.sweep),
    Sweep("browser_session", _SESSIONS.delete_some),
)
END_OF_SESSION = 20  # as many plain rows: its grants end with it, the audit tells of it, and apps are to be told


def sweep_all(engine: Engine, stop: threading.Event | None = None) -> Mapping[str, int]:
    """Sweep every kind of row once, in small batches of one transaction each.

    Args:
        engine: the database.
        stop: ends the round early, between two batches.

    Returns:
        How many rows went, by kind.
    """
    return {sweep.name: in_batches(engine, stop, sweep.delete_batch) for sweep in SWEEPS}


@dataclass(frozen=True)
class Job:
    """One kind of work that comes up again and again.

    Attributes:
        name: for the log.
        every: seconds between two rounds.
        work: does what is due, and returns how much of what that was; ends early when the event is set.
    """

    name: str
    every: float
    work: Callable[[Engine, Settings, threading.Event | None], Mapping[str, int]]


def _sweep(engine: Engine, _settings: Settings, stop: threading.Event | None) -> Mapping[str, int]:
    swept = sweep_all(engine, stop)
    if any(swept.values()):
        log.info("Swept %s.", ", ".join(f"{count} {name}" for name, count in swept.items() if count))
    return swept


def _end_expired_sessions(engine: Engine, settings: Settings, stop: threading.Event | None) -> Mapping[str, int]:
    """End sessions whose time is over, in small batches of one transaction each."""
    most = max(1, batches.BATCH // END_OF_SESSION)

    def end_some(db: Session) -> Batch:
        ended = sessions.end_expired(db, settings, most=most)
        return Batch(ended, ended < most)

    return {"session_expired": in_batches(engine, stop, end_some)}


def _rotate_keys(engine: Engine, settings: Settings, stop: threading.Event | None) -> Mapping[str, int]:
    done = key_rotation.rotate_due(engine, settings, stop)
    if any(done.values()):
        log.info("Signing keys: %s.", ", ".join(f"{count} {name}" for name, count in done.items() if count))
    return done


JOBS: tuple[Job, ...] = (
    Job("expired sessions", EVERY, _end_expired_sessions),
    Job("mail", 2, delivery.deliver_due),
    Job("logout notices", 1, backchannel.send_due),
    Job("logos of apps", 5, client_logos.fetch_due),
    Job("signing keys", EVERY, _rotate_keys),
    Job("sweep", EVERY, _sweep),
)


def run_once(engine: Engine, settings: Settings) -> Mapping[str, int]:
    """Do what is due of every job, one after the other.

    Args:
        engine: the database.
        settings: the provider's.

    Returns:
        How much was done of what.
    """
    return {name: count for job in JOBS for name, count in job.work(engine, settings, None).items()}


def run(settings: Settings, stop: threading.Event) -> None:
    """Do every job again and again until told to stop. A database that is away for a while is waited for.

    Each job has a thread of its own: a mail server that takes its time holds up nothing else.

    Args:
        settings: the provider's.
        stop: ends the work after the piece at hand.
    """
    engine = open_engine(settings)
    keep_to_file(engine)
    threads = [threading.Thread(target=_repeat, args=(job, engine, settings, stop), name=job.name) for job in JOBS]
    try:
        for thread in threads:
            thread.start()
        stop.wait()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        engine.dispose()


def _repeat(job: Job, engine: Engine, settings: Settings, stop: threading.Event) -> None:
    """Do one job until told to stop; whatever goes wrong in a round, there will be another."""
    while not stop.is_set():
        wait = job.every
        try:
            job.work(engine, settings, stop)
        except SQLAlchemyError as fault:
            wait = max(wait, AFTER_A_FAULT)
            reason = getattr(fault, "orig", None) or fault.__class__.__name__
            log.error("The database does not do its work (%s); the next try is in %d seconds.", reason, wait)  # noqa: TRY400
        except Exception:
            wait = max(wait, AFTER_A_FAULT)
            log.exception("The job %s came to grief; the next try is in %d seconds.", job.name, wait)
        stop.wait(wait)
