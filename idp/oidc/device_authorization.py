"""Devices that cannot show a browser (RFC 8628): they get a code, somebody types it elsewhere, and they wait for that.

Two codes belong together. The device code is the device's secret. The user code is short, because people type it, and
it is guarded otherwise: it lives for minutes, guesses are throttled, and it is worth nothing without signing in.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import UnauthorizedClientError
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import throttle
from idp.accounts.visitor import Visitor
from idp.models import DeviceAuthorization
from idp.oidc.client_auth import authenticate_client
from idp.oidc.clients import AUTH_METHODS, DEVICE_CODE_GRANT, ClientMetadata
from idp.oidc.permitted import permitted_resources, permitted_scopes
from idp.oidc.requests import NO_STORE, Answer, ProtocolRequest
from idp.oidc.user_codes import new_user_code, user_code_digest
from idp.settings import Settings

if TYPE_CHECKING:
    from idp.oidc.server import Provider

DEVICE_CODE_PREFIX = "idp_dc_"
INTERVAL = 5  # seconds between two polls (RFC 8628 section 3.2); one who asks too often has to wait longer
VERIFICATION_PATH = "/device"
_TRIES = 5  # until a user code is found that nobody else has
_ONCE = ("scope", "client_id", "client_secret")


def authorize_device(provider: "Provider", request: ProtocolRequest) -> Answer:
    """Give a device its codes (sections 3.1 and 3.2).

    Raises:
        OAuth2Error: the client is not who it says, may not do this, or asks for what it may not have.
        Throttled: too many codes for clients that are anybody's from this network.
    """
    request.payload.check_single(*_ONCE)
    client = authenticate_client(provider, request, AUTH_METHODS)
    if DEVICE_CODE_GRANT not in client.grant_types:
        raise UnauthorizedClientError(f"This client is not registered for the grant {DEVICE_CODE_GRANT}.")
    scopes = permitted_scopes(client, request.payload.get("scope"))
    resources = permitted_resources(client, request.payload.get_all("resource"))
    settings = provider.settings
    if provider.is_anybodys(client):  # nobody has proved to be anybody: only so many rows for one network
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
        user_code = new_user_code()
        try:
            with db.begin_nested():
                db.execute(
                    insert(DeviceAuthorization).values(
                        id=crypto.new_row_id(now),
                        client_id=client.client_id,
                        device_code_digest=crypto.digest(device_code),
                        user_code_digest=user_code_digest(settings, user_code),
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
    raise OAuth2Error("No user code is free at the moment. Try again.", error="temporarily_unavailable")
