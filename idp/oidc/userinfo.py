"""The UserInfo endpoint (OIDC Core section 5.3), and reading bearer tokens (RFC 6750)."""

from typing import TYPE_CHECKING, Any

from authlib.oauth2.base import OAuth2Error

from idp.oidc import claims, token_status
from idp.oidc import scopes as known_scopes
from idp.oidc.requests import ProtocolRequest
from idp.oidc.token_status import ActiveToken

if TYPE_CHECKING:
    from idp.oidc.server import Provider


class BearerError(OAuth2Error):
    """A refused bearer token (RFC 6750 section 3): the answer names error and scope in `WWW-Authenticate`."""

    def __init__(self, status: int, error: str | None, description: str = "", scope: str = "") -> None:
        super().__init__(description or None, error=error, status_code=status)
        self.scope = scope

    def get_body(self) -> list[Any]:
        """Return the members of the answer; a request without a token is told of no error (section 3.1)."""
        return super().get_body() if self.error else []

    def get_headers(self) -> list[tuple[str, str]]:
        """Return the challenge beside the usual headers."""
        parts = ['realm="idp"']
        if self.error:
            parts += [f'error="{self.error}"', f'error_description="{self.description}"']
        if self.scope:
            parts.append(f'scope="{self.scope}"')
        return [
            *super().get_headers(),
            ("WWW-Authenticate", "Bearer " + ", ".join(parts)),
        ]


def read_bearer_token(provider: "Provider", request: ProtocolRequest, needed_scope: str) -> ActiveToken:
    """Return the living token of a request.

    Args:
        needed_scope: a scope without which it is not enough.

    Raises:
        BearerError: no token (401 without an error, section 3.1), a dead one (401), too little scope (403), two (400).
    """
    token = _presented(request)
    if token is None:
        raise BearerError(401, None)
    found = token_status.find_active_token(request.db, provider.settings, token)
    if found is None:
        raise BearerError(401, "invalid_token", "The access token is unknown, expired or revoked.")
    if needed_scope not in found.scopes:
        raise BearerError(403, "insufficient_scope", f"The scope {needed_scope} is needed.", needed_scope)
    return found


def describe_person(provider: "Provider", request: ProtocolRequest) -> dict[str, Any]:
    """Return the claims that an access token permits (section 5.3.2)."""
    token = read_bearer_token(provider, request, "openid")
    if token.grant is None:
        raise BearerError(403, "insufficient_scope", "This token stands for no person.", "openid")
    asked = claims.stored_claims(token.grant["claims_request"]).userinfo.keys() & set(known_scopes.CLAIM_NAMES)
    names = known_scopes.claims_of(token.scopes) | asked
    return {"sub": token.grant["user_id"], **claims.build_claims(token.grant, names)}


def _presented(request: ProtocolRequest) -> str | None:
    """Find the token in the header, or in a form (RFC 6750 sections 2.1 and 2.2); a query is no place for one."""
    request.payload.check_single()
    header = request.headers.get("Authorization", "")
    posted = request.payload.get("access_token") if request.method == "POST" else None
    if not header:
        return posted
    if posted:
        raise BearerError(400, "invalid_request", "The access token was sent twice.")
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
