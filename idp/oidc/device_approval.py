"""Somebody's answer to a device that waits (RFC 8628 section 3.3): allow it, or deny it, under its code."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from authlib.oauth2.base import OAuth2Error
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import audit, throttle
from idp.accounts.audit import Event
from idp.accounts.same_work import trial
from idp.accounts.sessions import CurrentSession
from idp.accounts.visitor import Visitor
from idp.models import AuthorizationGrant, DeviceAuthorization
from idp.oidc import consents, grant_store, session_policy
from idp.oidc.clients import DEVICE_CODE_GRANT, ClientMetadata
from idp.oidc.permitted import permitted_resources, permitted_scopes
from idp.oidc.user_codes import normal_user_code, user_code_digest

if TYPE_CHECKING:
    from idp.oidc.server import Provider

Answer = Literal["allowed", "denied"]


@dataclass(frozen=True)
class WaitingDevice:
    """A device that waits for somebody's answer.

    Attributes:
        user_code: as it shows it.
        address: from where it asked; None where that is not known.
        created_at: when it asked, in seconds since the epoch.
    """

    id: str
    user_code: str
    client: ClientMetadata
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    address: str | None
    user_agent: str
    created_at: int
    expires_at: int


def find_waiting(
    db: Session, provider: "Provider", visitor: Visitor, session: CurrentSession, typed: str
) -> WaitingDevice | Answer | None:
    """Return the device that waits under a user code, or None. A wrong guess is charged, and the charge committed.

    The code of a device that was allowed in this session, or denied, is no guess: a button was pressed twice. Then that
    answer is returned.

    Raises:
        Throttled: too many wrong guesses by this person, or from this network (section 5.1).
    """
    charges = throttle.spend_all(
        db,
        provider.settings,
        (throttle.USER_CODE_ADDRESS, visitor.network),
        (throttle.USER_CODE_ACCOUNT, session.user_id),
    )
    user_code = normal_user_code(typed)
    found = user_code and (_look_up(db, provider, user_code) or _answer_to(db, provider, session, user_code))
    if not found:
        audit.record(db, Event.USER_CODE_REFUSED, visitor, user_id=session.user_id)
        return None
    for charge in charges:
        charge.refund(db)
    return found


def approve(
    db: Session, provider: "Provider", visitor: Visitor, session: CurrentSession, device: WaitingDevice
) -> Answer | None:
    """Let a device act for a person; whoever answers first has answered.

    Returns:
        How the device is answered now; None while the app is full: then the device waits still.

    Raises:
        ExpiredError: something ended meanwhile that this stands on, see `store_grant`; the device waits still.
    """
    if session_policy.admit(db, provider.settings, visitor, device.client, session) is not None:
        return None
    granted = grant_store.given_in(provider, device.client, session, device.scopes, device.resources, clock.now())
    grant = {**granted, "kind": "device", "code_expires_at": device.expires_at}
    with trial(db) as step:
        grant_store.store_grant(db, provider.settings, device.client, session, grant)
        step.is_kept = _answer(db, device, "approved", grant_id=grant["id"])
    if not step.is_kept:
        return _answer_to(db, provider, session, device.user_code) or "denied"  # the button was pressed twice
    session_policy.end_others(db, visitor, device.client, session)
    consents.give_consent(db, visitor, session.user_id, device.client.client_id, device.scopes)
    audit.record(
        db,
        Event.DEVICE_APPROVED,
        visitor,
        user_id=session.user_id,
        client_id=device.client.client_id,
        device_address=device.address,
    )
    return "allowed"


def deny(db: Session, visitor: Visitor, session: CurrentSession, device: WaitingDevice) -> None:
    """Tell a device no."""
    if _answer(db, device, "denied"):
        audit.record(
            db,
            Event.DEVICE_DENIED,
            visitor,
            user_id=session.user_id,
            client_id=device.client.client_id,
            device_address=device.address,
        )


def _look_up(db: Session, provider: "Provider", user_code: str) -> WaitingDevice | None:
    """Return the device that waits under a user code. What it asks for is checked anew: its app may have changed."""
    row = db.execute(
        select(DeviceAuthorization).where(
            DeviceAuthorization.user_code_digest == user_code_digest(provider.settings, user_code),
            DeviceAuthorization.state == "waiting",
            DeviceAuthorization.expires_at > clock.now(),
        )
    ).scalar_one_or_none()
    client = provider.clients.find(db, row.client_id) if row else None
    if not (row and client and DEVICE_CODE_GRANT in client.grant_types):
        return None
    try:
        scopes, resources = permitted_scopes(client, row.scope), permitted_resources(client, row.resources)
    except OAuth2Error:
        return None
    return WaitingDevice(
        id=row.id,
        user_code=user_code,
        client=client,
        scopes=scopes,
        resources=resources,
        address=row.address,
        user_agent=row.user_agent or "",
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _answer_to(db: Session, provider: "Provider", session: CurrentSession, user_code: str) -> Answer | None:
    """Tell how a device was answered: denied, or allowed in this same browser session, if that still holds."""
    row = db.execute(
        select(DeviceAuthorization.state, DeviceAuthorization.grant_id).where(
            DeviceAuthorization.user_code_digest == user_code_digest(provider.settings, user_code)
        )
    ).first()
    if row is None:
        return None
    if row.state == "denied":
        return "denied"
    holds = select(AuthorizationGrant.id).where(
        AuthorizationGrant.id == row.grant_id,
        AuthorizationGrant.session_id == session.id,
        AuthorizationGrant.revoked_at.is_(None),
    )
    return None if db.scalar(holds) is None else "allowed"


def _answer(db: Session, device: WaitingDevice, state: str, *, grant_id: str | None = None) -> bool:
    answered = db.execute(
        update(DeviceAuthorization)
        .where(
            DeviceAuthorization.id == device.id,
            DeviceAuthorization.state == "waiting",
            DeviceAuthorization.expires_at > clock.now(),  # whom `admit` had to wait for may have taken long
        )
        .values(state=state, grant_id=grant_id)
        .returning(DeviceAuthorization.id)
        .execution_options(synchronize_session=False)
    )
    return answered.first() is not None
