"""The data map: tables and row checks, no behaviour.

Times are seconds since the epoch (see `idp.clock`); `*_digest` holds a SHA-256 digest of a secret that is stored
nowhere; JSON columns hold lists of plain strings, or the documents named in their comment.
"""

from idp.models.accounts import (
    AuditEvent,
    BrowserSession,
    MailMessage,
    OneTimeCode,
    OneTimeLink,
    Preauthorization,
    Throttle,
    User,
    UserRole,
)
from idp.models.answers import KeptAnswer
from idp.models.base import Base
from idp.models.clients import Client, ClientLogo, Consent, InitialAccessToken
from idp.models.grants import (
    AuthorizationGrant,
    DeviceAuthorization,
    ParkedRequest,
    PushedRequest,
    RefreshToken,
    RevokedAccessToken,
    SeenAssertion,
)
from idp.models.keys import SigningKey
from idp.models.notices import LogoutNotice

__all__ = [
    "AuditEvent",
    "AuthorizationGrant",
    "Base",
    "BrowserSession",
    "Client",
    "ClientLogo",
    "Consent",
    "DeviceAuthorization",
    "InitialAccessToken",
    "KeptAnswer",
    "LogoutNotice",
    "MailMessage",
    "OneTimeCode",
    "OneTimeLink",
    "ParkedRequest",
    "Preauthorization",
    "PushedRequest",
    "RefreshToken",
    "RevokedAccessToken",
    "SeenAssertion",
    "SigningKey",
    "Throttle",
    "User",
    "UserRole",
]
