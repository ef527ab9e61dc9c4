"""The same work whether an account exists or not: it is always done, and kept only where it means something.

A reply that tells nothing is worth little when the database was busier for a known name than for an unknown one. So
rows for the unknown are written too, in a savepoint that is rolled back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session

# Whom mail for the unknown is addressed to, in rows that no transaction keeps (RFC 2606 section 2).
NOBODY = "nobody@nowhere.invalid"


@dataclass
class Step:
    """Some work, and whether it is kept."""

    is_kept: bool = True


@contextmanager
def trial(db: Session, *, is_kept: bool = True) -> Iterator[Step]:
    """Do the block's work in a savepoint.

    Args:
        db: the caller's transaction.
        is_kept: whether the work is kept; the block may decide that later, by the step that it gets.

    Yields:
        The step. What the block raises undoes its work.
    """
    step = Step(is_kept)
    with db.begin_nested() as savepoint:
        yield step
        if not step.is_kept:
            savepoint.rollback()
