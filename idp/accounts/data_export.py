"""Everything that is kept about one person, for that person (GDPR articles 15 and 20); no secret, nor its digest."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, func, or_, select
from sqlalchemy.orm import Session

from idp import sentences
from idp.accounts import roles
from idp.accounts.audit import Event
from idp.accounts.profile import FIELDS
from idp.errors import NotFoundError
from idp.models import (
    AuditEvent,
    AuthorizationGrant,
    BrowserSession,
    Client,
    Consent,
    MailMessage,
    OneTimeLink,
    User,
)

_ACCOUNT = (
    User.id,
    User.username,
    User.email,
    User.email_verified_at,
    User.phone_number_verified_at,
    User.password_changed_at,
    User.is_password_temporary,
    User.is_registration_pending,
    User.created_at,
    User.updated_at,
    User.disabled_at,
    User.deletion_due_at,
)
_SESSION = (
    BrowserSession.id,
    BrowserSession.auth_time,
    BrowserSession.acr,
    BrowserSession.amr,
    BrowserSession.user_agent,
    BrowserSession.address,
    BrowserSession.created_at,
    BrowserSession.last_seen_at,
    BrowserSession.expires_at,
    BrowserSession.ended_at,
    BrowserSession.end_reason,
)
_GRANT = (
    AuthorizationGrant.client_id,
    Client.client_name,
    AuthorizationGrant.scope,
    AuthorizationGrant.session_id,
    AuthorizationGrant.is_offline,
    AuthorizationGrant.created_at,
    AuthorizationGrant.expires_at,
    AuthorizationGrant.revoked_at,
)
_CONSENT = (Consent.client_id, Client.client_name, Consent.scope, Consent.claims, Consent.granted_at)
_EVENT = (
    AuditEvent.at,
    AuditEvent.event,
    AuditEvent.actor,
    AuditEvent.client_id,
    AuditEvent.address,
    AuditEvent.user_agent,
    AuditEvent.details,
)
ATTEMPTS_SHOWN = 1_000  # the latest; strangers write these, be it for years, and a file is made in memory
_ATTEMPTS = (Event.SIGN_IN_REFUSED.value, Event.SIGN_IN_THROTTLED.value)
_MAIL = (MailMessage.kind, MailMessage.subject, MailMessage.state, MailMessage.created_at, MailMessage.finished_at)
_LINK = (
    OneTimeLink.purpose,
    OneTimeLink.email_key.label("email"),  # to which it went: for a change of address, the new one
    OneTimeLink.created_at,
    OneTimeLink.expires_at,
    OneTimeLink.claimed_at,
)


def export_account(db: Session, user_id: str) -> dict[str, Any]:
    """Return everything about one person, ready for JSON; times are seconds since the epoch.

    Of attempts to sign in that failed there are the latest, and `older_attempts` counts the others.

    Raises:
        NotFoundError: there is no such account.
    """
    profile = [User.__table__.c[name] for name in FIELDS]
    found = db.execute(select(*_ACCOUNT, *profile).where(User.id == user_id)).first()
    if found is None:
        raise NotFoundError(sentences.ACCOUNT_NONE())
    whole = found._mapping
    grants = select(*_GRANT).join(Client, Client.client_id == AuthorizationGrant.client_id)
    consents = select(*_CONSENT).join(Client, Client.client_id == Consent.client_id)
    events = select(*_EVENT).where(AuditEvent.user_id == user_id)
    attempts = select(AuditEvent.id).where(AuditEvent.user_id == user_id, AuditEvent.event.in_(_ATTEMPTS))
    latest = attempts.order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(ATTEMPTS_SHOWN)
    is_shown = or_(AuditEvent.event.not_in(_ATTEMPTS), AuditEvent.id.in_(latest))
    count = db.scalar(select(func.count()).select_from(attempts.subquery())) or 0
    # Mail is known by its address, which may have been somebody else's before.
    changes = select(func.max(AuditEvent.at)).where(
        AuditEvent.user_id == user_id, AuditEvent.event == Event.ADDRESS_CHANGED.value
    )
    since = db.scalar(changes) or whole["created_at"]
    mails = select(*_MAIL).where(MailMessage.recipient == whole["email"], MailMessage.created_at >= since)
    return {
        "account": {column.key: whole[column.key] for column in _ACCOUNT},
        "profile": {name: whole[name] for name in FIELDS},
        "roles": roles.roles_of(db, user_id),
        "sessions": _rows(
            db, select(*_SESSION).where(BrowserSession.user_id == user_id).order_by(BrowserSession.created_at)
        ),
        "apps": _rows(db, grants.where(AuthorizationGrant.user_id == user_id).order_by(AuthorizationGrant.created_at)),
        "consents": _rows(db, consents.where(Consent.user_id == user_id).order_by(Consent.granted_at)),
        "links": _rows(db, select(*_LINK).where(OneTimeLink.user_id == user_id).order_by(OneTimeLink.created_at)),
        "mails": _rows(db, mails.order_by(MailMessage.created_at)),
        "events": _rows(db, events.where(is_shown).order_by(AuditEvent.id)),
        "older_attempts": max(0, count - ATTEMPTS_SHOWN),
    }


def _rows(db: Session, query: Any) -> list[dict[str, Any]]:
    found: Sequence[RowMapping] = db.execute(query).mappings().all()
    return [dict(row) for row in found]
