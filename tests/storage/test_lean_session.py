"""A request's session: prepared statements and all else run in one transaction, whichever comes first."""

from functools import cached_property

import pytest
from sqlalchemy import Engine, event, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.migrations import runner
from idp.models import RevokedAccessToken
from idp.settings import Settings
from idp.storage.lean_session import IDLE_MOST, LeanSession, SessionPool, pause
from idp.storage.statements import Prepared, value

ADD = Prepared(insert(RevokedAccessToken), columns=("token_id", "expires_at"))
COUNT = Prepared(
    select(func.count()).select_from(RevokedAccessToken).where(RevokedAccessToken.expires_at > value("now"))
)


@pytest.fixture
def make_session(empty_database: Settings, engine: Engine):
    """Makes sessions of a request, on a database with our tables."""
    runner.upgrade(empty_database)

    class TestedSession(LeanSession):
        @cached_property
        def engine(self):
            return engine

    made = []

    def make():
        made.append(TestedSession(expire_on_commit=False))
        return made[-1]

    yield make
    for session in made:
        session.close()
        session.let_go_of_connection()


@pytest.fixture
def lean(make_session):
    return make_session()


def others_see(engine):
    with Session(engine) as other:
        return COUNT.scalar(other, now=0)


def add_prepared(db, name):
    ADD.run(db, token_id=name, expires_at=10)


def add_executed(db, name):
    db.execute(insert(RevokedAccessToken).values(token_id=name, expires_at=10))


def add_object(db, name):
    db.add(RevokedAccessToken(token_id=name, expires_at=10))


def add_two(db, first, second):
    with db.begin_nested():
        add_prepared(db, first)
        add_prepared(db, second)


WAYS = [add_prepared, add_executed, add_object]


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
def test_all_of_it_is_one_transaction(lean, engine, first, second):
    first(lean, "a")
    second(lean, "b")
    assert COUNT.scalar(lean, now=0) == 2
    assert others_see(engine) == 0
    lean.rollback()
    assert COUNT.scalar(lean, now=0) == 0
    first(lean, "a")
    second(lean, "b")
    lean.commit()
    assert others_see(engine) == 2
    second(lean, "c")
    lean.commit()
    first(lean, "d")
    lean.commit()
    assert others_see(engine) == 4


@pytest.mark.parametrize("add", WAYS)
def test_closing_undoes_what_was_not_committed(lean, engine, add):
    add(lean, "a")
    lean.flush()
    lean.close()
    assert others_see(engine) == 0
    assert COUNT.scalar(lean, now=0) == 0
    add(lean, "b")
    lean.commit()
    assert others_see(engine) == 1


@pytest.mark.parametrize("add", WAYS)
def test_one_commit_is_told_once(lean, engine, add):
    told = []
    event.listen(engine, "commit", told.append)
    add(lean, "a")
    lean.commit()
    assert len(told) == 1


def test_connections_go_back_to_the_pool_but_sqlites_stay(lean, engine):
    before = engine.pool.checkedout()
    add_prepared(lean, "a")
    assert engine.pool.checkedout() == before + 1
    lean.commit()
    lean.close()
    assert engine.pool.checkedout() == before + (1 if engine.dialect.name == "sqlite" else 0)


@pytest.mark.parametrize("add", WAYS)
def test_a_pause_commits_and_gives_the_connection_back(lean, engine, add):
    add(lean, "a")
    pause(lean)
    assert engine.pool.checkedout() == 0
    assert others_see(engine) == 1
    add(lean, "b")
    lean.commit()
    assert others_see(engine) == 2


@pytest.mark.parametrize("add", WAYS)
def test_what_was_not_committed_is_undone_at_the_end(lean, engine, add):
    add(lean, "a")
    lean.close()
    add(lean, "b")
    lean.commit()
    assert set(lean.scalars(select(RevokedAccessToken.token_id))) == {"b"}


def test_a_connection_of_a_pool_that_was_put_away_is_closed(lean, engine):
    add_prepared(lean, "a")
    lean.commit()
    closed = []
    event.listen(engine, "close", lambda *_: closed.append(1))
    lean.close()
    engine.dispose()
    assert len(closed) == (engine.dialect.name == "postgresql")  # the pool has what was given back to it
    lean.close()
    assert len(closed) == 1
    assert COUNT.scalar(lean, now=0) == 1
    assert engine.pool.checkedout() == 1


