"""The errors under the module name that apps of the 0.2 and 0.3 generations import from."""

from streamlit_bridge.errors import (
    AuthenticateError,
    BridgeError,
    CredentialsError,
    DeprecationError,
    ForgotError,
    LoginError,
    LogoutError,
    RegisterError,
    ResetError,
    UpdateError,
)

__all__ = [
    "AuthenticateError",
    "BridgeError",
    "CredentialsError",
    "DeprecationError",
    "ForgotError",
    "LoginError",
    "LogoutError",
    "RegisterError",
    "ResetError",
    "UpdateError",
]
