"""Every error of the bridge.

    Exception
    └── BridgeError
        ├── AuthenticateError       the app is not set up for signing in
        ├── CloudError              codes and mails of the older package's own service; never raised
        ├── CredentialsError        what was typed does not match an account
        ├── DeprecationError        a call that no longer exists
        ├── ForgotError             recovery of a password or user name failed
        ├── LoginError              sign-in cannot start
        ├── LogoutError             sign-out without anybody signed in
        ├── RegisterError           registration refused
        ├── ResetError              password change refused
        ├── TwoFactorAuthError      a mailed code; never raised: the widget's own error is
        ├── UpdateError             change of details refused
        ├── PasswordIncorrectError  a CredentialsError and a ResetError: the current password is another
        └── AccountApiError         what the provider's account API answered
            ├── SessionEnded        401: the access token or its session is dead
            ├── ScopeMissing        the token, or the app itself, was not granted the scope that a call needs
            ├── AccountApiAbsent    the provider announces no account API
            ├── CallRefused         a refusal with a reason that the user can do something about
            └── ProviderUnavailable no usable answer just now; ask again later
                └── AnswerLost      the call was sent, and may have been done

Apps written for the older package catch the names of the first group; they are also importable from
``streamlit_bridge.exceptions`` and ``streamlit_bridge.utilities``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property


class BridgeError(Exception):
    """Root of all errors that the bridge raises on purpose."""

    @cached_property  # an app's own errors may set it, which no property lets them
    def message(self) -> str:
        """The text, under the name that apps of every generation of the older package may read it by."""
        return str(self)


class AuthenticateError(BridgeError):
    """The app is not set up for signing in."""


class CloudError(BridgeError):
    """The older package's own service failed; nothing here calls it, and apps may go on catching it."""


class CredentialsError(BridgeError):
    """What was typed does not match an account."""


class DeprecationError(BridgeError):
    """The call, or one of its arguments, no longer exists."""


class ForgotError(BridgeError):
    """A forgotten password or user name could not be recovered."""


class LoginError(BridgeError):
    """Sign-in cannot start."""


class LogoutError(BridgeError):
    """Sign-out was asked for while nobody is signed in."""


class RegisterError(BridgeError):
    """The registration was refused."""


class ResetError(BridgeError):
    """The password change was refused."""


class TwoFactorAuthError(BridgeError):
    """A mailed code was wrong; the widgets here raise their own errors for that."""


class UpdateError(BridgeError):
    """The change of a user's details was refused."""


class PasswordIncorrectError(CredentialsError, ResetError):
    """The current password is another: the older package raised the first of these for it, whatever else it refused."""


class AccountApiError(BridgeError):
    """The account API did not do what was asked. The bridge handles these itself; apps do not see them."""


class SessionEnded(AccountApiError):
    """The provider no longer accepts the access token: signed out, expired, disabled or password changed."""


class ScopeMissing(AccountApiError):
    """The access token is alive but lacks a scope, or the app's client was not granted one."""


class AccountApiAbsent(AccountApiError):
    """The provider's discovery document names no account API."""


class CallRefused(AccountApiError):
    """The account API refused a call and said why.

    Parameters:
        status: the HTTP status.
        code: the stable name of the reason, an empty text if there is none.
        detail: a sentence for people, possibly empty.
        faults: sentences for people by the name of the field that they are about.
        retry_after: seconds that the provider asked to wait, if it did.
    """

    def __init__(
        self, status: int, code: str, detail: str, faults: Mapping[str, tuple[str, ...]], retry_after: float | None
    ) -> None:
        super().__init__(f"status {status} {code}".rstrip())
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = faults
        self.retry_after = retry_after


class ProviderUnavailable(AccountApiError):
    """No usable answer just now.

    Parameters:
        reason: what happened, for the log.
        retry_after: seconds that the provider asked to wait, if it did.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class AnswerLost(ProviderUnavailable):
    """A call that changes something was sent, and no answer came: it may have been done or not."""
