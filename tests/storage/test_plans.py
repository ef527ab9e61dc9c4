"""Whatever runs again and again finds its rows by an index, on both engines: nothing costs more as tables grow."""

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, Engine, event, insert, inspect, text, update
from sqlalchemy.orm import Session

import idp
from bench import population
from bench.plans import GROWING, whole_tables
from idp import clock, crypto, worker
from idp.accounts import audit, preauthorization, sessions, users
from idp.accounts.visitor import OPERATOR
from idp.cli.invariants import INVARIANTS
from idp.mail import queue
from idp.migrations import runner
from idp.models import LogoutNotice, MailMessage, User
from idp.oidc import backchannel, client_store, session_ends
from idp.settings import Settings
from idp.storage import batches, database
from idp.storage.statements import Prepared, _Compiled
from tests.factories import PASSWORD
from tests.relying_party import RelyingParty
from tests.relying_party import the_form as whole_form


def the_form(page: str) -> dict[str, str]:
    """Return what a page's form would send as it stands."""
    return dict(whole_form(page)["fields"])


Asked = dict[str, Any]  # parameters by statement
PEOPLE = 300


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A provider with some people: of an empty table PostgreSQL would as soon read all as a part.

    Batches are small, because it counts how often it would have to look something up.
    """
    population.fill(settings, PEOPLE, lambda _: None)
    with database.open_session(settings) as db:
        waits = {"is_registration_pending": True, "created_at": clock.now()}
        db.execute(update(User).where(User.username.endswith("7")).values(waits))
        sent = {"state": "sent", "attempts": 1, "created_at": 1, "next_attempt_at": 1, "finished_at": clock.now()}
        of = {"client_id": "app-1", "user_id": "", "session_id": ""}
        db.execute(insert(LogoutNotice), [{"id": crypto.new_id(), **of, **sent} for _ in range(PEOPLE)])
        if db.get_bind().dialect.name == "postgresql":  # as autovacuum does; SQLite has no such habit
            db.execute(text("ANALYZE"))
    monkeypatch.setattr(batches, "BATCH", 2)
    return settings


@pytest.fixture
def asked() -> Iterator[Asked]:
    """Every statement that any engine is sent, with the parameters that it came with first."""
    found: Asked = {}

    def note(_connection: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool) -> None:
        found.setdefault(sql, parameters[0] if many else parameters)

    event.listen(Engine, "before_cursor_execute", note)
    yield found
    event.remove(Engine, "before_cursor_execute", note)


def _check(settings: Settings, asked: Asked) -> None:
    engine = database.open_engine(settings)
    found = dict(asked)
    with engine.connect() as connection:
        faults = {
            sql: tables for sql, parameters in found.items() if (tables := _read_whole(connection, sql, parameters))
        }
    engine.dispose()
    assert len(found) > 10
    assert not faults, "\n\n".join(f"reads all of {', '.join(tables)}: {sql}" for sql, tables in faults.items())


def _read_whole(connection: Connection, sql: str, parameters: Any) -> set[str]:
    try:
        return whole_tables(connection, sql, parameters)
    finally:
        connection.rollback()


def test_a_statement_that_reads_a_whole_table_is_found(settings: Settings) -> None:
    engine = database.open_engine(settings)
    with engine.connect() as connection:
        for sql in (
            "SELECT id FROM \"user\" WHERE given_name = 'Ada'",
            'SELECT count(*) FROM "user"',
            "DELETE FROM throttle WHERE bucket IN (SELECT bucket FROM throttle WHERE available_at + 1 < 5)",
            "UPDATE mail_message SET attempts = 1 WHERE state <> 'waiting'",
        ):
            assert _read_whole(connection, sql, ()), sql
        assert not _read_whole(connection, "SELECT 1 FROM \"user\" WHERE id = 'x'", ())
    engine.dispose()


def _prepared() -> Iterator[Prepared]:
    for module in pkgutil.walk_packages(idp.__path__, "idp."):
        if "migrations" not in module.name and "__main__" not in module.name:
            yield from (
                each for each in vars(importlib.import_module(module.name)).values() if isinstance(each, Prepared)
            )


def test_every_prepared_statement(settings: Settings) -> None:
    engine = database.open_engine(settings)
    count = 0
    with engine.connect() as connection:
        for prepared in _prepared():
            statement = prepared.statement_for(connection.dialect.name)
            compiled = _Compiled(statement, prepared._columns, connection.dialect)
            binds = statement.compile(  # type: ignore[attr-defined]
                dialect=connection.dialect, column_keys=prepared._columns
            ).binds
            values = {name: _some(binds[name].type) if name in binds else "x" for name in compiled._taken}
            for name, process in compiled._into:
                values[name] = process(values[name])
            parameters = values if compiled._order is None else tuple(values[name] for name in compiled._order)
            assert not _read_whole(connection, compiled._sql, parameters), compiled._sql
            count += 1
    engine.dispose()
    assert count >= 10


def _some(type_: Any) -> Any:
    try:
        return {int: 1, bool: True, str: "x"}.get(type_.python_type, [])
    except NotImplementedError:
        return 1


def test_what_apps_do(
    settings: Settings, asked: Asked, relying_party: Callable[..., RelyingParty], make_user: Callable[..., User]
) -> None:
    make_user("ada", roles=("editor",))
    rp = relying_party(
        is_trusted=False, has_id_token_claims=True, is_single_session=True, max_concurrent_users=5,
        backchannel_logout_uri="https://app.example.org/back",
    )  # fmt: skip
    tokens = rp.log_in(scope="openid profile email roles offline_access")
    rp.ask()
    rp.refresh(tokens.refresh_token)
    assert rp.request_refresh(tokens.refresh_token).status_code == 400  # used before
    tokens = rp.redeem(rp.authorize(scope="openid profile offline_access").code)
    assert rp.request_tokens(rp.authorize().code, code_verifier="x" * 43).status_code == 400
    rp.userinfo(tokens)
    rp.introspect(tokens.access_token)
    rp.introspect(tokens.refresh_token)
    rp.revoke(tokens.access_token)
    rp.read_answer(rp.send_pushed(rp.push()))
    rp.authorize(prompt="login")
    rp.log_out(tokens.id_token)
    rp.send(prompt="none")
    rp.authorize()
    _check(settings, asked)


PAGES = (
    "/account", "/account/profile", "/account/email", "/account/password", "/account/sessions", "/account/apps",
    "/account/data", "/account/delete", "/metrics", "/readyz", "/device?user_code=BCDF-GHJK",
)  # fmt: skip


def test_what_people_do(
    settings: Settings, asked: Asked, client: FlaskClient, relying_party: Callable[..., RelyingParty], app: Flask,
    make_user: Callable[..., User], db: Session,
) -> None:  # fmt: skip
    make_user("ada")
    rp = relying_party(browser=client)
    rp.log_in()
    for path in PAGES:
        assert client.get(path).status_code in (200, 404, 422), path
    form = the_form(client.get("/account/sessions").text)
    client.post("/account/sessions", data={**form, "end": "others"})
    other_address = {"email": "countess@example.org", "current_password": PASSWORD}
    client.post("/account/email", data={**the_form(client.get("/account/email").text), **other_address})
    client.post("/account/email/revoke", data=the_form(client.get("/account/email").text))
    client.post("/account/delete", data={**the_form(client.get("/account/delete").text), "current_password": PASSWORD})
    client.post("/account/delete/revoke", data=the_form(client.get("/account/delete").text))
    client.post("/account/profile", data={**the_form(client.get("/account/profile").text), "given_name": "Augusta"})
    other = app.test_client()
    person = {"username": "grace", "email": "grace@example.org", "password": "a horse that counts to 9"}
    assert other.post("/register", data={**the_form(other.get("/register").text), **person}).status_code == 303
    for page, given in (
        ("/forgot-password", {"identifier": "ada"}), ("/forgot-username", {"email": "ada@example.org"}),
        ("/verify-email/resend", {"email": "grace@example.org"}),
    ):  # fmt: skip
        other.post(page, data={**the_form(other.get(page).text), **given})
    _check(settings, asked)


def test_what_the_worker_does(settings: Settings, asked: Asked, db: Session, make_user: Callable[..., User]) -> None:
    """Nothing is due in most rounds; what is done where something is, `test_what_operators_do` and others see."""
    make_user("ada")
    engine = database.open_engine(settings)
    stop = threading.Event()
    stop.set()
    for job in worker.JOBS:
        job.work(engine, settings, stop)
    worker.sweep_all(engine)
    with Session(engine) as own:
        queue.put_off_some(own, "nobody is there", most=5)
        backchannel._apps_to_tell(own)
        backchannel._claim_next(own, "app")
        queue.claim_next(own, 5)
    engine.dispose()
    _check(settings, asked)


def test_what_the_worker_does_where_much_is_due(
    settings: Settings, asked: Asked, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_ends.listen()
    engine = database.open_engine(settings)
    for days in (8, 200):
        clock.advance(86_400 * days)
        with Session(engine) as own:
            assert sessions.end_expired(own, settings, most=4) == 4
            own.commit()
            for sweep in worker.SWEEPS:
                sweep.delete_batch(own)
                own.commit()
    engine.dispose()
    for table in ("authorization_grant", "refresh_token", "throttle", "mail_message", "user"):
        assert any(sql.replace('"', "").startswith(f"DELETE FROM {table}") for sql in asked), table
    _check(settings, asked)


def test_what_operators_do(settings: Settings, asked: Asked, db: Session, make_user: Callable[..., User]) -> None:
    ada = make_user("ada")
    list(users.list_users(db, after="a", limit=10))
    for chosen in ({}, {"event": "account"}, {"event": "account:user:create"}, {"user_id": ada.id}):
        assert audit.list_events(db, since=clock.now() - 50, **chosen)  # type: ignore[arg-type]
    users.get_user(db, "ADA@example.org")
    for state in ("", "waiting", "failed"):
        queue.list_mail(db, state=state)
    queue.put_off_last(db)
    due = {"id": "due", "state": "waiting", "attempts": 0, "created_at": 1, "next_attempt_at": 1}
    db.add(MailMessage(kind="", recipient="", subject="", body_sealed="", **due))
    db.add(LogoutNotice(client_id="app-1", user_id="", session_id="", **due))
    db.flush()
    for table in (queue, backchannel):
        assert table.untaken_since(db, 0) == 1  # it looked for everything that a worker leaves behind
    preauthorization.preauthorize(db, OPERATOR, "grace@example.org")
    preauthorization.find(db, "grace@example.org", "app")
    preauthorization.withdraw(db, OPERATOR, "grace@example.org")
    client_store.sweep_unused(db, most=5)
    users.disable_user(db, OPERATOR, ada.id)
    users.enable_user(db, OPERATOR, ada.id)
    _check(settings, asked)


def test_every_foreign_key_is_indexed(settings: Settings) -> None:
    """Or whoever removes a row reads all of the tables that may name it, and with SQLite for each row."""
    engine = database.open_engine(settings)
    found = inspect(engine)
    for table in GROWING:
        leading = {index["column_names"][0] for index in found.get_indexes(table)}
        leading |= {unique["column_names"][0] for unique in found.get_unique_constraints(table)}
        leading.add(found.get_pk_constraint(table)["constrained_columns"][0])
        for key in found.get_foreign_keys(table):
            assert key["constrained_columns"][0] in leading, (table, key["constrained_columns"])
    engine.dispose()


@pytest.mark.sqlite
def test_what_reads_everything_reads_it_once(tmp_path: Path) -> None:
    """`idp doctor --deep` may take minutes on a million people, but not hours: no table is read again for each row."""
    settings = Settings(instance=tmp_path, secret_key="x" * 32)
    runner.upgrade(settings)
    engine = database.open_engine(settings)
    with engine.connect() as connection:
        for invariant in INVARIANTS:
            compiled = invariant.offenders(clock.now()).compile(engine, compile_kwargs={"literal_binds": True})
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all()
            steps = {row[0]: str(row[3]) for row in plan}
            scans = [row[1] for row in plan if row[3].startswith("SCAN") and "VIRTUAL TABLE" not in row[3]]
            assert len(set(scans)) == len(scans), (invariant.name, steps)  # one a loop
            assert not any(steps.get(outer, "").startswith("CORRELATED") for outer in scans), (invariant.name, steps)
            inner = list(steps.values())[1:]
            assert not any("ix_audit_event_event_at" in step for step in inner), "all events of a kind, for each row"
    engine.dispose()
