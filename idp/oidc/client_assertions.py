"""Client assertions: a client proves who it is by a JWT that it signed (RFC 7523 section 2.2, OIDC Core section 9).

Where an assertion counts. Each of its audiences must be this provider: the issuer, or the URL of the token endpoint or
of the endpoint that it is sent to. One that names somebody else besides could be shown to both, and is refused. The
issuer alone is the best audience: a client that takes the token endpoint's URL from the metadata of a hostile provider
might be led to put ours there, and to hand that one an assertion for us (audience injection, found in 2025 and the
reason for draft-ietf-oauth-rfc7523bis). The other two are what RFC 7523, OIDC Core and RFC 9126 made clients send, and
so are not refused.
"""

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from idp import clock, crypto
from idp.oidc.client_keys import PUBLIC_KEY_ALGORITHMS, SECRET_ALGORITHMS
from idp.oidc.clients import ClientMetadata
from idp.oidc.presented_jwts import JwtRefused, is_time, jti_of, read_header
from idp.oidc.requests import ProtocolRequest
from idp.oidc.seen_assertions import is_first_time

if TYPE_CHECKING:
    from idp.oidc.server import Provider

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFETIME_MOST = 3_600  # seconds ahead that `exp` may be: common libraries make it an hour
LEEWAY = 60  # seconds that two clocks may differ
_TYPES = ("jwt", "client-authentication+jwt")


def method_of(assertion: str) -> str:
    """Return the method that an assertion belongs to, by the kind of its algorithm.

    Raises:
        JwtRefused: it is no signed JWT.
    """
    is_mac = read_header(assertion).get("alg") in SECRET_ALGORITHMS
    return "client_secret_jwt" if is_mac else "private_key_jwt"


def claimed_subject(assertion: str) -> str:
    """Return the client that an assertion claims to be, unchecked: it says whose keys to check it with.

    Raises:
        JwtRefused: it names none.
    """
    payload = crypto.from_base64url(assertion.split(".")[1]) or b""
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError):
        claims = None
    subject = claims.get("sub") if isinstance(claims, dict) else None
    if not isinstance(subject, str) or not (subject.isascii() and subject.isprintable() and subject):
        raise JwtRefused("names no client as its sub")
    return subject


def verify_assertion(provider: "Provider", request: ProtocolRequest, client: ClientMetadata, assertion: str) -> None:
    """Check an assertion of a client that is registered for it, and note that it was shown.

    Raises:
        JwtRefused: its signature, a claim or its age is wrong, or it was shown before.
    """
    verified = provider.client_keys.verify(request.db, client, assertion, _algorithms(client))
    if str(verified.header.get("typ", "JWT")).lower() not in _TYPES:
        raise JwtRefused("is a JWT of another kind, as its typ says")
    audiences = provider.settings.issuer, provider.settings.url("/oauth/token"), request.uri
    expires_at = _check_claims(verified.claims, client.client_id, audiences)
    jti = jti_of(verified.claims)
    if not is_first_time(request.db, "client assertion", client.client_id, jti, expires_at + LEEWAY):
        raise JwtRefused("was used before: each needs a jti of its own")


def _algorithms(client: ClientMetadata) -> tuple[str, ...]:
    if client.token_endpoint_auth_signing_alg is not None:
        return (client.token_endpoint_auth_signing_alg,)
    is_mac = client.token_endpoint_auth_method == "client_secret_jwt"  # noqa: S105 - a method's name
    return SECRET_ALGORITHMS if is_mac else PUBLIC_KEY_ALGORITHMS


def _check_claims(claims: Mapping[str, Any], client_id: str, audiences: tuple[str, ...]) -> int:
    """Check what RFC 7523 section 3 asks of the claims, in its order; returns `exp` in seconds since the epoch."""
    now = clock.now()
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise JwtRefused("must have the client's own id as iss and as sub")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not named or any(each not in audiences for each in named):
        raise JwtRefused("must have this provider's issuer as its aud, and nobody else")
    expires_at = _moment(claims, "exp")
    if expires_at is None:
        raise JwtRefused("has no exp")
    if expires_at <= now - LEEWAY:
        raise JwtRefused("has expired")
    if expires_at > now + LIFETIME_MOST + LEEWAY:
        raise JwtRefused(f"is good for too long: exp may be {LIFETIME_MOST} seconds ahead")
    for name in ("nbf", "iat"):
        moment = _moment(claims, name)
        if moment is not None and moment > now + LEEWAY:
            raise JwtRefused(f"is from the future, as its {name} says")
    return math.ceil(expires_at)


def _moment(claims: Mapping[str, Any], name: str) -> int | float | None:
    """Return a NumericDate (RFC 7519 section 2), or None where there is none."""
    value = claims.get(name)
    if value is not None and not is_time(value):
        raise JwtRefused(f"has an {name} that is no time")
    return value
