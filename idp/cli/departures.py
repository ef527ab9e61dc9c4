"""Where an operator's choices depart from OAuth 2.1 and from RFC 9700: each is allowed, and each is named."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from idp.oidc.clients import IMPLICIT, ClientMetadata
from idp.settings import Settings

_NAMED_MOST = 5  # apps that are named before the rest is counted


@dataclass(frozen=True)
class Departure:
    """One choice that the specifications advise against.

    Attributes:
        what: the choice, for people.
        source: which section advises against it.
        is_set: whether a setting makes it.
        is_chosen: whether a client's registration makes it; None where that is no client's to choose.
    """

    what: str
    source: str
    is_set: Callable[[Settings], bool] = lambda _settings: False
    is_chosen: Callable[[ClientMetadata], bool] | None = None


DEPARTURES: Sequence[Departure] = (
    Departure(
        "the implicit and hybrid flows are on (response_types=all)",
        "RFC 9700 section 2.1.2",
        is_set=lambda settings: settings.response_types == "all",
    ),
    Departure(
        "anyone may register an app (dynamic_registration=open)",
        "RFC 7591 section 5",
        is_set=lambda settings: settings.dynamic_registration == "open",
    ),
    Departure(
        "apps may have addresses in a private network called (private_addresses=allowed)",
        "RFC 9101 section 10.4",
        is_set=lambda settings: settings.private_addresses == "allowed",
    ),
    Departure(
        "registered for tokens in the browser's address",
        "RFC 9700 section 2.1.2",
        is_chosen=lambda client: IMPLICIT in client.grant_types,
    ),
    Departure(
        "may ask for a code without PKCE",
        "RFC 9700 section 2.1.1",
        is_chosen=lambda client: "authorization_code" in client.grant_types and not client.must_use_pkce,
    ),
    Departure(
        "may send request objects that nobody signed",
        "RFC 9101 section 10.2",
        is_chosen=lambda client: client.may_send_unsigned_request_objects,
    ),
    Departure(
        "people return to it over plain http, on their own machine",
        "RFC 9700 section 2.6",
        is_chosen=lambda client: any(uri.startswith("http:") for uri in client.redirect_uris),
    ),
    Departure(
        "trusted, though any program on somebody's machine may pass for it",
        "RFC 8252 section 8.6",
        is_chosen=lambda client: client.is_trusted and any(map(client.is_unproven, client.redirect_uris)),
    ),
)


def find_departures(settings: Settings, clients: Sequence[ClientMetadata]) -> Iterator[str]:
    """Name each departure that is in force, and the apps that make it, one by one."""
    for each in DEPARTURES:
        if each.is_set(settings):
            yield f"{each.what}: {each.source}"
        if each.is_chosen is None:
            continue
        if names := [client.client_name for client in clients if each.is_chosen(client)]:
            more = f" and {len(names) - _NAMED_MOST} more" if len(names) > _NAMED_MOST else ""
            yield f"{each.what}: {', '.join(names[:_NAMED_MOST])}{more} ({each.source})"
