"""The single mint: every access token, refresh token and ID token is made here."""

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from sqlalchemy import RowMapping, insert
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.models import RefreshToken
from idp.oidc import access_token, claims
from idp.oidc import scopes as known_scopes
from idp.oidc.clients import ClientMetadata

if TYPE_CHECKING:
    from idp.oidc.server import Provider

REFRESH_PREFIX = "idp_rt_"
CODE_PREFIX = "idp_ac_"


@dataclass(frozen=True)
class Authorization:
    """What a grant type has claimed, and what is to be minted for it.

    Attributes:
        client: who gets the tokens.
        scope: what the access token permits.
        grant: columns of the grant, of its session's end and of its person where claims are due; None for a client's
            own token.
        is_narrower: the scope is less than the grant's.
        refresh_scope: scope of the refresh token to be made; None for none.
        nonce: of the authorization request; only its first ID token carries it.
    """

    client: ClientMetadata
    scope: str
    grant: RowMapping | None = None
    is_narrower: bool = False
    refresh_scope: str | None = None
    nonce: str | None = None


def mint(provider: "Provider", db: Session, authorization: Authorization) -> dict[str, Any]:
    """Make the token response (RFC 6749 section 5.1, OIDC Core section 3.1.3.3)."""
    expires_at = _expires_at(provider, authorization)
    token = _mint_access_token(provider, authorization, expires_at)
    response: dict[str, Any] = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": expires_at - clock.now(),
    }
    if authorization.scope:  # an empty one is none (RFC 6749 section 3.3)
        response["scope"] = authorization.scope
    if authorization.refresh_scope is not None and authorization.grant is not None:
        response["refresh_token"] = _mint_refresh_token(provider, db, authorization)
    if authorization.grant is not None and "openid" in known_scopes.split(authorization.scope):
        response["id_token"] = _mint_id_token(provider, authorization, token)
    return response


def _expires_at(provider: "Provider", authorization: Authorization) -> int:
    client, grant = authorization.client, authorization.grant
    if client.is_access_token_session_bound and grant is not None:
        return int(grant["session_expires_at"])
    return clock.now() + provider.lifetime(client, "access_token")


def _mint_access_token(provider: "Provider", authorization: Authorization, expires_at: int) -> str:
    secret_key = provider.settings.secret_key
    if authorization.grant is None:
        return access_token.mint_for_client(secret_key, authorization.client.client_id, authorization.scope, expires_at)
    narrower = authorization.scope if authorization.is_narrower else None
    return access_token.mint_for_grant(secret_key, authorization.grant["grant_id"], expires_at, narrower)


def _mint_refresh_token(provider: "Provider", db: Session, authorization: Authorization) -> str:
    assert authorization.grant is not None
    token = REFRESH_PREFIX + crypto.new_token()
    now = clock.now()
    db.execute(
        insert(RefreshToken).values(
            id=crypto.new_id(),
            grant_id=authorization.grant["grant_id"],
            client_id=authorization.client.client_id,
            token_digest=crypto.digest(token),
            scope=authorization.refresh_scope,
            created_at=now,
            expires_at=now + provider.lifetime(authorization.client, "refresh_token"),
        )
    )
    return token


def _mint_id_token(provider: "Provider", authorization: Authorization, token: str) -> str:
    """Make and sign an ID token (OIDC Core section 2): with one explicit key, and its `kid`."""
    client, grant = authorization.client, authorization.grant
    assert grant is not None
    now = clock.now()
    payload: dict[str, Any] = {
        "iss": provider.settings.issuer,
        "sub": grant["user_id"],
        "aud": client.client_id,
        "exp": now + provider.lifetime(client, "id_token"),
        "iat": now,
        "auth_time": grant["auth_time"],
        "acr": grant["acr"],
        "amr": grant["amr"],
        "sid": grant["session_id"],
        "at_hash": _left_half(token),
    }
    if authorization.nonce is not None:
        payload["nonce"] = authorization.nonce
    if names := id_token_claims(client, authorization.scope, grant):
        payload.update(claims.build_claims(grant, names))
    algorithm = client.id_token_signed_response_alg or provider.settings.signing_algorithm
    key = provider.keys(algorithm)
    return jwt.encode({"alg": algorithm, "kid": key.kid, "typ": "JWT"}, payload, key)


def id_token_claims(client: ClientMetadata, scope: str, grant: RowMapping) -> set[str]:
    """Return the claims about the person that belong into the ID token.

    Those of the scopes only for a client that never calls userinfo (section 5.4), beside those asked for by name.
    """
    names = claims.stored_claims(grant["claims_request"]).id_token.keys() & set(known_scopes.CLAIM_NAMES)
    if client.has_id_token_claims:
        names |= known_scopes.claims_of(known_scopes.split(scope))
    return names - {"sub"}


def _left_half(token: str) -> str:
    """Return at_hash (section 3.1.3.6); all our algorithms hash with SHA-256."""
    half = hashlib.sha256(token.encode("ascii")).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode("ascii")
