"""The errors under the module name that apps of the 0.2 and 0.3 generations import from."""

from streamlit_bridge.errors import (
    AuthenticateError,
    BridgeError,
    CloudError,
    CredentialsError,
    DeprecationError,
    ForgotError,
    LoginError,
    LogoutError,
    RegisterError,
    ResetError,
    TwoFactorAuthError,
    UpdateError,
)

__all__ = [
    "AuthenticateError",
    "BridgeError",
    "CloudError",
    "CredentialsError",
    "DeprecationError",
    "ForgotError",
    "LoginError",
    "LogoutError",
    "RegisterError",
    "ResetError",
    "TwoFactorAuthError",
    "UpdateError",
]
