"""Back-channel logout (OpenID Connect Back-Channel Logout 1.0): every app that a session reached is told of its end.

The notice is a row in the transaction that ends the session (`idp.oidc.logout_notices`), and the worker sends it, again
and again if need be: a crash loses none, and nobody who signs out waits for an app that does not answer.
"""

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Engine, exists, func, select
from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.accounts.visitor import SYSTEM
from idp.clock import DAY
from idp.errors import NotReadyError
from idp.models import AuthorizationGrant, BrowserSession, LogoutNotice
from idp.oidc import keys, token_status
from idp.oidc.client_keys import ClientKeys
from idp.oidc.client_store import load_client
from idp.oidc.clients import ClientMetadata
from idp.oidc.encryption import CannotEncrypt, encrypt_id_token
from idp.oidc.outgoing import WHOLE_TIMEOUT, OutgoingError, post_form
from idp.oidc.signatures import sign
from idp.oidc.subjects import sid_of, subject_of
from idp.settings import Settings
from idp.storage.leases import Leases

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TOKEN_LIFETIME = 120  # seconds (section 2.4)
LEASE = 60  # seconds; longer than an attempt can take
WAITS = (5, 15, 60, 300, 900, 3_600)  # seconds after the first, second ... attempt; the last one goes on
AT_ONCE = 8  # apps that are being told
SILENT_AT_ONCE = 4  # of these, such as did not answer the last time: they may hang again, and others need a place
LOOK_EVERY = 1  # seconds between two looks for what fell due while others are slow to answer
ROUND = 2 * WHOLE_TIMEOUT  # seconds; what hung at first has failed by half of it, and leaves its place to others
GIVE_UP_AFTER = 2 * DAY  # seconds
KEPT_AFTER_END = 7 * DAY

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
_LEASES = Leases(LogoutNotice, WAITS)
# Apps that this process could not tell, the last time that it tried. Who was tried longest ago stands first.
_silent: dict[str, None] = {}
_client_keys = cache(ClientKeys)  # of apps whose tokens are encrypted, as this process has seen them


def send_due(engine: Engine, settings: Settings, stop: threading.Event | None = None) -> Mapping[str, int]:
    """Send every notice that is due, to several apps at once; one that does not answer holds up its own ones only.

    Each app gets one after the other. Where one failed, its others wait for the next round: many notices, each of which
    takes its time to fail, must not fill the places, nor must anybody read past them. Of the apps that
    failed the last time one is on the way at any time, the next ones come last, and some places are not for such apps.
    What falls due meanwhile goes as well, for half a minute. Then each app that still waits gets one more, unless it
    failed the last time, and the round ends when all have answered: an app whose notices do not end keeps nobody else
    from hearing.

    Args:
        engine: the database.
        settings: say who the issuer is.
        stop: ends the round early: no other notice is begun, and those that are under way are finished.

    Returns:
        How many went (`notice_sent`), are tried again later (`notice_put_off`), or were given up (`notice_failed`).
    """
    notices = _Round(engine, settings)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        while True:
            if stop is None or not stop.is_set():
                notices.look()
                notices.begin(threads)
            if not notices.on_the_way:
                return notices.counts
            notices.finish()


