"""What the tests of the pages share."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import bcrypt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from sqlalchemy.orm import Session

from idp.accounts.visitor import OPERATOR
from idp.models import User
from idp.oidc import client_store
from idp.settings import Settings
from idp.web import context
from tests.web.mailbox import Mailbox
from tests.web.page_driver import sign_in


@dataclass
class Work:
    """What requests cost: clocks lie, counts do not."""

    statements: list[str] = field(default_factory=list)
    hashes: int = 0


@pytest.fixture
def mailbox(db: Session, settings: Settings) -> Mailbox:
    """What the provider has posted."""
    return Mailbox(db, settings)


@pytest.fixture
def signed_in(client: FlaskClient, settled_ada: User, db: Session) -> FlaskClient:
    """The browser of Ada, who is signed in."""
    db.expunge(settled_ada)  # a test that reads her from this session looks for what her browser has changed
    sign_in(client)
    return client


ChangeClient = Callable[..., None]


@pytest.fixture
def change_client(db: Session, settings: Settings) -> ChangeClient:
    """Change what an app is."""

    def change(client_id: str, **changes: Any) -> None:
        db.rollback()
        before = client_store.get_client(db, client_id)
        client_store.update_client(db, settings, OPERATOR, before, replace(before, **changes))
        db.commit()

    return change


@pytest.fixture
def counted(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[Work]]:
    """Count SQL statements and password hashes inside a block."""
    with app.app_context():
        engine = context.extension.engine

    @contextmanager
    def count() -> Iterator[Work]:
        work = Work()

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            # A savepoint ends in one of two ways, both without touching a table: nobody outside can tell them apart.
            ended = re.sub("^(RELEASE|ROLLBACK TO) SAVEPOINT.*", "END", " ".join(statement.split()))
            ended = re.sub("^SAVEPOINT .*", "SAVEPOINT", ended)  # a connection that is used again counts them on
            work.statements.append(ended[:60])

        def noting(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                work.hashes += 1
                return real(*arguments)

            return call

        event.listen(engine, "before_cursor_execute", note)
        with monkeypatch.context() as patch:
            patch.setattr(bcrypt, "hashpw", noting(bcrypt.hashpw))
            patch.setattr(bcrypt, "checkpw", noting(bcrypt.checkpw))
            yield work
        event.remove(engine, "before_cursor_execute", note)

    return count
