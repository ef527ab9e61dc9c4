"""The rules for a client's metadata: one table for all ways to register.

OIDC Registration section 2, RFC 7591 section 2, RFC 9700 section 2.1, OAuth 2.1 section 2.3. What else must be right
beside the rules, at this provider and on the wire, is for `client_admission`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from idp.accounts import names
from idp.accounts.registration import POLICIES
from idp.accounts.roles import fault_of_role
from idp.oidc import client_uris as uris
from idp.oidc import scopes as known_scopes
from idp.oidc.client_keys import PUBLIC_KEY_ALGORITHMS, SECRET_ALGORITHMS, import_keys
from idp.oidc.clients import (
    AUTH_METHODS,
    GRANT_TYPES,
    GRANTS_OF_RESPONSE_TYPES,
    IMPLICIT,
    TOKEN_EXCHANGE_GRANT,
    ClientMetadata,
)
from idp.oidc.encryption import CONTENT_ALGORITHMS, KEY_ALGORITHMS
from idp.oidc.keys import ALGORITHMS

Faults = Iterable[str]
LIST_MOST = 50  # entries
TEXT_MOST = 200  # characters
_NUMBER_MOST = 2**31 - 1  # what the columns hold
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_SECRET = re.compile(r"[\x20-\x7e]{16,512}")


def check_metadata(metadata: ClientMetadata, secret: str | None = None) -> None:
    """Check a client's metadata against every rule.

    Raises:
        InvalidInputError: names every field with a fault.
    """
    faults: dict[str, list[str]] = {"client_secret": list(_secret(secret))}
    for field, rule in RULES:
        value = getattr(metadata, field)
        if isinstance(value, tuple | list) and len(value) > LIST_MOST:
            faults[field] = [f"At most {LIST_MOST} entries."]
            continue
        faults.setdefault(field, []).extend(rule(metadata, value))
    names.refuse(faults)


# -- One function for each kind of rule ---------------------------------------------------


def _each(rule: Callable[[str], Faults]) -> Callable[[ClientMetadata, Any], Faults]:
    """Make a rule for one value, or for each entry of a list; nothing needs no rule."""

    def check(_client: ClientMetadata, value: Any) -> Faults:
        entries = value if isinstance(value, tuple | list) else () if value is None else (value,)
        return [fault for entry in entries for fault in rule(entry)]

    return check


def _one_of(what: str, known: Iterable[str]) -> Callable[[ClientMetadata, Any], Faults]:
    choices = tuple(known)
    return _each(lambda each: () if each in choices else [f"{each!r} is no {what}: choose from {', '.join(choices)}."])


def _between(least: int, most: int, message: str) -> Callable[[ClientMetadata, Any], Faults]:
    return lambda _client, value: () if value is None or least <= value <= most else [message]


def _text(value: str) -> Faults:
    if not 0 < len(value.strip()) <= TEXT_MOST or len(value) > TEXT_MOST:
        yield f"A text of 1 to {TEXT_MOST} characters is needed."
    elif not names.is_showable(value):
        yield "The text holds a character that cannot be shown."


# -- The fields with rules of their own ----------------------------------------------------


def _client_id(_client: ClientMetadata, client_id: str) -> Faults:
    if not _CLIENT_ID.fullmatch(client_id):
        yield "A client id has 1 to 128 letters, digits, dots, hyphens, underscores or tildes."


def _client_name(_client: ClientMetadata, name: str) -> Faults:
    if not (name.isprintable() and names.is_showable(name)):
        yield "The name holds a character that cannot be shown."
    elif not 0 < len(name.strip()) <= 100 or len(name) > 100:
        yield "A name of 1 to 100 characters is needed."


def _secret(secret: str | None) -> Faults:
    if secret is not None and not _SECRET.fullmatch(secret):
        yield "A secret has 16 to 512 printable ASCII characters."


def _redirect_uris(client: ClientMetadata, given: Sequence[str]) -> Faults:
    if client.response_types and not given:
        yield "An app that people sign in to needs at least one redirect URI."
    for uri in given:
        yield from uris.faults_of_redirect_uri(client, uri)


def _post_logout_redirect_uris(client: ClientMetadata, given: Sequence[str]) -> Faults:
    for uri in given:
        yield from uris.faults_of_redirect_uri(client, uri)


def _grant_types(client: ClientMetadata, given: Sequence[str]) -> Faults:
    known = (*GRANT_TYPES, IMPLICIT)
    yield from (f"{each!r} is no grant type: choose from {', '.join(known)}." for each in given if each not in known)
    if not given:
        yield "At least one grant type is needed."
    if client.is_public and "client_credentials" in given:
        yield "A public client has no credentials: client_credentials needs a secret or keys."
    if client.is_public and TOKEN_EXCHANGE_GRANT in given:
        yield "A public client cannot exchange tokens: that needs a secret or keys."
    if "refresh_token" in given and not _gets_refresh_tokens(given):
        yield "refresh_token goes with authorization_code, or with the device code grant."
    if IMPLICIT in given and not any(IMPLICIT in _grants_of(each) for each in client.response_types):
        yield "implicit goes with a response type that hands out tokens, such as id_token."
    if "authorization_code" in given and not any("code" in each.split() for each in client.response_types):
        yield "authorization_code goes with a response type with code."


def _response_types(client: ClientMetadata, given: Sequence[str]) -> Faults:
    for each in given:
        if each not in GRANTS_OF_RESPONSE_TYPES:
            yield f"{each!r} is no response type: choose from {', '.join(GRANTS_OF_RESPONSE_TYPES)}."
        elif missing := [grant for grant in _grants_of(each) if grant not in client.grant_types]:
            yield f"The response type {each!r} needs the grant type {' and '.join(missing)}."


def _scopes(client: ClientMetadata, given: Sequence[str]) -> Faults:
    yield from _one_of("scope", known_scopes.SUPPORTED)(client, given)
    if "client_credentials" not in client.grant_types and any(each in known_scopes.OF_CLIENTS for each in given):
        yield f"{', '.join(known_scopes.OF_CLIENTS)} need the grant client_credentials."


def _auth_method(client: ClientMetadata, method: str) -> Faults:
    yield from _one_of("method", AUTH_METHODS)(client, method)
    if method == "private_key_jwt" and not client.has_keys:
        yield "private_key_jwt needs keys: jwks or jwks_uri."


def _auth_signing_alg(client: ClientMetadata, algorithm: str | None) -> Faults:
    secret = client.token_endpoint_auth_method == "client_secret_jwt"  # noqa: S105 - a method's name
    return _one_of("algorithm", SECRET_ALGORITHMS if secret else PUBLIC_KEY_ALGORITHMS)(client, algorithm)


def _jwks(client: ClientMetadata, jwks: Mapping[str, Any] | None) -> Faults:
    if jwks is None:
        return
    if client.jwks_uri is not None:
        yield "Either jwks or jwks_uri, not both (RFC 7591 section 2)."
    try:
        if not import_keys(jwks):
            yield "There is no key in it that is known here: RSA, EC and OKP are."
    except ValueError as fault:
        yield f"This is not what is needed: {fault}."


def _request_object_signing_alg(client: ClientMetadata, algorithm: str | None) -> Faults:
    if algorithm == "none":
        if not client.may_send_unsigned_request_objects:
            yield "Unsigned request objects are for the operator to allow: choose an algorithm."
        elif client.require_signed_request_object:
            yield "none contradicts require_signed_request_object."
        return
    yield from _one_of("algorithm", (*PUBLIC_KEY_ALGORITHMS, *SECRET_ALGORITHMS))(client, algorithm)
    if algorithm in PUBLIC_KEY_ALGORITHMS and not client.has_keys:
        yield f"{algorithm} needs keys: jwks or jwks_uri."
    if algorithm in SECRET_ALGORITHMS and client.is_public:
        yield f"{algorithm} needs a secret, which a public client cannot keep."


def _require_signed_request_object(client: ClientMetadata, is_required: bool) -> Faults:
    if is_required and not client.has_keys and client.request_object_signing_alg not in SECRET_ALGORITHMS:
        yield "Signed request objects need keys: jwks or jwks_uri."


def _encryption(what: str) -> Callable[[ClientMetadata, Any], Faults]:
    """Make the rule for what encrypts ID tokens or userinfo: it needs a key of the client's."""

    def check(client: ClientMetadata, algorithm: str | None) -> Faults:
        yield from _one_of("algorithm", KEY_ALGORITHMS)(client, algorithm)
        if algorithm is not None and not client.has_keys:
            yield f"{algorithm} needs keys: jwks or jwks_uri."
        if algorithm is not None and getattr(client, f"{what}_encrypted_response_enc") is None:
            yield f"{what}_encrypted_response_enc is needed beside it."

    return check


