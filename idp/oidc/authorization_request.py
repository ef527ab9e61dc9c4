"""The authorization request: read once, checked in the order of one list, then frozen.

The order is the security: until client and redirect URI are known to belong together, a fault is shown to the person
and never redirected (RFC 9700 section 4.11); from then on the client is told.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import (
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
)

from idp.oidc import scopes as known_scopes
from idp.oidc.claims import NO_CLAIMS, ClaimsRequest, parse_claims
from idp.oidc.clients import ClientMetadata
from idp.oidc.id_token_hint import IdTokenHint, read_hint
from idp.oidc.requests import Parameters, safe

if TYPE_CHECKING:
    from idp.oidc.server import Provider

PROMPTS = ("none", "login", "consent", "select_account", "create")
RESPONSE_TYPES = ("code",)
RESPONSE_MODES = ("query",)
_CODE_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url (RFC 7636 section 4.2)
_MAX_AGE = re.compile(r"\d{1,10}")
_STATE_MOST = 4096
_PARAMETERS_MOST = 16_384  # characters of all that is read, together: a waiting request is a row
# What is read, and so all that is kept while a request waits for a person.
READ = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "code_challenge",
    "code_challenge_method",
    "claims",
    "id_token_hint",
    "login_hint",
    "acr_values",
    "ui_locales",
    "display",
)


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request that passed every check (RFC 6749 section 4.1.1, OIDC Core section 3.1.2.1)."""

    client: ClientMetadata
    redirect_uri: str
    state: str | None = None
    response_type: str = "code"
    scopes: tuple[str, ...] = ()
    nonce: str | None = None
    code_challenge: str | None = None
    prompt: tuple[str, ...] = ()
    max_age: int | None = None
    login_hint: str | None = None
    id_token_hint: IdTokenHint | None = None
    acr_values: tuple[str, ...] = ()
    ui_locales: str | None = None
    display: str | None = None
    claims: ClaimsRequest = NO_CLAIMS
    parameters: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_offline(self) -> bool:
        """Whether the client wants to act while the person is away."""
        return "offline_access" in self.scopes

    @property
    def subject(self) -> str | None:
        """The one subject that the request is about, if it names one by hint or claim."""
        return self.claims.subject or (self.id_token_hint.subject if self.id_token_hint else None)


class RefusedRequest(Exception):
    """A request that the client hears about at its redirect URI.

    Attributes:
        error: the OAuth error.
        redirect_uri: where to; checked.
        state: to be given back as it came.
    """

    def __init__(self, error: OAuth2Error, redirect_uri: str, state: str | None) -> None:
        super().__init__(error.error)
        self.error = error
        self.redirect_uri = redirect_uri
        self.state = state


class UnregisteredClient(InvalidRequestError):
    """A fault of client or redirect URI: shown, never redirected.

    Attributes:
        parameter: which parameter is at fault.
    """

    def __init__(self, parameter: str, description: str, error: str = "invalid_request") -> None:
        super().__init__(description)
        self.error = error
        self.parameter = parameter


def validate(
    provider: "Provider", parameters: Parameters, find_client: Callable[[str], ClientMetadata | None]
) -> AuthorizationRequest:
    """Check an authorization request.

    Args:
        find_client: how to find a client by its id.

    Raises:
        UnregisteredClient: show it.
        RefusedRequest: redirect it.
    """
    client = _check_client(parameters, find_client)
    redirect_uri = _check_redirect_uri(parameters, client)
    state = parameters.get("state")
    found: dict[str, Any] = {"client": client, "redirect_uri": redirect_uri, "state": state}
    try:
        for check in CHECKS:
            found.update(check(provider, parameters, client))
    except OAuth2Error as error:
        raise RefusedRequest(error, redirect_uri, None if "state" in parameters.repeated() else state) from None
    return AuthorizationRequest(**found, parameters=parameters.data)


# -- 1 and 2: faults that are shown ---------------------------------------------


def _check_client(parameters: Parameters, find_client: Callable[[str], ClientMetadata | None]) -> ClientMetadata:
    client_id = _only(parameters, "client_id")
    client = find_client(client_id)
    if client is None:
        raise UnregisteredClient("client_id", f"No app is registered as {safe(client_id)}.", "invalid_client")
    return client


def _check_redirect_uri(parameters: Parameters, client: ClientMetadata) -> str:
    """Compare to the letter (RFC 9700 section 2.1); native apps may vary a loopback port (RFC 8252 section 7.3)."""
    given = _only(parameters, "redirect_uri")
    if given in client.redirect_uris or (client.is_public and _differs_by_loopback_port(given, client)):
        return given
    raise UnregisteredClient("redirect_uri", "The redirect_uri is not registered for this app.")


def _only(parameters: Parameters, name: str) -> str:
    values = parameters.datalist.get(name, [])
    if not values:
        raise UnregisteredClient(name, f"The parameter {name} is missing.")
    if len(values) > 1:
        raise UnregisteredClient(name, f"The parameter {name} was sent more than once.")
    return values[0]


