"""A database that is locked, full, read-only, broken or away: come back later, it says, and then all is well."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event, select, text, update
from sqlalchemy.exc import InternalError
from sqlalchemy.orm import Session

from idp import patience
from idp.models import BrowserSession, User
from idp.storage import database, patient_connection, sqlite
from idp.storage import postgresql as habits
from idp.storage.postgresql import _SERVER_LIMITS, DEAD_AFTER, LOCK_WITHIN
from idp.web import context
from tests import postgresql
from tests.factories import PASSWORD
from tests.waiting import until

ADMIN_URL = postgresql.SERVER


@pytest.fixture
def settings(settings):
    """Throttles that a storm of attempts does not wear out: a charge stays when what it was for fails."""
    return replace(settings, throttle_account_burst=1000, throttle_address_burst=1000)


# -- What each kind of asker is told -----------------------------------------------------------


def sign_in(browser, token="", **more):
    if not token:
        page = browser.get("/sign-in")
        assert page.status_code == 200
        token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
    return browser.post("/sign-in", data={"username": "ada", "password": PASSWORD, "csrf_token": token, **more})


def form_token(browser):
    return browser.get("/sign-in").text.split('name="csrf_token" value="')[1].split('"')[0]


def assert_told_to_come_back(answer):
    assert answer.status_code == 503, answer.text[:500]
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["X-Request-ID"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"]
    for traitor in ("Traceback", "sqlite", "psycopg", "SELECT", "INSERT", "UPDATE "):
        assert traitor not in answer.text


def assert_a_page(answer):
    assert_told_to_come_back(answer)
    assert answer.mimetype == "text/html"
    assert '<code id="error-code">busy</code>' in answer.text


def assert_a_problem(answer):
    assert_told_to_come_back(answer)
    assert answer.mimetype == "application/problem+json"
    assert answer.json["code"] in ("busy", "not_ready")


def assert_an_oauth_error(answer):
    assert_told_to_come_back(answer)
    assert answer.mimetype == "application/json"
    assert answer.json["error"] == "temporarily_unavailable"
    assert answer.json["error_description"]


def assert_writing_fails_kindly(party, browser, token):
    """What must write is refused; what only reads is answered."""
    assert_a_page(sign_in(browser, token))
    assert_an_oauth_error(party.request_tokens(party.ask().code))  # single sign-on itself writes nothing
    assert browser.get("/oauth/jwks").status_code == 200
    assert browser.get("/.well-known/openid-configuration").status_code == 200
    assert browser.get("/healthz").status_code == 200


def assert_everything_fails_kindly(party, browser, token, tokens):
    """Nobody can be answered but who needs no database."""
    assert_a_page(sign_in(browser, token))
    assert_a_page(party.send())
    assert_a_page(party.browser.get("/account"))
    assert_an_oauth_error(party.request_refresh(tokens.refresh_token))
    bearer = {"Authorization": f"Bearer {tokens.access_token}"}
    assert_an_oauth_error(browser.get("/oauth/userinfo", headers=bearer))
    assert_a_problem(browser.get("/api/v1/me", headers=bearer))
    assert_a_problem(browser.get("/readyz"))
    assert browser.get("/oauth/jwks").status_code == 200
    assert browser.get("/healthz").status_code == 200


def assert_all_is_well(party, browser, tokens):
    assert browser.get("/readyz").status_code == 200
    assert sign_in(browser).status_code == 303
    assert party.redeem(party.ask().code).access_token
    assert party.refresh(tokens.refresh_token).access_token
    assert party.userinfo(tokens)["sub"]


@pytest.fixture
def stage(app, relying_party, make_user):
    """Ada, signed in to an app in one browser, and about to sign in with another one."""
    make_user()
    party = relying_party()
    tokens = party.log_in(scope="openid offline_access account")
    browser = app.test_client()
    return party, browser, form_token(browser), tokens


def count_sessions(settings):
    with database.open_session(settings) as db:
        return len(db.scalars(select(BrowserSession.id)).all())


# -- SQLite -----------------------------------------------------------------------------------


@pytest.fixture
def sqlite_file(settings):
    return settings.instance / "idp.sqlite3"


@pytest.fixture
def impatient(monkeypatch):
    """Nobody waits for a lock for long."""
    monkeypatch.setattr(patience, "BUSY_TIMEOUT", 0.2)


@contextmanager
def pragma(app, statement) -> Iterator[None]:
    """Put a condition on every connection."""
    with app.app_context():
        engine = context.extension.engine

    def set_it(connection, _record, _proxy=None):
        connection.execute(statement)

    engine.dispose()
    event.listen(engine, "checkout", set_it)
    yield
    event.remove(engine, "checkout", set_it)
    engine.dispose()


@pytest.mark.sqlite
def test_a_locked_database(impatient, app, stage, sqlite_file, settings):
    party, browser, token, tokens = stage
    other = sqlite3.connect(sqlite_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    before = count_sessions(settings)
    assert_writing_fails_kindly(party, browser, token)
    other.execute("ROLLBACK")
    other.close()
    assert count_sessions(settings) == before
    assert_all_is_well(party, browser, tokens)


@pytest.mark.sqlite
def test_a_full_disk(app, stage, settings):
    """SQLite's own limit ends as a full disk does: SQLITE_FULL."""
    party, browser, _token, tokens = stage
    with database.open_session(settings) as db:
        db.execute(select(1))
        pages = db.connection().exec_driver_sql("PRAGMA page_count").scalar()
    before = count_sessions(settings)
    with pragma(app, f"PRAGMA max_page_count={pages + 4}"):
        answers = [sign_in(app.test_client()) for _ in range(60)]
    statuses = {answer.status_code for answer in answers}
    assert statuses == {303, 503}, "the last pages are filled, then it is full"
    for answer in answers:
        if answer.status_code == 503:
            assert_a_page(answer)
    assert count_sessions(settings) == before + sum(answer.status_code == 303 for answer in answers)
    assert_all_is_well(party, browser, tokens)


