"""Request objects: the request as a JWT that the client signed (RFC 9101, OIDC Core section 6).

By value (`request`) or by reference (`request_uri`). What is signed is what counts: of the parameters beside the object
only those are read that OpenID Connect wants there (`client_id`, `response_type`, `scope`), and only where the object
does not say otherwise (RFC 9101 section 6.3). The first two may not contradict it.
"""

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag

from authlib.oauth2.base import OAuth2Error
from sqlalchemy.orm import Session

from idp import clock
from idp.oidc.authorization_checks import READ
from idp.oidc.authorization_response import in_order
from idp.oidc.client_keys import PUBLIC_KEY_ALGORITHMS, SECRET_ALGORITHMS
from idp.oidc.clients import ClientMetadata
from idp.oidc.outgoing import OutgoingError, fetch
from idp.oidc.presented_jwts import JwtRefused, is_time, read_header, read_unsigned
from idp.oidc.requests import REPEATABLE, Parameters, safe
from idp.storage.lean_session import pause

if TYPE_CHECKING:
    from idp.oidc.server import Provider

ALGORITHMS = (*PUBLIC_KEY_ALGORITHMS, *SECRET_ALGORITHMS)
BESIDE = ("client_id", "response_type", "scope")  # what OIDC Core section 6.1 wants outside as well
_TYPES = ("jwt", "oauth-authz-req+jwt")
_ACCEPT = "application/oauth-authz-req+jwt, application/jwt"
_LEEWAY = 30  # seconds that the client's clock may differ from ours
_MOST = 16_384  # bytes

log = logging.getLogger(__name__)


class InvalidRequestObject(OAuth2Error):
    """An object that is no good (RFC 9101 section 7)."""

    error = "invalid_request_object"


class InvalidRequestUri(OAuth2Error):
    """A reference that leads to no object (RFC 9101 section 7)."""

    error = "invalid_request_uri"


def read_request_object(provider: "Provider", db: Session, client: ClientMetadata, beside: Parameters) -> Parameters:
    """Return the parameters of a request that comes as an object.

    Args:
        db: what was written so far is committed where the object or keys have to be fetched.
        beside: what was sent beside the object, with `request` or `request_uri`.

    Raises:
        InvalidRequestUri: it is not where the client registered it, or cannot be fetched.
        InvalidRequestObject: it is no good.
        OAuth2Error: `request_not_supported`, `request_uri_not_supported`: this client may not send unsigned ones.
    """
    token = beside.get("request")
    if token is None:
        token = _fetch(provider, db, client, beside.required("request_uri"))
    claims = _verify(provider, db, client, token, "request" if beside.get("request") else "request_uri")
    _check_claims(provider, client, claims)
    inside = _parameters(claims)
    _check_agreement(inside, beside)
    pairs = [(name, value) for name in BESIDE if not inside.get(name) for value in beside.get_all(name)]
    return Parameters([*pairs, *((name, value) for name, values in inside.datalist.items() for value in values)])


def _fetch(provider: "Provider", db: Session, client: ClientMetadata, request_uri: str) -> str:
    """Fetch an object from where its client registered it. The fragment tells versions apart and is never sent."""
    wanted = urldefrag(request_uri).url
    if wanted not in (urldefrag(registered).url for registered in client.request_uris):
        raise InvalidRequestUri("The request_uri is not registered for this app.")
    pause(db)
    try:
        answer = fetch(provider.settings, wanted, _ACCEPT, most=_MOST)
        return answer.body.decode("ascii").strip()
    except OutgoingError as fault:
        log.info("The request_uri of %s could not be fetched: %s", client.client_id, fault)
        raise InvalidRequestUri(f"The request_uri could not be fetched: {safe(fault)}.") from None
    except UnicodeDecodeError:
        raise InvalidRequestUri("What stands at the request_uri is no JWT.") from None


def _verify(provider: "Provider", db: Session, client: ClientMetadata, token: str, parameter: str) -> Mapping[str, Any]:
    """Check who wrote an object; an unsigned one says nothing of that, so few clients may send it."""
    expected = client.request_object_signing_alg
    try:
        header = read_header(token)
        if str(header.get("typ", "JWT")).lower().removeprefix("application/") not in _TYPES:
            # RFC 8725 section 3.11: what the client signed for another purpose is no request.
            raise InvalidRequestObject("The typ of the JWT is not that of a request object.")
        if header.get("alg") != "none":
            algorithms = ALGORITHMS if expected in (None, "none") else (expected,)
            return provider.client_keys.verify(db, client, token, algorithms).claims
        if client.require_signed_request_object or expected not in (None, "none"):
            raise InvalidRequestObject("This app must sign its request objects.")
        if not client.may_send_unsigned_request_objects:
            told = "This app may not send unsigned request objects."
            raise OAuth2Error(told, error=f"{parameter}_not_supported")
        return read_unsigned(token)
    except JwtRefused as refused:
        raise InvalidRequestObject(safe(f"The request object {refused}.", most=300)) from None


def _check_claims(provider: "Provider", client: ClientMetadata, claims: Mapping[str, Any]) -> None:
    """Check what an object says of itself; `iss` and `aud` may be missing, as OpenID Connect leaves them open."""
    now = clock.now()
    audience = claims.get("aud", provider.settings.issuer)
    if claims.get("iss", client.client_id) != client.client_id:
        raise InvalidRequestObject("The iss of the request object is not the client.")
    if provider.settings.issuer not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidRequestObject("The aud of the request object is not this provider.")
    if claims.get("sub") == client.client_id:
        # RFC 9101 section 10.8: such a JWT would prove who the client is at the token endpoint, too.
        raise InvalidRequestObject("The request object has the client as its sub, as client assertions do.")
    for name in ("exp", "nbf"):
        if not is_time(claims.get(name, now)):
            raise InvalidRequestObject(f"The {name} of the request object is no time.")
    if claims.get("exp", now) <= now - _LEEWAY:
        raise InvalidRequestObject("The request object has expired.")
    if claims.get("nbf", now) > now + _LEEWAY:
        raise InvalidRequestObject("The request object is not valid yet.")
    for name in ("request", "request_uri"):
        if name in claims:
            raise InvalidRequestObject(f"The request object holds the parameter {name} itself.")


def _parameters(claims: Mapping[str, Any]) -> Parameters:
    """Return the members that are parameters, as the query would have held them."""
    pairs: list[tuple[str, str]] = []
    for name in READ:
        given = claims.get(name)
        many = given if isinstance(given, list) and name in REPEATABLE else [given]
        pairs.extend((name, _as_text(name, value)) for value in many if value is not None)
    return Parameters(pairs)


def _as_text(name: str, value: Any) -> str:
    if name == "claims" and isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and "\x00" not in value and _is_unicode(value):
        return value
    raise InvalidRequestObject(f"The {name} in the request object has the wrong form.")


def _is_unicode(text: str) -> bool:
    """Tell whether this is text: JSON can also write half a character (a lone surrogate)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_agreement(inside: Parameters, beside: Parameters) -> None:
    """What stands in both places must be the same (OIDC Core section 6.1)."""
    if inside.get("client_id") not in (None, beside.get("client_id")):
        raise InvalidRequestObject("The client_id in the request object is not the one beside it.")
    both = [in_order(each) for each in (inside.get("response_type"), beside.get("response_type")) if each]
    if len(set(both)) > 1:
        raise InvalidRequestObject("The response_type in the request object is not the one beside it.")
