"""Who calls the API: the access token of a request (RFC 6750, RFC 9449). Cookies count for nothing here."""

from dataclasses import dataclass
from functools import partial

from flask import Response, after_this_request, request

from idp.accounts.visitor import Visitor
from idp.errors import Refusal
from idp.oidc.clients import ClientMetadata
from idp.oidc.presented_token import AccessRefused, Presentation, Scheme, open_token
from idp.oidc.token_status import ActiveToken
from idp.storage.statements import Row
from idp.web import context


class TokenRefused(Refusal):
    """The API's 401 and 403 (RFC 6750 section 3, RFC 9449 section 7.1): what the protocol refuses, as the API says it.

    Args:
        refused: with the headers that tell how to do it right.
    """

    def __init__(self, refused: AccessRefused) -> None:
        super().__init__(refused.description or "An access token is needed: Authorization: Bearer TOKEN.")
        self.status = refused.status_code
        self.code = refused.error or "missing_token"
        self.headers = tuple(refused.challenges)


@dataclass(frozen=True)
class AppVisitor(Visitor):
    """An app that calls for the people who use it.

    Attributes:
        client_id: the app's.
    """

    client_id: str = ""

    @property
    def network(self) -> str:
        """The app itself: all its people come from one server, which must not be slowed down as one stranger is."""
        return f"app {self.client_id}"


@dataclass(frozen=True)
class CallingPerson:
    """A person, by an app that they signed in to.

    Attributes:
        client: the app.
        user_id: whose account it is.
        grant: columns of grant, session and person.
        visitor: for throttles and audit.
    """

    client: ClientMetadata
    user_id: str
    grant: Row
    visitor: Visitor


@dataclass(frozen=True)
class CallingApp:
    """An app for itself.

    Attributes:
        client: as it is registered.
        scopes: what its token permits.
        visitor: for throttles and audit.
    """

    client: ClientMetadata
    scopes: frozenset[str]
    visitor: Visitor


def required_person() -> CallingPerson:
    """Return the person for whom a request's token stands.

    Raises:
        TokenRefused: no token, a dead one, one that permits too little or stands for no person.
    """
    token = _living_token("account")
    if token.grant is None or "account" not in token.scopes:
        raise _too_little(token, "A person's token with the scope account is needed.", "account")
    return CallingPerson(token.client, token.grant["user_id"], token.grant, _visitor(token.client_id))


def required_app(*scopes: str) -> CallingApp:
    """Return the app for which a request's token stands.

    Args:
        scopes: one of them is enough.

    Raises:
        TokenRefused: no token, a dead one, one that permits too little or stands for a person.
    """
    token = _living_token(" ".join(scopes))
    if token.grant is not None or not {*scopes} & {*token.scopes}:
        wanted = " or ".join(scopes)
        message = f"A client's own token (client_credentials) with the scope {wanted} is needed."
        raise _too_little(token, message, " ".join(scopes))
    return CallingApp(token.client, frozenset(token.scopes), _visitor(token.client_id))


def _living_token(scope: str) -> ActiveToken:
    presentation = Presentation(
        authorization=request.headers.get("Authorization", ""),
        dpop_proof=request.headers.get("DPoP"),
        method=request.method,
        url=context.settings().url(request.path),
    )
    try:
        opened = open_token(context.provider(), context.database(), presentation)
    except AccessRefused as refused:
        refused.scope = scope
        raise TokenRefused(refused) from None
    if opened.next_nonce:
        after_this_request(partial(_hand_out, nonce=opened.next_nonce))
    return opened.token


def _hand_out(response: Response, nonce: str) -> Response:
    response.headers["DPoP-Nonce"] = nonce
    return response


def _too_little(token: ActiveToken, message: str, scope: str) -> TokenRefused:
    """Say which scope a living token lacks, under the scheme by which it came."""
    scheme: Scheme = "DPoP" if token.dpop_jkt else "Bearer"
    return TokenRefused(AccessRefused(403, "insufficient_scope", message, scope, scheme))


def _visitor(client_id: str) -> AppVisitor:
    seen = context.visitor()
    return AppVisitor(seen.address, seen.user_agent, actor=f"client:{client_id}"[:40], client_id=client_id)
