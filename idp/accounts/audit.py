"""What happened, and who did it: a row for everything that matters, in the transaction of what it tells."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from idp import clock, metrics
from idp.accounts.visitor import Visitor
from idp.models import AuditEvent
from idp.storage.statements import Prepared


class Event(StrEnum):
    """Every event, as `source:subject:action`; `docs/audit.md` explains each."""

    ACCOUNT_CREATED = "account:user:create"
    ACCOUNT_DISABLED = "account:user:disable"
    ACCOUNT_ENABLED = "account:user:enable"
    ACCOUNT_DELETED = "account:user:delete"
    DELETION_REQUESTED = "account:deletion:request"
    DELETION_REVOKED = "account:deletion:revoke"
    DELETION_REFUSED = "account:deletion:refuse"
    REGISTRATION_REFUSED = "account:registration:refuse"
    REGISTRATION_EXPIRED = "account:registration:expire"
    PREAUTHORIZED = "account:preauthorization:give"
    PREAUTHORIZATION_WITHDRAWN = "account:preauthorization:withdraw"
    INVITED = "account:invitation:send"
    ADDRESS_VERIFIED = "account:email:verify"
    ADDRESS_CHANGE_REQUESTED = "account:email:request"
    ADDRESS_CHANGE_REFUSED = "account:email:refuse"
    ADDRESS_CHANGE_REVOKED = "account:email:revoke"
    ADDRESS_CHANGED = "account:email:change"
    CONFIRMATION_RESENT = "account:email:resend"
    RECOVERY_REQUESTED = "account:recovery:request"
    USERNAME_REMINDED = "account:recovery:remind"
    PASSWORD_RESET = "account:password:reset"  # noqa: S105
    PASSWORD_ISSUED = "account:password:issue"  # noqa: S105
    PASSWORD_CHANGED = "account:password:change"  # noqa: S105
    PASSWORD_CHANGE_REFUSED = "account:password:refuse"  # noqa: S105
    CODE_SENT = "account:code:send"
    CODE_REFUSED = "account:code:refuse"
    PROFILE_CHANGED = "account:profile:change"
    ROLES_CHANGED = "account:roles:change"
    SIGN_IN = "account:session:start"
    SIGN_IN_REFUSED = "account:sign_in:refuse"
    SIGN_IN_THROTTLED = "account:sign_in:throttle"
    SESSION_ENDED = "account:session:end"
    CONSENT_GIVEN = "account:consent:give"
    CONSENT_DENIED = "account:consent:deny"
    CONSENT_WITHDRAWN = "account:consent:withdraw"
    DEVICE_APPROVED = "account:device:approve"
    DEVICE_DENIED = "account:device:deny"
    USER_CODE_REFUSED = "account:device:refuse"
    CLIENT_CREATED = "client:registration:create"
    CLIENT_CHANGED = "client:registration:change"
    CLIENT_REMOVED = "client:registration:remove"
    CLIENT_SECRET_ROTATED = "client:secret:rotate"  # noqa: S105
    CLIENT_AUTHENTICATION_REFUSED = "client:authentication:refuse"
    CODE_REUSED = "client:code:reuse"
    CONCURRENT_USER_REFUSED = "client:session:refuse"
    SINGLE_SESSION_ENFORCED = "client:session:replace"
    REFRESH_TOKEN_REUSED = "client:refresh_token:reuse"  # noqa: S105
    LOGOUT_NOTICE_GIVEN_UP = "client:logout_notice:give_up"
    TOKEN_REVOKED = "client:token:revoke"  # noqa: S105
    ACCOUNTS_EXPORTED = "provider:accounts:export"
    BACKED_UP = "provider:database:backup"
    RESTORED = "provider:database:restore"
    MAIL_GIVEN_UP = "provider:mail:give_up"  # written by `idp.mail.queue`, which lies below this module
    INITIAL_TOKEN_CREATED = "provider:initial_token:create"  # noqa: S105
    INITIAL_TOKEN_REMOVED = "provider:initial_token:remove"  # noqa: S105
    KEY_CREATED = "provider:key:create"
    KEY_ROTATED = "provider:key:rotate"
    KEY_REVOKED = "provider:key:revoke"
    KEY_REMOVED = "provider:key:remove"


_INSERT = Prepared(
    insert(AuditEvent),
    columns=("at", "event", "user_id", "client_id", "actor", "address", "user_agent", "details"),
)


def record(
    db: Session,
    event: Event,
    visitor: Visitor,
    *,
    user_id: str | None = None,
    client_id: str | None = None,
    **details: str | int | Sequence[str] | None,
) -> None:
    """Write down an event.

    Args:
        visitor: who acted.
        user_id: whom it concerns.
        client_id: which app it concerns.
        details: what else helps to understand it; never a secret.
    """
    _INSERT.run(
        db,
        at=clock.now(),
        event=event.value,
        user_id=user_id,
        client_id=client_id,
        actor=visitor.actor[:40],
        address=visitor.address[:64] or None,
        user_agent=visitor.user_agent[:300] or None,
        details=details,
    )
    metrics.add(metrics.audit_events(event.value))


def list_events(
    db: Session, *, event: str = "", user_id: str = "", client_id: str = "", since: int = 0, limit: int = 100
) -> Sequence[AuditEvent]:
    """Return events, newest first.

    Args:
        event: a whole name, or its beginning up to a colon (`account:session`).
        user_id: only events that concern this user.
        client_id: only events that concern this app; for the latest of one that is quiet all rows since then are read.
        since: only events at or after this time, in seconds since the epoch.
        limit: at most so many.
    """
    latest = select(AuditEvent).where(AuditEvent.at >= since).limit(limit)
    latest = latest.order_by(AuditEvent.at.desc(), AuditEvent.id.desc())
    if client_id:
        latest = latest.where(AuditEvent.client_id == client_id)
    names = [known.value for known in Event if known.value == event or known.startswith(f"{event}:")]
    if user_id:
        of_user = latest.where(AuditEvent.user_id == user_id)
        return db.scalars(of_user.where(AuditEvent.event.in_(names)) if event else of_user).all()
    if not event:
        return db.scalars(latest).all()
    # Each name's latest come straight from the index; those of all names together would have to be sorted.
    found = [each for name in names for each in db.scalars(latest.where(AuditEvent.event == name))]
    return sorted(found, key=lambda each: (each.at, each.id), reverse=True)[:limit]


def as_dict(event: AuditEvent) -> dict[str, Any]:
    """Return an event for JSON."""
    return {
        "at": event.at,
        "event": event.event,
        "actor": event.actor,
        "user_id": event.user_id,
        "client_id": event.client_id,
        "address": event.address,
        "user_agent": event.user_agent,
        "details": event.details,
    }
