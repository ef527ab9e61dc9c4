"""JWTs that may be shown once: a second time it is a copy (RFC 7523 section 3, RFC 9449 section 11.1)."""

from typing import Literal

from sqlalchemy.orm import Session

from idp import crypto
from idp.models import SeenAssertion
from idp.storage.database import insert_into


def is_first_time(
    db: Session, purpose: Literal["client assertion", "dpop proof"], issuer: str, jti: str, expires_at: int
) -> bool:
    """Note that a JWT was shown, and commit that: of any number who show it, one is the first.

    What follows may wait for another host, such as for the client's keys, and no write lock is held for that long.

    Args:
        purpose: keeps those of different kinds apart.
        issuer: within which `jti` is unique: a client's id, or a key's thumbprint.
        jti: names the JWT.
        expires_at: when it would be refused for its age; it is remembered for longer (`idp.worker`).
    """
    seen_id = crypto.digest(f"{purpose}\n{issuer}\n{jti}")
    # RETURNING tells: SQLAlchemy promises no count of rows for an INSERT.
    insert = insert_into(db, SeenAssertion).values(id=seen_id, expires_at=expires_at)
    is_first = db.scalars(insert.on_conflict_do_nothing().returning(SeenAssertion.id)).first() is not None
    db.commit()
    return is_first
