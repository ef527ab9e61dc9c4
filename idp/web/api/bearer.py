"""Who calls the API: the bearer token of a request."""

from flask import request
from sqlalchemy import RowMapping

from idp.errors import Refusal
from idp.oidc import token_status
from idp.oidc.token_status import ActiveToken
from idp.web import context


class TokenRefused(Refusal):
    """The API's 401 and 403 (RFC 6750 section 3); `challenge` goes into WWW-Authenticate."""

    title = "The access token does not permit this"

    def __init__(self, status: int, code: str, message: str, scope: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.challenge = f'Bearer realm="idp", error="{code}", scope="{scope}"'


def required_token(scope: str) -> tuple[ActiveToken, RowMapping]:
    """Return the living token of a request and the grant of the person that it stands for.

    Raises:
        TokenRefused: no token, a dead one, or one that permits too little.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    found = None
    if scheme.lower() == "bearer":
        found = token_status.find_active_token(context.database(), context.settings(), token.strip())
    if found is None:
        raise TokenRefused(401, "invalid_token", "The access token is missing, unknown, expired or revoked.", scope)
    if found.grant is None or scope not in found.scopes:
        raise TokenRefused(403, "insufficient_scope", f"A person's token with the scope {scope} is needed.", scope)
    return found, found.grant
