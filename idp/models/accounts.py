"""People, their browser sessions, and what is remembered about what they did."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from idp.models.base import Base, Digest, Flag, Id, LongText, Seconds, Strings

_LIVES = text("ended_at IS NULL")


class User(Base):
    """A person with an account. The profile's columns bear the names of the standard claims (OIDC Core section 5.1)."""

    __tablename__ = "user"
    __table_args__ = (
        Index(
            "ix_user_pending",
            "created_at",
            sqlite_where=text("is_registration_pending = 1"),
            postgresql_where=text("is_registration_pending"),
        ),
    )

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
    is_password_temporary: Mapped[Flag] = mapped_column(server_default=false())  # must be changed at next sign-in
    is_registration_pending: Mapped[Flag] = mapped_column(server_default=false())  # until the address is confirmed
    # What a pending registration has claimed: given back should the address never be confirmed.
    claimed_preauthorization: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[Seconds]
    updated_at: Mapped[Seconds]
    disabled_at: Mapped[Seconds | None]
    deletion_due_at: Mapped[Seconds | None] = mapped_column(index=True)  # the owner asked for it, and may still revoke
    code_epoch: Mapped[int] = mapped_column(server_default="0")  # authorization codes of an earlier one are worthless


class UserRole(Base):
    """A role that a user has. Roles are names; what one permits is each app's own affair."""

    __tablename__ = "user_role"

    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


class BrowserSession(Base):
    """One sign-in in one browser. Ended sessions are kept for a while: they say which browsers an account knows."""

    __tablename__ = "browser_session"
    __table_args__ = (
        Index("ix_browser_session_user_browser", "user_id", "browser_digest"),
        # Living sessions are few beside those that are kept: whoever ends what is due looks at these only.
        Index("ix_browser_session_living_expires", "expires_at", sqlite_where=_LIVES, postgresql_where=_LIVES),
        Index("ix_browser_session_living_seen", "last_seen_at", sqlite_where=_LIVES, postgresql_where=_LIVES),
    )

    id: Mapped[Id]  # also the `sid` claim, where subjects are public
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
    __table_args__ = (
        CheckConstraint("event LIKE '%:%:%'", name="event_has_three_parts"),
        Index("ix_audit_event_event_at", "event", "at"),
        Index("ix_audit_event_user_at", "user_id", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    at: Mapped[Seconds] = mapped_column(index=True)
    event: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str | None] = mapped_column(String(32))
    client_id: Mapped[str | None] = mapped_column(String(128))
    actor: Mapped[str] = mapped_column(String(40))
    address: Mapped[str | None] = mapped_column(String(64))
    user_agent: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]]


class Preauthorization(Base):
    """An address that may register, once; claimed by deleting the row in the registration's own transaction."""

    __tablename__ = "preauthorization"
    __table_args__ = (UniqueConstraint("email_key", "client_id"),)

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(254))
    client_id: Mapped[str] = mapped_column(String(128), server_default="")  # empty: at the provider, for every app
    roles: Mapped[Strings]
    created_at: Mapped[Seconds]
    expires_at: Mapped[Seconds | None] = mapped_column(index=True)


class OneTimeLink(Base):
    """A secret that was mailed: one purpose, one use, and dead as soon as what it was made for has changed."""

    __tablename__ = "one_time_link"

    id: Mapped[Id]
    purpose: Mapped[str] = mapped_column(String(40))
    token_digest: Mapped[Digest] = mapped_column(unique=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    email_key: Mapped[str] = mapped_column(String(254))  # whom it was mailed to
    binding: Mapped[Digest]  # digest of what must not have changed (password hash, address)
    data: Mapped[dict[str, Any]]  # what it carries out, such as the new address
    created_at: Mapped[Seconds]
    expires_at: Mapped[Seconds] = mapped_column(index=True)
    claimed_at: Mapped[Seconds | None]


class OneTimeCode(Base):
    """Six digits that were mailed (an app's second step): few guesses, few minutes, one use."""

    __tablename__ = "one_time_code"

    id: Mapped[Id]  # the handle that the app sends back with the digits
    purpose: Mapped[str] = mapped_column(String(40))
    client_id: Mapped[str] = mapped_column(String(128))
    email_key: Mapped[str] = mapped_column(String(254))
    code_digest: Mapped[Digest]
    guesses_left: Mapped[int]
    created_at: Mapped[Seconds]
    expires_at: Mapped[Seconds] = mapped_column(index=True)
    claimed_at: Mapped[Seconds | None]


class MailMessage(Base):
    """A mail to be delivered. Written in the transaction of what it tells, delivered by the worker."""

    __tablename__ = "mail_message"
    __table_args__ = (
        Index("ix_mail_message_due", "state", "next_attempt_at"),
        Index("ix_mail_message_state_created", "state", "created_at"),
        Index("ix_mail_message_recipient", "recipient", "created_at"),
    )

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(40))  # which message it is, for lists and the audit
    recipient: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(200))
    body_sealed: Mapped[LongText]  # text and HTML hold links that open accounts: encrypted with the secret key
    state: Mapped[str] = mapped_column(String(10))  # waiting, sent, failed
    attempts: Mapped[int]
    created_at: Mapped[Seconds]
    next_attempt_at: Mapped[Seconds]
    claimed_until: Mapped[Seconds | None] = mapped_column(index=True)  # a worker is at it; after that another may try
    finished_at: Mapped[Seconds | None] = mapped_column(index=True)
    last_error: Mapped[str | None] = mapped_column(String(500))
