"""What apps are to be told later."""

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.models.base import Base, Id, Seconds


class LogoutNotice(Base):
    """An app is to be told that a session has ended. Written in the transaction that ended it, sent by the worker."""

    __tablename__ = "logout_notice"
    __table_args__ = (
        Index("ix_logout_notice_client_due", "state", "client_id", "next_attempt_at"),
        Index("ix_logout_notice_due", "state", "next_attempt_at"),
        Index("ix_logout_notice_state_created", "state", "created_at"),
    )

    id: Mapped[Id]  # also the token's `jti`: the same at each attempt, so that an app knows one that it has seen
    client_id: Mapped[str] = mapped_column(ForeignKey("client.client_id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str] = mapped_column(String(32))  # no foreign key: a deleted account's apps are told, too
    session_id: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(10))  # waiting, sent, failed
    attempts: Mapped[int]
    created_at: Mapped[Seconds]
    next_attempt_at: Mapped[Seconds]
    claimed_until: Mapped[Seconds | None] = mapped_column(index=True)  # a worker is at it; after that another may try
    finished_at: Mapped[Seconds | None] = mapped_column(index=True)
    last_error: Mapped[str | None] = mapped_column(String(300))