@pytest.mark.sqlite
def test_a_read_only_database(app, stage, settings):
    party, browser, token, tokens = stage
    before = count_sessions(settings)
    with pragma(app, "PRAGMA query_only=ON"):
        assert_writing_fails_kindly(party, browser, token)
        assert party.userinfo(tokens)["sub"]
        assert party.browser.get("/account").status_code == 200
    with pragma(app, "PRAGMA query_only=OFF"):
        pass
    assert count_sessions(settings) == before
    assert_all_is_well(party, browser, tokens)


@pytest.mark.sqlite
def test_an_engine_that_is_put_away_leaves_nothing_open(app, stage):
    with app.app_context():
        engine = context.extension.engine
    closed = []
    event.listen(engine, "close", lambda *_: closed.append(1))
    kept = engine.pool.checkedout()  # by sessions that wait for their next request
    assert kept
    opened = kept + engine.pool.checkedin()
    engine.dispose()
    assert len(closed) == opened
    assert stage[0].browser.get("/account").status_code == 200


@pytest.mark.sqlite
def test_a_database_that_is_no_database(app, stage, sqlite_file, tmp_path):
    party, browser, token, tokens = stage
    with app.app_context():
        context.extension.engine.dispose()
    kept = tmp_path / "kept"
    shutil.move(sqlite_file, kept)
    sqlite_file.write_bytes(b"this is no database at all" * 1000)
    assert_everything_fails_kindly(party, browser, token, tokens)
    with app.app_context():
        context.extension.engine.dispose()
    shutil.move(kept, sqlite_file)
    assert_all_is_well(party, browser, tokens)


