"""Token introspection (RFC 7662): is a token good, and what does it say?

A client may ask about its own tokens, and an API about those that are meant for it: the operator notes which resources
a client itself is (`protected_resources`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from idp import clock
from idp.oidc import refresh_tokens, token_status
from idp.oidc import scopes as known_scopes
from idp.oidc.client_auth import authenticate_client
from idp.oidc.clients import CONFIDENTIAL_METHODS, ClientMetadata
from idp.oidc.requests import NO_STORE, Answer, ProtocolRequest
from idp.oidc.signatures import sign
from idp.oidc.subjects import sid_of, subject_of
from idp.oidc.token_status import ActiveToken
from idp.storage.statements import Row

if TYPE_CHECKING:
    from idp.oidc.server import Provider

INACTIVE = {"active": False}
JWT_TYPE = "application/token-introspection+jwt"  # as `Accept` asks for it (RFC 9701 section 4)


def introspect_token(provider: "Provider", request: ProtocolRequest) -> Answer:
    """Answer what a token says (section 2.2). Its type is told by itself, so an unknown hint does no harm.

    Tokens of other clients, and whatever is no token, are simply not active: nothing can be learned by trying.

    Raises:
        OAuth2Error: the client is not who it says, or no token was sent.
    """
    request.payload.check_single()
    found: ActiveToken | None = None

    def look_up(client_id: str) -> ClientMetadata | None:
        nonlocal found
        found = token_status.find_active_token(request.db, provider, request.payload.get("token") or "")
        return found.client if found and found.client_id == client_id else None

    client = authenticate_client(provider, request, CONFIDENTIAL_METHODS, look_up)
    token = request.payload.required("token")
    if token.startswith(refresh_tokens.PREFIX):
        answer = _of_refresh_token(provider, request, client, token) or INACTIVE
    else:
        answer = _of_access_token(provider, client, found) or INACTIVE
    if JWT_TYPE in request.headers.get("Accept", ""):
        return 200, _signed(provider, client, answer), [("Content-Type", JWT_TYPE), ("Cache-Control", "no-store")]
    return 200, answer, NO_STORE


def _signed(provider: "Provider", client: ClientMetadata, answer: dict[str, Any]) -> str:
    """Make of an answer what can be shown to others: whom it is for, and that it is ours (RFC 9701 section 5)."""
    settings = provider.settings
    payload = {"iss": settings.issuer, "aud": client.client_id, "iat": clock.now(), "token_introspection": answer}
    return sign(provider.signing_key(settings.signing_algorithm), payload, JWT_TYPE.removeprefix("application/"))


def _of_access_token(provider: "Provider", client: ClientMetadata, found: ActiveToken | None) -> dict[str, Any] | None:
    if found is None or not (found.client_id == client.client_id or found.is_for_any(client.protected_resources)):
        return None
    answer: dict[str, Any] = {
        "active": True,
        "token_type": "DPoP" if found.dpop_jkt else "Bearer",
        "scope": " ".join(found.scopes),
        "client_id": found.client_id,
        "iss": provider.settings.issuer,
        "iat": found.issued_at,
        "exp": found.expires_at,
        "sub": found.client_id,
        "aud": list(found.resources) or provider.settings.issuer,
    }
    if not found.scopes:
        del answer["scope"]  # an empty one is none (RFC 6749 section 3.3)
    if found.dpop_jkt is not None:
        answer["cnf"] = {"jkt": found.dpop_jkt}  # RFC 9449 section 6.2
    if found.grant is not None:
        answer |= {
            "sub": subject_of(provider.settings, found.client, found.grant["user_id"]),
            "auth_time": found.grant["auth_time"],
            "acr": found.grant["acr"],
        }
        if found.client_id == client.client_id:  # an API learns no more than it needs (section 5)
            sid = sid_of(provider.settings, client, found.grant["session_id"])
            answer |= {"sid": sid, **_username(found.grant, found.scopes)}
    return answer


def _of_refresh_token(
    provider: "Provider", request: ProtocolRequest, client: ClientMetadata, token: str
) -> dict[str, Any] | None:
    row = token_status.find_refresh_token(request.db, token)
    is_own = row is not None and row.client_id == client.client_id
    if row is None or not is_own or row.claimed_at is not None or row.expires_at <= clock.now():
        return None
    grant = token_status.find_grant(request.db, provider.settings, row.grant_id)
    if grant is None:
        return None
    answer: dict[str, Any] = {
        "active": True,
        "token_type": "refresh_token",
        "scope": row.scope,
        "client_id": client.client_id,
        "iss": provider.settings.issuer,
        "iat": row.created_at,
        "exp": row.expires_at,
        "sub": subject_of(provider.settings, client, grant["user_id"]),
        **_username(grant, known_scopes.split(row.scope)),
    }
    if row.dpop_jkt is not None:
        answer["cnf"] = {"jkt": row.dpop_jkt}
    return answer


def _username(grant: Row, scopes: Sequence[str]) -> dict[str, str]:
    """Return the user name for who was allowed to see it: else it would tell who stands behind a pairwise `sub`."""
    return {"username": grant["username"]} if "preferred_username" in known_scopes.claims_of(scopes) else {}