def test_sessions_are_used_again_and_never_by_two(lean):
    made = []
    pool = SessionPool(lambda: made.append(LeanSession()) or made[-1])
    first, second = pool.take(), pool.take()
    assert first is not second
    pool.give_back(second)
    assert pool.take() is second
    pool.give_back(first)
    pool.give_back(second)
    assert {pool.take(), pool.take()} == set(made)
    assert len(made) == 2


def test_what_a_burst_has_opened_is_closed_again(make_session, engine):
    """Each open connection keeps pages in memory, so a process keeps few; what comes later still finds one open."""
    session_pool = SessionPool(make_session)
    burst = [session_pool.take() for _ in range(3 * IDLE_MOST)]
    for each in burst:
        add_prepared(each, str(id(each)))
        each.commit()
    assert engine.pool.checkedout() == len(burst)
    for each in burst:
        session_pool.give_back(each)
    kept = IDLE_MOST if engine.dialect.name == "sqlite" else 0
    assert engine.pool.checkedout() == kept
    taken_out = []
    event.listen(engine, "checkout", lambda *_: taken_out.append(1))
    for _ in range(20):
        session = session_pool.take()
        assert COUNT.scalar(session, now=0) == len(burst)
        session_pool.give_back(session)
    assert engine.pool.checkedout() == kept
    assert len(taken_out) == (0 if kept else 20)
    assert {session_pool.take() for _ in burst} == set(burst)


@pytest.mark.parametrize("way", WAYS)
def test_the_next_request_finds_nothing_of_what_was_not_committed(make_session, engine, way):
    session_pool = SessionPool(make_session)
    session = session_pool.take()
    way(session, "lost")
    session_pool.give_back(session)
    session_pool.take().commit()
    assert others_see(engine) == 0


def test_the_next_request_reads_objects_anew(make_session):
    session_pool = SessionPool(make_session)
    session = session_pool.take()
    add_object(session, "a")
    session.commit()
    read = session.get(RevokedAccessToken, "a")
    session.commit()
    session_pool.give_back(session)
    assert session_pool.take().get(RevokedAccessToken, "a") is not read


def test_one_that_waits_lets_go_of_a_pool_that_was_put_away(make_session, engine):
    session_pool = SessionPool(make_session)
    session = session_pool.take()
    add_prepared(session, "a")
    session.commit()
    session_pool.give_back(session)
    engine.dispose()
    assert not session_pool.take().has_connection


def test_those_that_wait_let_go_when_told(make_session, engine):
    session_pool = SessionPool(make_session)
    burst = [session_pool.take() for _ in range(IDLE_MOST)]
    for each in burst:
        COUNT.scalar(each, now=0)
    for each in burst:
        session_pool.give_back(each)
    session_pool.disconnect()
    assert engine.pool.checkedout() == 0
    assert {session_pool.take() for _ in burst} == set(burst)


def test_reading_alone_is_no_commit(lean, engine):
    told = []
    event.listen(engine, "commit", told.append)
    COUNT.scalar(lean, now=0)
    lean.commit()
    assert told == []
    add_prepared(lean, "a")
    lean.commit()
    assert len(told) == 1
    lean.commit()  # nothing has happened since
    assert len(told) == 1
    assert others_see(engine) == 1


@pytest.mark.parametrize("way", WAYS)
def test_after_a_connection_was_given_up_the_session_goes_on(lean, engine, way):
    way(lean, "lost")
    lean.invalidate()
    lean.commit()
    lean.close()
    way(lean, "kept")
    lean.commit()
    lean.lean_connection().invalidate()
    assert COUNT.scalar(lean, now=0) == 1  # on another connection
    lean.commit()
    lean.close()
    assert others_see(engine) == 1
    assert COUNT.scalar(lean, now=0) == 1


def test_a_nested_transaction_of_sqlalchemys_within_it(lean, engine):
    add_prepared(lean, "a")
    with pytest.raises(IntegrityError):
        add_two(lean, "b", "a")
    with lean.begin_nested():
        add_executed(lean, "c")
    lean.commit()
    with Session(engine) as other:
        assert set(other.scalars(select(RevokedAccessToken.token_id))) == {"a", "c"}