@pytest.mark.sqlite
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 1.0])
def test_a_wal_that_is_torn(app, stage, sqlite_file, settings, make_app, tmp_path, kept):
    """After a crash: what stands behind the last whole commit is as if it had never been."""
    writer = sqlite3.connect(sqlite_file, isolation_level=None)
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for number in range(5):
        writer.execute(f"CREATE TABLE lost_{number} (n TEXT)")
        writer.execute(f"INSERT INTO lost_{number} VALUES (hex(zeroblob(9000)))")
    folder = tmp_path / "after the crash"
    folder.mkdir()
    wal = f"{sqlite_file.name}-wal"
    shutil.copy(sqlite_file, folder)
    torn = bytearray(sqlite_file.with_name(wal).read_bytes())
    writer.close()
    for at in range(int(len(torn) * kept), len(torn), 7):
        torn[at] ^= 0xFF
    (folder / wal).write_bytes(torn)
    after = make_app(replace(settings, instance=folder))
    assert after.test_client().get("/readyz").status_code == 200
    assert sign_in(after.test_client()).status_code == 303
    check = sqlite3.connect(folder / sqlite_file.name)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    tables = [name for (name,) in check.execute("SELECT name FROM sqlite_master WHERE name LIKE 'lost_%'")]
    found = sum(check.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    check.close()
    assert found == 5 if kept == 1.0 else found < 5


@pytest.fixture
def looks_each_time(monkeypatch):
    """Who takes a connection looks whether its file is there, however short ago that was."""
    monkeypatch.setattr(sqlite, "LOOK_FOR_FILE_EVERY", 0)


@pytest.fixture
def never_looks(monkeypatch):
    """Who takes a connection does not look whether its file is there, after the first time."""
    monkeypatch.setattr(sqlite, "LOOK_FOR_FILE_EVERY", 3_600)


@pytest.mark.sqlite
def test_a_file_that_is_gone_is_not_made_anew(looks_each_time, app, stage, sqlite_file, tmp_path):
    """An empty database in place of a lost one would look like a fresh start."""
    party, browser, token, tokens = stage
    kept = tmp_path / "kept"
    shutil.move(sqlite_file, kept)
    assert_everything_fails_kindly(party, browser, token, tokens)
    assert not sqlite_file.exists()
    shutil.move(kept, sqlite_file)
    assert_all_is_well(party, browser, tokens)


@pytest.mark.sqlite
def test_nothing_is_written_to_a_file_that_is_gone(never_looks, stage, sqlite_file, tmp_path):
    """Not even before anybody looks whether it is there."""
    _party, browser, token, _tokens = stage
    kept = tmp_path / "kept"
    shutil.move(sqlite_file, kept)
    assert sign_in(browser, token).status_code == 503
    shutil.move(kept, sqlite_file)
    assert sign_in(browser, token).status_code == 303


@pytest.mark.sqlite
def test_a_file_that_was_replaced_is_left(looks_each_time, app, stage, sqlite_file, settings, tmp_path):
    """What is written to the old one, nobody would find: it has no name any more."""
    party, browser, token, tokens = stage
    copy = tmp_path / "copy"
    with closing(sqlite3.connect(sqlite_file)) as source:
        source.execute("VACUUM INTO ?", (str(copy),))
    old = tmp_path / "old"
    sqlite_file.rename(old)
    for suffix in ("-wal", "-shm"):
        sqlite_file.with_name(sqlite_file.name + suffix).unlink()
    assert sign_in(browser, token).status_code == 503
    shutil.move(copy, sqlite_file)
    before = count_sessions(settings)
    assert_all_is_well(party, browser, tokens)
    assert count_sessions(settings) == before + 1


@pytest.mark.sqlite
def test_a_file_behind_a_link_is_opened_once(stage, sqlite_file, settings, make_app, tmp_path):
    _party, _browser, _token, tokens = stage
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / sqlite_file.name).symlink_to(sqlite_file)
    linked = make_app(replace(settings, instance=folder))
    opened = []
    with linked.app_context():
        event.listen(context.extension.engine, "connect", lambda *_: opened.append(1))
    bearer = {"Authorization": f"Bearer {tokens.access_token}"}
    for _ in range(5):
        assert linked.test_client().get("/readyz").status_code == 200
        assert linked.test_client().get("/oauth/userinfo", headers=bearer).status_code == 200
    assert len(opened) == 2  # one that the pool keeps, one that a session does


# -- PostgreSQL --------------------------------------------------------------------------------


