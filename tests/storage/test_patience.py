"""How long a request waits in all, whatever it waits for, one thing after the other."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from idp import crypto, hashing, patience
from idp.errors import Busy
from idp.hashing import Lane, Place
from idp.oidc import outgoing
from idp.oidc.outgoing import OutgoingError
from idp.settings import Settings
from idp.storage import database, patient_connection
from idp.storage import postgresql as habits
from idp.storage.postgresql import LOCK_WITHIN
from tests import postgresql
from tests.document_server import DocumentServer

SHORT = 0.2  # seconds


@pytest.fixture
def request_begins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Begin a request with little patience; the test is one, from then on."""
    monkeypatch.setattr(patience, "WITHIN", SHORT)
    with contextlib.ExitStack() as open_requests:
        yield lambda: open_requests.callback(patience.end, patience.begin())


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is inside takes less time than each wait's own bound."""
    began_at = time.monotonic()
    yield
    assert time.monotonic() - began_at < seconds


def test_a_request_waits_for_what_is_left_and_a_moment_at_least(request_begins: Callable[[], None]) -> None:
    assert patience.left(8) == 8  # a command's
    request_begins()
    assert 0 < patience.left(8) <= SHORT
    assert patience.left(0.1) == 0.1
    time.sleep(SHORT)
    assert 0 < patience.left(8) < SHORT


def test_after_one_request_comes_another() -> None:
    first = patience.begin()
    patience.end(first)
    assert patience.left(100) == 100


def test_sqlites_lock(sqlite: Engine, request_begins: Callable[[], None]) -> None:
    with sqlite.begin() as holder:
        holder.execute(text("CREATE TABLE box (content TEXT)"))
    with sqlite.begin() as holder:
        holder.execute(text("INSERT INTO box VALUES ('theirs')"))
        request_begins()
        with within(patience.BUSY_TIMEOUT / 3), sqlite.connect() as mine, pytest.raises(OperationalError, match="lock"):
            mine.execute(text("INSERT INTO box VALUES ('mine')"))


def test_what_others_have_written_meanwhile_is_not_waited_for(sqlite: Engine) -> None:
    """Who has read half of an answer cannot write any more, however long they wait."""
    with sqlite.begin() as db:
        db.execute(text("CREATE TABLE box (content TEXT)"))
        db.execute(text("INSERT INTO box VALUES ('first'), ('second')"))
    with sqlite.connect() as mine, within(patience.BUSY_TIMEOUT / 3):
        half_read: Any = mine.connection.cursor()
        half_read.execute("SELECT content FROM box")
        half_read.fetchone()
        with sqlite.begin() as other:
            other.execute(text("INSERT INTO box VALUES ('third')"))
        with pytest.raises(sqlite3.OperationalError):
            mine.connection.cursor().execute("BEGIN IMMEDIATE")
        half_read.close()


@pytest.mark.parametrize("lane", Lane)
def test_a_hash(request_begins: Callable[[], None], monkeypatch: pytest.MonkeyPatch, lane: Lane) -> None:
    queue, has_begun, may_end = hashing.HashingQueue(1), threading.Event(), threading.Event()
    monkeypatch.setattr(hashing, "_queue", lambda: queue)

    def hash_slowly() -> bool:
        has_begun.set()
        return may_end.wait(60)

    threading.Thread(target=lambda: queue.run(Place(Lane.NEW, ("somebody",)), hash_slowly, ())).start()
    assert has_begun.wait(60)
    request_begins()
    with within(hashing.WAIT_MOST / 2), pytest.raises(Busy):
        crypto.hash_password("a password", 4, Place(lane, ("somebody else",)))
    may_end.set()


def test_an_apps_server(request_begins: Callable[[], None], settings: Settings) -> None:
    with DocumentServer() as server:
        request_begins()
        with within(outgoing.WHOLE_TIMEOUT / 3), pytest.raises(OutgoingError, match="takes too long"):
            outgoing.fetch(settings, server.drip("/jwks", every=0.05), "*/*")


