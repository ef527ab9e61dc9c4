"""People, their browser sessions, and what is remembered about what they did."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from idp.models.base import Base, Digest, Id, Seconds, Strings


class User(Base):
    """A person with an account. The profile's columns bear the names of the standard claims (OIDC Core section 5.1)."""

    __tablename__ = "user"

    id: Mapped[Id]  # also the `sub` claim
    username: Mapped[str] = mapped_column(String(64))
    username_key: Mapped[str] = mapped_column(String(64), unique=True)  # for finding: NFKC, case folded
    username_skeleton: Mapped[str] = mapped_column(String(255), unique=True)  # look-alikes share one
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(254), unique=True)
    email_verified_at: Mapped[Seconds | None]

    given_name: Mapped[str | None] = mapped_column(String(100))
    family_name: Mapped[str | None] = mapped_column(String(100))
    middle_name: Mapped[str | None] = mapped_column(String(100))
    nickname: Mapped[str | None] = mapped_column(String(100))
    profile: Mapped[str | None] = mapped_column(String(500))
    picture: Mapped[str | None] = mapped_column(String(500))
    website: Mapped[str | None] = mapped_column(String(500))
    gender: Mapped[str | None] = mapped_column(String(50))
    birthdate: Mapped[str | None] = mapped_column(String(10))
    zoneinfo: Mapped[str | None] = mapped_column(String(64))
    locale: Mapped[str | None] = mapped_column(String(35))
    phone_number: Mapped[str | None] = mapped_column(String(40))
    phone_number_verified_at: Mapped[Seconds | None]
    street_address: Mapped[str | None] = mapped_column(String(200))
    locality: Mapped[str | None] = mapped_column(String(100))
    region: Mapped[str | None] = mapped_column(String(100))
    postal_code: Mapped[str | None] = mapped_column(String(20))
    country: Mapped[str | None] = mapped_column(String(100))

    password_hash: Mapped[str | None] = mapped_column(String(100))
    password_changed_at: Mapped[Seconds | None]
    created_at: Mapped[Seconds]
    updated_at: Mapped[Seconds]
    disabled_at: Mapped[Seconds | None]


class UserRole(Base):
    """A role that a user has. Roles are names; what one permits is each app's own affair."""

    __tablename__ = "user_role"

    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


class BrowserSession(Base):
    """One sign-in in one browser. Ended sessions are kept for a while: they say which browsers an account knows."""

    __tablename__ = "browser_session"
    __table_args__ = (Index("ix_browser_session_user_browser", "user_id", "browser_digest"),)

    id: Mapped[Id]  # also the `sid` claim
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    token_digest: Mapped[Digest] = mapped_column(unique=True)
    browser_digest: Mapped[Digest]
    auth_time: Mapped[Seconds]
    acr: Mapped[str] = mapped_column(String(64))
    amr: Mapped[Strings]
    user_agent: Mapped[str] = mapped_column(String(300))
    address: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Seconds]
    last_seen_at: Mapped[Seconds]
    expires_at: Mapped[Seconds] = mapped_column(index=True)
    ended_at: Mapped[Seconds | None]
    end_reason: Mapped[str | None] = mapped_column(String(40))


class Throttle(Base):
    """One bucket of attempts (GCRA): `available_at` runs ahead of the clock by what was spent."""

    __tablename__ = "throttle"

    bucket: Mapped[str] = mapped_column(String(100), primary_key=True)
    available_at: Mapped[Seconds] = mapped_column(index=True)


class AuditEvent(Base):
    """Something that matters happened. No foreign keys: evidence outlives what it is about."""

    __tablename__ = "audit_event"
    __table_args__ = (CheckConstraint("event LIKE '%:%:%'", name="event_has_three_parts"),)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    at: Mapped[Seconds] = mapped_column(index=True)
    event: Mapped[str] = mapped_column(String(64), index=True)
    user_id: Mapped[str | None] = mapped_column(String(32), index=True)
    client_id: Mapped[str | None] = mapped_column(String(128))
    actor: Mapped[str] = mapped_column(String(40))
    address: Mapped[str | None] = mapped_column(String(64))
    user_agent: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]]
