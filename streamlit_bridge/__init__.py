"""Single sign-on for Streamlit apps through an OpenID Connect provider, with the calls that apps already make.

    import streamlit as st
    from streamlit_bridge import Authenticate

    auth = Authenticate()
    auth.require()
    st.write(f"Hello {st.session_state['name']}")

The provider is the one that the ``[auth]`` section of Streamlit's secrets names; nothing else is configured.
"""

from streamlit_bridge import exceptions, utilities
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
from streamlit_bridge.results import ForgotPasswordResult, ForgotUsernameResult, LoginResult, RegisterResult
from streamlit_bridge.texts import PARTS_MISSING
from streamlit_bridge.validator import Validator

try:
    from streamlit_bridge.authenticate import Authenticate
    from streamlit_bridge.server import asgi
except ImportError as fault:
    raise ImportError(PARTS_MISSING.format(reason=fault)) from fault

__all__ = [
    "Authenticate",
    "AuthenticateError",
    "BridgeError",
    "CloudError",
    "CredentialsError",
    "DeprecationError",
    "ForgotError",
    "ForgotPasswordResult",
    "ForgotUsernameResult",
    "Hasher",
    "LoginError",
    "LoginResult",
    "LogoutError",
    "RegisterError",
    "RegisterResult",
    "ResetError",
    "TwoFactorAuthError",
    "UpdateError",
    "Validator",
    "asgi",
    "exceptions",
    "utilities",
]
