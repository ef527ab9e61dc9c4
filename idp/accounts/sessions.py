"""Browser sessions: who is signed in where, since when, and how it ends.

A session's secret is a random token in a cookie; the database holds its digest. It ends when it is idle for too long,
at its absolute age, at sign-out, and when the account is disabled or its password changes (OWASP Session Management).
What hangs on a session (tokens of apps) is ended by listeners (`ended_sessions`), in the same transaction.
"""

from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, BindParameter, ColumnElement, and_, insert, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp import clock, crypto
from idp.accounts import audit, ended_sessions, names
from idp.accounts.audit import Event
from idp.accounts.ended_sessions import EndedSessions
from idp.accounts.visitor import SYSTEM, Visitor
from idp.clock import DAY
from idp.models import BrowserSession, User
from idp.settings import Settings
from idp.storage.statements import Prepared, Row, value

TOUCH_EVERY = 300  # seconds between two writes of last_seen_at
KEPT_AFTER_END = 90 * DAY  # seconds that an ended session says which browsers an account knows

PASSWORD_ACR = "aal1"  # noqa: S105 - NIST SP 800-63B: one factor
PASSWORD_AMR = ("pwd",)  # RFC 8176 section 2


class CurrentSession(NamedTuple):
    """A living session and whose it is, as read from one row."""

    id: str
    user_id: str
    username: str
    email: str
    given_name: str | None
    family_name: str | None
    auth_time: int
    acr: str
    amr: Sequence[str]
    last_seen_at: int
    expires_at: int
    must_change_password: bool = False  # the password was issued to be changed: good for nothing else until then
    deletion_due_at: int | None = None  # the account will be deleted then, unless its owner thinks better of it
    code_epoch: int = 0  # authorization codes of an earlier one are worthless

    @property
    def display_name(self) -> str:
        """The person's name, or the user name of who gave none."""
        return names.full_name(self.given_name, self.family_name) or self.username


def is_alive(settings: Settings, now: int) -> ColumnElement[bool]:
    """The condition for a living session of an enabled user, for any statement that joins both tables."""
    return _is_alive(now, now - settings.session_idle_lifetime)


def _is_alive(now: int | BindParameter[int], idle_since: int | BindParameter[int]) -> ColumnElement[bool]:
    return and_(
        BrowserSession.ended_at.is_(None),
        BrowserSession.expires_at > now,
        BrowserSession.last_seen_at > idle_since,
        User.disabled_at.is_(None),
    )


# The same for a statement that is prepared once; `alive_now` gives its values.
IS_ALIVE = _is_alive(value("now", BigInteger()), value("idle_since", BigInteger()))


def alive_now(settings: Settings) -> dict[str, int]:
    """Return the values of `IS_ALIVE` at this moment."""
    now = clock.now()
    return {"now": now, "idle_since": now - settings.session_idle_lifetime}


_INSERT = Prepared(
    insert(BrowserSession),
    columns=(
        "id",
        "user_id",
        "created_at",
        "token_digest",
        "browser_digest",
        "auth_time",
        "acr",
        "amr",
        "user_agent",
        "address",
        "last_seen_at",
        "expires_at",
    ),
)


def start_session(
    db: Session, settings: Settings, visitor: Visitor, user_id: str, *, replaces: str | None = None
) -> tuple[str, str]:
    """Start a session after somebody proved who they are.

    Args:
        replaces: id of the session that this browser had before. Another person's ends; the same person's goes on,
            so that proving oneself once more signs nobody out of other apps. Its old cookie is worthless either way.

    Returns:
        The secret for the cookie, and the session's id.
    """
    now, token = clock.now(), crypto.new_token()
    proof = {
        "token_digest": crypto.digest(token),
        "browser_digest": visitor.browser_digest,
        "auth_time": now,
        "acr": PASSWORD_ACR,
        "amr": list(PASSWORD_AMR),
        "user_agent": visitor.user_agent,
        "address": visitor.address,
        "last_seen_at": now,
        "expires_at": now + settings.session_lifetime,
    }
    session_id = replaces if replaces and _renew(db, replaces, user_id, proof) else ""
    if not session_id:
        if replaces:
            end_session(db, visitor, replaces, reason="replaced")
        session_id = crypto.new_id()
        _INSERT.run(db, id=session_id, user_id=user_id, created_at=now, **proof)
    audit.record(db, Event.SIGN_IN, visitor, user_id=user_id, session_id=session_id)
    return token, session_id


def rotate_secret(db: Session, session_id: str) -> str:
    """Give a session a new secret; whoever has a copy of the old cookie is out. Returns the secret for the cookie."""
    token = crypto.new_token()
    db.execute(update(BrowserSession).where(BrowserSession.id == session_id).values(token_digest=crypto.digest(token)))
    return token


def _renew(db: Session, session_id: str, user_id: str, proof: dict[str, Any]) -> bool:
    """Go on with a session of the same person under a new secret; tells whether it was theirs and had not ended."""
    renewed = db.execute(
        update(BrowserSession)
        .where(BrowserSession.id == session_id, BrowserSession.user_id == user_id, BrowserSession.ended_at.is_(None))
        .values(**proof)
        .returning(BrowserSession.id)
    )
    return renewed.first() is not None


CURRENT = select(  # what `session_of` makes a session of; other statements may select more beside it
    BrowserSession.id,
    BrowserSession.user_id,
    User.username,
    User.email,
    User.given_name,
    User.family_name,
    BrowserSession.auth_time,
    BrowserSession.acr,
    BrowserSession.amr,
    BrowserSession.last_seen_at,
    BrowserSession.expires_at,
    User.is_password_temporary.label("must_change_password"),
    User.deletion_due_at,
    User.code_epoch,
).join(User, User.id == BrowserSession.user_id)


