"""How the database behaves: durable, strict about references, and writers wait for each other instead of failing."""

import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from idp import patience, turns
from idp.errors import NotReadyError
from idp.serving import server
from idp.settings import Settings
from idp.storage import database, postgresql, write_lock
from idp.storage.database import open_engine, open_session, prepare_engine
from idp.storage.sqlite import has_lost_file, keep_to_file
from tests.at_once import at_once
from tests.house.pages import read


@pytest.fixture
def counter(sqlite: Engine) -> Engine:
    """A table with one row that counts."""
    with sqlite.begin() as connection:
        connection.execute(text("CREATE TABLE counter (n INTEGER NOT NULL)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))
    return sqlite


def _count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT n FROM counter")) or 0)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("trusted_schema", 0)],
)
def test_sqlite_is_durable_and_strict(sqlite: Engine, pragma: str, value: object) -> None:
    with sqlite.connect() as connection:
        assert connection.scalar(text(f"PRAGMA {pragma}")) == value


def test_a_sqlite_that_is_too_old_is_refused_before_anything_is_kept_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RHEL 9's Python has one from the system: pages would open, and nobody could sign in."""
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 34, 1))
    with pytest.raises(NotReadyError, match=r"3\.35 or newer"):
        open_engine(Settings(instance=tmp_path))
    assert open_engine(Settings(instance=tmp_path, database_url="postgresql://host/idp")).dialect.name == "postgresql"


