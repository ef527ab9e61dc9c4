"""Session management (OpenID Connect Session Management 1.0): apps see in the browser that something has changed.

An app gets a `session_state` with its code: a hash of its client id, its origin, the browser state and a salt. A frame
of ours in the app's page computes the same from a cookie that holds the browser state, and says whether it still holds.
"""

import hashlib
from typing import Protocol

from idp import crypto
from idp.oidc.client_uris import origin_of
from idp.settings import Settings

_PURPOSE = "browser state"


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