_fields = itemgetter(*CurrentSession._fields)
_BY_TOKEN = Prepared(CURRENT.where(BrowserSession.token_digest == value("token_digest"), IS_ALIVE))


def find_session(db: Session, settings: Settings, token: str) -> CurrentSession | None:
    """Return the living session that a cookie's secret opens, or None."""
    row = _BY_TOKEN.first(db, token_digest=crypto.digest(token), **alive_now(settings))
    return None if row is None else session_of(row)


def session_of(row: Row) -> CurrentSession:
    """Return the session that a row of `CURRENT` describes."""
    return CurrentSession(*_fields(row))


def touch(db: Session, session_id: str, last_seen_at: int) -> bool:
    """Note that something happened in a session, at most every few minutes.

    Returns:
        Whether it was written down. It locks the session: whoever locks the account as well does that first.
    """
    now = clock.now()
    is_due = now - last_seen_at >= TOUCH_EVERY
    if is_due:
        db.execute(
            update(BrowserSession)
            .where(BrowserSession.id == session_id, BrowserSession.last_seen_at < now)
            .values(last_seen_at=now)
        )
    return is_due


def list_sessions(
    db: Session, settings: Settings, user_id: str, *, most: int | None = None
) -> Sequence[BrowserSession]:
    """Return the living sessions of a user, latest first.

    Args:
        most: at most so many; None for all.
    """
    rows: Sequence[BrowserSession] = db.scalars(
        select(BrowserSession)
        .join(User, User.id == BrowserSession.user_id)
        .where(BrowserSession.user_id == user_id, is_alive(settings, clock.now()))
        .order_by(BrowserSession.last_seen_at.desc(), BrowserSession.created_at.desc())
        .limit(most)
    ).all()
    return rows


def end_session(
    db: Session, visitor: Visitor, session_id: str, *, reason: str, user_id: str = ""
) -> EndedSessions | None:
    """End one session and what hangs on it.

    Args:
        user_id: when given, only a session of this user.

    Returns:
        What listeners were told and have added, or None when it had ended before.
    """
    if "\x00" in session_id:  # no id of ours, and PostgreSQL would not even compare it
        return None
    query = update(BrowserSession).where(BrowserSession.id == session_id, BrowserSession.ended_at.is_(None))
    if user_id:
        query = query.where(BrowserSession.user_id == user_id)
    ended = db.execute(query.values(ended_at=clock.now(), end_reason=reason).returning(BrowserSession.user_id)).first()
    if ended is None:
        return None
    return ended_sessions.tell(db, visitor, EndedSessions(ended.user_id, (session_id,), reason))


def end_sessions(db: Session, visitor: Visitor, user_id: str, *, reason: str, except_session: str = "") -> int:
    """End all sessions of a user, or all but one, and what hangs on them.

    Returns:
        How many were alive.
    """
    ended = (
        db.execute(
            update(BrowserSession)
            .where(
                BrowserSession.user_id == user_id,
                BrowserSession.ended_at.is_(None),
                BrowserSession.id != except_session,
            )
            .values(ended_at=clock.now(), end_reason=reason)
            .returning(BrowserSession.id)
        )
        .scalars()
        .all()
    )
    if ended or reason in ended_sessions.ACCOUNT_WIDE_REASONS:
        ended_sessions.tell(db, visitor, EndedSessions(user_id, tuple(ended), reason))
    return len(ended)


def end_expired(db: Session, settings: Settings, *, most: int) -> int:
    """End sessions that were idle for too long or have reached their absolute age, and what hangs on them.

    They have opened nothing since that moment; this tells whoever still has to be told.

    Args:
        most: at most so many.

    Returns:
        How many.
    """
    now = clock.now()
    idle_since = now - settings.session_idle_lifetime
    found = _living(db, BrowserSession.last_seen_at, idle_since, most)
    if len(found) < most:
        found = {*found, *_living(db, BrowserSession.expires_at, now, most - len(found), but=found)}
    if not found:
        return 0
    is_expired = and_(
        BrowserSession.ended_at.is_(None),
        or_(BrowserSession.expires_at <= now, BrowserSession.last_seen_at <= idle_since),
    )
    ended = db.execute(
        update(BrowserSession)
        .where(BrowserSession.id.in_(found), is_expired)
        .values(ended_at=now, end_reason="expired")
        .returning(BrowserSession.user_id, BrowserSession.id)
        .execution_options(synchronize_session=False)
    ).all()
    by_user: dict[str, list[str]] = {}
    for user_id, session_id in ended:
        by_user.setdefault(user_id, []).append(session_id)
    for user_id, session_ids in by_user.items():
        ended_sessions.tell(db, SYSTEM, EndedSessions(user_id, tuple(session_ids), "expired"))
    return len(ended)


def _living(
    db: Session, time: InstrumentedAttribute[int], until: int, most: int, *, but: Collection[str] = ()
) -> set[str]:
    """Return the ids of sessions that have not ended and whose time lies at or before `until`, the oldest of them.

    Whom another worker or a sign-out is at is left to them: nobody waits for anybody (SQLite has one writer anyway).

    Args:
        but: ids that are found already: the oldest are often the same ones, and where fewer come than were asked for,
            there are no more.
    """
    is_over = BrowserSession.ended_at.is_(None), time <= until, BrowserSession.id.not_in(but)
    oldest = select(BrowserSession.id).where(*is_over).order_by(time)
    return set(db.scalars(oldest.limit(most).with_for_update(skip_locked=True, key_share=True)).all())