def end_connections(admin, settings):
    """End all connections to the provider's database, and wait until they have ended: the server says so first."""
    name = [postgresql.name_of(settings.database_url)]
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)
    until(lambda: not admin.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", name).fetchone())


class TestOnPostgres:
    """The same on PostgreSQL."""

    pytestmark = postgresql.MARKS

    @pytest.fixture
    def database_engine(self):
        return "postgresql"

    def test_a_server_that_goes_away_and_comes_back(self, app, stage, settings):
        party, browser, token, tokens = stage
        name = sql.Identifier(urlsplit(settings.database_url).path[1:])
        with psycopg.connect(ADMIN_URL, autocommit=True) as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
            end_connections(admin, settings)
            assert_everything_fails_kindly(party, browser, token, tokens)
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
        assert_all_is_well(party, browser, tokens)

    def test_connections_that_were_cut_are_replaced_unnoticed(self, app, stage, settings):
        party, browser, _token, tokens = stage
        with psycopg.connect(ADMIN_URL, autocommit=True) as admin:
            end_connections(admin, settings)
        assert_all_is_well(party, browser, tokens)

    def test_a_row_that_nobody_gives_back(self, app, stage, settings, monkeypatch):
        """As when a host loses its power in the middle of a transaction, until the server notices."""
        party, browser, token, tokens = stage
        monkeypatch.setitem(_SERVER_LIMITS, "lock_timeout", "300ms")
        with app.app_context():
            context.extension.engine.dispose()
        with psycopg.connect(settings.database_url) as gone:
            gone.execute('UPDATE "user" SET username = username')
            assert_a_page(sign_in(browser, token))
            assert party.userinfo(tokens)["sub"]
            gone.rollback()
        assert_all_is_well(party, browser, tokens)

    def test_the_server_gives_up_on_hosts_that_are_gone(self, app, settings):
        with app.app_context(), context.extension.engine.connect() as connection:
            limits = {name: connection.exec_driver_sql(f"SHOW {name}").scalar() for name in _SERVER_LIMITS}
            connection.rollback()
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == limits["lock_timeout"]
        assert limits["lock_timeout"] == f"{LOCK_WITHIN}s"
        idle, every, times = (int(limits[f"tcp_keepalives_{what}"]) for what in ("idle", "interval", "count"))
        assert 0 < idle + every * times <= 30
        assert limits["tcp_user_timeout"] in (f"{DEAD_AFTER}000", f"{DEAD_AFTER}s")
        assert limits["idle_in_transaction_session_timeout"] == "5min"

    def test_a_read_only_standby(self, app, stage, settings):
        party, browser, token, tokens = stage
        name = sql.Identifier(urlsplit(settings.database_url).path[1:])
        with psycopg.connect(ADMIN_URL, autocommit=True) as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
            with app.app_context():
                context.extension.engine.dispose()
            assert_writing_fails_kindly(party, browser, token)
            assert party.userinfo(tokens)["sub"]
            admin.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = off").format(name))
        assert_told_to_come_back(sign_in(browser, token))  # by the connection that was opened to read
        assert_all_is_well(party, browser, tokens)

    def test_a_write_that_is_refused_costs_no_connection_but_its_own(self, settings):
        """Or where each write is refused, whoever reads would have to connect anew each time."""

        def server_process(connection):
            return connection.scalar(text("SELECT pg_backend_pid()"))

        engine = database.open_engine(settings)
        with engine.connect() as reading, engine.connect() as writing:
            read_by, written_by = server_process(reading), server_process(writing)
            writing.rollback()
            writing.execute(text("SET TRANSACTION READ ONLY"))
            with pytest.raises(InternalError, match="read-only"):
                writing.execute(update(User).values(updated_at=1))
        with engine.connect() as one, engine.connect() as other:
            found = {server_process(one), server_process(other)}
        engine.dispose()
        assert read_by in found
        assert written_by not in found

    def test_a_worker_that_was_led_to_a_read_only_standby(self, settings, make_user):
        name = sql.Identifier(urlsplit(settings.database_url).path[1:])
        make_user()
        engine = database.open_engine(settings)
        with psycopg.connect(ADMIN_URL, autocommit=True) as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
            with pytest.raises(InternalError, match="read-only"), Session(engine) as db, db.begin():
                db.execute(update(User).values(updated_at=1))
            admin.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = off").format(name))
        with Session(engine) as db, db.begin():
            db.execute(update(User).values(updated_at=1))
        engine.dispose()


class TestBehindAPooler:
    """What stands between may stand still, and so may the server's whole machine: nothing is heard of that."""

    pytestmark = postgresql.MARKS

    @pytest.fixture
    def database_engine(self):
        return "postgresql"

    @pytest.fixture
    def pooler(self, settings):
        with postgresql.Pausing(settings.database_url) as pooler:
            yield pooler

    @pytest.fixture
    def app(self, settings, pooler, make_app, monkeypatch):
        monkeypatch.setattr(habits, "CONNECT_WITHIN", 1)
        return make_app(replace(settings, database_url=pooler.url))

    def test_who_asks_is_told_to_come_back_until_it_goes_on(self, app, pooler, stage):
        party, browser, token, tokens = stage
        pooler.pause()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(patience, "WITHIN", 0.2)
            patch.setattr(patient_connection, "GRACE", 0.2)
            assert_a_problem(browser.get("/readyz"))
            assert_a_page(sign_in(browser, token))
            assert_an_oauth_error(party.request_refresh(tokens.refresh_token))
            assert browser.get("/healthz").status_code == 200
        pooler.go_on()
        assert_all_is_well(party, browser, tokens)