def _content_encryption(what: str) -> Callable[[ClientMetadata, Any], Faults]:
    def check(client: ClientMetadata, enc: str | None) -> Faults:
        yield from _one_of("encryption", CONTENT_ALGORITHMS)(client, enc)
        if enc is not None and getattr(client, f"{what}_encrypted_response_alg") is None:
            yield f"It needs {what}_encrypted_response_alg (OIDC Registration section 2)."

    return check


def _protected_resources(client: ClientMetadata, given: Sequence[str]) -> Faults:
    yield from _each(uris.faults_of_resource)(client, given)
    if client.is_public and given:
        yield "An API needs a secret or keys, to ask about the tokens that it is called with."


def _pkce(client: ClientMetadata, is_required: bool) -> Faults:
    if is_required and "authorization_code" not in client.grant_types:
        yield "PKCE protects codes: it needs the grant authorization_code."


def _subject_type(client: ClientMetadata, subject_type: str) -> Faults:
    yield from _one_of("subject type", ("public", "pairwise"))(client, subject_type)
    if subject_type == "pairwise" and not client.sector_identifier_uri and len(uris.hosts_of(client.redirect_uris)) > 1:
        yield "Redirect URIs of several hosts need a sector_identifier_uri (OIDC Core section 8.1)."


def _frontchannel_logout_uri(client: ClientMetadata, uri: str | None) -> Faults:
    if uri is None:
        return
    found = list(uris.faults_of_called_uri(uri))
    yield from found
    readable = filter(uris.can_be_read, client.redirect_uris)
    if not found and uris.origin_of(uri) not in map(uris.origin_of, readable):
        yield "It must have scheme, host and port of one of the redirect URIs (OIDC Front-Channel Logout section 2)."


