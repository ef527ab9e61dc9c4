"""What is checked of an authorization request once its client and redirect URI are known, as one list.

Each check reads what concerns it and returns what the request is then made of; the first fault is the one that the
client hears of.
"""

import re
from typing import TYPE_CHECKING, Any

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidRequestError, InvalidScopeError, UnauthorizedClientError
from sqlalchemy.orm import Session

from idp.oidc import scopes as known_scopes
from idp.oidc.authorization_response import (
    CODE,
    RESPONSE_MODES,
    default_mode,
    in_order,
    is_mode_allowed,
    supported_response_types,
)
from idp.oidc.claims import parse_claims
from idp.oidc.clients import ClientMetadata
from idp.oidc.id_token_hint import IdTokenHint, read_hint
from idp.oidc.permitted import permitted_resources, permitted_scopes
from idp.oidc.requests import Parameters, safe

if TYPE_CHECKING:
    from idp.oidc.server import Provider

PROMPTS = ("none", "login", "consent", "select_account", "create")
_BASE64URL_SHA256 = re.compile(r"[A-Za-z0-9_-]{43}")  # a SHA-256 digest in base64url, without padding
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
    "dpop_jkt",
    "resource",
    "claims",
    "id_token_hint",
    "login_hint",
    "acr_values",
    "ui_locales",
    "claims_locales",
    "display",
    "registration",
)


