"""Signing keys."""

from typing import Any

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.models.base import Base, LongText, Seconds


class SigningKey(Base):
    """A key pair that signs tokens. Published while next, active or retired; signs only while active."""

    __tablename__ = "signing_key"
    __table_args__ = (
        CheckConstraint("state IN ('next', 'active', 'retired')", name="state_is_known"),
        Index(
            "uq_signing_key_active",
            "algorithm",
            unique=True,
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
    )

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    algorithm: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(10))
    public_jwk: Mapped[dict[str, Any]]
    private_sealed: Mapped[LongText]  # PKCS #8 PEM, encrypted with the instance's secret key
    created_at: Mapped[Seconds]
    activated_at: Mapped[Seconds | None]
    retired_at: Mapped[Seconds | None]