@postgresql.needed
def test_rows_of_a_server_one_after_the_other(request_begins: Callable[[], None]) -> None:
    with postgresql.new_database() as url, psycopg.connect(url, autocommit=True) as other:
        other.execute("CREATE TABLE box (id INTEGER PRIMARY KEY, content TEXT)")
        other.execute("INSERT INTO box VALUES (1, ''), (2, '')")
        engine = database.open_engine(Settings(database_url=url))
        change = text("UPDATE box SET content = 'mine' WHERE id = :id")
        with engine.begin() as mine:
            assert mine.scalar(text("SHOW lock_timeout")) == f"{LOCK_WITHIN}s"
        with engine.connect() as mine, other.transaction():
            other.execute("UPDATE box SET content = 'theirs' WHERE id = 2")
            request_begins()
            mine.execute(change, {"id": 1})
            with within(LOCK_WITHIN / 2), pytest.raises(OperationalError, match="lock timeout"):
                mine.execute(change, {"id": 2})
            mine.rollback()
        engine.dispose()


@postgresql.needed
@pytest.mark.parametrize("statement", ["SELECT 1", "CREATE TABLE box (content TEXT)"])
def test_a_server_that_stands_still(
    request_begins: Callable[[], None], monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    with postgresql.new_database() as url, postgresql.Pausing(url) as pooler:
        engine = database.open_engine(Settings(database_url=pooler.url))
        with engine.connect() as mine:
            assert mine.scalar(text("SELECT 1")) == 1
            monkeypatch.setattr(patient_connection, "GRACE", SHORT)
            request_begins()
            pooler.pause()
            with within(LOCK_WITHIN / 2), pytest.raises(OperationalError, match="does not answer"):
                mine.execute(text(statement))
            pooler.go_on()
        monkeypatch.undo()
        with engine.connect() as mine:
            assert mine.scalar(text("SELECT 1")) == 1
        engine.dispose()


def test_a_server_that_lets_nobody_in(request_begins: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def connect(*_: Any, connect_timeout: int, **__: Any) -> None:
        asked.append(connect_timeout)
        raise psycopg.OperationalError("nobody is let in")

    monkeypatch.setattr(patient_connection.PatientConnection, "connect", connect)
    engine = database.open_engine(Settings(database_url="postgresql://127.0.0.1/idp"))
    for begin in (lambda: None, request_begins):
        begin()
        with pytest.raises(OperationalError):
            engine.connect()
    assert asked == [habits.CONNECT_WITHIN, 1]
    engine.dispose()


@postgresql.needed
def test_a_connection_that_rested_is_not_waited_for_as_long_as_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command waits for its statements for as long as they take, but this one takes no time."""
    monkeypatch.setattr(habits, "ASK_AFTER", 0.0)
    monkeypatch.setattr(habits, "CONNECT_WITHIN", 1)
    monkeypatch.setattr(patient_connection, "GRACE", SHORT)
    with postgresql.new_database() as url, postgresql.Pausing(url) as pooler:
        engine = database.open_engine(Settings(database_url=pooler.url))
        engine.connect().close()
        pooler.pause()
        with within(LOCK_WITHIN), pytest.raises(OperationalError):
            engine.connect()
        pooler.go_on()
        engine.dispose()


@postgresql.needed
def test_who_is_late_may_still_go_back_to_a_savepoint(request_begins: Callable[[], None]) -> None:
    with postgresql.new_database() as url:
        engine = database.open_engine(Settings(database_url=url))
        with engine.begin() as db:
            db.execute(text("CREATE TABLE box (id INTEGER PRIMARY KEY)"))
        request_begins()
        add = text("INSERT INTO box VALUES (1)")
        with engine.begin() as db:
            db.execute(add)
            with pytest.raises(IntegrityError), db.begin_nested():
                db.execute(add)
            assert db.scalar(text("SELECT count(*) FROM box")) == 1
        engine.dispose()