def _web_address_without_fragment(uri: str) -> Iterator[str]:
    yield from uris.faults_of_called_uri(uri)
    yield from uris.without_fragment(uri)


def _domain(domain: str) -> Faults:
    if names.check_email(f"somebody@{domain}")[1]:
        yield f"{domain!r} is no domain such as example.org."


def _role(role: str) -> Faults:
    return filter(None, (fault_of_role(role),))


def _grants_of(response_type: str) -> Sequence[str]:
    return GRANTS_OF_RESPONSE_TYPES.get(response_type, ())


def _gets_refresh_tokens(grant_types: Sequence[str]) -> bool:
    """A refresh token comes with a code, or to a device (RFC 8628)."""
    return any(each == "authorization_code" or each.endswith(":device_code") for each in grant_types)


_lifetime = _between(10, 366 * 86_400, "A lifetime is 10 seconds to 366 days.")

RULES: Sequence[tuple[str, Callable[[ClientMetadata, Any], Faults]]] = (
    ("client_id", _client_id),
    ("client_name", _client_name),
    ("application_type", _one_of("application type", ("web", "native"))),
    ("redirect_uris", _redirect_uris),
    ("post_logout_redirect_uris", _post_logout_redirect_uris),
    ("grant_types", _grant_types),
    ("response_types", _response_types),
    ("scopes", _scopes),
    ("is_pkce_required", _pkce),
    ("token_endpoint_auth_method", _auth_method),
    ("token_endpoint_auth_signing_alg", _auth_signing_alg),
    ("jwks", _jwks),
    ("jwks_uri", _each(uris.faults_of_called_uri)),
    ("client_uri", _each(uris.faults_of_linked_uri)),
    ("logo_uri", _each(uris.faults_of_linked_uri)),
    ("policy_uri", _each(uris.faults_of_linked_uri)),
    ("tos_uri", _each(uris.faults_of_linked_uri)),
    ("contacts", _each(_text)),
    ("software_id", _each(_text)),
    ("software_version", _each(lambda text: _text(text) if len(text) <= 100 else ["At most 100 characters."])),
    ("subject_type", _subject_type),
    ("sector_identifier_uri", _each(_web_address_without_fragment)),
    ("id_token_signed_response_alg", _one_of("algorithm", ALGORITHMS)),
    ("id_token_encrypted_response_alg", _encryption("id_token")),
    ("id_token_encrypted_response_enc", _content_encryption("id_token")),
    ("userinfo_signed_response_alg", _one_of("algorithm", ALGORITHMS)),
    ("userinfo_encrypted_response_alg", _encryption("userinfo")),
    ("userinfo_encrypted_response_enc", _content_encryption("userinfo")),
    ("request_object_signing_alg", _request_object_signing_alg),
    ("request_uris", _each(uris.faults_of_called_uri)),
    ("require_signed_request_object", _require_signed_request_object),
    ("default_max_age", _between(0, _NUMBER_MOST, "An age is a number of seconds.")),
    ("default_acr_values", _each(_text)),
    ("initiate_login_uri", _each(_web_address_without_fragment)),
    ("access_token_format", _one_of("format", ("opaque", "jwt"))),
    ("resources", _each(uris.faults_of_resource)),
    ("protected_resources", _protected_resources),
    ("access_token_lifetime", _lifetime),
    ("id_token_lifetime", _lifetime),
    ("refresh_token_lifetime", _lifetime),
    ("registration_policy", _one_of("policy", POLICIES)),
    ("registration_domains", _each(_domain)),
    ("registration_roles", _each(_role)),
    ("max_concurrent_users", _between(1, _NUMBER_MOST, "At least one person must be able to sign in.")),
    ("backchannel_logout_uri", _each(_web_address_without_fragment)),
    ("frontchannel_logout_uri", _frontchannel_logout_uri),
)
