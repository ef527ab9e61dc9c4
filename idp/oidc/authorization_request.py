"""The authorization request: read once, checked in the order of one list, then frozen.

The order is the security: until client and redirect URI are known to belong together, a fault is shown to the person
and never redirected (RFC 9700 section 4.11); from then on the client is told.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from sqlalchemy.orm import Session

from idp.oidc.authorization_checks import CHECKS, check_id_token_hint
from idp.oidc.authorization_response import CODE, ResponseMode, ReturnAddress, address_of
from idp.oidc.claims import NO_CLAIMS, ClaimsRequest
from idp.oidc.client_uris import can_be_read
from idp.oidc.clients import ClientMetadata
from idp.oidc.id_token_hint import IdTokenHint
from idp.oidc.requests import Parameters, beginning

if TYPE_CHECKING:
    from idp.oidc.server import Provider


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request that passed every check (RFC 6749 section 4.1.1, OIDC Core section 3.1.2.1)."""

    client: ClientMetadata
    redirect_uri: str
    state: str | None = None
    response_type: str = CODE
    response_mode: ResponseMode = "query"
    scopes: tuple[str, ...] = ()
    nonce: str | None = None
    code_challenge: str | None = None
    prompt: tuple[str, ...] = ()
    max_age: int | None = None
    login_hint: str | None = None
    id_token_hint: IdTokenHint | None = None
    ui_locales: str | None = None
    claims: ClaimsRequest = NO_CLAIMS
    resources: tuple[str, ...] = ()
    dpop_jkt: str | None = None
    parameters: Parameters = field(default_factory=lambda: Parameters([]), repr=False, compare=False)

    @property
    def return_address(self) -> ReturnAddress:
        """Where the answer goes, and how."""
        return ReturnAddress(self.redirect_uri, self.response_mode, self.state)

    @property
    def is_allowed_once(self) -> bool:
        """Whether what a person allows counts for this request alone: the next may come from another program."""
        return not self.client.is_trusted and self.client.is_unproven(self.redirect_uri)

    def wants(self, word: str) -> bool:
        """Tell whether the response type asks for a `code`, a `token` or an `id_token`."""
        return word in self.response_type.split(" ")

    def admits(self, subject: str) -> bool:
        """Tell whether the request may be about a subject: by hint or claim it can name the one that it means.

        Args:
            subject: who somebody is to this client (OIDC Core section 8), as in their ID tokens.
        """
        by_hint = self.id_token_hint is None or self.id_token_hint.subject == subject
        return by_hint and self.claims.admits(subject)


class RefusedRequest(Exception):
    """A request that the client hears about at its redirect URI.

    Attributes:
        error: the OAuth error.
        address: where it goes; the redirect URI is checked.
    """

    def __init__(self, error: OAuth2Error, address: ReturnAddress) -> None:
        super().__init__(error.error)
        self.error = error
        self.address = address


class ShownFault(InvalidRequestError):
    """A fault where the client cannot be told, such as one of client or redirect URI: shown, never redirected.

    Attributes:
        parameter: which parameter is at fault.
    """

    def __init__(self, parameter: str, description: str, error: str = "invalid_request") -> None:
        super().__init__(description)
        self.error = error
        self.parameter = parameter


def validate(provider: "Provider", db: Session, client: ClientMetadata, parameters: Parameters) -> AuthorizationRequest:
    """Check an authorization request, wherever its parameters come from.

    Args:
        client: as `identify_client` found it.

    Raises:
        ShownFault: show it.
        RefusedRequest: redirect it.
    """
    redirect_uri = _check_redirect_uri(parameters, client)
    found: dict[str, Any] = {"client": client, "redirect_uri": redirect_uri, "state": parameters.get("state")}
    try:
        for check in CHECKS:
            found.update(check(provider, parameters, client))
        found["id_token_hint"] = check_id_token_hint(provider, db, parameters, client)
    except OAuth2Error as error:
        raise RefusedRequest(error, address_of(redirect_uri, parameters)) from None
    return AuthorizationRequest(**found, parameters=parameters)


def refusal(
    client: ClientMetadata, parameters: Parameters, parameter: str, error: OAuth2Error
) -> RefusedRequest | ShownFault:
    """Return how to refuse a request before its own parameters are known: pushed, or in a request object.

    Args:
        parameters: what came beside; a redirect URI among them counts if it is the client's.
        parameter: which parameter is at fault.
        error: what is wrong.
    """
    try:
        redirect_uri = _check_redirect_uri(parameters, client)
    except ShownFault:
        return ShownFault(parameter, error.description or "", error.error or "invalid_request")
    return RefusedRequest(error, address_of(redirect_uri, parameters))


# -- 1 and 2: faults that are shown ---------------------------------------------


def identify_client(parameters: Parameters, find_client: Callable[[str], ClientMetadata | None]) -> ClientMetadata:
    """Return the client that a request names.

    Args:
        find_client: how to find a client by its id.

    Raises:
        ShownFault: none, more than one, or one that is not registered.
    """
    client_id = _only(parameters, "client_id")
    client = find_client(client_id)
    if client is None:
        raise ShownFault("client_id", f"No app is registered as {beginning(client_id)}.", "invalid_client")
    return client


def _check_redirect_uri(parameters: Parameters, client: ClientMetadata) -> str:
    """Compare to the letter (RFC 9700 section 2.1); native apps may vary a loopback port (RFC 8252 section 7.3)."""
    given = _only(parameters, "redirect_uri")
    is_installed = client.is_public or client.application_type == "native"
    if given in client.redirect_uris or (is_installed and _differs_by_loopback_port(given, client)):
        return given
    raise ShownFault("redirect_uri", "The redirect_uri is not registered for this app.")


def _only(parameters: Parameters, name: str) -> str:
    values = parameters.datalist.get(name, [])
    if not values:
        raise ShownFault(name, f"The parameter {name} is missing.")
    if len(values) > 1:
        raise ShownFault(name, f"The parameter {name} was sent more than once.")
    return values[0]


_LOOPBACK_URI = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([0-9]{1,5}))?(/[^#]*)?")


def _differs_by_loopback_port(given: str, client: ClientMetadata) -> bool:
    asked = _LOOPBACK_URI.fullmatch(given)
    if asked is None or not can_be_read(given):  # there is no port 99999
        return False
    for uri in client.redirect_uris:
        registered = _LOOPBACK_URI.fullmatch(uri)
        if registered and registered.group(1, 3) == asked.group(1, 3):
            return True
    return False
