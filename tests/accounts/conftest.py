"""What tests of accounts share: visitors, and a count of the work that a function does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import bcrypt
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from idp import crypto
from idp.accounts.visitor import Visitor
from idp.errors import Refusal


@dataclass
class Work:
    """What a function did: its SQL statements, and how often it called bcrypt. Clocks lie, counts do not."""

    statements: list[str] = field(default_factory=list)
    hashes: int = 0
    checks: int = 0


@pytest.fixture
def work(db: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], Any]], Work]]:
    """Count what a function does; a refusal by it counts as its end."""
    current = Work()
    real_check, real_hash = bcrypt.checkpw, bcrypt.hashpw

    def check(*arguments: bytes) -> bool:
        current.checks += 1
        return real_check(*arguments)

    def hash_(*arguments: bytes) -> bytes:
        current.hashes += 1
        return real_hash(*arguments)

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        current.statements.append(" ".join(statement.split()))

    def measure(do: Callable[[], Any]) -> Work:
        nonlocal current
        current = done = Work()
        try:
            do()
        except Refusal:
            db.commit()
        current = Work()  # what comes now is not counted
        return done

    monkeypatch.setattr(bcrypt, "checkpw", check)
    monkeypatch.setattr(bcrypt, "hashpw", hash_)
    event.listen(db.get_bind(), "before_cursor_execute", note)
    yield measure
    event.remove(db.get_bind(), "before_cursor_execute", note)


@pytest.fixture
def visitor() -> Visitor:
    """Somebody at home, with a browser of their own."""
    return Visitor("192.0.2.7", "Firefox on Linux", crypto.digest("a browser at home"))


@pytest.fixture
def stranger() -> Visitor:
    """Somebody else, elsewhere."""
    return Visitor("198.51.100.9", "curl", crypto.digest("a browser of a stranger"))