class _Round:
    """The notices that go in one round. Threads only post: what concerns the database is done one after the other."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.counts = dict.fromkeys(("notice_sent", "notice_put_off", "notice_failed"), 0)
        self.on_the_way: dict[Future[str | None], Claimed] = {}
        self._engine = engine
        self._settings = settings
        self._ring: keys.KeyRing | None = None
        self._waiting: deque[str] = deque()
        self._failed: set[str] = set()
        self._look_at = clock.ticks()
        self._ends_at = self._look_at + ROUND

    def look(self) -> None:
        """See which apps are to be told, now and then."""
        now = clock.ticks()
        if not self._look_at <= now <= self._ends_at:
            return
        self._look_at = now + LOOK_EVERY
        seen = {*self._waiting, *self._failed, *(claimed.client_id for claimed in self.on_the_way.values())}
        with Session(self._engine) as db:
            self._waiting.extend(client_id for client_id in _apps_to_tell(db) if client_id not in seen)

    def begin(self, threads: Executor) -> None:
        """Have as many notices posted as there is room for, one of each app."""
        while len(self.on_the_way) < AT_ONCE and (client_id := self._next_app()) is not None:
            with Session(self._engine) as db, db.begin():
                claimed = _claim_next(db, client_id)
                if claimed is None:
                    continue
                self._ring = self._ring or keys.load_keys(db, self._settings)
                client = None if _is_overtaken(db, claimed) else load_client(db, claimed.client_id)
            self.on_the_way[threads.submit(_send, self._settings, self._ring, client, claimed)] = claimed

    def _next_app(self) -> str | None:
        """Take who waits; None where nobody may be told now.

        Those that did not answer the last time come last, but for one of them: others whose notices do not end would
        keep them from ever being tried again.
        """
        found = next((client_id for client_id in self._waiting if client_id not in _silent), None)
        if clock.ticks() <= self._ends_at:
            silent = sum(claimed.client_id in _silent for claimed in self.on_the_way.values())
            if silent == 0 or (found is None and silent < SILENT_AT_ONCE):
                found = next((client_id for client_id in _silent if client_id in self._waiting), found)
        if found is not None:
            self._waiting.remove(found)
        return found

    def finish(self) -> None:
        """Wait for answers for a moment, and write down those that came."""
        for answer in wait(self.on_the_way, LOOK_EVERY, FIRST_COMPLETED).done:
            claimed, fault = self.on_the_way.pop(answer), answer.result()
            _silent.pop(claimed.client_id, None)
            if fault is not None:
                _silent[claimed.client_id] = None
                self._failed.add(claimed.client_id)
            elif clock.ticks() <= self._ends_at:
                self._waiting.append(claimed.client_id)
            with Session(self._engine) as db, db.begin():
                self.counts[_finish(db, claimed, fault)] += 1


def make_logout_token(settings: Settings, ring: keys.KeyRing, client: ClientMetadata, notice: Claimed) -> str:
    """Make and sign a logout token (section 2.4): like an ID token, but with an event and without a nonce.

    `sid` is in each, whether the app asked for it (`backchannel_logout_session_required`) or not: other sessions of the
    same person may go on. An app whose ID tokens are encrypted refuses a logout token that is not (section 2.6).

    Raises:
        NotReadyError: there is no key to sign with.
        CannotEncrypt: the app has no key to encrypt to.
    """
    now = clock.now()
    algorithm = client.id_token_signed_response_alg or settings.signing_algorithm
    claims = {
        "iss": settings.issuer,
        "aud": notice.client_id,
        "iat": now,
        "exp": now + TOKEN_LIFETIME,
        "jti": notice.id,
        "sub": subject_of(settings, client, notice.user_id),
        "sid": sid_of(settings, client, notice.session_id),
        "events": {EVENT: {}},
    }
    signed = sign(ring.signing_key(algorithm), claims, "logout+jwt")
    return encrypt_id_token(_client_keys(settings), client, signed)


def sweep(db: Session, *, most: int) -> int:
    """Forget notices that were finished a week ago; returns how many.

    Args:
        most: at most so many.
    """
    return _LEASES.sweep(db, most=most, kept_after_end=KEPT_AFTER_END)


def untaken_since(db: Session, within: int) -> int | None:
    """Return since when a notice has been due that no worker takes, or None.

    Args:
        within: seconds in which one that is at work would have finished some other notice.
    """
    return _LEASES.untaken_since(db, within)


def _apps_to_tell(db: Session) -> Sequence[str]:
    """Return the apps for which a notice is due: the index is asked for one app after the other."""
    waits = LogoutNotice.state == "waiting"
    app = select(func.min(LogoutNotice.client_id).label("client_id")).where(waits).cte("app", recursive=True)
    next_one = select(func.min(LogoutNotice.client_id)).where(waits, LogoutNotice.client_id > app.c.client_id)
    apps = app.union_all(select(next_one.scalar_subquery()).where(app.c.client_id.is_not(None)))
    is_due = exists().where(LogoutNotice.client_id == apps.c.client_id, *_LEASES.are_due())
    return db.scalars(select(apps.c.client_id).where(apps.c.client_id.is_not(None), is_due)).all()


def _claim_next(db: Session, client_id: str) -> Claimed | None:
    row = _LEASES.claim_next(db, LEASE, _COLUMNS, only=(LogoutNotice.client_id == client_id,))
    return None if row is None else Claimed(**row)


def _is_overtaken(db: Session, notice: Claimed) -> bool:
    """Tell whether the session goes on, and the person has signed in to the app again meanwhile.

    The `sid` is the same then. Whatever the app held in that session ended before the notice was written: a grant that
    holds is of a newer sign-in. A code that nobody has redeemed is none, nor is a device that was allowed from there:
    what the app keeps for that browser goes on until it is told.
    """
    of_session = BrowserSession.id == notice.session_id
    holds = exists().where(
        AuthorizationGrant.session_id == notice.session_id,
        AuthorizationGrant.client_id == notice.client_id,
        AuthorizationGrant.revoked_at.is_(None),
        AuthorizationGrant.kind != "device",
        token_status.has_given_tokens(),
    )
    return db.scalar(select(BrowserSession.id).where(of_session, BrowserSession.ended_at.is_(None), holds)) is not None


def _send(settings: Settings, ring: keys.KeyRing, client: ClientMetadata | None, notice: Claimed) -> str | None:
    """Post a notice; returns why the app has not got it, or None. 200 and 204 mean that it has (section 2.8)."""
    if client is None or client.backchannel_logout_uri is None:
        return None  # it is gone, wants none any more, or has a newer sign-in to which this one would put an end
    try:
        token = make_logout_token(settings, ring, client, notice)
        answer = post_form(settings, client.backchannel_logout_uri, {"logout_token": token})
    except (OutgoingError, NotReadyError) as fault:
        return str(fault)
    except CannotEncrypt as fault:
        return str(fault.description).rstrip(".")
    return None if answer.status in (200, 204) else f"it answered {answer.status}"


def _finish(db: Session, claimed: Claimed, fault: str | None) -> str:
    """Write down how an attempt went; returns what it counts as."""
    if fault is None:
        _LEASES.finish(db, claimed, "sent")
        return "notice_sent"
    reason = fault[:300]
    if clock.now() - claimed.created_at < GIVE_UP_AFTER:
        _LEASES.put_off(db, claimed, reason)
        log.warning("The app %s was not told of a sign-out yet: %s. It is tried again.", claimed.client_id, fault)
        return "notice_put_off"
    if _LEASES.finish(db, claimed, "failed", reason):
        log.error("The app %s could not be told of a sign-out: %s. Given up.", claimed.client_id, fault)
        audit.record(
            db, Event.LOGOUT_NOTICE_GIVEN_UP, SYSTEM, user_id=claimed.user_id, client_id=claimed.client_id, reason=fault
        )
    return "notice_failed"
