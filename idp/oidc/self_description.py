"""What software may say of itself when it registers (RFC 7591 section 2): less than what an operator may say of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from idp.errors import InvalidInputError
from idp.oidc import client_document
from idp.oidc.authorization_response import supported_response_types
from idp.oidc.clients import GRANTS_OF_RESPONSE_TYPES, IMPLICIT, ClientMetadata
from idp.settings import Settings

SCOPES = ("openid", "profile", "email", "address", "phone", "offline_access")
GRANT_TYPES = ("authorization_code", "refresh_token", IMPLICIT)
_ANSWERED = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")


def read(
    settings: Settings, document: Mapping[str, Any], base: ClientMetadata, before: ClientMetadata | None = None
) -> ClientMetadata:
    """Read what software says of itself; what it may not have is left out where that leaves something (section 2).

    Args:
        base: says what the document does not.
        before: what it may keep: scopes and grants that the operator gave it meanwhile.

    Raises:
        InvalidInputError: names every member with a fault.
    """
    permitted = (*SCOPES, *(before.scopes if before else ()))
    grant_types = (*GRANT_TYPES, *(before.grant_types if before else ()))
    if document.get("software_statement") is not None:
        raise InvalidInputError({"software_statement": ["Nobody's software statements are accepted here."]})
    wanted = client_document.read(document, base, client_document.OF_SOFTWARE)
    kept = tuple(each for each in wanted.grant_types if each in grant_types)
    foreign = next((each for each in wanted.grant_types if each not in grant_types), None)
    if foreign is not None and not {*kept} - {"refresh_token"}:
        told = f"{foreign!r} is not for software that registers itself: choose from {', '.join(GRANT_TYPES)}."
        raise InvalidInputError({"grant_types": [told]})
    asked = wanted.scopes if document.get("scope") is not None else base.scopes
    may_refresh = "refresh_token" in wanted.grant_types
    scopes = tuple(each for each in asked if each in permitted and (may_refresh or each != "offline_access"))
    if not scopes:
        raise InvalidInputError({"scope": [f"None of these may be asked for; there are {', '.join(SCOPES)}."]})
    return _without_what_is_off(settings, replace(wanted, scopes=scopes, grant_types=kept))


def _without_what_is_off(settings: Settings, wanted: ClientMetadata) -> ClientMetadata:
    """Leave out the flows that this provider has turned off, where others are left (RFC 7591 section 2).

    Much software names whatever it could do. It is told what it got; whoever can do nothing else is refused later.
    """
    offered = supported_response_types(settings)
    is_off = [each for each in wanted.response_types if each in GRANTS_OF_RESPONSE_TYPES and each not in offered]
    kept = tuple(each for each in wanted.response_types if each not in is_off)
    needs_implicit = any(IMPLICIT in GRANTS_OF_RESPONSE_TYPES.get(each, ()) for each in kept)
    if not kept or needs_implicit:
        return replace(wanted, response_types=kept or wanted.response_types)
    grant_types = tuple(each for each in wanted.grant_types if each != IMPLICIT)
    return replace(wanted, response_types=kept, grant_types=grant_types)


def check_update(document: Mapping[str, Any], client: ClientMetadata) -> None:
    """Check what an update must and must not bring along (RFC 7592 section 2.2).

    Raises:
        InvalidInputError: names what is missing, or too much.
    """
    if document.get("client_id") != client.client_id:
        raise InvalidInputError({"client_id": ["The client's own id is needed."]})
    for name in _ANSWERED:
        if name in document:
            raise InvalidInputError({name: ["This is for the provider to say, and must be left out."]})
    secret = document.get("client_secret")
    if secret is not None and not (isinstance(secret, str) and client.has_secret(secret)):
        raise InvalidInputError({"client_secret": ["This is not the client's secret; it cannot be chosen."]})
