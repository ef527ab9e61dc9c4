"""What must be true of the data whatever happened, a kill -9 in the middle included: `idp doctor --deep` reads it.

Each invariant is one statement that finds what breaks it, so that it sees one moment of a provider that is at work.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, ColumnElement, Select, Text, and_, cast, column, except_, func, or_, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from idp.accounts import known_browsers
from idp.accounts.audit import Event
from idp.accounts.visitor import OPERATOR
from idp.cli import sqlite_work
from idp.clock import DAY
from idp.models import (
    AuditEvent,
    AuthorizationGrant,
    BrowserSession,
    Client,
    LogoutNotice,
    MailMessage,
    Preauthorization,
    RefreshToken,
    SigningKey,
    User,
)
from idp.oidc.backchannel import KEPT_AFTER_END

SHOWN = 5  # offenders that are named
CLOCK_SLACK = 300  # seconds that clocks of several machines may lie apart
AUDIT_KEPT = DAY  # nobody deletes rows of the audit sooner: what is missing of so young ones is a gap


@dataclass(frozen=True)
class Invariant:
    """One thing that must be true.

    Attributes:
        name: what the report calls it.
        broken: says of some rows what is wrong with them.
        offenders: selects the ids of what breaks it, given the present time.
    """

    name: str
    broken: str
    offenders: Callable[[int], Select[Any]]


def find_offenders(db: Session, invariant: Invariant, now: int) -> tuple[int, list[str]]:
    """Return how many rows break an invariant, and the ids of the first few.

    Args:
        invariant: what must be true.
        now: the present time.
    """
    found = invariant.offenders(now).subquery()

    def ask() -> tuple[int, list[str]]:
        first = [str(value) for value in db.scalars(select(found.c[0]).limit(SHOWN))]
        count = len(first) if len(first) < SHOWN else db.scalar(select(func.count()).select_from(found)) or 0
        return count, first

    own = sqlite_work.connection_of(db)
    # What PostgreSQL is at is ended by its driver, see `idp.cli.ending`.
    return ask() if own is None else sqlite_work.ended_by_signals(own, ask)


# -- People and their sessions ---------------------------------------------------------


def _sessions_of_closed_accounts(now: int) -> Select[Any]:
    is_closed = or_(User.disabled_at.is_not(None), User.is_registration_pending.is_(True))
    lives = and_(BrowserSession.ended_at.is_(None), BrowserSession.expires_at > now)
    return select(BrowserSession.id).join(User, User.id == BrowserSession.user_id).where(lives, is_closed)


def _preauthorizations_used_twice(_now: int) -> Select[Any]:
    """A registration that waits holds what it has claimed, by id; so it cannot be listed still."""
    held = cast(User.claimed_preauthorization, Text)
    return (
        select(Preauthorization.id)
        .join(User, User.email_key == Preauthorization.email_key)
        .where(User.is_registration_pending.is_(True), held.contains(Preauthorization.id))
    )


class _elements(FunctionElement[Any]):  # noqa: N801 - a function of SQL
    """The elements of a list in JSON, one a row, as the column `value`."""

    inherit_cache = True


@compiles(_elements)
def _(call: _elements, compiler: SQLCompiler, **options: Any) -> str:
    name = "json_each" if compiler.dialect.name == "sqlite" else "json_array_elements"
    return f"{name}({compiler.process(call.clauses, **options)})"


def _preauthorizations_held_twice(_now: int) -> Select[Any]:
    held = _elements(User.claimed_preauthorization).table_valued(column("value", JSON))
    listing = held.c.value["id"].as_string()
    holders = select(listing).select_from(User).join(held, true()).where(User.is_registration_pending.is_(True))
    return holders.group_by(listing).having(func.count() > 1)


# -- Grants and tokens -------------------------------------------------------------------


def _is_good(now: int) -> ColumnElement[bool]:
    return and_(AuthorizationGrant.revoked_at.is_(None), AuthorizationGrant.expires_at > now)


def _grants_of_disabled(now: int) -> Select[Any]:
    owner = User.id == AuthorizationGrant.user_id
    return select(AuthorizationGrant.id).join(User, owner).where(_is_good(now), User.disabled_at.is_not(None))


def _grants_of_ended_sessions(now: int) -> Select[Any]:
    return (
        select(AuthorizationGrant.id)
        .join(BrowserSession, BrowserSession.id == AuthorizationGrant.session_id)
        .where(_is_good(now), AuthorizationGrant.is_offline.is_(False), BrowserSession.ended_at.is_not(None))
    )


def _grants_of_others(_now: int) -> Select[Any]:
    session = BrowserSession.id == AuthorizationGrant.session_id
    return (
        select(AuthorizationGrant.id)
        .join(BrowserSession, session)
        .where(BrowserSession.user_id != AuthorizationGrant.user_id)
    )


def _codes_used_twice(_now: int) -> Select[Any]:
    """Each use of a code begins a chain of refresh tokens; the last link of a chain is unused: one chain, one end."""
    unused = select(RefreshToken.grant_id).where(RefreshToken.claimed_at.is_(None))
    return unused.group_by(RefreshToken.grant_id).having(func.count() > 1)


def _tokens_without_code(_now: int) -> Select[Any]:
    grant = AuthorizationGrant.id == RefreshToken.grant_id
    is_foreign = RefreshToken.client_id != AuthorizationGrant.client_id
    return (
        select(RefreshToken.id)
        .join(AuthorizationGrant, grant)
        .where(or_(AuthorizationGrant.code_claimed_at.is_(None), is_foreign))
    )


def _broken_chains(now: int) -> Select[Any]:
    """A refresh token is claimed and its successor made in one transaction, or its grant has ended."""
    last = aliased(RefreshToken)
    has_end = select(last.id).where(last.grant_id == RefreshToken.grant_id, last.claimed_at.is_(None)).exists()
    return (
        select(RefreshToken.grant_id)
        .join(AuthorizationGrant, AuthorizationGrant.id == RefreshToken.grant_id)
        .join(User, User.id == AuthorizationGrant.user_id)
        .where(
            RefreshToken.claimed_at.is_not(None),
            RefreshToken.expires_at > now,
            _is_good(now),
            AuthorizationGrant.is_offline.is_(True),
            User.disabled_at.is_(None),
            ~has_end,
        )
        .distinct()
    )


# -- What waits, keys, and time --------------------------------------------------------------


def _mail_between_states(_now: int) -> Select[Any]:
    is_over = MailMessage.finished_at.is_not(None)
    return select(MailMessage.id).where(is_over != (MailMessage.state != "waiting"))


def _notices_between_states(_now: int) -> Select[Any]:
    is_over = LogoutNotice.finished_at.is_not(None)
    return select(LogoutNotice.id).where(is_over != (LogoutNotice.state != "waiting"))


def _apps_left_untold(now: int) -> Select[Any]:
    """Where a session ends, each app that has a grant of it and a URI for notices gets one in the same transaction.

    Notices are forgotten a week after they went. An app that was changed after the end may have had no URI before.
    """
    reached = (
        select(AuthorizationGrant.session_id, AuthorizationGrant.client_id)
        .join(BrowserSession, BrowserSession.id == AuthorizationGrant.session_id)
        .join(Client, Client.client_id == AuthorizationGrant.client_id)
        .where(
            BrowserSession.ended_at > now - KEPT_AFTER_END + CLOCK_SLACK,
            AuthorizationGrant.created_at < BrowserSession.ended_at - CLOCK_SLACK,
            Client.backchannel_logout_uri.is_not(None),
            Client.updated_at < BrowserSession.ended_at - CLOCK_SLACK,
        )
    )
    untold = except_(reached, select(LogoutNotice.session_id, LogoutNotice.client_id)).subquery()
    return select(untold.c.session_id)


def _keys_between_states(_now: int) -> Select[Any]:
    is_active, is_retired = SigningKey.activated_at.is_not(None), SigningKey.retired_at.is_not(None)
    return select(SigningKey.kid).where(
        or_(is_active != (SigningKey.state != "next"), is_retired != (SigningKey.state == "retired"))
    )


def _audit_of_the_future(now: int) -> Select[Any]:
    return select(AuditEvent.id).where(AuditEvent.at > now + CLOCK_SLACK)


# -- The audit is complete ---------------------------------------------------------------------


def _is_audited(event: Event, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(AuditEvent.id).where(AuditEvent.event == event.value, *conditions).exists()


def _must_be_told(at: Any, now: int) -> ColumnElement[bool]:
    """Operators delete old rows of the audit; what happened before the oldest one needs none."""
    begin = select(func.min(AuditEvent.at)).scalar_subquery()
    return or_(at > begin, at > now - AUDIT_KEPT)


def _accounts_without_any_audit(_now: int) -> Select[Any]:
    return select(User.id).where(select(func.max(AuditEvent.id)).scalar_subquery().is_(None))


def _accounts_without_audit(now: int) -> Select[Any]:
    told = _is_audited(Event.ACCOUNT_CREATED, AuditEvent.user_id == User.id)
    return select(User.id).where(_must_be_told(User.created_at, now), ~told)


def _accounts_gone_without_audit(_now: int) -> Select[Any]:
    """A registration that waits goes without a row when the address becomes somebody else's; an account does not."""
    made, later = aliased(AuditEvent), aliased(AuditEvent)
    is_there = select(User.id).where(User.id == made.user_id).exists()
    ends = (Event.ACCOUNT_DELETED.value, Event.REGISTRATION_EXPIRED.value)
    told = select(later.id).where(later.user_id == made.user_id, later.event.in_(ends), later.id > made.id).exists()
    opens = (Event.ADDRESS_VERIFIED.value, Event.SIGN_IN.value)
    opened = select(later.id).where(later.user_id == made.user_id, later.event.in_(opens)).exists()
    was_open = or_(made.actor == OPERATOR.actor, opened)
    return (
        select(made.user_id)
        .where(made.event == Event.ACCOUNT_CREATED.value, made.user_id.is_not(None), ~is_there, ~told, was_open)
        .distinct()
    )


