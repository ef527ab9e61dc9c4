"""Rules for a client's metadata that one field has for itself, mostly because of others beside it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from idp.accounts import names
from idp.accounts.roles import fault_of_role
from idp.oidc import client_uris as uris
from idp.oidc import scopes as known_scopes
from idp.oidc.client_keys import PUBLIC_KEY_ALGORITHMS, SECRET_ALGORITHMS
from idp.oidc.client_rule_kinds import Faults, Rule, each, one_of
from idp.oidc.clients import (
    AUTH_METHODS,
    GRANT_TYPES,
    GRANTS_OF_RESPONSE_TYPES,
    IMPLICIT,
    TOKEN_EXCHANGE_GRANT,
    ClientMetadata,
)
from idp.oidc.encryption import CONTENT_ALGORITHMS, KEY_ALGORITHMS
from idp.oidc.key_sets import import_keys

_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_SECRET = re.compile(r"[\x20-\x7e]{16,512}")


def client_id(_client: ClientMetadata, client_id: str) -> Faults:
    """Its form."""
    if not _CLIENT_ID.fullmatch(client_id):
        yield "A client id has 1 to 128 letters, digits, dots, hyphens, underscores or tildes."


def client_name(_client: ClientMetadata, name: str) -> Faults:
    """It is shown to people."""
    if not (name.isprintable() and names.is_showable(name)):
        yield "The name holds a character that cannot be shown."
    elif not 0 < len(name.strip()) <= 100 or len(name) > 100:
        yield "A name of 1 to 100 characters is needed."


def secret(secret: str | None) -> Faults:
    """One that is brought along."""
    if secret is not None and not _SECRET.fullmatch(secret):
        yield "A secret has 16 to 512 printable ASCII characters."


def redirect_uris(client: ClientMetadata, given: Sequence[str]) -> Faults:
    """Each of them, and that there are any where people sign in."""
    if client.response_types and not given:
        yield "An app that people sign in to needs at least one redirect URI."
    for uri in given:
        yield from uris.faults_of_redirect_uri(client, uri)


def post_logout_redirect_uris(client: ClientMetadata, given: Sequence[str]) -> Faults:
    """The same as for those of sign-in."""
    for uri in given:
        yield from uris.faults_of_redirect_uri(client, uri)


def grant_types(client: ClientMetadata, given: Sequence[str]) -> Faults:
    """What there is, and what goes with the rest (OIDC Registration section 2)."""
    known = (*GRANT_TYPES, IMPLICIT)
    yield from (f"{entry!r} is no grant type: choose from {', '.join(known)}." for entry in given if entry not in known)
    if not given:
        yield "At least one grant type is needed."
    if client.is_public and "client_credentials" in given:
        yield "A public client has no credentials: client_credentials needs a secret or keys."
    if client.is_public and TOKEN_EXCHANGE_GRANT in given:
        yield "A public client cannot exchange tokens: that needs a secret or keys."
    if "refresh_token" in given and not _gets_refresh_tokens(given):
        yield "refresh_token goes with authorization_code, or with the device code grant."
    if IMPLICIT in given and not any(IMPLICIT in _grants_of(entry) for entry in client.response_types):
        yield "implicit goes with a response type that hands out tokens, such as id_token."
    if "authorization_code" in given and not any("code" in entry.split() for entry in client.response_types):
        yield "authorization_code goes with a response type with code."


def response_types(client: ClientMetadata, given: Sequence[str]) -> Faults:
    """What there is, and the grants that they need."""
    for entry in given:
        if entry not in GRANTS_OF_RESPONSE_TYPES:
            yield f"{entry!r} is no response type: choose from {', '.join(GRANTS_OF_RESPONSE_TYPES)}."
        elif missing := [grant for grant in _grants_of(entry) if grant not in client.grant_types]:
            yield f"The response type {entry!r} needs the grant type {' and '.join(missing)}."


def scopes(client: ClientMetadata, given: Sequence[str]) -> Faults:
    """What there is, and what needs a grant of its own."""
    yield from one_of("scope", known_scopes.SUPPORTED)(client, given)
    if "client_credentials" not in client.grant_types and any(each in known_scopes.OF_CLIENTS for each in given):
        yield f"{', '.join(known_scopes.OF_CLIENTS)} need the grant client_credentials."


def auth_method(client: ClientMetadata, method: str) -> Faults:
    """What there is, and what needs keys."""
    yield from one_of("method", AUTH_METHODS)(client, method)
    if method == "private_key_jwt" and not client.has_keys:
        yield "private_key_jwt needs keys: jwks or jwks_uri."


def auth_signing_alg(client: ClientMetadata, algorithm: str | None) -> Faults:
    """By the secret or by keys, as the method has it."""
    secret = client.token_endpoint_auth_method == "client_secret_jwt"  # noqa: S105 - a method's name
    return one_of("algorithm", SECRET_ALGORITHMS if secret else PUBLIC_KEY_ALGORITHMS)(client, algorithm)


def jwks(client: ClientMetadata, jwks: Mapping[str, Any] | None) -> Faults:
    """A JWK Set with a key that can be used, and no second place for keys."""
    if jwks is None:
        return
    if client.jwks_uri is not None:
        yield "Either jwks or jwks_uri, not both (RFC 7591 section 2)."
    try:
        if not import_keys(jwks):
            yield "There is no key in it that is known here: RSA, EC and OKP on the usual curves are."
    except ValueError as fault:
        yield f"This is not what is needed: {fault}."


def request_object_signing_alg(client: ClientMetadata, algorithm: str | None) -> Faults:
    """What the client has a key or a secret for; `none` only as the operator allows."""
    if algorithm == "none":
        if not client.may_send_unsigned_request_objects:
            yield "Unsigned request objects are for the operator to allow: choose an algorithm."
        elif client.require_signed_request_object:
            yield "none contradicts require_signed_request_object."
        return
    yield from one_of("algorithm", (*PUBLIC_KEY_ALGORITHMS, *SECRET_ALGORITHMS))(client, algorithm)
    if algorithm in PUBLIC_KEY_ALGORITHMS and not client.has_keys:
        yield f"{algorithm} needs keys: jwks or jwks_uri."
    if algorithm in SECRET_ALGORITHMS and client.is_public:
        yield f"{algorithm} needs a secret, which a public client cannot keep."


def require_signed_request_object(client: ClientMetadata, is_required: bool) -> Faults:
    """Only with something to check the signature by."""
    if is_required and not client.has_keys and client.request_object_signing_alg not in SECRET_ALGORITHMS:
        yield "Signed request objects need keys: jwks or jwks_uri."


def encryption(what: str) -> Rule:
    """Make the rule for what encrypts ID tokens or userinfo: it needs a key of the client's."""

    def check(client: ClientMetadata, algorithm: str | None) -> Faults:
        yield from one_of("algorithm", KEY_ALGORITHMS)(client, algorithm)
        if algorithm is not None and not client.has_keys:
            yield f"{algorithm} needs keys: jwks or jwks_uri."
        if algorithm is not None and getattr(client, f"{what}_encrypted_response_enc") is None:
            yield f"{what}_encrypted_response_enc is needed beside it."

    return check


