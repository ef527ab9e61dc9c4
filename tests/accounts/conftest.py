"""What tests of accounts share: visitors, and a count of the work that a function does."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import bcrypt
import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from idp import crypto
from idp.accounts.visitor import Visitor
from idp.errors import Refusal
from idp.mail import outbox
from idp.models import MailMessage, User
from idp.settings import Settings


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


@dataclass(frozen=True)
class Mail:
    """A mail that waits to be delivered, opened."""

    kind: str
    recipient: str
    subject: str
    text: str
    html: str

    @property
    def token(self) -> str:
        """The secret of the one-time link in it."""
        found = re.findall(r"[?&]token=([\w-]{43})", self.text)
        assert len(found) == 1, self.text
        return str(found[0])


class Mailbox:
    """The mails that wait, in the order in which they were written."""

    def __init__(self, db: Session, settings: Settings) -> None:
        self._db, self._settings = db, settings

    def all(self, kind: str = "") -> list[Mail]:
        """Return all mails, or those of one kind."""
        columns = (MailMessage.kind, MailMessage.recipient, MailMessage.subject, MailMessage.body_sealed)
        written = text("rowid" if self._db.get_bind().dialect.name == "sqlite" else "ctid")
        rows = self._db.execute(select(*columns).order_by(written))
        opened = [Mail(row[0], row[1], row[2], *outbox.open_body(self._settings, row[3])) for row in rows]
        return [mail for mail in opened if kind in ("", mail.kind)]

    def last(self, kind: str) -> Mail:
        """Return the latest mail of one kind."""
        return self.all(kind)[-1]

    def kinds(self) -> list[str]:
        """Return what was sent."""
        return [mail.kind for mail in self.all()]


@pytest.fixture
def ada(settled_ada: User) -> User:
    """Somebody with an account, where a test file has nobody of its own."""
    return settled_ada


@pytest.fixture
def mailbox(db: Session, settings: Settings) -> Mailbox:
    """What the provider would send."""
    return Mailbox(db, settings)


def outline(work: Work) -> list[str]:
    """What was done, but for how a savepoint ended: kept or not, it costs the same."""
    return [
        "END OF SAVEPOINT" if statement.startswith(("RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")) else statement
        for statement in work.statements
    ]