def _disabled_without_audit(now: int) -> Select[Any]:
    told = _is_audited(Event.ACCOUNT_DISABLED, AuditEvent.user_id == User.id)
    return select(User.id).where(_must_be_told(User.disabled_at, now), ~told)


def _of_this_session() -> ColumnElement[bool]:
    named = AuditEvent.details["session_id"].as_string() == BrowserSession.id
    return and_(AuditEvent.user_id == BrowserSession.user_id, named)


def _has_begun() -> ColumnElement[bool]:
    """Some rows only say that an account knows a browser."""
    return or_(BrowserSession.end_reason.is_(None), BrowserSession.end_reason != known_browsers.NEVER_BEGAN)


def _sessions_without_audit(now: int) -> Select[Any]:
    told = _is_audited(Event.SIGN_IN, _of_this_session())
    return select(BrowserSession.id).where(_must_be_told(BrowserSession.created_at, now), _has_begun(), ~told)


def _ends_without_audit(now: int) -> Select[Any]:
    told = _is_audited(Event.SESSION_ENDED, _of_this_session())
    return select(BrowserSession.id).where(_must_be_told(BrowserSession.ended_at, now), _has_begun(), ~told)


INVARIANTS: tuple[Invariant, ...] = (
    Invariant("sessions", "sessions live although their account is disabled or waits", _sessions_of_closed_accounts),
    Invariant("preauthorizations", "addresses are listed although they were claimed", _preauthorizations_used_twice),
    Invariant("claims", "preauthorizations are held by two registrations", _preauthorizations_held_twice),
    Invariant("grants", "grants are good although their account is disabled", _grants_of_disabled),
    Invariant("ended sessions", "grants are good although their session has ended", _grants_of_ended_sessions),
    Invariant("owners", "grants belong to another person than their session", _grants_of_others),
    Invariant("codes", "grants have two unused refresh tokens: a code or token was used twice", _codes_used_twice),
    Invariant("orphan tokens", "refresh tokens come of no redeemed code of their client", _tokens_without_code),
    Invariant("chains", "grants have used refresh tokens and no unused one", _broken_chains),
    Invariant("mail queue", "mails are finished and waiting, or neither", _mail_between_states),
    Invariant("logout queue", "logout notices are finished and waiting, or neither", _notices_between_states),
    Invariant("logout notices", "sessions have ended and an app was not to be told of it", _apps_left_untold),
    Invariant("key states", "signing keys have times that do not fit their state", _keys_between_states),
    Invariant("audit", "accounts are there, but the audit has no row at all", _accounts_without_any_audit),
    Invariant("accounts audit", "accounts have no audit row that tells of their making", _accounts_without_audit),
    Invariant("gone audit", "accounts are gone and no audit row tells of it", _accounts_gone_without_audit),
    Invariant("disabled audit", "accounts are disabled and no audit row tells of it", _disabled_without_audit),
    Invariant("sign-ins audit", "sessions have no audit row that tells of the sign-in", _sessions_without_audit),
    Invariant("ends audit", "sessions have ended and no audit row tells of it", _ends_without_audit),
    Invariant("time", "audit rows lie in the future: a clock was wrong", _audit_of_the_future),
)
