"""Whether a client may be registered at this provider: the rules, what the operator turned on, and its sector."""

import json
from typing import Any

from idp.errors import refuse_faults
from idp.oidc.client_rules import check_metadata
from idp.oidc.clients import IMPLICIT, ClientMetadata
from idp.oidc.outgoing import OutgoingError, fetch
from idp.settings import Settings


def admit_client(settings: Settings, metadata: ClientMetadata, secret: str | None = None) -> None:
    """Check a client that is to be registered, or to be changed; asks its sector last.

    Raises:
        InvalidInputError: names every field with a fault.
    """
    check_metadata(metadata, secret)
    if settings.response_types != "all":
        told = "is turned off at this provider (setting response_types)"
        hybrid = [each for each in metadata.response_types if each != "code"]
        refuse_faults(
            {
                "response_types": [f"The response type {each!r} {told}." for each in hybrid],
                "grant_types": [f"implicit {told}."] if IMPLICIT in metadata.grant_types else [],
            }
        )
    if metadata.sector_identifier_uri:
        refuse_faults({"sector_identifier_uri": faults_of_sector(settings, metadata, metadata.sector_identifier_uri)})


def faults_of_sector(settings: Settings, metadata: ClientMetadata, uri: str) -> list[str]:
    """Fetch the list at `sector_identifier_uri` and hold the redirect URIs against it (OIDC Registration section 5)."""
    try:
        listed: Any = json.loads(fetch(settings, uri, "application/json").body)
    except OutgoingError as fault:
        return [f"It could not be fetched: {fault}."]
    except (ValueError, RecursionError):
        return ["There is no JSON at this address."]
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        return ["There is no JSON list of redirect URIs at this address."]
    return [
        f"The redirect URI {each!r} is not in the list there." for each in metadata.redirect_uris if each not in listed
    ]
