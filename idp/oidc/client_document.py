"""A client's metadata as JSON, in the form of RFC 7591: one document for software and for the command line.

Members bear the names of RFC 7591 and of OpenID Connect where these have one, and those of our own columns otherwise.
A member that is not known is passed over, and so is a name in another language (`client_name#de`): pages show one name.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from idp import strict_json
from idp.errors import InvalidInputError, refuse_faults
from idp.oidc import scopes as known_scopes
from idp.oidc.authorization_response import in_order
from idp.oidc.clients import GRANTS_OF_RESPONSE_TYPES, IMPLICIT, ClientMetadata
from idp.oidc.encryption import DEFAULT_CONTENT_ALGORITHM
from idp.settings import Settings

# What software may say of itself. All else is for the operator to decide.
OF_SOFTWARE = (
    *("client_name", "application_type", "redirect_uris", "post_logout_redirect_uris", "grant_types"),
    *("response_types", "scopes", "token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "jwks", "jwks_uri"),
    *("client_uri", "logo_uri", "policy_uri", "tos_uri", "contacts", "software_id", "software_version"),
    *("subject_type", "sector_identifier_uri", "id_token_signed_response_alg"),
    *("id_token_encrypted_response_alg", "id_token_encrypted_response_enc", "userinfo_signed_response_alg"),
    *("userinfo_encrypted_response_alg", "userinfo_encrypted_response_enc", "request_object_signing_alg"),
    *("request_uris", "require_signed_request_object", "require_pushed_authorization_requests"),
    *("dpop_bound_access_tokens", "default_max_age", "require_auth_time", "default_acr_values", "initiate_login_uri"),
    *("backchannel_logout_uri", "backchannel_logout_session_required"),
    *("frontchannel_logout_uri", "frontchannel_logout_session_required"),
)
_OURS = ("client_id", "version", "client_secret_digest", "client_secret_sealed", "registration_token_digest")
_NOT_WRITTEN = (*_OURS, "created_at")
OF_OPERATOR = tuple(each.name for each in fields(ClientMetadata) if each.name not in (*OF_SOFTWARE, *_NOT_WRITTEN))
_MEMBER_NAMES = {"scopes": "scope"}  # a string of words in the document (RFC 7591 section 2)


def parse(raw: bytes) -> dict[str, Any]:
    """Read a JSON object, strictly.

    Raises:
        InvalidInputError: it is none, in UTF-8, with each name once.
    """
    try:
        return strict_json.read_object(raw, "document")
    except ValueError as fault:
        raise InvalidInputError({"metadata": [str(fault)]}) from None


def read(document: Mapping[str, Any], base: ClientMetadata, members: Collection[str]) -> ClientMetadata:
    """Return a client with what a document says of it.

    Args:
        document: as parsed.
        base: says what the document does not.
        members: which fields are taken from the document; all else in it is passed over.

    Raises:
        InvalidInputError: names every member of another type than it should be.
    """
    faults: dict[str, list[str]] = {}
    given: dict[str, Any] = {}
    for field in members:
        name = _MEMBER_NAMES.get(field, field)
        if name not in document:
            continue
        value = document[name]
        if value is None:  # the same as left out (RFC 7591 section 2), and takes back what was there
            given[field] = _defaults()[field]
            continue
        fits, what, as_field = _kinds()[field]
        if not fits(value):
            faults[name] = [f"Must be {what}."]
        else:
            given[field] = as_field(value)
    refuse_faults(faults)
    return replace(base, **_completed(given, base))


def describe(client: ClientMetadata, settings: Settings, members: Collection[str]) -> dict[str, Any]:
    """Return a client's document, defaults included and nothing null.

    Args:
        members: which fields to tell.
    """
    told: dict[str, Any] = {}
    for field in members:
        value = getattr(client, field)
        if field == "id_token_signed_response_alg":
            value = value or settings.signing_algorithm
        if field == "scopes":
            value = " ".join(value)
        if value is None or (value in ((), "") and field not in ("redirect_uris", "response_types")):
            continue
        told[_MEMBER_NAMES.get(field, field)] = list(value) if isinstance(value, tuple) else value
    return told


def _completed(given: dict[str, Any], base: ClientMetadata) -> dict[str, Any]:
    """Fill in what follows from what was given."""
    if "response_types" in given and "grant_types" not in given:
        wanted = [grant for each in given["response_types"] for grant in GRANTS_OF_RESPONSE_TYPES.get(each, ())]
        kept = [each for each in base.grant_types if each not in ("authorization_code", IMPLICIT)]
        given["grant_types"] = tuple(dict.fromkeys((*wanted, *kept)))
    if "grant_types" in given and "response_types" not in given:
        fitting = [
            each
            for each in base.response_types or ("code",)
            if set(GRANTS_OF_RESPONSE_TYPES.get(each, ())) <= set(given["grant_types"])
        ]
        given["response_types"] = tuple(fitting) or (("id_token",) if IMPLICIT in given["grant_types"] else ())
    for what in ("id_token", "userinfo"):  # OIDC Registration section 2
        algorithm, enc = f"{what}_encrypted_response_alg", f"{what}_encrypted_response_enc"
        if given.get(algorithm) and not given.get(enc, getattr(base, enc)):
            given[enc] = DEFAULT_CONTENT_ALGORITHM
    if not given.get("client_name", base.client_name):
        given["client_name"] = _name_of(given)
    return given


def _name_of(given: Mapping[str, Any]) -> str:
    """Name a client that does not name itself: by the host where people meet it."""
    for uri in (given.get("client_uri"), *given.get("redirect_uris", ())):
        try:
            host = urlsplit(uri or "").hostname
        except ValueError:
            continue
        if host:
            return host[:100]
    return "App without a name"


# -- The type of each member, as the record has it ------------------------------------------

Kind = tuple[Callable[[Any], bool], str, Callable[[Any], Any]]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\x00" not in value and not any("\ud800" <= c <= "\udfff" for c in value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(each) for each in value)


def _is_object(value: Any) -> bool:
    text = json.dumps(value, ensure_ascii=False)  # which escapes a NUL, and no half of a pair
    return isinstance(value, dict) and _is_text(text) and "\\u0000" not in text


_TEXT: Kind = (_is_text, "text", str)
_KIND_OF_TYPE: Mapping[Any, Kind] = {
    Sequence: (_is_texts, "a list of texts", lambda value: tuple(dict.fromkeys(value))),
    Mapping: (_is_object, "an object", dict),
    bool: (lambda value: isinstance(value, bool), "true or false", bool),
    int: (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number", int),
}
_SPECIAL_KINDS: Mapping[str, Kind] = {
    "scopes": (_is_text, "scopes in one text, separated by spaces", known_scopes.split),
    "response_types": (_is_texts, "a list of texts", lambda value: tuple(dict.fromkeys(map(in_order, value)))),
}


@cache
def _kinds() -> Mapping[str, Kind]:
    hints = get_type_hints(ClientMetadata)
    found: dict[str, Kind] = {}
    for each in fields(ClientMetadata):
        hint = hints[each.name]
        if get_origin(hint) not in _KIND_OF_TYPE:  # one type, or that or None
            hint = next((kind for kind in get_args(hint) if kind is not NoneType), hint)
        found[each.name] = _KIND_OF_TYPE.get(get_origin(hint) or hint, _TEXT)
    return {**found, **_SPECIAL_KINDS}


@cache
def _defaults() -> Mapping[str, Any]:
    return {each.name: "" if each.default is MISSING else each.default for each in fields(ClientMetadata)}
