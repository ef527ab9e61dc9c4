"""How a client proves who it is at the endpoints that it calls itself (RFC 6749 section 2.3)."""

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError

from idp.accounts import audit, throttle
from idp.accounts.audit import Event
from idp.errors import Throttled
from idp.oidc.clients import ClientMetadata
from idp.oidc.requests import ProtocolRequest, safe

if TYPE_CHECKING:
    from idp.oidc.server import Provider


class ClientRefused(InvalidClientError):
    """A client that did not prove who it is; 401 names the scheme to do so, and its realm (RFC 7617 section 2)."""

    def get_headers(self) -> list[tuple[str, str]]:
        """Return the challenge beside the usual headers."""
        headers: list[tuple[str, str]] = super().get_headers()  # type: ignore[no-untyped-call]
        return [(name, value.replace("Basic ", 'Basic realm="idp", ', 1)) for name, value in headers]


def authenticate_client(provider: "Provider", request: ProtocolRequest, methods: Sequence[str]) -> ClientMetadata:
    """Authenticate the client of a request.

    Args:
        methods: what the endpoint accepts; the client must use the one that it is registered for.

    Raises:
        InvalidRequestError: two methods at once, or two client ids.
        ClientRefused: unknown client, wrong secret, or a method that is not its own; 401 when it tried Basic.
    """
    method, client_id, secret = _credentials(request)
    status = 401 if method == "client_secret_basic" else 400
    client = provider.clients.find(request.db, client_id) if client_id else None
    if client is None:
        _refuse(provider, request, client_id, "unknown_client")
        raise ClientRefused(_message(client_id, "is not known here"), status_code=status)
    expected = client.token_endpoint_auth_method
    if method not in methods or not _is_accepted(method, expected):
        _refuse(provider, request, client_id, "wrong_method")
        raise ClientRefused(f"This client must authenticate with {expected}, not {method}.", status_code=status)
    if method != "none" and not client.has_secret(secret):
        _refuse(provider, request, client_id, "wrong_secret")
        raise ClientRefused("The client secret is wrong.", status_code=status)
    request.client = client
    request.auth_method = method
    return client


def _is_accepted(method: str, expected: str) -> bool:
    """Basic and post carry the same secret: a client registered for one may use the other. `none` stands alone."""
    return (method == "none") == (expected == "none")


def _credentials(request: ProtocolRequest) -> tuple[str, str, str]:
    """Return method, client id and secret."""
    request.payload.check_single("client_id", "client_secret")
    form = request.payload.data
    posted_id, posted_secret = form.get("client_id", ""), form.get("client_secret", "")
    header = request.headers.get("Authorization", "")
    if not header:
        return ("client_secret_post" if posted_secret else "none"), posted_id, posted_secret
    if posted_secret:
        raise InvalidRequestError("Two client authentication methods at once: use the header or the form.")
    client_id, secret = _basic(header)
    if posted_id and posted_id != client_id:
        raise InvalidRequestError("The client_id in the form is not that of the Authorization header.")
    return "client_secret_basic", client_id, secret


def _basic(header: str) -> tuple[str, str]:
    """Read HTTP Basic credentials, which are form-urlencoded (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise ClientRefused(f"The scheme {safe(scheme)} is no client authentication.", status_code=401)
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        client_id, secret = (unquote_plus(part, errors="strict") for part in pair[::2])
        if "\x00" in client_id + secret:
            raise ValueError("NUL")  # noqa: TRY301 - one answer for all that is malformed
    except (binascii.Error, ValueError):
        raise ClientRefused("The Authorization header is no HTTP Basic.", status_code=401) from None
    return client_id, secret


def _message(client_id: str, what: str) -> str:
    return f"The client {safe(client_id)} {what}." if client_id else "No client_id was sent."


def _refuse(provider: "Provider", request: ProtocolRequest, client_id: str, reason: str) -> None:
    """Keep evidence, but only so much of it: whoever sends nonsense all day fills no disk with it."""
    try:
        throttle.spend(request.db, provider.settings, throttle.CLIENT_AUTHENTICATION_ADDRESS, request.visitor.network)
    except Throttled:
        return
    audit.record(
        request.db, Event.CLIENT_AUTHENTICATION_REFUSED, request.visitor, client_id=client_id[:128], reason=reason
    )
