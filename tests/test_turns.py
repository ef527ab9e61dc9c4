"""One thread at a time runs Python in a request; who waits for something else lets the others have their turn."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import text

from idp import clock, crypto, turns
from idp.serving.server import THREADS
from idp.settings import Settings
from idp.storage import database, write_lock
from idp.web.one_at_a_time import OneAtATime
from tests.waiting import until

PATIENCE = 120  # seconds; how long a test waits for what must come


def test_one_at_a_time():
    inside, most = 0, 0

    def work(_number):
        nonlocal inside, most
        with turns.taken():
            inside += 1
            most = max(most, inside)
            threading.Event().wait(0.001)
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert most == 1


def test_who_steps_aside_lets_another_in_and_comes_back():
    order, is_other_done = [], threading.Event()

    def other():
        with turns.taken():
            order.append("other")
        is_other_done.set()

    with turns.taken():
        thread = threading.Thread(target=other)
        thread.start()
        with turns.aside():
            assert is_other_done.wait(PATIENCE)
        order.append("first again")
        second = threading.Thread(target=lambda: order.append("never before") if turns._turn.acquire(False) else None)
        second.start()
        second.join()
    thread.join()
    assert order == ["other", "first again"]


def fail_inside():
    with turns.taken():
        try:
            with turns.aside():
                int("inside")
        except ValueError:
            assert turns._turn.locked()
            raise


def test_a_turn_ends_with_an_error_and_comes_back_after_one_aside():
    with pytest.raises(ValueError, match="inside"):
        fail_inside()
    assert not turns._turn.locked()


def test_aside_without_a_turn_is_nothing():
    with turns.aside():
        assert not turns._turn.locked()


def test_a_hash_holds_up_nobody(monkeypatch):
    """While one request hashes, another is answered from beginning to end."""
    is_hashing, may_end = threading.Event(), threading.Event()

    def slow(_password, _salt):
        is_hashing.set()
        assert may_end.wait(PATIENCE)
        return b"$2b$04$" + b"x" * 53

    def hash_it(_environ, _start_response):
        return [crypto.hash_password("a password", 4).encode()]

    monkeypatch.setattr(crypto.bcrypt, "hashpw", slow)
    answered = []
    thread = threading.Thread(target=lambda: answered.append(OneAtATime(hash_it)({}, None)))
    thread.start()
    assert is_hashing.wait(PATIENCE)
    assert OneAtATime(lambda _environ, _start_response: [b"quick"])({}, None) == [b"quick"]
    assert answered == []
    may_end.set()
    thread.join()
    assert len(answered) == 1


def test_who_waits_for_the_databases_lock_steps_aside(tmp_path):
    engine = database.open_engine(Settings(instance=tmp_path))
    with engine.begin() as db:
        db.execute(text("CREATE TABLE box (content TEXT)"))
    is_other_in = threading.Event()

    def other():
        with turns.taken():
            is_other_in.set()

    with engine.connect() as holder:
        holder.execute(text("INSERT INTO box VALUES ('first')"))

        def write():
            with turns.taken(), engine.begin() as db:
                db.execute(text("INSERT INTO box VALUES ('second')"))

        writer = threading.Thread(target=write)
        writer.start()
        reader = threading.Thread(target=other)
        reader.start()
        assert is_other_in.wait(PATIENCE)
        holder.commit()
        writer.join()
        reader.join()
    with engine.connect() as db:
        assert db.scalar(text("SELECT count(*) FROM box")) == 2
    engine.dispose()


def test_where_somebody_waits_for_the_databases_lock_for_long_the_others_step_aside_at_once(tmp_path, monkeypatch):
    """Of many writers that come meanwhile, one after the other would keep the turn for a while, and in vain."""
    engine = database.open_engine(Settings(instance=tmp_path))
    with engine.begin() as db:
        db.execute(text("CREATE TABLE box (content TEXT)"))

    def write():
        with turns.taken(), engine.begin() as db:
            db.execute(text("INSERT INTO box VALUES ('late')"))

    writers = [threading.Thread(target=write) for _ in range(2)]
    with engine.connect() as holder:
        holder.execute(text("INSERT INTO box VALUES ('first')"))
        writers[0].start()
        until(lambda: len(write_lock._waiting_since) == 1)
        monkeypatch.setattr(write_lock, "LONG", 0)
        monkeypatch.setattr(write_lock, "STEP_ASIDE_AFTER", PATIENCE)
        writers[1].start()
        try:
            until(lambda: len(write_lock._waiting_since) == 2)
            assert turns._turn.acquire(timeout=PATIENCE)
            turns._turn.release()
        finally:
            holder.commit()
            for writer in writers:
                writer.join()
    assert write_lock._waiting_since == []
    engine.dispose()


def test_while_others_here_get_the_lock_who_waits_for_long_has_bad_luck(tmp_path, monkeypatch):
    """And no reason for everybody else to step aside, and to leave the lock to other processes."""
    engine = database.open_engine(Settings(instance=tmp_path))
    monkeypatch.setattr(write_lock, "LONG", PATIENCE)
    monkeypatch.setattr(write_lock, "_last_began", [0.0])
    monkeypatch.setattr(write_lock, "_waiting_since", [clock.ticks() - 2 * PATIENCE])
    assert write_lock._is_long_taken()
    with engine.begin() as db:
        db.execute(text("CREATE TABLE box (content TEXT)"))
        db.execute(text("INSERT INTO box VALUES ('mine')"))
    assert not write_lock._is_long_taken()
    engine.dispose()


def test_nobody_waits_for_a_connection_with_a_turn_in_hand(tmp_path):
    """Whoever waits for something else, such as an answer of another host, keeps a connection meanwhile."""
    engine = database.open_engine(Settings(instance=tmp_path))
    with turns.taken(), ExitStack() as held:
        for _ in range(THREADS + 1):
            held.enter_context(engine.connect()).execute(text("SELECT 1"))
    engine.dispose()


def test_sqlites_lock_is_only_taken_by_whoever_has_the_turn(tmp_path, monkeypatch):
    """Else whoever has that lock would wait for a turn that somebody keeps who waits for that lock."""
    monkeypatch.setattr(write_lock, "STEP_ASIDE_AFTER", 0.01)
    has_turn = []
    real = write_lock._begins

    def begins(cursor):
        has_turn.append(turns._mine.is_held)
        return real(cursor)

    monkeypatch.setattr(write_lock, "_begins", begins)
    other, own = (
        sqlite3.connect(tmp_path / "file", isolation_level=None, check_same_thread=False, timeout=0) for _ in range(2)
    )
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.2, other.rollback)
    release.start()
    with turns.taken():
        write_lock.take_write_lock(own.cursor())
    release.join()
    assert own.in_transaction
    assert has_turn.count(True) == len(has_turn) > 2
    own.close()
    other.close()
