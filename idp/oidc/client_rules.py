"""The rules for a client's metadata: one validation for all ways to register.

RFC 7591 section 2, RFC 9700 section 2.1, OAuth 2.1 section 2.3.
"""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from idp.accounts import names
from idp.accounts.registration import POLICIES
from idp.accounts.roles import fault_of_role
from idp.oidc import scopes as known_scopes
from idp.oidc.clients import AUTH_METHODS, GRANT_TYPES, ClientMetadata
from idp.oidc.keys import ALGORITHMS
from idp.settings import is_loopback

_MOST_USERS = 2**31 - 1  # what the column holds
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_SECRET = re.compile(r"[\x20-\x7e]{16,512}")


def check_metadata(metadata: ClientMetadata, secret: str | None = None) -> None:
    """Check a client's metadata.

    Raises:
        InvalidInputError: names every field with a fault.
    """
    has_code = "authorization_code" in metadata.grant_types
    faults: dict[str, list[str]] = {
        "client_id": _faults_of_id(metadata.client_id),
        "client_name": _faults_of_name(metadata.client_name),
        "client_secret": _faults_of_secret(secret),
        "redirect_uris": [fault for uri in metadata.redirect_uris if (fault := fault_of_redirect_uri(uri))],
        "post_logout_redirect_uris": [
            fault for uri in metadata.post_logout_redirect_uris if (fault := fault_of_redirect_uri(uri))
        ],
        "grant_types": _unknown("grant type", metadata.grant_types, GRANT_TYPES),
        "scopes": _unknown("scope", metadata.scopes, known_scopes.SUPPORTED),
        "token_endpoint_auth_method": _unknown("method", (metadata.token_endpoint_auth_method,), AUTH_METHODS),
        "id_token_signed_response_alg": _unknown(
            "algorithm", filter(None, (metadata.id_token_signed_response_alg,)), ALGORITHMS
        ),
    }
    if has_code and not metadata.redirect_uris:
        faults["redirect_uris"].append("An app that people sign in to needs at least one redirect URI.")
    if not metadata.grant_types:
        faults["grant_types"].append("At least one grant type is needed.")
    if metadata.is_public and "client_credentials" in metadata.grant_types:
        faults["grant_types"].append("A public client has no credentials: client_credentials needs a secret.")
    if "refresh_token" in metadata.grant_types and not has_code:
        faults["grant_types"].append("refresh_token goes with authorization_code.")
    for name in ("access_token_lifetime", "id_token_lifetime", "refresh_token_lifetime"):
        lifetime = getattr(metadata, name)
        if lifetime is not None and not 10 <= lifetime <= 366 * 86_400:
            faults[name] = ["A lifetime is 10 seconds to 366 days."]
    for name in ("client_uri", "logo_uri", "policy_uri", "tos_uri"):
        uri = getattr(metadata, name)
        if uri is not None and not uri.startswith(("https://", "http://")):
            faults[name] = [f"{uri!r} is no web address."]
    if "client_credentials" not in metadata.grant_types and any(s in known_scopes.OF_CLIENTS for s in metadata.scopes):
        faults["scopes"].append(f"{', '.join(known_scopes.OF_CLIENTS)} need the grant client_credentials.")
    names.refuse(faults | _faults_of_policies(metadata))


def _faults_of_policies(metadata: ClientMetadata) -> dict[str, list[str]]:
    """What is wrong with what the operator set for the client's people: who may register, how many may be signed in."""
    uri = metadata.backchannel_logout_uri
    most = metadata.max_concurrent_users
    faults = {
        "registration_policy": _unknown("policy", filter(None, (metadata.registration_policy,)), POLICIES),
        "registration_domains": [
            f"{domain!r} is no domain such as example.org."
            for domain in metadata.registration_domains
            if names.check_email(f"somebody@{domain}")[1]
        ],
        "registration_roles": [fault for role in metadata.registration_roles if (fault := fault_of_role(role))],
        "backchannel_logout_uri": [fault for each in (uri,) if each and (fault := fault_of_redirect_uri(each))],
    }
    if uri and not uri.startswith(("https://", "http://")):
        faults["backchannel_logout_uri"] = [f"{uri!r} is no web address."]
    if most is not None and not 1 <= most <= _MOST_USERS:
        faults["max_concurrent_users"] = ["At least one person must be able to sign in."]
    return faults


def fault_of_redirect_uri(uri: str) -> str | None:
    """Say what is wrong with a redirect URI, or None (RFC 6749 section 3.1.2, RFC 8252, RFC 9700)."""
    try:
        url = urlsplit(uri)
        host, _ = url.hostname, url.port
    except ValueError:
        return f"{uri!r} is no URI."
    if not uri.isascii() or re.search(r"[\s\x00-\x1f\x7f\"<>\\^`{|}]", uri):
        return f"{uri!r} holds characters that a URI cannot have."
    if url.fragment or uri.endswith("#"):
        return f"{uri!r} has a fragment."
    if url.scheme in ("http", "https"):
        if not host:
            return f"{uri!r} names no host."
        if url.username is not None or url.password is not None:
            return f"{uri!r} holds a user name."
        if "*" in uri:
            return f"{uri!r} holds a wildcard; every redirect URI is compared to the letter."
        if url.scheme == "http" and not is_loopback(host):
            return f"{uri!r} must be https (http only on this machine itself)."
        return None
    if "." not in url.scheme:  # javascript:, data:, file: and the like have none
        return f"{uri!r} must be https, or a private scheme with a dot such as org.example.app:/callback."
    return None


def _faults_of_id(client_id: str) -> list[str]:
    if _CLIENT_ID.fullmatch(client_id):
        return []
    return ["A client id has 1 to 128 letters, digits, dots, hyphens, underscores or tildes."]


def _faults_of_name(name: str) -> list[str]:
    if not name.isprintable():
        return ["The name holds a character that cannot be shown."]
    return [] if 0 < len(name.strip()) <= 100 else ["A name of 1 to 100 characters is needed."]


def _faults_of_secret(secret: str | None) -> list[str]:
    fine = secret is None or _SECRET.fullmatch(secret)
    return [] if fine else ["A secret has 16 to 512 printable ASCII characters."]


def _unknown(what: str, given: Any, known: Sequence[str]) -> list[str]:
    return [f"{each!r} is no {what}: choose from {', '.join(known)}." for each in given if each not in known]
