"""The single mint: every access token, refresh token and ID token is made here."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import insert
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.models import RefreshToken
from idp.oidc import access_token, claims, jwt_access_token, refresh_tokens
from idp.oidc import scopes as known_scopes
from idp.oidc.clients import ClientMetadata
from idp.oidc.encryption import encrypt_id_token
from idp.oidc.keys import Key
from idp.oidc.signatures import sign
from idp.oidc.subjects import sid_of, subject_of
from idp.storage.statements import Prepared, Row

if TYPE_CHECKING:
    from idp.oidc.server import Provider

_INSERT_REFRESH_TOKEN = Prepared(
    insert(RefreshToken),
    columns=("id", "grant_id", "client_id", "token_digest", "scope", "dpop_jkt", "created_at", "expires_at"),
)


class Authorization(NamedTuple):
    """What a grant type has claimed, and what is to be minted for it.

    Attributes:
        client: who gets the tokens.
        scope: what the access token permits.
        grant: columns of the grant, of its session's end and of its person where claims are due; None for a client's
            own token.
        is_narrower: the scope is less than the grant's.
        refresh_scope: scope of the refresh token to be made; None for none.
        nonce: of the authorization request; only its first ID token carries it.
        resources: whom the access token is for (RFC 8707); empty: for the provider itself.
        dpop_jkt: thumbprint of the key that the access token is bound to (RFC 9449); None for a bearer token.
        issued_token_type: what came of an exchange (RFC 8693): an access token and nothing beside it.
        expires_at_most: the access token must not live longer, in seconds since the epoch.
        came_from: ids of the access tokens that it is exchanged for.
    """

    client: ClientMetadata
    scope: str
    grant: Row | None = None
    is_narrower: bool = False
    refresh_scope: str | None = None
    nonce: str | None = None
    resources: Sequence[str] = ()
    dpop_jkt: str | None = None
    issued_token_type: str | None = None
    expires_at_most: int | None = None
    came_from: Sequence[str] = ()


def mint(provider: "Provider", db: Session, authorization: Authorization) -> dict[str, Any]:
    """Make the token response (RFC 6749 section 5.1, OIDC Core section 3.1.3.3).

    What was claimed and written is committed before the ID token is signed, when nothing else is left to be done: a
    signature takes longer than the whole transaction, and SQLite has one place to write.
    """
    client, grant = authorization.client, authorization.grant
    expires_at = access_token_expires_at(provider, authorization)
    token = mint_access_token(provider, authorization, expires_at)
    response: dict[str, Any] = {
        "access_token": token,
        "token_type": "DPoP" if authorization.dpop_jkt else "Bearer",
        "expires_in": expires_at - clock.now(),
    }
    if authorization.scope:  # an empty one is none (RFC 6749 section 3.3)
        response["scope"] = authorization.scope
    if authorization.issued_token_type is not None:
        return response | {"issued_token_type": authorization.issued_token_type}
    if authorization.refresh_scope is not None and grant is not None:
        response["refresh_token"] = _mint_refresh_token(provider, db, authorization)
    if grant is not None and "openid" in known_scopes.split(authorization.scope):
        names = id_token_claims(client, authorization.scope, grant)
        id_token = prepare_id_token(provider, client, grant, names, nonce=authorization.nonce, access_token=token)
        if client.id_token_encrypted_response_alg is None:
            db.commit()
        response["id_token"] = id_token.finish()
    return response


def access_token_expires_at(provider: "Provider", authorization: Authorization) -> int:
    """Return until when an access token is good, in seconds since the epoch.

    One that is bound to the session is good for as long as that, unless the client has a shorter lifetime of its own.
    """
    client, grant = authorization.client, authorization.grant
    expires_at = clock.now() + provider.lifetime(client, "access_token")
    if client.is_access_token_session_bound and grant is not None:
        session_end = int(grant["session_expires_at"])
        expires_at = min(expires_at, session_end) if client.access_token_lifetime else session_end
    return min(expires_at, authorization.expires_at_most or expires_at)


def mint_access_token(provider: "Provider", authorization: Authorization, expires_at: int) -> str:
    """Make an access token.

    Args:
        expires_at: until when it is good, in seconds since the epoch.
    """
    client, grant = authorization.client, authorization.grant
    if client.has_readable_access_tokens:
        return jwt_access_token.mint(provider, authorization, expires_at)
    secret_key = provider.settings.secret_key
    binding: dict[str, Any] = {
        "resources": authorization.resources,
        "dpop_jkt": authorization.dpop_jkt,
        "came_from": authorization.came_from,
    }
    if grant is None:
        return access_token.mint_for_client(secret_key, client.client_id, authorization.scope, expires_at, **binding)
    if authorization.issued_token_type is not None:
        binding["client_id"] = client.client_id
    narrower = authorization.scope if authorization.is_narrower else None
    return access_token.mint_for_grant(secret_key, grant["grant_id"], expires_at, narrower, **binding)


def _mint_refresh_token(provider: "Provider", db: Session, authorization: Authorization) -> str:
    assert authorization.grant is not None
    now = clock.now()
    token = refresh_tokens.new(now, has_time=provider.settings.authorization_codes == "carried")
    _INSERT_REFRESH_TOKEN.run(
        db,
        id=crypto.new_row_id(now),
        grant_id=authorization.grant["grant_id"],
        client_id=authorization.client.client_id,
        token_digest=refresh_tokens.digest(token),
        scope=authorization.refresh_scope,
        # A confidential client's is bound to the client, which may change its key (RFC 9449 section 5).
        dpop_jkt=authorization.dpop_jkt if authorization.client.is_public else None,
        created_at=now,
        expires_at=now + provider.lifetime(authorization.client, "refresh_token"),
    )
    return token


class IdToken(NamedTuple):
    """An ID token with all that goes into it; what is left is to sign it, and to encrypt it where due.

    Attributes:
        provider: who issues it.
        client: for whom.
        key: signs it.
        payload: its claims.
    """

    provider: "Provider"
    client: ClientMetadata
    key: Key
    payload: Mapping[str, Any]

    def finish(self) -> str:
        """Sign it with one explicit key, and its `kid`, and encrypt it where due.

        Raises:
            CannotEncrypt: the client has no key for it; `check_encryption` tells beforehand.
        """
        return encrypt_id_token(self.provider.client_keys, self.client, sign(self.key, self.payload))


def prepare_id_token(
    provider: "Provider",
    client: ClientMetadata,
    grant: Row,
    names: Iterable[str],
    *,
    nonce: str | None = None,
    access_token: str | None = None,
    code: str | None = None,
) -> IdToken:
    """Put together an ID token (OIDC Core section 2).

    Args:
        grant: columns of the grant, and of its person where claims are due.
        names: the claims about the person that belong into it.
        access_token: issued with it; its hash goes in (section 3.1.3.6).
        code: issued with it; its hash goes in (section 3.3.2.11).
    """
    now = clock.now()
    algorithm = client.id_token_signed_response_alg or provider.settings.signing_algorithm
    payload: dict[str, Any] = {
        "iss": provider.settings.issuer,
        "sub": subject_of(provider.settings, client, grant["user_id"]),
        "aud": client.client_id,
        "exp": now + provider.lifetime(client, "id_token"),
        "iat": now,
        "auth_time": grant["auth_time"],
        "acr": grant["acr"],
        "amr": grant["amr"],
        "sid": sid_of(provider.settings, client, grant["session_id"]),
    }
    if access_token is not None:
        payload["at_hash"] = _left_half(access_token, algorithm)
    if code is not None:
        payload["c_hash"] = _left_half(code, algorithm)
    if nonce is not None:
        payload["nonce"] = nonce
    if names:
        payload.update(claims.build_claims(grant, names))
    return IdToken(provider, client, provider.signing_key(algorithm), payload)


def id_token_claims(client: ClientMetadata, scope: str, grant: Row, *, is_alone: bool = False) -> set[str]:
    """Return the claims about the person that belong into the ID token.

    Those of the scopes only for a client that never calls userinfo (section 5.4), beside those asked for by name.

    Args:
        is_alone: nothing else is issued (response_type=id_token): there is no token to call userinfo with.
    """
    names = claims.stored_claims(grant["claims_request"]).id_token.keys() & known_scopes.KNOWN_CLAIMS
    if client.has_id_token_claims or is_alone:
        names |= known_scopes.claims_of(known_scopes.split(scope))
    return names - {"sub"}


def _left_half(token: str, algorithm: str) -> str:
    """Return at_hash or c_hash (section 3.1.3.6): with the hash that the signature uses; Ed25519 uses SHA-512."""
    hashed = hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256
    whole = hashed(token.encode("ascii")).digest()
    return crypto.base64url(whole[: len(whole) // 2])
