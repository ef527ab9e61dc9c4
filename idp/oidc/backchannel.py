"""Back-channel logout (OpenID Connect Back-Channel Logout 1.0): every app that a session reached is told of its end.

The notice is a row in the transaction that ends the session, and the worker sends it, again and again if need be: a
crash loses none, and nobody who signs out waits for an app that does not answer.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc import jwt
from sqlalchemy import ColumnElement, Engine, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.accounts.sessions import EndedSessions
from idp.accounts.visitor import SYSTEM
from idp.models import AuthorizationGrant, Client, LogoutNotice
from idp.oidc import keys
from idp.oidc.outgoing import OutgoingError, post_form
from idp.settings import Settings

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TOKEN_LIFETIME = 120  # seconds (section 2.4)
LEASE = 60  # seconds; longer than an attempt can take
WAITS = (5, 15, 60, 300, 900, 3_600)  # seconds after the first, second ... attempt; the last one goes on
GIVE_UP_AFTER = 2 * 86_400  # seconds
KEPT_AFTER_END = 7 * 86_400

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claimed:
    """A notice that is ours to send, until `claimed_until`."""

    id: str
    client_id: str
    user_id: str
    session_id: str
    attempts: int
    created_at: int
    claimed_until: int


_COLUMNS = tuple(getattr(LogoutNotice, name) for name in Claimed.__dataclass_fields__)


def note_ended_sessions(db: Session, ended: EndedSessions) -> None:
    """Write a notice for each app that the sessions reached and that wants one: a listener of `accounts.sessions`."""
    if not ended.session_ids:
        return
    reached = db.execute(
        select(AuthorizationGrant.client_id, AuthorizationGrant.session_id)
        .join(Client, Client.client_id == AuthorizationGrant.client_id)
        .where(AuthorizationGrant.session_id.in_(ended.session_ids), Client.backchannel_logout_uri.is_not(None))
        .distinct()
    ).all()
    now = clock.now()
    rows = [
        {
            "id": crypto.new_id(),
            "client_id": client_id,
            "user_id": ended.user_id,
            "session_id": session_id,
            "state": "waiting",
            "attempts": 0,
            "created_at": now,
            "next_attempt_at": now,
        }
        for client_id, session_id in reached
    ]
    if rows:
        db.execute(insert(LogoutNotice), rows)


def send_due(engine: Engine, settings: Settings, stop: threading.Event | None = None) -> Mapping[str, int]:
    """Send every notice that is due.

    Args:
        engine: the database.
        settings: say who the issuer is.
        stop: ends the round early, between two notices.

    Returns:
        How many went (`notice_sent`), are tried again later (`notice_put_off`), or were given up (`notice_failed`).
    """
    counts = dict.fromkeys(("notice_sent", "notice_put_off", "notice_failed"), 0)
    ring: keys.KeyRing | None = None
    while stop is None or not stop.is_set():
        with Session(engine) as db, db.begin():
            claimed = _claim_next(db)
            if claimed is None:
                return counts
            ring = ring or keys.load_keys(db, settings)
            client = db.execute(
                select(Client.backchannel_logout_uri, Client.id_token_signed_response_alg).where(
                    Client.client_id == claimed.client_id
                )
            ).one()
        algorithm = client.id_token_signed_response_alg or settings.signing_algorithm
        fault = _send(settings, client.backchannel_logout_uri, make_logout_token(settings, ring, algorithm, claimed))
        with Session(engine) as db, db.begin():
            counts[_finish(db, claimed, fault)] += 1
    return counts


def make_logout_token(settings: Settings, ring: keys.KeyRing, algorithm: str, notice: Claimed) -> str:
    """Make and sign a logout token (section 2.4): like an ID token, but with an event and without a nonce."""
    now = clock.now()
    key = ring.signing_key(algorithm)
    claims = {
        "iss": settings.issuer,
        "aud": notice.client_id,
        "iat": now,
        "exp": now + TOKEN_LIFETIME,
        "jti": notice.id,
        "sub": notice.user_id,
        "sid": notice.session_id,
        "events": {EVENT: {}},
    }
    return jwt.encode({"alg": algorithm, "kid": key.kid, "typ": "logout+jwt"}, claims, key)


def sweep(db: Session, *, most: int) -> int:
    """Forget notices that were finished a week ago; returns how many.

    Args:
        most: at most so many.
    """
    old = select(LogoutNotice.id).where(
        LogoutNotice.state != "waiting", LogoutNotice.finished_at < clock.now() - KEPT_AFTER_END
    )
    statement = delete(LogoutNotice).where(LogoutNotice.id.in_(old.limit(most)))
    return int(db.execute(statement).rowcount)  # type: ignore[attr-defined]


def _claim_next(db: Session) -> Claimed | None:
    while True:
        found = db.scalar(select(LogoutNotice.id).where(*_due()).order_by(LogoutNotice.next_attempt_at).limit(1))
        if found is None:
            return None
        claim = update(LogoutNotice).where(LogoutNotice.id == found, *_due())
        row = db.execute(claim.values(claimed_until=clock.now() + LEASE).returning(*_COLUMNS)).one_or_none()
        if row is not None:
            return Claimed(**row._mapping)


def _send(settings: Settings, uri: str | None, token: str) -> str | None:
    """Post a notice; returns why the app has not got it, or None. 200 and 204 mean that it has (section 2.8)."""
    if uri is None:
        return None  # it wants none any more
    try:
        answer = post_form(settings, uri, {"logout_token": token})
    except OutgoingError as fault:
        return str(fault)
    return None if answer.status in (200, 204) else f"it answered {answer.status}"


def _finish(db: Session, claimed: Claimed, fault: str | None) -> str:
    """Write down how an attempt went; returns what it counts as."""
    now = clock.now()
    values = {"attempts": claimed.attempts + 1, "claimed_until": None, "last_error": fault and fault[:300]}
    ours = update(LogoutNotice).where(
        LogoutNotice.id == claimed.id, LogoutNotice.claimed_until == claimed.claimed_until
    )
    if fault is None:
        db.execute(ours.values(**values, state="sent", finished_at=now))
        return "notice_sent"
    if now - claimed.created_at >= GIVE_UP_AFTER:
        db.execute(ours.values(**values, state="failed", finished_at=now))
        log.error("The app %s could not be told of a sign-out: %s. Given up.", claimed.client_id, fault)
        audit.record(
            db, Event.LOGOUT_NOTICE_GIVEN_UP, SYSTEM, user_id=claimed.user_id, client_id=claimed.client_id, reason=fault
        )
        return "notice_failed"
    wait = WAITS[min(claimed.attempts, len(WAITS) - 1)]
    db.execute(ours.values(**values, next_attempt_at=now + wait))
    log.warning("The app %s was not told of a sign-out yet: %s. It is tried again.", claimed.client_id, fault)
    return "notice_put_off"


def _due() -> tuple[ColumnElement[bool], ...]:
    now = clock.now()
    is_free = or_(LogoutNotice.claimed_until.is_(None), LogoutNotice.claimed_until < now)
    return LogoutNotice.state == "waiting", is_free, LogoutNotice.next_attempt_at <= now
