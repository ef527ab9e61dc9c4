"""Devices that cannot show a browser (RFC 8628): they get a code, somebody types it elsewhere, and they wait for that.

Two codes belong together. The device code is the device's secret. The user code is short, because people type it, and
it is guarded otherwise: it lives for minutes, guesses are throttled, and it is worth nothing without signing in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749 import TokenEndpoint
from authlib.oauth2.rfc6749.errors import UnauthorizedClientError
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import audit, throttle
from idp.accounts.audit import Event
from idp.accounts.sessions import CurrentSession
from idp.accounts.visitor import Visitor
from idp.models import AuthorizationGrant, DeviceAuthorization
from idp.oidc import consents, session_policy
from idp.oidc import scopes as known_scopes
from idp.oidc.client_auth import authenticate_client
from idp.oidc.clients import AUTH_METHODS, DEVICE_CODE_GRANT, ClientMetadata
from idp.oidc.grants.grant import NO_STORE
from idp.oidc.permitted import permitted_resources, permitted_scopes
from idp.oidc.requests import ProtocolRequest
from idp.settings import Settings

if TYPE_CHECKING:
    from idp.oidc.server import Provider

DEVICE_CODE_PREFIX = "idp_dc_"
INTERVAL = 5  # seconds between two polls (RFC 8628 section 3.2); one who asks too often has to wait longer
VERIFICATION_PATH = "/device"
# No vowels, so that no words come of it, and no two that look alike (section 6.1): 34 bits in eight letters.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
_LETTERS = 8
_PURPOSE = "device user code"
_TRIES = 5  # until a user code is found that nobody else has
_ONCE = ("scope", "client_id", "client_secret")


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

    @property
    def is_offline(self) -> bool:
        """Whether it may act while the person is away."""
        return "offline_access" in self.scopes and self.client.may_act_offline


class DeviceAuthorizationEndpoint(TokenEndpoint):
    """Gives a device its codes (section 3.1)."""

    ENDPOINT_NAME = "device_authorization"
    CLIENT_AUTH_METHODS: Sequence[str] = AUTH_METHODS
    server: "Provider"

    def __call__(  # type: ignore[override]  # one kind of request in, an answer out
        self, request: ProtocolRequest
    ) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Answer (section 3.2)."""
        request.payload.check_single(*_ONCE)
        client = authenticate_client(self.server, request, self.CLIENT_AUTH_METHODS)
        if DEVICE_CODE_GRANT not in client.grant_types:
            raise UnauthorizedClientError(f"This client is not registered for the grant {DEVICE_CODE_GRANT}.")
        scopes = permitted_scopes(client, request.payload.get("scope"))
        resources = permitted_resources(client, request.payload.get_all("resource"))
        settings = self.server.settings
        if client.is_public:  # nobody has proved to be anybody: only so many rows for one network
            throttle.spend(request.db, settings, throttle.DEVICE_AUTHORIZATION_ADDRESS, request.visitor.network)
        device_code, user_code = _begin(request.db, settings, request.visitor, client, scopes, resources)
        verification_uri = settings.url(VERIFICATION_PATH)
        answer = {
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": verification_uri,
            "verification_uri_complete": f"{verification_uri}?{urlencode({'user_code': user_code})}",
            "expires_in": settings.device_code_lifetime,
            "interval": INTERVAL,
        }
        return 200, answer, NO_STORE


def normal_user_code(typed: str) -> str | None:
    """Return a user code as devices show it, whatever case and punctuation it was typed in; None when it is none."""
    letters = "".join(character for character in typed if character.isalnum())
    if len(letters) != _LETTERS or not letters.isascii():
        return None
    letters = letters.upper()
    if any(letter not in ALPHABET for letter in letters):
        return None
    return f"{letters[:4]}-{letters[4:]}"


