"""What the widgets return: tuples as before, that also answer truthfully to ``if``.

A plain ``(None, None, None)`` counts as true in ``if``; these are true only when the widget's work is done.
"""

from __future__ import annotations

from typing import NamedTuple

from streamlit_bridge.identity import Identity


class LoginResult(NamedTuple):
    """The answer of ``Authenticate.login``; true only for a signed-in user.

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


class RegisterResult(NamedTuple):
    """The answer of ``Authenticate.register_user``; true once somebody has registered.

    Attributes:
        email: the new account's address, None while nothing happened.
        username: the new account's user name, None while nothing happened.
        name: first and last name, None while nothing happened.
    """

    email: str | None
    username: str | None
    name: str | None

    def __bool__(self) -> bool:
        return self.username is not None


class ForgotPasswordResult(NamedTuple):
    """The answer of ``Authenticate.forgot_password``; true once a request went through.

    Attributes:
        username: the user name; None while nothing happened, False for a user name that the app may know is unknown.
        email: the account's address, None where the app may not know it.
        new_random_password: a one-time password for the app to hand over, None where the provider mails a link.
    """

    username: str | bool | None
    email: str | None
    new_random_password: str | None

    def __bool__(self) -> bool:
        return bool(self.username)


class ForgotUsernameResult(NamedTuple):
    """The answer of ``Authenticate.forgot_username``; true once a request went through.

    Attributes:
        username: the user name (several are joined with a comma); None while nothing happened, False for an address
            that the app may know is unknown, and True where the provider mails the name without telling the app.
        email: the address as typed.
    """

    username: str | bool | None
    email: str | None

    def __bool__(self) -> bool:
        return bool(self.username)
