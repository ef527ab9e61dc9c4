"""The data map: tables and row checks, no behaviour.

Times are seconds since the epoch (see `idp.clock`); `*_digest` holds a SHA-256 digest of a secret that is stored
nowhere; JSON columns hold lists of plain strings, or the documents named in their comment.
"""

from idp.models.accounts import AuditEvent, BrowserSession, Throttle, User, UserRole
from idp.models.base import Base
from idp.models.clients import Client, Consent
from idp.models.grants import AuthorizationGrant, ParkedRequest, RefreshToken, RevokedAccessToken
from idp.models.keys import SigningKey

__all__ = [
    "AuditEvent",
    "AuthorizationGrant",
    "Base",
    "BrowserSession",
    "Client",
    "Consent",
    "ParkedRequest",
    "RefreshToken",
    "RevokedAccessToken",
    "SigningKey",
    "Throttle",
    "User",
    "UserRole",
]
