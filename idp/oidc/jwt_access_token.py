"""Access tokens that APIs can read by themselves (RFC 9068).

Such a token is signed, and says all that an API needs. It says besides which grant it hangs on: that is no secret, and
worth nothing without our signature; but when the token comes back to this provider, grant, session and account are
looked up as for any other, so that what was ended does not live on here until it expires.
"""

from typing import TYPE_CHECKING, Any

from joserfc import jws
from joserfc.errors import JoseError
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.oidc import claims
from idp.oidc import scopes as known_scopes
from idp.oidc.access_token import AccessToken
from idp.oidc.presented_jwts import JwtRefused, read_claims, read_header
from idp.oidc.signatures import registry, sign
from idp.oidc.subjects import subject_of

if TYPE_CHECKING:
    from idp.oidc.server import Provider
    from idp.oidc.token_issuer import Authorization

TYPE = "at+jwt"
ROLES = "roles"  # the scope, and the claim of it (section 2.2.3.1)


def mint(provider: "Provider", authorization: "Authorization", expires_at: int) -> str:
    """Make an access token as RFC 9068 section 2.2 has it, with the grant that it hangs on."""
    client, grant, issuer = authorization.client, authorization.grant, provider.settings.issuer
    audiences = list(authorization.resources) or [issuer]
    payload: dict[str, Any] = {
        "iss": issuer,
        "sub": client.client_id,
        "aud": audiences[0] if len(audiences) == 1 else audiences,
        "client_id": client.client_id,
        "iat": clock.now(),
        "exp": expires_at,
        "jti": crypto.new_id(),
    }
    if authorization.scope:
        payload["scope"] = authorization.scope
    if authorization.dpop_jkt is not None:
        payload["cnf"] = {"jkt": authorization.dpop_jkt}
    if authorization.came_from:
        payload["came_from"] = list(authorization.came_from)
    if grant is not None:
        payload |= {
            "sub": subject_of(provider.settings, client, grant["user_id"]),
            "auth_time": grant["auth_time"],
            "acr": grant["acr"],
            "amr": grant["amr"],
            "grant_id": grant["grant_id"],
        }
        if needs_person(authorization.scope):
            payload |= claims.build_claims(grant, {ROLES})
    return sign(provider.signing_key(provider.settings.signing_algorithm), payload, TYPE)


def needs_person(scope: str) -> bool:
    """Tell whether such a token says something of the person, so that their columns must be at hand."""
    return ROLES in known_scopes.split(scope)


def read(provider: "Provider", db: Session, token: str) -> AccessToken | None:
    """Return what such a token says, or None when it is none of ours, was altered, or has expired.

    Its key is chosen by `kid` among our own, its algorithm is that key's, and its type tells it from all else that we
    sign (RFC 8725 section 3.11).
    """
    try:
        header = read_header(token)
        kid, algorithm = header.get("kid"), header.get("alg")
        key = provider.verifying_key(db, kid) if isinstance(kid, str) and header.get("typ") == TYPE else None
        if key is None or algorithm != key.get("alg"):
            return None
        told = read_claims(jws.deserialize_compact(token, key, registry=registry([str(algorithm)])).payload)
    except (JwtRefused, JoseError, ValueError, TypeError):
        return None
    if told["iss"] != provider.settings.issuer or told["exp"] <= clock.now():
        return None
    audience = told["aud"]
    return AccessToken(
        token_id=told["jti"],
        issued_at=told["iat"],
        expires_at=told["exp"],
        grant_id=told.get("grant_id"),
        client_id=told["client_id"],
        scope=told.get("scope", ""),
        resources=(audience,) if isinstance(audience, str) else tuple(audience),
        dpop_jkt=told.get("cnf", {}).get("jkt"),
        came_from=tuple(told.get("came_from", ())),
    )
