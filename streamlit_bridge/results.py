"""What the widgets return: tuples as before, that also answer truthfully to ``if``."""

from __future__ import annotations

from typing import NamedTuple

from streamlit_bridge.identity import Identity


class LoginResult(NamedTuple):
    """The answer of ``Authenticate.login``; unpacks into three values like the tuple of the older package.

    A plain ``(None, None, "")`` counts as true in ``if``; this one is true only for a signed-in user.

    Attributes:
        name: the display name, None when nobody is signed in.
        authentication_status: True when signed in, else None.
        username: the user name, an empty string when nobody is signed in.
    """

    name: str | None
    authentication_status: bool | None
    username: str

    def __bool__(self) -> bool:
        return self.authentication_status is True

    @classmethod
    def from_identity(cls, identity: Identity | None) -> LoginResult:
        """Build the result for the signed-in user, or the idle result for None."""
        if identity is None:
            return cls(None, None, "")
        return cls(identity.name, True, identity.username)
