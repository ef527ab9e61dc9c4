"""How often a request asks PostgreSQL, and how it learns that a connection has ended.

Each way to the server and back is a wait: what is only read costs one, and no transaction.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Engine, event, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp import clock
from idp.models import User
from idp.settings import Settings
from idp.storage import database
from idp.storage import postgresql as habits
from idp.web import context
from tests import postgresql
from tests.relying_party import RelyingParty

pytestmark = postgresql.MARKS
ASKED = re.compile(r"\tF\t\d+\t(?:Query|Sync)\b")  # each makes the server answer
Ways = Callable[[], AbstractContextManager[Callable[[], int]]]


@pytest.fixture
def database_engine() -> str:
    """The provider, in a database of its own on the server."""
    return "postgresql"


@pytest.fixture
def engine(app: Flask, settings: Settings) -> Iterator[Engine]:
    """An engine as commands have it."""
    opened = database.open_engine(settings)
    yield opened
    opened.dispose()


@pytest.fixture
def ways(app: Flask, engine: Engine, tmp_path: Path) -> Ways:
    """Counts the ways to the server in a block, by what libpq writes down of them."""
    path = tmp_path / "messages"
    traced: set[int] = set()

    def trace(connection: Any, _record: Any, _proxy: Any) -> None:
        if id(connection) not in traced:
            traced.add(id(connection))
            connection.pgconn.trace(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT))

    with app.app_context():
        for each in (engine, context.extension.engine):
            event.listen(each, "checkout", trace, insert=True)

    def count() -> int:
        return len(ASKED.findall(path.read_text())) if path.exists() else 0

    @contextmanager
    def counted() -> Iterator[Callable[[], int]]:
        before = count()
        yield lambda: count() - before

    return counted


@pytest.fixture
def rp(relying_party: Callable[..., RelyingParty], make_user: Callable[..., Any]) -> RelyingParty:
    """An app, and somebody to sign in to it."""
    make_user()
    return relying_party()


def state_of(settings: Settings, process: int) -> str:
    """Return what a server's process is at, such as `idle in transaction`."""
    with psycopg.connect(settings.database_url, autocommit=True) as other:
        row = other.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", [process]).fetchone()
    assert row
    return str(row[0])


def test_a_token_check_is_one_way(rp: RelyingParty, ways: Ways) -> None:
    tokens = rp.log_in(scope="openid profile")
    assert rp.userinfo(tokens)
    with ways() as taken:
        assert rp.userinfo(tokens)
        assert taken() == 1
    with ways() as taken:
        assert rp.introspect(tokens.access_token)["active"]
        assert taken() == 1


def test_a_login_is_four_ways(rp: RelyingParty, ways: Ways) -> None:
    rp.log_in()
    with ways() as taken:
        code = rp.ask().code
        assert taken() == 1
        assert rp.redeem(code).access_token
        assert taken() == 4  # it begins, writes and commits


def test_what_only_reads_holds_nothing(settings: Settings, engine: Engine) -> None:
    with Session(engine) as db:
        process = db.scalar(text("SELECT pg_backend_pid()"))
        db.scalars(select(User)).all()
        assert state_of(settings, process) == "idle"
        db.execute(update(User).values(updated_at=1))
        assert state_of(settings, process) == "idle in transaction"
        db.commit()
        assert state_of(settings, process) == "idle"


@pytest.mark.parametrize("statement", ["SELECT 1 FOR UPDATE", "SAVEPOINT here", "SELECT pg_advisory_xact_lock(7)"])
def test_what_locks_begins_a_transaction(engine: Engine, statement: str) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
        driver: Any = connection.connection.driver_connection
        assert habits.has_begun(driver)
        connection.rollback()
        assert not habits.has_begun(driver)


def test_what_is_read_a_piece_at_a_time_is_of_one_moment(engine: Engine, make_user: Callable[..., Any]) -> None:
    for name in ("ada", "bob", "eve"):
        make_user(name)
    names = select(User.username).order_by(User.username).execution_options(yield_per=1)
    with Session(engine) as db:
        assert list(db.scalars(names)) == ["ada", "bob", "eve"]


def test_a_refused_write_is_undone_with_all_before_it(engine: Engine, make_user: Callable[..., Any]) -> None:
    make_user("ada"), make_user("bob")
    with Session(engine) as db:
        db.execute(update(User).where(User.username == "ada").values(given_name="Augusta"))
        with pytest.raises(IntegrityError):
            db.execute(update(User).where(User.username == "bob").values(username="ada", username_key="ada"))
    with Session(engine) as db:
        assert db.scalars(select(User.given_name).where(User.username == "ada")).one() != "Augusta"


def test_a_connection_that_was_used_a_moment_ago_is_not_asked(
    engine: Engine, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(clock, "ticks", lambda: now[0])
    with engine.connect():
        pass
    with ways() as taken:
        now[0] += habits.ASK_AFTER / 2
        with engine.connect():
            assert taken() == 0
        now[0] += habits.ASK_AFTER
        with engine.connect():
            assert taken() == 1


def test_of_several_connections_one_is_kept_busy(engine: Engine, ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(clock, "ticks", lambda: now[0])
    with engine.connect(), engine.connect():
        pass
    with ways() as taken:
        for _ in range(4):
            now[0] += 0.6 * habits.ASK_AFTER
            with engine.connect():
                pass
        assert taken() == 0


def test_a_connection_that_was_ended_is_noticed_at_once(settings: Settings, engine: Engine) -> None:
    with engine.connect() as one, engine.connect() as other:
        before = {each.scalar(text("SELECT pg_backend_pid()")) for each in (one, other)}
    name = urlsplit(settings.database_url).path[1:]
    with psycopg.connect(settings.database_url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [name],
        )
        while admin.execute("SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", [list(before)]).fetchone():
            time.sleep(0.01)
    with engine.connect() as one, engine.connect() as other:
        after = {each.scalar(text("SELECT pg_backend_pid()")) for each in (one, other)}
    assert not before & after


def prepared_after_ten(engine: Engine) -> int:
    """Ask the same ten times on a connection; returns how many statements the server has prepared for it."""
    with engine.connect() as connection:
        for number in range(10):
            connection.execute(select(User.id).where(User.updated_at == number))
        return int(connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) or 0)


def test_nothing_is_prepared_behind_a_pooler(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepared_after_ten(engine) == 1
    engine.dispose()
    # A pooler gives its clients numbers of its own.
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", 7)
    assert prepared_after_ten(engine) == 0


def test_a_pooler_may_keep_back_what_the_server_says_of_itself(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg.ConnectionInfo, "parameter_status", lambda *_: None)
    with engine.connect() as connection:
        assert connection.scalar(select(1)) == 1


def test_a_connection_that_was_closed_at_this_end_is_replaced(engine: Engine) -> None:
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
    driver.close()
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