def content_encryption(what: str) -> Rule:
    """Make the rule for how the content is encrypted: beside an algorithm for its key."""

    def check(client: ClientMetadata, enc: str | None) -> Faults:
        yield from one_of("encryption", CONTENT_ALGORITHMS)(client, enc)
        if enc is not None and getattr(client, f"{what}_encrypted_response_alg") is None:
            yield f"It needs {what}_encrypted_response_alg (OIDC Registration section 2)."

    return check


def protected_resources(client: ClientMetadata, given: Sequence[str]) -> Faults:
    """APIs that it is itself: only for who can ask about tokens."""
    yield from each(uris.faults_of_resource)(client, given)
    if client.is_public and given:
        yield "An API needs a secret or keys, to ask about the tokens that it is called with."


def pkce(client: ClientMetadata, is_required: bool) -> Faults:
    """Only where there are codes."""
    if is_required and "authorization_code" not in client.grant_types:
        yield "PKCE protects codes: it needs the grant authorization_code."


def subject_type(client: ClientMetadata, subject_type: str) -> Faults:
    """One sector for all redirect URIs."""
    yield from one_of("subject type", ("public", "pairwise"))(client, subject_type)
    if subject_type == "pairwise" and not client.sector_identifier_uri and len(uris.hosts_of(client.redirect_uris)) > 1:
        yield "Redirect URIs of several hosts need a sector_identifier_uri (OIDC Core section 8.1)."


def frontchannel_logout_uri(client: ClientMetadata, uri: str | None) -> Faults:
    """On the origin of a redirect URI."""
    if uri is None:
        return
    found = list(web_address_without_fragment(uri))
    yield from found
    readable = filter(uris.can_be_read, client.redirect_uris)
    if not found and uris.origin_of(uri) not in map(uris.origin_of, readable):
        yield "It must have scheme, host and port of one of the redirect URIs (OIDC Front-Channel Logout section 2)."


def web_address_without_fragment(uri: str) -> Iterator[str]:
    """A URI that is called, and that parameters are added to."""
    yield from uris.faults_of_called_uri(uri)
    if "#" in uri:
        yield f"{uri!r} has a fragment."


def domain(domain: str) -> Faults:
    """Of a mail address."""
    if names.check_email(f"somebody@{domain}")[1]:
        yield f"{domain!r} is no domain such as example.org."


def role(role: str) -> Faults:
    """Its form."""
    return filter(None, (fault_of_role(role),))


def _grants_of(response_type: str) -> Sequence[str]:
    return GRANTS_OF_RESPONSE_TYPES.get(response_type, ())


def _gets_refresh_tokens(grant_types: Sequence[str]) -> bool:
    """A refresh token comes with a code, or to a device (RFC 8628)."""
    return any(each == "authorization_code" or each.endswith(":device_code") for each in grant_types)
