"""What the JSON account API answered, kept for those who ask again."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from idp.models.base import Base, Digest, LongText, Seconds


class KeptAnswer(Base):
    """One use of an Idempotency-Key: claimed before the work, answered with it, gone after a day."""

    __tablename__ = "kept_answer"

    key_digest: Mapped[Digest] = mapped_column(primary_key=True)  # of the client's id and its key
    request_mac: Mapped[str] = mapped_column(String(32))  # a keyed MAC: the body may hold a password
    claim_id: Mapped[str] = mapped_column(String(32))  # which request does the work
    claimed_until: Mapped[Seconds]  # without an answer by then, a retry may do the work
    status: Mapped[int | None]
    body_sealed: Mapped[LongText | None]  # may hold a one-time password: encrypted with the secret key
    expires_at: Mapped[Seconds] = mapped_column(index=True)
