"""Who a person is to one client: the same to all (public), or another to each sector (pairwise; OIDC Core section 8).

So is the name of their browser session: by one and the same `sid`, apps could tell that two subjects are one person.
"""

from urllib.parse import urlsplit

from idp import crypto
from idp.oidc.client_uris import hosts_of
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings

_PURPOSE = "pairwise subjects"
_PURPOSE_OF_SESSIONS = "pairwise sessions"


def subject_of(settings: Settings, client: ClientMetadata, user_id: str) -> str:
    """Return the `sub` of a person for a client: in its tokens, userinfo, introspection, the account API, and hints.

    A pairwise one is a MAC of sector and person: nobody can tell without the secret key that two are one person,
    and nothing has to be stored. Apps of one sector see the same one.
    """
    if client.subject_type == "public":
        return user_id
    message = f"{sector_of(client)} {user_id}".encode()
    return crypto.mac(settings.secret_key, _PURPOSE, message).hex()


def sid_of(settings: Settings, client: ClientMetadata, session_id: str) -> str:
    """Return the `sid` of a session for a client: in its ID and logout tokens, introspection, frames, and in hints."""
    if client.subject_type == "public":
        return session_id
    message = f"{sector_of(client)} {session_id}".encode()
    return crypto.mac(settings.secret_key, _PURPOSE_OF_SESSIONS, message).hex()


def sector_of(client: ClientMetadata) -> str:
    """Return the sector identifier (section 8.1): the host of `sector_identifier_uri`, or of the redirect URIs.

    Registration sees to it that a pairwise client without a `sector_identifier_uri` has redirect URIs of one host. One
    to which people return by a private scheme or on loopback is a sector of its own, and so is one that was registered
    when these still counted as the host that they name.
    """
    if client.sector_identifier_uri:
        host = urlsplit(client.sector_identifier_uri).hostname
    else:
        hosts = hosts_of(client.redirect_uris)
        host = hosts.pop() if len(hosts) == 1 else None
    return host or client.client_id