def test_the_log_gives_its_space_back_once_a_long_reader_has_gone(
    counter: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idp.storage.sqlite.LOG_KEPT", 65_536)
    counter.dispose()
    path = Path(counter.url.database or "")
    log = path.with_name(f"{path.name}-wal")

    def write() -> int:
        with counter.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS filler (content BLOB)"))
            connection.execute(text("INSERT INTO filler VALUES (zeroblob(6000000))"))
        return log.stat().st_size

    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT n FROM counter").fetchall()
        assert write() < write()
        reader.execute("COMMIT")
    for _ in range(3):  # whoever writes first puts into the file what is in the log, the next one begins it anew
        with counter.begin() as connection:
            connection.execute(text("UPDATE counter SET n = n + 1"))
    assert log.stat().st_size <= 65_536


@contextmanager
def _nobody_else_reads(path: Path) -> Iterator[sqlite3.Connection]:
    """Keep everybody else from the database, as a connection does that reads the log again after a crash."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    yield other
    other.close()


def test_who_reads_waits_until_the_database_can_be_read_and_lets_others_have_their_turn(counter: Engine) -> None:
    path = Path(counter.url.database or "")
    counter.dispose()  # nobody has it open
    with _nobody_else_reads(path) as other:
        counts = []

        def read_it() -> None:
            with turns.taken():
                counts.append(_count(counter))

        reader = threading.Thread(target=read_it)
        reader.start()
        with turns.taken():
            time.sleep(10 * write_lock.LOOK_AGAIN_EVERY)
        assert counts == []
        other.close()
        reader.join()
    assert counts == [0]


def test_who_reads_does_not_wait_for_ever(counter: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "BUSY_TIMEOUT", 0.05)
    path = Path(counter.url.database or "")
    counter.dispose()
    with _nobody_else_reads(path), pytest.raises(OperationalError, match="locked"):
        _count(counter)
    assert _count(counter) == 0


@pytest.mark.parametrize("has_successor", [False, True])
def test_nothing_is_committed_to_a_file_that_has_lost_its_name(counter: Engine, has_successor: bool) -> None:
    path = Path(counter.url.database or "")
    counter.dispose()  # who made the file knows it by nothing
    with counter.connect() as connection:
        connection.execute(text("UPDATE counter SET n = 1"))
        assert not has_lost_file(connection.connection.driver_connection)  # and that is remembered for a while
        path.rename(path.with_suffix(".old"))
        if has_successor:
            path.touch()
        with pytest.raises(OperationalError, match="gone, or another"):
            connection.commit()


def test_foreign_keys_hold(sqlite: Engine) -> None:
    with sqlite.begin() as connection:
        connection.execute(text("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
        connection.execute(text("CREATE TABLE child (up INTEGER REFERENCES parent)"))
    with sqlite.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(text("INSERT INTO child VALUES (7)"))


def test_reading_then_writing_at_once_never_finds_the_database_locked(counter: Engine) -> None:
    def read_then_write(_number: int) -> None:
        for _ in range(10):
            with Session(counter) as session, session.begin():
                session.scalar(text("SELECT n FROM counter"))
                time.sleep(0.001)
                session.execute(text("UPDATE counter SET n = n + 1"))
                session.scalar(text("SELECT n FROM counter"))

    at_once(read_then_write, 4)
    assert _count(counter) == 40


def test_a_row_is_claimed_once(counter: Engine) -> None:
    def claim(_number: int) -> int:
        with Session(counter) as session, session.begin():
            session.scalar(text("SELECT n FROM counter"))
            return session.execute(text("UPDATE counter SET n = 1 WHERE n = 0")).rowcount  # type: ignore[attr-defined]

    assert sum(at_once(claim, 8)) == 1


def test_a_reader_before_its_first_write_holds_nothing(counter: Engine) -> None:
    with counter.connect() as reader:
        assert reader.scalar(text("SELECT n FROM counter")) == 0
        with counter.begin() as writer:
            writer.execute(text("UPDATE counter SET n = 5"))
        assert reader.scalar(text("SELECT n FROM counter")) == 5


def test_a_rollback_takes_all_writes_back(counter: Engine) -> None:
    with Session(counter) as session:
        session.execute(text("UPDATE counter SET n = 1"))
        session.execute(text("UPDATE counter SET n = 2"))
        session.rollback()
    assert _count(counter) == 0


@pytest.mark.parametrize("first", ["SELECT n FROM counter", "UPDATE counter SET n = 1"])
def test_a_savepoint_is_no_transaction_of_its_own(counter: Engine, first: str) -> None:
    """Outside a transaction SQLite takes RELEASE for a COMMIT: a rollback afterwards would come too late."""
    with Session(counter) as session:
        session.execute(text(first))
        with session.begin_nested():
            session.execute(text("UPDATE counter SET n = n + 1"))
        session.rollback()
    assert _count(counter) == 0


def test_a_savepoint_that_fails_spares_the_rest(counter: Engine) -> None:
    with Session(counter) as session, session.begin():
        session.execute(text("UPDATE counter SET n = 1"))
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(text("UPDATE counter SET n = NULL"))
    assert _count(counter) == 1


def test_savepoints_at_once_wait_for_each_other(counter: Engine) -> None:
    def write(_number: int) -> None:
        for _ in range(10):
            with Session(counter) as session, session.begin():
                session.scalar(text("SELECT n FROM counter"))
                with session.begin_nested():
                    session.execute(text("UPDATE counter SET n = n + 1"))

    at_once(write, 4)
    assert _count(counter) == 40


def test_a_session_commits_when_all_is_well_and_only_then(tmp_path: Path) -> None:
    settings = Settings(instance=tmp_path)
    with open_session(settings) as session:
        session.execute(text("CREATE TABLE counter (n INTEGER)"))
        session.execute(text("INSERT INTO counter VALUES (1)"))

    def write_and_fail() -> None:
        with open_session(settings) as session:
            session.execute(text("INSERT INTO counter VALUES (2)"))
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - raised right above
        write_and_fail()
    with open_session(settings) as session:
        assert session.scalars(text("SELECT n FROM counter")).all() == [1]


def test_preparing_an_engine_twice_is_harmless(sqlite: Engine) -> None:
    prepare_engine(sqlite)
    with sqlite.begin() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))


def test_a_database_in_memory_has_no_file_to_lose() -> None:
    engine = create_engine("sqlite:///:memory:", **database.engine_options(Settings()))
    prepare_engine(engine)
    keep_to_file(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
    engine.dispose()


def test_an_engine_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    prepare_engine(engine)
    assert open_engine(Settings(instance=tmp_path, database_url="postgres://a@b/c")).dialect.name == "postgresql"


def test_who_waits_for_the_database_is_answered_before_anybody_gives_up_on_them() -> None:
    """What a request waits for in turn, beside how long a server that stops and the examples' proxies wait for it."""
    options = database.engine_options(Settings(database_url="postgresql://idp@db.example.org/idp"))
    connecting, limits = options["connect_args"], postgresql._SERVER_LIMITS
    assert options["pool_timeout"] == postgresql.CONNECTION_WITHIN
    assert limits["lock_timeout"] == f"{postgresql.LOCK_WITHIN}s"
    for_a_server_that_is_gone = connecting["tcp_user_timeout"] / 1000 + connecting["connect_timeout"]
    while_it_says_nothing = connecting["keepalives_idle"] + 2 * connecting["keepalives_interval"]
    others = [server.STOP_WITHIN]
    for name, setting in (("nginx.conf", "proxy_read_timeout"), ("Caddyfile", "response_header_timeout")):
        others += map(int, re.findall(rf"^\s*{setting} (\d+)s\b", read(f"examples/{name}"), re.MULTILINE))
    assert len(others) == 3
    room = 3
    all_together = patience.WITHIN + postgresql.CONNECTION_WITHIN
    waits = (all_together, for_a_server_that_is_gone, while_it_says_nothing)
    assert max(waits) <= min(others) - room
    assert f"a request waits in the provider for {all_together:.0f} seconds at most" in read("examples/nginx.conf")
    deployment = " ".join(read("deployment.md").split())
    assert f"nobody waits longer than {postgresql.LOCK_WITHIN} seconds for a lock" in deployment
    assert f"{postgresql.CONNECTION_WITHIN} seconds for a connection" in deployment
    assert f"nothing for up to {for_a_server_that_is_gone:.0f} seconds, then 503" in deployment
