"""The errors, ``Hasher`` and ``Validator`` under the package name that apps of the 0.4 generation import them from."""

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
from streamlit_bridge.hasher import Hasher
from streamlit_bridge.utilities import exceptions, hasher, validator
from streamlit_bridge.validator import Validator

__all__ = [
    "AuthenticateError",
    "BridgeError",
    "CloudError",
    "CredentialsError",
    "DeprecationError",
    "ForgotError",
    "Hasher",
    "LoginError",
    "LogoutError",
    "RegisterError",
    "ResetError",
    "TwoFactorAuthError",
    "UpdateError",
    "Validator",
    "exceptions",
    "hasher",
    "validator",
]