def _check_single(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    parameters.check_single()
    if len(parameters.get("state") or "") > _STATE_MOST:
        raise InvalidRequestError(f"The state has more than {_STATE_MOST} characters.")
    if sum(len(value) for name in READ for value in parameters.datalist.get(name, ())) > _PARAMETERS_MOST:
        raise InvalidRequestError(f"The parameters have more than {_PARAMETERS_MOST} characters together.")
    return {}


def _check_registration(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    """A client that describes itself in its request is one for self-issued providers (OIDC Core section 7.2.1)."""
    if parameters.get("registration"):
        raise OAuth2Error("The parameter registration is not supported here.", error="registration_not_supported")
    return {}


def _check_response_type(provider: "Provider", parameters: Parameters, client: ClientMetadata) -> dict[str, Any]:
    given = parameters.required("response_type")
    response_type = in_order(given)
    if response_type not in supported_response_types(provider.settings):
        raise OAuth2Error(f"The response_type {safe(given)} is not supported here.", error="unsupported_response_type")
    if response_type not in map(in_order, client.response_types):
        raise UnauthorizedClientError(f"This app is not registered for the response_type {response_type}.")
    if client.dpop_bound_access_tokens and "token" in response_type.split(" "):
        raise UnauthorizedClientError(
            "The access tokens of this app are bound to a key, which the authorization endpoint never sees."
        )
    return {"response_type": response_type}


def _check_response_mode(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    response_type = parameters.required("response_type")
    response_mode = parameters.get("response_mode") or default_mode(response_type)
    if response_mode not in RESPONSE_MODES:
        raise InvalidRequestError(f"The response_mode {safe(response_mode)} is not supported here.")
    if not is_mode_allowed(response_type, response_mode):
        raise InvalidRequestError("The response_mode query is not for tokens: they would end up in logs.")
    return {"response_mode": response_mode}


def _check_scope(_provider: "Provider", parameters: Parameters, client: ClientMetadata) -> dict[str, Any]:
    """What the client may ask for; openid where an ID token comes at once."""
    words = parameters.required("response_type").split(" ")
    asked = permitted_scopes(client, parameters.get("scope"), may_refresh=CODE in words)
    if "id_token" in words and "openid" not in asked:
        raise InvalidScopeError("A response_type with id_token needs the scope openid.")
    return {"scopes": asked}


def _check_nonce(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    nonce = parameters.get("nonce")
    if nonce and len(nonce) > 512:
        raise InvalidRequestError("The nonce has more than 512 characters.")
    if nonce is None and "id_token" in parameters.required("response_type").split(" "):
        # Section 3.2.2.1: an ID token from this endpoint is fresh to its client by nothing else.
        raise InvalidRequestError("The nonce is missing: an ID token from the authorization endpoint needs one.")
    return {"nonce": nonce}


def _check_prompt(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    prompt = known_scopes.split(parameters.get("prompt"))
    if unknown := [value for value in prompt if value not in PROMPTS]:
        raise InvalidRequestError(f"The prompt {safe(unknown[0])} is not known here.")
    if "none" in prompt and len(prompt) > 1:
        raise InvalidRequestError("The prompt none cannot be combined with others.")
    return {"prompt": prompt}


def _check_max_age(_provider: "Provider", parameters: Parameters, client: ClientMetadata) -> dict[str, Any]:
    """What a request does not say, the client's registration may (`default_max_age`)."""
    max_age = parameters.get("max_age")
    if max_age is None:
        return {"max_age": client.default_max_age}
    if not max_age.isascii() or not _MAX_AGE.fullmatch(max_age):
        raise InvalidRequestError("The max_age is no number of seconds.")
    return {"max_age": int(max_age)}


def _check_code_challenge(_provider: "Provider", parameters: Parameters, client: ClientMetadata) -> dict[str, Any]:
    """PKCE with S256 and nothing else (RFC 9700 section 2.1.1); it protects a code, so without one there is no need."""
    if CODE not in parameters.required("response_type").split(" "):
        return {}
    challenge, method = parameters.get("code_challenge"), parameters.get("code_challenge_method")
    if challenge is None:
        if method is not None:
            raise InvalidRequestError("There is a code_challenge_method but no code_challenge.")
        if client.must_use_pkce:
            raise InvalidRequestError("This app must use PKCE: the code_challenge is missing.")
        return {}
    if method != "S256":
        raise InvalidRequestError("The code_challenge_method must be S256.")
    if not _BASE64URL_SHA256.fullmatch(challenge):
        raise InvalidRequestError("The code_challenge is no S256 challenge: 43 characters of base64url.")
    return {"code_challenge": challenge}


def _check_dpop_jkt(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    """The key that the code is to be bound to (RFC 9449 section 10): the token endpoint asks for a proof of it."""
    dpop_jkt = parameters.get("dpop_jkt")
    if dpop_jkt is not None and not _BASE64URL_SHA256.fullmatch(dpop_jkt):
        raise InvalidRequestError("The dpop_jkt is no thumbprint of a key: 43 characters of base64url.")
    return {"dpop_jkt": dpop_jkt}


def _check_resources(_provider: "Provider", parameters: Parameters, client: ClientMetadata) -> dict[str, Any]:
    """Whom access tokens are to be for (RFC 8707 section 2): the only parameter that may come more than once."""
    return {"resources": permitted_resources(client, parameters.get_all("resource"))}


def _check_claims(_provider: "Provider", parameters: Parameters, client: ClientMetadata) -> dict[str, Any]:
    """What an app may not have by a scope it gets by no other name; as what is not known, it is passed over."""
    asked = parse_claims(parameters.get("claims"))
    return {"claims": asked.within(known_scopes.claims_of(client.scopes)) if asked.names else asked}


def _check_hints(_provider: "Provider", parameters: Parameters, _client: ClientMetadata) -> dict[str, Any]:
    """What is taken into account where it helps, and never an error.

    Neither `acr_values` nor `display` helps: there is one way to sign in, and each page suits every screen.
    """
    return {
        "login_hint": (parameters.get("login_hint") or "")[:320] or None,
        "ui_locales": (parameters.get("ui_locales") or "")[:200] or None,
    }


CHECKS = (
    _check_single,
    _check_registration,
    _check_response_type,
    _check_response_mode,
    _check_scope,
    _check_nonce,
    _check_prompt,
    _check_max_age,
    _check_code_challenge,
    _check_dpop_jkt,
    _check_resources,
    _check_claims,
    _check_hints,
)


def check_id_token_hint(
    provider: "Provider", db: Session, parameters: Parameters, client: ClientMetadata
) -> IdTokenHint | None:
    """Return what the hint says: after all else, since the table of keys is asked for it."""
    hint = parameters.get("id_token_hint")
    if hint is None:
        return None
    if hint.count(".") == 4:
        raise InvalidRequestError("The id_token_hint is encrypted: the signed ID token inside it is needed.")
    read = read_hint(provider, db, hint)
    if read is None or read.client_id != client.client_id:
        raise InvalidRequestError("The id_token_hint is no ID token that this provider issued to this app.")
    return read
