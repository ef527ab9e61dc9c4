"""What a statement changed."""

from sqlalchemy import UpdateBase
from sqlalchemy.orm import Session


def count_changed(db: Session, statement: UpdateBase) -> int:
    """Run an UPDATE, an INSERT or a DELETE, and return how many rows it changed."""
    return int(db.execute(statement).rowcount)  # type: ignore[attr-defined]  # a session promises less
