"""The errors under the package name that apps of the 0.4 generation import them from."""

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
