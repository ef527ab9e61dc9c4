"""What happens later, beside the web server: rows that nobody needs any more are swept away."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine, delete, exists, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp import clock
from idp.accounts import sessions, throttle
from idp.database import open_engine
from idp.models import AuthorizationGrant, BrowserSession, ParkedRequest, RefreshToken, RevokedAccessToken
from idp.settings import Settings

BATCH = 200  # rows a transaction: short enough that nobody who signs in has to wait for it
EVERY = 60  # seconds between two rounds

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweep:
    """One kind of row that expires.

    Attributes:
        name: the table, for the log.
        delete_some: deletes at most `most` rows and returns how many they were.
    """

    name: str
    delete_some: Callable[..., int]


# An app that may act while the person is away goes on after their browser session: its grant names that session.
_HAS_GRANTS = exists().where(AuthorizationGrant.session_id == BrowserSession.id)


def _expired(key: InstrumentedAttribute[str], expires_at: InstrumentedAttribute[int], db: Session, *, most: int) -> int:
    old = select(key).where(expires_at < clock.now()).limit(most)
    return int(db.execute(delete(key.class_).where(key.in_(old))).rowcount)  # type: ignore[attr-defined]


SWEEPS: tuple[Sweep, ...] = (
    Sweep("parked_request", partial(_expired, ParkedRequest.id, ParkedRequest.expires_at)),
    Sweep("refresh_token", partial(_expired, RefreshToken.id, RefreshToken.expires_at)),
    Sweep("authorization_grant", partial(_expired, AuthorizationGrant.id, AuthorizationGrant.expires_at)),
    Sweep("revoked_access_token", partial(_expired, RevokedAccessToken.token_id, RevokedAccessToken.expires_at)),
    Sweep("throttle", throttle.sweep),
    Sweep("browser_session", partial(sessions.sweep, unless=_HAS_GRANTS)),
)


def sweep_all(engine: Engine, stop: threading.Event | None = None) -> Mapping[str, int]:
    """Sweep every kind of row once, in small batches of one transaction each.

    Args:
        engine: the database.
        stop: ends the round early, between two batches.

    Returns:
        How many rows went, by kind.
    """
    swept = dict.fromkeys((sweep.name for sweep in SWEEPS), 0)
    for sweep in SWEEPS:
        while stop is None or not stop.is_set():
            with Session(engine) as db, db.begin():
                gone = sweep.delete_some(db, most=BATCH)
            swept[sweep.name] += gone
            if gone < BATCH:
                break
    return swept


def run(settings: Settings, stop: threading.Event) -> None:
    """Sweep every minute until told to stop. A database that is away for a while is waited for.

    Args:
        settings: say which database.
        stop: ends the work after the batch at hand.
    """
    engine = open_engine(settings)
    try:
        while not stop.is_set():
            try:
                swept = sweep_all(engine, stop)
            except SQLAlchemyError as fault:
                reason = getattr(fault, "orig", None) or fault.__class__.__name__
                log.error("The database does not do its work (%s); the next try is in %d seconds.", reason, EVERY)  # noqa: TRY400
            else:
                if any(swept.values()):
                    log.info("Swept %s.", ", ".join(f"{count} {name}" for name, count in swept.items() if count))
            stop.wait(EVERY)
    finally:
        engine.dispose()
