"""Session management (OpenID Connect Session Management 1.0): apps see in the browser that something has changed.

An app gets a `session_state` with its code: a hash of its client id, its origin, the browser state and a salt. A frame
of ours in the app's page computes the same from a cookie that holds the browser state, and says whether it still holds.
"""

import hashlib
from ipaddress import IPv6Address
from typing import Protocol
from urllib.parse import urlsplit

from idp import crypto
from idp.settings import Settings

_PURPOSE = "browser state"
_USUAL_PORTS = {"https": 443, "http": 80}


class SignIn(Protocol):
    """What the browser state is of: one sign-in of a session."""

    @property
    def id(self) -> str:
        """The session's."""

    @property
    def auth_time(self) -> int:
        """When the person last proved who they are."""


def browser_state_of(settings: Settings, session: SignIn) -> str:
    """Return the browser state (section 3.2) while somebody is signed in: 32 hexadecimal digits.

    It changes with each sign-in, and is a MAC: scripts may read it, and nobody learns anything from it.
    """
    return crypto.mac(settings.secret_key, _PURPOSE, f"{session.id} {session.auth_time}".encode()).hex()


def session_state_of(settings: Settings, client_id: str, redirect_uri: str, session: SignIn) -> dict[str, str]:
    """Return what session management adds to an authorization response (section 2): nothing where it is off.

    Args:
        settings: say whether it is on.
        client_id: who asks.
        redirect_uri: where the answer goes; an app with a private scheme has no page for our frame.
        session: whose browser it is.
    """
    origin = None if settings.session_management == "off" else origin_of(redirect_uri)
    if origin is None:
        return {}
    salt = crypto.new_id()
    return {"session_state": hash_of(client_id, origin, browser_state_of(settings, session), salt)}


def hash_of(client_id: str, origin: str, browser_state: str, salt: str) -> str:
    """Return a session state (section 3.2), as `web/static/check_session.js` computes it too."""
    digest = hashlib.sha256(f"{client_id} {origin} {browser_state} {salt}".encode()).hexdigest()
    return f"{digest}.{salt}"


def origin_of(uri: str) -> str | None:
    """Return the origin of a registered URI as browsers write it (RFC 6454 section 6.2), or None where it has none."""
    url = urlsplit(uri)
    if url.scheme not in _USUAL_PORTS or not url.hostname:
        return None
    host = f"[{IPv6Address(url.hostname).compressed}]" if ":" in url.hostname else url.hostname
    port = "" if url.port in (None, _USUAL_PORTS[url.scheme]) else f":{url.port}"
    return f"{url.scheme}://{host}{port}"
