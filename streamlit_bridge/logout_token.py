"""Checks the tokens with which the provider says that a session has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from streamlit_bridge.identity import read_text

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
ALGORITHMS: Final = ["RS256", "ES256", "EdDSA", "Ed25519", "PS256", "ES384", "ES512", "RS384", "RS512"]
TYPES: Final = ("logout+jwt", "application/logout+jwt")
LONGEST_AGE: Final = 300.0
CLOCK_DIFFERENCE: Final = 60.0


class LogoutTokenRefused(ValueError):
    """The token is not one that the provider made for this app just now; the text says why."""


@dataclass(frozen=True)
class LogoutNotice:
    """What a proper logout token says.

    Attributes:
        token_id: the claim ``jti``, by which a repetition is recognised.
        session_id: the session that ended, None when all sessions of the person did.
        subject: the person, None where only the session is named.
        issued_at: when the token was made, in seconds since 1970.
    """

    token_id: str
    session_id: str | None
    subject: str | None
    issued_at: float


def read_logout_token(
    token: str, keys: Mapping[str, object], issuer: object, client_id: str, now: float
) -> LogoutNotice:
    """Check a logout token and read it. Whether it was seen before is for the caller to find out.

    Parameters:
        token: the token as it came.
        keys: the provider's signing keys, as ``jwks_uri`` serves them.
        issuer: the provider's name in its discovery document.
        client_id: the app's name at the provider.
        now: seconds since 1970.

    Raises:
        LogoutTokenRefused: anything about the token is wrong.

    Source: OpenID Connect Back-Channel Logout 1.0, sections 2.4 and 2.6.
    """
    claims = _check_signature(token, keys)
    audience = claims.get("aud")
    if not isinstance(issuer, str) or claims.get("iss") != issuer:
        raise LogoutTokenRefused("another issuer made it")
    if client_id not in (audience if isinstance(audience, list) else [audience]):
        raise LogoutTokenRefused("it is for another app")
    issued_at, expires_at = claims.get("iat"), claims.get("exp")
    if not isinstance(issued_at, int | float) or not now - LONGEST_AGE <= issued_at <= now + CLOCK_DIFFERENCE:
        raise LogoutTokenRefused("it was not made just now, if the clocks of app and provider agree")
    if expires_at is not None and (not isinstance(expires_at, int | float) or expires_at <= now - CLOCK_DIFFERENCE):
        raise LogoutTokenRefused("it has expired")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise LogoutTokenRefused("it tells of no logout")
    if "nonce" in claims:
        raise LogoutTokenRefused("it has a nonce, as an ID token would")
    token_id, session_id, subject = (read_text(claims, name) for name in ("jti", "sid", "sub"))
    if token_id is None:
        raise LogoutTokenRefused("it has no identifier")
    if session_id is None and subject is None:
        raise LogoutTokenRefused("it names neither a session nor a person")
    return LogoutNotice(token_id, session_id, subject, issued_at)


def _check_signature(token: str, keys: Mapping[str, object]) -> Mapping[str, object]:
    try:
        key_set = KeySet.import_key_set({"keys": keys["keys"]})  # type: ignore[typeddict-item]  # checked by joserfc
        decoded = jwt.decode(token, key_set, algorithms=ALGORITHMS)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise LogoutTokenRefused(f"the signature cannot be checked ({type(error).__name__})") from error
    if decoded.header.get("typ", "").lower() not in TYPES:
        raise LogoutTokenRefused("it is a token of another kind")
    return decoded.claims
