"""How a client proves who it is at the endpoints that it calls itself (RFC 6749 section 2.3)."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError
from sqlalchemy.orm import Session

from idp.accounts import audit, throttle
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.oidc import client_assertions
from idp.oidc.clients import ASSERTION_METHODS, SECRET_METHODS, ClientMetadata
from idp.oidc.presented_jwts import JwtRefused
from idp.oidc.requests import ProtocolRequest, beginning, safe
from idp.settings import Settings

if TYPE_CHECKING:
    from idp.oidc.server import Provider

# Reads what a request presents, given the id of the client that it claims to come from. Returns that client, if it was
# read along with it, or None: mostly it can be, and needs no statement of its own then. Nothing is changed, for nobody
# has proved yet who they are. The client is as the database has it, or as it must be there for what is presented to be
# good. It is called once: where a client's keys may have to be fetched, after that, for what it read would be old then.
LookUp = Callable[[str], ClientMetadata | None]
_CHALLENGED = ("client_secret_basic", *ASSERTION_METHODS)  # answered 401 where they fail


class ClientRefused(InvalidClientError):
    """A client that did not prove who it is; 401 names the scheme to do so, and its realm (RFC 7617 section 2)."""

    def get_headers(self) -> list[tuple[str, str]]:
        """Return the challenge beside the usual headers."""
        headers: list[tuple[str, str]] = super().get_headers()  # type: ignore[no-untyped-call]
        return [(name, value.replace("Basic ", 'Basic realm="idp", ', 1)) for name, value in headers]


class _Presented(NamedTuple):
    """What a client shows.

    Attributes:
        proof: the secret or the assertion.
        as_sent: the secret as the header has it, not decoded.
    """

    method: str
    client_id: str
    proof: str
    as_sent: str = ""


def authenticate_client(
    provider: "Provider", request: ProtocolRequest, methods: Sequence[str], look_up: LookUp | None = None
) -> ClientMetadata:
    """Authenticate the client of a request.

    Args:
        methods: what the endpoint accepts; the client must use the one that it is registered for.
        look_up: see `LookUp`.

    Raises:
        InvalidRequestError: two methods at once, or two client ids.
        ClientRefused: unknown client, wrong secret or assertion, or a method that is not its own; 401 when it tried
            Basic or an assertion.
    """
    shown = _presented(request)
    has_assertion = shown.method in ASSERTION_METHODS
    client = look_up(shown.client_id) if look_up and shown.client_id and not has_assertion else None
    if client is None or _why_not(client, shown, methods):
        client = _prove(provider, request, shown, methods)
    request.client = client
    if look_up and has_assertion:
        look_up(client.client_id)
    return client


def _prove(provider: "Provider", request: ProtocolRequest, shown: _Presented, methods: Sequence[str]) -> ClientMetadata:
    """Return the client, as the database has it, that a request proves to come from."""
    status = 401 if shown.method in _CHALLENGED else 400
    client = provider.clients.find(request.db, shown.client_id) if shown.client_id else None
    if client is None:
        begins = beginning(shown.client_id)
        note_refusal(request.db, provider.settings, request.visitor, "unknown_client", sent=begins)
        told = f"The client {begins} is not known here." if begins else "No client_id was sent."
        raise ClientRefused(told, status_code=status)
    if reason := _why_not(client, shown, methods):
        note_refusal(request.db, provider.settings, request.visitor, reason, client_id=client.client_id)
        if reason == "wrong_secret":
            raise ClientRefused("The client secret is wrong.", status_code=status)
        expected = client.token_endpoint_auth_method
        if expected not in methods:
            raise ClientRefused(
                "This is for clients that prove who they are: with a secret or keys.", status_code=status
            )
        raise ClientRefused(f"This client must authenticate with {expected}, not {shown.method}.", status_code=status)
    if shown.method in ASSERTION_METHODS:
        try:
            client_assertions.verify_assertion(provider, request, client, shown.proof)
        except JwtRefused as fault:
            note_refusal(request.db, provider.settings, request.visitor, "wrong_assertion", client_id=client.client_id)
            raise _refused_assertion(fault) from None
    return client


def _why_not(client: ClientMetadata, shown: _Presented, methods: Sequence[str]) -> str:
    """Return what is wrong with the method or the secret that a client shows, or nothing; of an assertion no more."""
    if shown.method not in methods or not _is_accepted(shown.method, client.token_endpoint_auth_method):
        return "wrong_method"
    if shown.method in SECRET_METHODS and not (client.has_secret(shown.proof) or client.has_secret(shown.as_sent)):
        return "wrong_secret"
    return ""


def _is_accepted(method: str, expected: str) -> bool:
    """Basic and post carry the same secret: a client registered for one may use the other. All others stand alone."""
    return method == expected or (method in SECRET_METHODS and expected in SECRET_METHODS)


def _presented(request: ProtocolRequest) -> _Presented:
    """Return what the request shows; two methods at once are refused (RFC 6749 section 2.3)."""
    request.payload.check_single("client_id", "client_secret", "client_assertion", "client_assertion_type")
    form = request.payload.data
    posted_id, posted_secret = form.get("client_id", ""), form.get("client_secret", "")
    header = request.headers.get("Authorization", "")
    has_assertion = "client_assertion" in form or "client_assertion_type" in form
    if bool(header) + bool(posted_secret) + has_assertion > 1:
        raise InvalidRequestError("Two client authentication methods at once: use one.")
    if has_assertion:
        return _assertion(form, posted_id)
    if not header:
        return _Presented("client_secret_post" if posted_secret else "none", posted_id, posted_secret)
    client_id, secret, as_sent = _basic(header)
    if posted_id and posted_id != client_id:
        raise InvalidRequestError("The client_id in the form is not that of the Authorization header.")
    return _Presented("client_secret_basic", client_id, secret, as_sent)


def _assertion(form: Mapping[str, str], posted_id: str) -> _Presented:
    """Read a client assertion (RFC 7521 section 4.2). It names its client; the form may do so too, but no other."""
    assertion = form.get("client_assertion")
    if assertion is None or form.get("client_assertion_type") != client_assertions.ASSERTION_TYPE:
        raise InvalidRequestError(
            f"A client_assertion comes with the client_assertion_type {client_assertions.ASSERTION_TYPE}."
        )
    try:
        method = client_assertions.method_of(assertion)
        client_id = client_assertions.claimed_subject(assertion)
    except JwtRefused as fault:
        raise _refused_assertion(fault) from None
    if posted_id and posted_id != client_id:
        raise InvalidRequestError("The client_id in the form is not that of the client_assertion.")
    return _Presented(method, client_id, assertion)


def _refused_assertion(fault: JwtRefused) -> ClientRefused:
    return ClientRefused(safe(f"The client_assertion {fault}.", most=300), status_code=401)


def _basic(header: str) -> tuple[str, str, str]:
    """Read HTTP Basic credentials, which are form-urlencoded (RFC 6749 section 2.3.1).

    Returns:
        Client id, secret, and the secret as it was sent: many libraries do not encode it, and a `+` or `%` in one that
        the operator brought along would then read as something else.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":  # and what stands there instead may be the secret itself: it is not repeated
        raise ClientRefused("The Authorization header is no HTTP Basic.", status_code=401)
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        client_id, secret = unquote_plus(pair[0], errors="strict"), unquote_plus(pair[2])
        if "\x00" in client_id + secret:
            raise ValueError("NUL")  # noqa: TRY301 - one answer for all that is malformed
    except (binascii.Error, ValueError):
        raise ClientRefused("The Authorization header is no HTTP Basic.", status_code=401) from None
    return client_id, secret, pair[2]


def note_refusal(db: Session, settings: Settings, visitor: Visitor, reason: str, **who: str) -> None:
    """Keep evidence that a client did not prove who it is, but only so much of it.

    Args:
        reason: why, as `docs/audit.md` names it.
        who: `client_id` of a client, or in `sent` the beginning of an id that nobody has.
    """
    if throttle.admits(db, settings, (throttle.CLIENT_AUTHENTICATION_ADDRESS, visitor.network)):
        audit.record(db, Event.CLIENT_AUTHENTICATION_REFUSED, visitor, reason=reason, **who)