def find_waiting(
    db: Session, provider: "Provider", visitor: Visitor, session: CurrentSession, typed: str
) -> WaitingDevice | None:
    """Return the device that waits under a user code, or None. A wrong guess is charged, and the charge committed.

    Raises:
        Throttled: too many wrong guesses by this person, or from this network (section 5.1).
    """
    settings = provider.settings
    charges = (
        throttle.spend(db, settings, throttle.USER_CODE_ADDRESS, visitor.network),
        throttle.spend(db, settings, throttle.USER_CODE_ACCOUNT, session.user_id),
    )
    user_code = normal_user_code(typed)
    row = (
        user_code
        and db.execute(
            select(DeviceAuthorization).where(
                DeviceAuthorization.user_code_digest == _user_code_digest(settings, user_code),
                DeviceAuthorization.state == "waiting",
                DeviceAuthorization.expires_at > clock.now(),
            )
        ).scalar_one_or_none()
    )
    client = provider.clients.find(db, row.client_id) if row else None
    if not (user_code and row and client and DEVICE_CODE_GRANT in client.grant_types):
        audit.record(db, Event.USER_CODE_REFUSED, visitor, user_id=session.user_id)
        return None
    for charge in charges:
        charge.refund(db)
    return WaitingDevice(
        id=row.id,
        user_code=user_code,
        client=client,
        scopes=known_scopes.split(row.scope),
        resources=tuple(row.resources),
        address=row.address,
        user_agent=row.user_agent or "",
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def approve(
    db: Session, provider: "Provider", visitor: Visitor, session: CurrentSession, device: WaitingDevice
) -> bool:
    """Let a device act for a person; whoever answers first has answered.

    Returns:
        Whether the device may go on: not when it was answered before, or the app is full.
    """
    if session_policy.admit(db, provider.settings, visitor, device.client, session) is not None:
        _answer(db, device, "denied")
        return False
    if not _answer(db, device, "approved"):
        return False
    now, grant_id = clock.now(), crypto.new_id()
    lasts = provider.lifetime(device.client, "refresh_token") + provider.lifetime(device.client, "access_token")
    db.execute(
        insert(AuthorizationGrant).values(
            id=grant_id,
            kind="device",
            client_id=device.client.client_id,
            user_id=session.user_id,
            session_id=session.id,
            scope=" ".join(device.scopes),
            resources=list(device.resources),
            code_expires_at=device.expires_at,
            auth_time=session.auth_time,
            acr=session.acr,
            amr=list(session.amr),
            is_offline=device.is_offline,
            created_at=now,
            expires_at=max(session.expires_at, now + lasts if device.is_offline else 0),
        )
    )
    db.execute(update(DeviceAuthorization).where(DeviceAuthorization.id == device.id).values(grant_id=grant_id))
    consents.remember(db, visitor, session.user_id, device.client.client_id, device.scopes)
    audit.record(
        db,
        Event.DEVICE_APPROVED,
        visitor,
        user_id=session.user_id,
        client_id=device.client.client_id,
        device_address=device.address,
    )
    return True


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


def _answer(db: Session, device: WaitingDevice, state: str) -> bool:
    answered = db.execute(
        update(DeviceAuthorization)
        .where(
            DeviceAuthorization.id == device.id,
            DeviceAuthorization.state == "waiting",
            DeviceAuthorization.expires_at > clock.now(),
        )
        .values(state=state)
        .returning(DeviceAuthorization.id)
        .execution_options(synchronize_session=False)
    )
    return answered.first() is not None


def _begin(
    db: Session,
    settings: Settings,
    visitor: Visitor,
    client: ClientMetadata,
    scopes: Sequence[str],
    resources: Sequence[str],
) -> tuple[str, str]:
    """Write down that a device waits; returns its two codes."""
    now, device_code = clock.now(), DEVICE_CODE_PREFIX + crypto.new_token()
    for _ in range(_TRIES):
        letters = crypto.random_letters(ALPHABET, _LETTERS)
        user_code = f"{letters[:4]}-{letters[4:]}"
        try:
            with db.begin_nested():
                db.execute(
                    insert(DeviceAuthorization).values(
                        id=crypto.new_id(),
                        client_id=client.client_id,
                        device_code_digest=crypto.digest(device_code),
                        user_code_digest=_user_code_digest(settings, user_code),
                        scope=" ".join(scopes),
                        resources=list(resources),
                        state="waiting",
                        interval=INTERVAL,
                        created_at=now,
                        expires_at=now + settings.device_code_lifetime,
                        address=visitor.address or None,
                        user_agent=visitor.user_agent or None,
                    )
                )
        except IntegrityError:  # somebody else has this user code
            continue
        return device_code, user_code
    raise _error("temporarily_unavailable", "No user code is free at the moment. Try again.")


def _user_code_digest(settings: Settings, user_code: str) -> str:
    """A user code is short enough to be found by trying: who has the database only must not be able to."""
    return crypto.mac(settings.secret_key, _PURPOSE, user_code.encode()).hex()


def _error(code: str, description: str) -> OAuth2Error:
    return OAuth2Error(description, error=code)
