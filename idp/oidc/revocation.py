"""Token revocation (RFC 7009): a client gives back what it no longer needs."""

from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749.errors import InvalidGrantError

from idp.accounts import audit
from idp.accounts.audit import Event
from idp.oidc import refresh_tokens, token_status
from idp.oidc.client_auth import authenticate_client
from idp.oidc.clients import AUTH_METHODS, ClientMetadata
from idp.oidc.requests import NO_STORE, Answer, ProtocolRequest

if TYPE_CHECKING:
    from idp.oidc.server import Provider

_FOREIGN = "The token was issued to another client."


def revoke_token(provider: "Provider", request: ProtocolRequest) -> Answer:
    """Answer 200 whether or not there was anything to revoke (section 2.2).

    An access token is given back alone; a refresh token takes all that came of its grant with it (section 2.1).

    Raises:
        OAuth2Error: the client is not who it says, or the token is another's.
    """
    request.payload.check_single()
    client = authenticate_client(provider, request, AUTH_METHODS)
    token = request.payload.required("token")
    revoke = _revoke_refresh_token if token.startswith(refresh_tokens.PREFIX) else _revoke_access_token
    if revoke(provider, request, client, token):
        audit.record(request.db, Event.TOKEN_REVOKED, request.visitor, client_id=client.client_id)
    return 200, {}, NO_STORE


def _revoke_access_token(provider: "Provider", request: ProtocolRequest, client: ClientMetadata, token: str) -> bool:
    found = token_status.find_active_token(request.db, provider, token)
    if found is None:
        return False
    if found.client_id != client.client_id:
        raise InvalidGrantError(_FOREIGN)
    token_status.revoke_access_token(request.db, found.token_id, found.expires_at)
    return True


def _revoke_refresh_token(_provider: "Provider", request: ProtocolRequest, client: ClientMetadata, token: str) -> bool:
    row = token_status.find_refresh_token(request.db, token)
    if row is None:
        return False
    if row.client_id != client.client_id:
        raise InvalidGrantError(_FOREIGN)
    return token_status.revoke_grant(request.db, row.grant_id)
