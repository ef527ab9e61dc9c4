"""Turns at writing: one at a time, and none is lost for good."""

import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from idp import patience
from idp.settings import Settings
from idp.storage import write_lock, write_turns
from idp.storage.database import open_engine
from idp.storage.write_turns import WriteTurns

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "eventfd"), reason="needs Linux's eventfd"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),  # as the server forks
]


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> WriteTurns:
    """Turns that this process takes with others."""
    fresh = WriteTurns()
    fresh.share()
    monkeypatch.setattr(write_turns, "SHARED", fresh)
    return fresh


@pytest.fixture
def engine(turns: WriteTurns, tmp_path: Path) -> Iterator[Engine]:
    """SQLite with one row that counts."""
    engine = open_engine(Settings(instance=tmp_path, secret_key="x" * 40))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE counter (n INTEGER NOT NULL)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))
    yield engine
    engine.dispose()


def is_free(turns: WriteTurns) -> bool:
    """Tell whether it is nobody's turn; it stays so."""
    if not turns.take(0):
        return False
    turns.give_back()
    return True


COUNT = text("UPDATE counter SET n = n + 1")


def test_nobody_takes_turns_unless_they_are_shared() -> None:
    alone = WriteTurns()
    assert not alone.are_taken
    assert not alone.take(10)
    alone.give_back()


def test_one_at_a_time(turns: WriteTurns) -> None:
    assert turns.take(0)
    assert not turns.take(0.01)
    turns.give_back()
    assert turns.take(0)


def test_who_waits_is_woken(turns: WriteTurns) -> None:
    assert turns.take(0)
    thread = threading.Timer(0.05, turns.give_back)
    thread.start()
    assert turns.take(60)
    thread.join()


def test_what_is_given_back_twice_is_one(turns: WriteTurns) -> None:
    for _ in range(3):
        turns.give_back()
    assert turns.take(0)
    assert not turns.take(0)


@pytest.mark.parametrize("ends", ["well", "badly", "by closing"])
def test_a_transaction_gives_its_turn_back(engine: Engine, turns: WriteTurns, ends: str) -> None:
    connection = engine.connect()
    connection.execute(text("SELECT n FROM counter"))
    assert is_free(turns)
    connection.execute(COUNT)
    assert not is_free(turns)
    if ends == "well":
        connection.commit()
    elif ends == "badly":
        connection.rollback()
    else:
        connection.invalidate()
    assert is_free(turns)
    connection.close()


def test_a_lock_that_does_not_come_leaves_the_turn_to_others(
    engine: Engine, turns: WriteTurns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "BUSY_TIMEOUT", 0.1)
    other = sqlite3.connect(tmp_path / "idp.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with engine.connect() as connection:
        with pytest.raises(sqlite3.OperationalError, match="locked"):  # before the statement that would write
            write_lock.take_write_lock(connection.connection.cursor())
        assert is_free(turns)
        other.execute("ROLLBACK")
        connection.execute(COUNT)
        connection.commit()
    other.close()


def test_one_that_was_lost_is_there_again(engine: Engine, turns: WriteTurns) -> None:
    """A process that is killed while it writes gives nothing back."""
    child = os.fork()
    if child == 0:
        turns.take(60)
        time.sleep(600)
        os._exit(0)
    while is_free(turns):
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert not is_free(turns)
    with engine.begin() as connection:
        connection.execute(COUNT)
    assert is_free(turns)


def test_a_slow_one_keeps_its_own(engine: Engine, turns: WriteTurns) -> None:
    """Who waited in vain writes once the lock is free, and gives back no turn that another one will."""
    slow = engine.connect()
    slow.execute(COUNT)
    done = []

    def write() -> None:
        with engine.begin() as connection:
            connection.execute(COUNT)
            done.append(is_free(turns))

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(4 * write_lock.STEP_ASIDE_AFTER)
    assert done == []
    slow.commit()
    thread.join()
    slow.close()
    assert done == [True]
    assert is_free(turns)


def test_who_waits_for_another_process_is_woken_and_does_not_look(
    engine: Engine, turns: WriteTurns, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    monkeypatch.setattr(write_lock.time, "sleep", looks.append)
    assert turns.take(0)
    thread = threading.Timer(0.02, turns.give_back)
    thread.start()
    with engine.begin() as connection:
        connection.execute(COUNT)
    thread.join()
    assert looks == []


def test_processes_that_write_at_once(engine: Engine, turns: WriteTurns) -> None:
    engine.dispose()
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            status = 1
            with contextlib.suppress(BaseException):
                for _ in range(50):
                    with engine.begin() as connection:
                        connection.execute(COUNT)
                status = 0
            os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT n FROM counter")) == 150
    assert is_free(turns)
