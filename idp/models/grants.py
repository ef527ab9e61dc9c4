"""What hangs on one authorization: the parked request, the grant with its code, its tokens."""

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.models.base import Base, Digest, Flag, Id, LongText, Seconds, Strings


class ParkedRequest(Base):
    """An authorization request that waits for a person. Only its id travels, and only its own browser may resume it."""

    __tablename__ = "parked_request"

    id: Mapped[str] = mapped_column(String(43), primary_key=True)
    browser_digest: Mapped[Digest] = mapped_column(index=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.client_id", ondelete="CASCADE"), index=True)
    parameters: Mapped[dict[str, Any]]  # the request as it was sent, or as the request object said it
    source: Mapped[str] = mapped_column(String(20), server_default="query")  # query, pushed, request_object
    created_at: Mapped[Seconds]
    expires_at: Mapped[Seconds] = mapped_column(index=True)
    session_id: Mapped[str | None] = mapped_column(String(32))  # of the sign-in that happened for this request
    is_account_chosen: Mapped[Flag]
    is_consented: Mapped[Flag]
    is_denied: Mapped[Flag]
    finished_at: Mapped[Seconds | None]


class PushedRequest(Base):
    """An authorization request that its client pushed here before it sends the browser (RFC 9126)."""

    __tablename__ = "pushed_request"

    id: Mapped[Digest] = mapped_column(primary_key=True)  # digest of the request_uri's random part
    client_id: Mapped[str] = mapped_column(ForeignKey("client.client_id", ondelete="CASCADE"), index=True)
    parameters: Mapped[dict[str, Any]]
    source: Mapped[str] = mapped_column(String(20), server_default="pushed")  # pushed, request_object
    created_at: Mapped[Seconds]
    expires_at: Mapped[Seconds] = mapped_column(index=True)
    claimed_at: Mapped[Seconds | None]


class DeviceAuthorization(Base):
    """A device without a browser waits until somebody types its code elsewhere (RFC 8628)."""

    __tablename__ = "device_authorization"

    id: Mapped[Id]
    client_id: Mapped[str] = mapped_column(ForeignKey("client.client_id", ondelete="CASCADE"), index=True)
    device_code_digest: Mapped[Digest] = mapped_column(unique=True)
    user_code_digest: Mapped[Digest] = mapped_column(unique=True)
    scope: Mapped[LongText]
    resources: Mapped[Strings]
    state: Mapped[str] = mapped_column(String(10))  # waiting, approved, denied
    grant_id: Mapped[str | None] = mapped_column(ForeignKey("authorization_grant.id", ondelete="CASCADE"), index=True)
    interval: Mapped[int]  # seconds between two polls
    last_polled_at: Mapped[Seconds | None]
    created_at: Mapped[Seconds]
    expires_at: Mapped[Seconds] = mapped_column(index=True)
    claimed_at: Mapped[Seconds | None]
    address: Mapped[str | None] = mapped_column(String(64))  # from where it asked: shown to who is to allow it
    user_agent: Mapped[str | None] = mapped_column(String(300))


class SeenAssertion(Base):
    """A JWT that may be shown once was shown: a client assertion, or a DPoP proof (RFC 7523 section 3, RFC 9449)."""

    __tablename__ = "seen_assertion"

    id: Mapped[Digest] = mapped_column(primary_key=True)  # digest of purpose, issuer and jti
    expires_at: Mapped[Seconds] = mapped_column(index=True)


class AuthorizationGrant(Base):
    """What one person allowed one client at one time; access tokens and refresh tokens hang on it.

    Ending it (`revoked_at`) ends all of them at once: this is the family of RFC 9700 section 4.14.
    """

    __tablename__ = "authorization_grant"
    __table_args__ = (
        Index("ix_authorization_grant_user_client", "user_id", "client_id"),
        Index("ix_authorization_grant_client_revoked", "client_id", "revoked_at"),
    )

    id: Mapped[Id]
    client_id: Mapped[str] = mapped_column(ForeignKey("client.client_id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    session_id: Mapped[str] = mapped_column(ForeignKey("browser_session.id", ondelete="CASCADE"), index=True)
    scope: Mapped[LongText]
    claims: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # the claims parameter (OIDC Core section 5.5)
    nonce: Mapped[LongText | None]
    kind: Mapped[str] = mapped_column(String(20), server_default="code")  # code, implicit, device
    resources: Mapped[Strings] = mapped_column(server_default="[]")  # RFC 8707; empty: the provider itself
    dpop_jkt: Mapped[str | None] = mapped_column(String(43))  # the key that the code is bound to (RFC 9449 section 10)
    # These four are of codes that are the name of a row, the last one of devices' too. Most codes carry their grant
    # instead (`idp.oidc.codes`).
    redirect_uri: Mapped[LongText | None]
    code_digest: Mapped[Digest | None] = mapped_column(unique=True)
    code_challenge: Mapped[str | None] = mapped_column(String(128))
    code_expires_at: Mapped[Seconds | None]
    code_claimed_at: Mapped[Seconds | None]
    auth_time: Mapped[Seconds]
    acr: Mapped[str] = mapped_column(String(64))
    amr: Mapped[Strings]
    is_offline: Mapped[Flag]  # outlives its browser session (offline_access)
    created_at: Mapped[Seconds]
    expires_at: Mapped[Seconds] = mapped_column(index=True)  # nothing of it is good any more: may be swept
    revoked_at: Mapped[Seconds | None]


class RefreshToken(Base):
    """One link in a chain of refresh tokens. Used ones are kept: their second use betrays a thief."""

    __tablename__ = "refresh_token"

    id: Mapped[Id]
    grant_id: Mapped[str] = mapped_column(ForeignKey("authorization_grant.id", ondelete="CASCADE"), index=True)
    client_id: Mapped[str] = mapped_column(String(128))
    token_digest: Mapped[Digest] = mapped_column(unique=True)
    scope: Mapped[LongText]
    dpop_jkt: Mapped[str | None] = mapped_column(String(43))  # a public client's key (RFC 9449 section 5)
    created_at: Mapped[Seconds]
    expires_at: Mapped[Seconds] = mapped_column(index=True)
    claimed_at: Mapped[Seconds | None]


class RevokedAccessToken(Base):
    """An access token that its client gave back before it expired (RFC 7009)."""

    __tablename__ = "revoked_access_token"

    token_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    expires_at: Mapped[Seconds] = mapped_column(index=True)