_LOOPBACK_URI = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([0-9]{1,5}))?(/[^#]*)?")


def _differs_by_loopback_port(given: str, client: ClientMetadata) -> bool:
    asked = _LOOPBACK_URI.fullmatch(given)
    if asked is None:
        return False
    for uri in client.redirect_uris:
        registered = _LOOPBACK_URI.fullmatch(uri)
        if registered and registered.group(1, 3) == asked.group(1, 3):
            return True
    return False


# -- 3 to 12: faults that the client hears of --------------------------------------


def _check_single(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    parameters.check_single()
    if len(parameters.get("state") or "") > _STATE_MOST:
        raise InvalidRequestError(f"The state has more than {_STATE_MOST} characters.")
    if sum(len(parameters.get(name) or "") for name in READ) > _PARAMETERS_MOST:
        raise InvalidRequestError(f"The parameters have more than {_PARAMETERS_MOST} characters together.")
    return {}


def _check_unsupported(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    for name in ("request", "request_uri", "registration"):
        if parameters.get(name):
            raise _error(f"{name}_not_supported", f"The parameter {name} is not supported here.")
    return {}


def _check_response_type(_provider: "Provider", parameters: Parameters, client: ClientMetadata) -> dict[str, Any]:
    response_type = parameters.get("response_type")
    if response_type is None:
        raise InvalidRequestError("The parameter response_type is missing.")
    if response_type not in RESPONSE_TYPES:
        raise _error("unsupported_response_type", f"The response_type {safe(response_type)} is not supported here.")
    if response_type not in client.response_types or "authorization_code" not in client.grant_types:
        raise UnauthorizedClientError("This app is not registered for the authorization code grant.")
    return {"response_type": response_type}


def _check_response_mode(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    response_mode = parameters.get("response_mode") or "query"
    if response_mode not in RESPONSE_MODES:
        raise InvalidRequestError(f"The response_mode {safe(response_mode)} is not supported here.")
    return {}


def _check_scope(_provider: "Provider", parameters: Parameters, client: ClientMetadata) -> dict[str, Any]:
    """Unknown scopes are ignored (OIDC Core section 3.1.2.1); known ones that the client may not have are refused.

    offline_access is ignored where no refresh token could come of it (section 11), and where the app's tokens are to
    die with the browser session: they could not do both.
    """
    asked = [scope for scope in known_scopes.split(parameters.get("scope")) if scope in known_scopes.SUPPORTED]
    if not client.may_act_offline:
        asked = [scope for scope in asked if scope != "offline_access"]
    if refused := [scope for scope in asked if scope not in client.scopes or scope in known_scopes.OF_CLIENTS]:
        raise InvalidScopeError(f"This app is not registered for the scope {' '.join(refused)}.")
    if not asked:
        raise InvalidScopeError("No scope was asked for that is known here; OpenID Connect needs openid.")
    return {"scopes": tuple(asked)}


def _check_nonce(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    nonce = parameters.get("nonce")
    if nonce and len(nonce) > 512:
        raise InvalidRequestError("The nonce has more than 512 characters.")
    return {"nonce": nonce}


def _check_prompt(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    prompt = known_scopes.split((parameters.get("prompt") or "").strip())
    if unknown := [value for value in prompt if value not in PROMPTS]:
        raise InvalidRequestError(f"The prompt {safe(unknown[0])} is not known here.")
    if "none" in prompt and len(prompt) > 1:
        raise InvalidRequestError("The prompt none cannot be combined with others.")
    return {"prompt": prompt}


def _check_max_age(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    max_age = parameters.get("max_age")
    if max_age is None:
        return {}
    if not max_age.isascii() or not _MAX_AGE.fullmatch(max_age):
        raise InvalidRequestError("The max_age is no number of seconds.")
    return {"max_age": int(max_age)}


def _check_code_challenge(_provider: "Provider", parameters: Parameters, client: ClientMetadata) -> dict[str, Any]:
    """PKCE with S256 and nothing else (RFC 9700 section 2.1.1)."""
    challenge, method = parameters.get("code_challenge"), parameters.get("code_challenge_method")
    if challenge is None:
        if method is not None:
            raise InvalidRequestError("There is a code_challenge_method but no code_challenge.")
        if client.must_use_pkce:
            raise InvalidRequestError("This app must use PKCE: the code_challenge is missing.")
        return {}
    if method != "S256":
        raise InvalidRequestError("The code_challenge_method must be S256.")
    if not _CODE_CHALLENGE.fullmatch(challenge):
        raise InvalidRequestError("The code_challenge is no S256 challenge: 43 characters of base64url.")
    return {"code_challenge": challenge}


def _check_claims(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    return {"claims": parse_claims(parameters.get("claims"))}


def _check_id_token_hint(provider: "Provider", parameters: Parameters, client: ClientMetadata) -> dict[str, Any]:
    hint = parameters.get("id_token_hint")
    if hint is None:
        return {}
    read = read_hint(provider, hint)
    if read is None or read.client_id != client.client_id:
        raise InvalidRequestError("The id_token_hint is no ID token that this provider issued to this app.")
    return {"id_token_hint": read}


def _check_hints(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    """What is taken into account where it helps, and never an error."""
    return {
        "login_hint": (parameters.get("login_hint") or "")[:320] or None,
        "acr_values": known_scopes.split(parameters.get("acr_values")),
        "ui_locales": (parameters.get("ui_locales") or "")[:200] or None,
        "display": parameters.get("display"),
    }


CHECKS = (
    _check_single,
    _check_unsupported,
    _check_response_type,
    _check_response_mode,
    _check_scope,
    _check_nonce,
    _check_prompt,
    _check_max_age,
    _check_code_challenge,
    _check_claims,
    _check_id_token_hint,
    _check_hints,
)


def _error(code: str, description: str) -> OAuth2Error:
    return OAuth2Error(description, error=code)
