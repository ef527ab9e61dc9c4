"""A program goes on while the schema is upgraded under it: the one of before on today's, today's on the next."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from idp import migrations
from idp.migrations import revisions
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings
from idp.storage.database import open_engine
from tests import postgresql
from tests.environment import without_settings
from tests.factories import PASSWORD
from tests.house.pages import ROOT
from tests.relying_party import RelyingParty, Tokens, error_of
from tests.storage.programs import Program, Turn, find_former, unpack

ISSUER = "http://127.0.0.1:8000"  # only a name: requests go to whoever's turn it is
REDIRECT_URI = "https://app.example.org/callback"
SCOPE = "openid profile offline_access"
FORMER = find_former()
# Without history there is nobody of before, and the test is not collected; today's program is tried in any case.
former_programs = [pytest.param(FORMER, id="the one before")] if FORMER else []
# Each takes half a minute. Where several machines are, PostgreSQL is; what runs on a newer schema needs but one engine.
servers = [pytest.param("postgresql", marks=pytest.mark.postgres) if postgresql.SERVER else "sqlite"]

Start = Callable[..., Program]


@pytest.fixture
def start(empty_database: Settings, tmp_path: Path) -> Iterator[Start]:
    """Give programs that work on one instance; what runs at the end is killed."""
    environment = {
        **without_settings(),
        "IDP_INSTANCE": str(empty_database.instance),
        "IDP_ISSUER": ISSUER,
        "IDP_SECRET_KEY": empty_database.secret_key,
        "IDP_BCRYPT_COST": "4",
        **({"IDP_DATABASE_URL": empty_database.database_url} if empty_database.database_url else {}),
    }
    programs: list[Program] = []

    def give(commit: str = "", **more: str) -> Program:
        folder = unpack(commit, tmp_path / "former") if commit else ROOT
        programs.append(Program(folder, {**environment, **more}))
        return programs[-1]

    yield give
    for program in programs:
        program.kill()


def furnish(program: Program) -> tuple[ClientMetadata, str]:
    """Make the instance ready, and register a person and an app."""
    program.succeed("init")
    for name in ("ada", "bob"):
        program.succeed("user", "add", name, "--email", f"{name}@example.org", "--password-stdin", text=PASSWORD)
    app = json.loads(
        program.succeed(
            "client", "add", "Wiki", "--redirect-uri", REDIRECT_URI, "--trusted", "--json",
            "--grant", "authorization_code", "--grant", "refresh_token",
            *(word for scope in SCOPE.split() for word in ("--scope", scope)),
        )
    )  # fmt: skip
    client_id, secret = app["client_id"], app["client_secret"]
    return ClientMetadata(client_id=client_id, client_name="Wiki", redirect_uris=(REDIRECT_URI,)), secret


def work_on(rp: RelyingParty, stranger: RelyingParty, tokens: Tokens) -> Tokens:
    """Do what people and apps do; returns the tokens to go on with."""
    assert rp.redeem(rp.ask(scope=SCOPE).code).access_token  # signed in before, by single sign-on
    fresh = rp.refresh(tokens.refresh_token)
    assert rp.userinfo(fresh)["preferred_username"] == "ada"
    assert rp.introspect(fresh.access_token)["active"]
    other = stranger.log_in("bob", scope=SCOPE)
    stranger.revoke(other.refresh_token)
    assert error_of(stranger.request_refresh(other.refresh_token)) == "invalid_grant"
    stranger.log_out(other.id_token)
    assert stranger.ask(prompt="none").error == "login_required"
    return fresh


@pytest.mark.parametrize("empty_database", servers, indirect=True)
@pytest.mark.parametrize("commit", former_programs)
@pytest.mark.timeout(900)
def test_the_program_before_goes_on_while_it_is_replaced(start: Start, commit: str) -> None:
    former, todays = start(commit), start(IDP_AUTHORIZATION_CODES="stored")
    metadata, secret = furnish(former)
    former.serve()
    turn = Turn(former)
    rp, stranger = (RelyingParty(turn.browser(), ISSUER, metadata, secret) for _ in range(2))
    tokens = work_on(rp, stranger, rp.log_in(scope=SCOPE))
    newest = migrations.newest_revision()
    assert f"Upgraded the database to schema {newest}" in todays.run("init").stderr

    # Both serve the same people: what the one gave, the other takes.
    tokens = work_on(rp, stranger, tokens)
    todays.serve()
    code_of_former = rp.ask(scope=SCOPE).code
    turn.of = todays
    assert rp.redeem(code_of_former).access_token
    tokens = work_on(rp, stranger, tokens)
    code_of_todays = rp.ask(scope=SCOPE).code
    turn.of = former
    assert rp.redeem(code_of_todays).access_token
    tokens = work_on(rp, stranger, tokens)

    # A server of before that ends may begin again, if it was written when databases said whom they serve.
    former.stop()
    if revisions.STEPS.name in (former.folder / "idp" / "migrations" / "revisions.py").read_text("utf-8"):
        former.serve()
        tokens = work_on(rp, stranger, tokens)
        former.succeed("worker", "--once")
        former.stop()
    turn.of = todays
    rp.log_out(work_on(rp, stranger, tokens).id_token)
    assert faults(todays) == []
    todays.stop()


def faults(program: Program) -> list[str]:
    """Return what the doctor finds wrong in the data."""
    found = json.loads(program.run("doctor", "--deep", "--json").stdout)
    assert len(found) > 10
    return [f"{each['check']}: {each['told']}" for each in found if each["verdict"] == "fault"]


def take_next_step(connection: Connection) -> None:
    """Bring a database one step beyond today's program, with all that a step may do."""
    tables = set(inspect(connection).get_table_names()) - {"alembic_version", revisions.STEPS.name}
    for table in sorted(tables):
        connection.execute(text(f'ALTER TABLE "{table}" ADD COLUMN aaa_may_be_empty INTEGER'))
        connection.execute(text(f"ALTER TABLE \"{table}\" ADD COLUMN zzz_has_a_default TEXT NOT NULL DEFAULT 'x'"))
        connection.execute(text(f'CREATE INDEX next_{table} ON "{table}" (zzz_has_a_default, aaa_may_be_empty)'))
    connection.execute(
        text(
            'CREATE TABLE badge (id INTEGER PRIMARY KEY, user_id VARCHAR(32) REFERENCES "user" (id) ON DELETE CASCADE)'
        )
    )
    connection.execute(text("""INSERT INTO badge SELECT 1, id FROM "user" WHERE username = 'bob'"""))
    connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    revisions.note_step(connection, "9999", migrations.newest_revision())


def upgrade_beyond(settings: Settings) -> None:
    engine: Any = open_engine(settings)
    with engine.begin() as connection:
        take_next_step(connection)
    engine.dispose()


@pytest.mark.parametrize("empty_database", ["sqlite"], indirect=True)
def test_todays_program_goes_on_with_the_next_schema(start: Start, empty_database: Settings) -> None:
    program = start()
    metadata, secret = furnish(program)
    program.serve()
    turn = Turn(program)
    rp, stranger = (RelyingParty(turn.browser(), ISSUER, metadata, secret) for _ in range(2))
    tokens = rp.log_in(scope=SCOPE)
    upgrade_beyond(empty_database)
    tokens = work_on(rp, stranger, tokens)
    program.stop()
    assert "nothing was left to do" in program.run("init").stderr
    program.serve()
    tokens = work_on(rp, stranger, tokens)
    program.succeed("user", "add", "eve", "--email", "eve@example.org", "--password-stdin", text=PASSWORD)
    program.succeed("user", "disable", "bob")
    program.succeed("worker", "--once")
    program.stop()
    assert faults(program) == []
    assert "schema 9999, newer than this program" in program.run("doctor").stdout
