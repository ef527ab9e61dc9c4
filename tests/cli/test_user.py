"""`idp user`."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp import settings
from idp.accounts import data_export, ended_sessions, sessions, sign_in, users
from idp.accounts.visitor import Visitor
from idp.cli import output
from idp.errors import SignInRefused
from idp.models import AuthorizationGrant, BrowserSession, MailMessage
from tests.cli.conftest import PASSWORD, Run
from tests.living_session import find_session_by_id

NEW_PASSWORD = "another quite unguessable phrase"


def _sign_in(database: Session, password: str = PASSWORD) -> str:
    _, session_id = sign_in.sign_in(database, settings.load(), Visitor(user_agent="Lynx"), "ada", password)
    database.commit()
    return session_id


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_add_prints_the_account(instance: Path, succeed: Run, database: Session, newline: str) -> None:
    arguments = ("--email", "Ada@Example.org", "--first-name", "Ada", "--role", "b", "--role", "a", "--password-stdin")
    result = succeed("user", "add", "ada", *arguments, "--json", stdin=PASSWORD + newline)
    shown = json.loads(result.stdout)
    assert shown["username"] == "ada"
    assert shown["roles"] == ["a", "b"]
    assert shown["email_verified"] is True
    assert "Added ada." in result.stderr
    assert PASSWORD not in result.output
    assert _sign_in(database)


def test_add_for_people(instance: Path, succeed: Run) -> None:
    shown = succeed("user", "add", "bob", "--email", "bob@example.org", "--password-stdin", stdin=PASSWORD).stdout
    assert "bob@example.org" in shown


@pytest.mark.parametrize(
    ("arguments", "stdin", "told"),
    [
        (("--email", "nonsense"), PASSWORD, "email:"),
        (("--email", "a@example.org"), "short", "password:"),
        (("--email", "a@example.org"), "", "password: Nothing came"),
        (("--email", "a@example.org"), b"\xff\xfe", "not UTF-8"),
        (("--email", "a@example.org"), "x" * 70_000, "far too long"),
        (("--email", "a@example.org", "--role", "no role"), PASSWORD, "role:"),
        (("--email", "a@example.org", "--first-name", "<script>"), PASSWORD, "given_name:"),
    ],
)
def test_add_refuses_and_names_the_field(
    instance: Path, run: Run, arguments: tuple[str, ...], stdin: str | bytes, told: str
) -> None:
    result = run("user", "add", "ada", *arguments, "--password-stdin", stdin=stdin)
    assert result.exit_code == 1
    assert told in result.stderr
    assert not result.stdout
    assert run("user", "show", "ada").exit_code == 1  # nothing was kept


def test_every_fault_is_told_at_once(instance: Path, run: Run) -> None:
    result = run("user", "add", "a b", "--email", "x", "--password-stdin", stdin=PASSWORD)
    assert "username:" in result.stderr
    assert "email:" in result.stderr


@pytest.mark.parametrize(("name", "told"), [("ada", "taken"), ("ADA", "taken"), ("аda", "alphabet")])
def test_add_refuses_a_taken_name(ada: str, run: Run, name: str, told: str) -> None:
    result = run("user", "add", name, "--email", "other@example.org", "--password-stdin", stdin=PASSWORD)
    assert result.exit_code == 1
    assert told in result.stderr


def test_without_a_terminal_nobody_is_asked(instance: Path, run: Run) -> None:
    result = run("user", "add", "ada", "--email", "ada@example.org")
    assert result.exit_code == 2
    assert "--password-stdin" in result.stderr


def test_at_a_terminal_the_password_is_asked_for_twice(
    instance: Path, succeed: Run, monkeypatch: pytest.MonkeyPatch, database: Session
) -> None:
    monkeypatch.setattr("idp.cli.secret_input._is_terminal", lambda: True)
    answers = f"{PASSWORD}\nmistyped\n{PASSWORD}\n{PASSWORD}\n"
    result = succeed("user", "add", "ada", "--email", "ada@example.org", stdin=answers)
    assert "do not match" in result.stderr
    assert PASSWORD not in result.output
    assert _sign_in(database)


@pytest.mark.parametrize("wrong", [("--email", "nonsense"), ("--email", "a@example.org", "--role", "no role")])
def test_at_a_terminal_nobody_types_a_password_for_nothing(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, ...]
) -> None:
    monkeypatch.setattr("idp.cli.secret_input._is_terminal", lambda: True)
    result = run("user", "add", "ada", *wrong)
    assert result.exit_code == 1
    assert "Please check what you entered" in result.stderr
    assert "Password" not in result.output


def test_list(ada: str, succeed: Run) -> None:
    for name in ("bob", "Zoë"):
        succeed("user", "add", name, "--email", f"{name}@example.org", "--password-stdin", stdin=PASSWORD)
    shown: list[dict[str, Any]] = json.loads(succeed("user", "list", "--json").stdout)
    assert [each["username"] for each in shown] == ["ada", "bob", "Zoë"]
    assert shown[0]["name"] == "Ada Lovelace"
    table = succeed("user", "list").stdout.splitlines()
    assert table[0].split() == ["USERNAME", "EMAIL", "NAME", "ROLES", "CREATED", "STATE"]
    assert "Z  enabled" in table[1]


def test_list_goes_on_past_one_page(ada: str, succeed: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.cli.user.PAGE", 2)
    for name in ("bob", "carol", "dave"):
        succeed("user", "add", name, "--email", f"{name}@example.org", "--password-stdin", stdin=PASSWORD)
    printed = succeed("user", "list", "--json").stdout
    assert len(json.loads(printed)) == 4
    assert printed == json.dumps(json.loads(printed), indent=2) + "\n", "as if it had been printed at once"
    monkeypatch.setattr(output, "ALIGNED", 2)
    assert [line.split()[0] for line in succeed("user", "list").stdout.splitlines()][1:] == [
        "ada",
        "bob",
        "carol",
        "dave",
    ]


def test_an_empty_list(instance: Path, succeed: Run) -> None:
    assert json.loads(succeed("user", "list", "--json").stdout) == []
    result = succeed("user", "list")
    assert not result.stdout
    assert "no accounts yet" in result.stderr


@pytest.mark.parametrize("by", ["username", "email", "id"])
def test_show_by_name_address_or_id(ada: str, succeed: Run, database: Session, by: str) -> None:
    user = users.get_user(database, "ada")
    user_id, name = user.id, getattr(user, by)
    _sign_in(database)
    shown = json.loads(succeed("user", "show", name.upper() if by == "email" else name, "--json").stdout)
    assert shown["id"] == user_id
    assert [each["user_agent"] for each in shown["sessions"]] == ["Lynx"]
    assert "password_hash" not in shown
    assert "Lynx" in succeed("user", "show", "ada").stdout


@pytest.mark.parametrize("action", ["show", "data", "disable", "enable", "roles", "delete"])
def test_an_unknown_user(instance: Path, run: Run, action: str) -> None:
    result = run("user", action, "nobody")
    assert result.exit_code == 1
    assert "There is no user 'nobody': see `idp user list`." in result.stderr


def test_show_names_the_apps_that_a_session_reached(ada: str, succeed: Run, database: Session) -> None:
    succeed("client", "add", "Wiki", "--redirect-uri", "https://wiki.example.org/cb", "--id", "wiki")
    session_id = _sign_in(database)
    grant = AuthorizationGrant(
        id="g",
        client_id="wiki",
        user_id=users.get_user(database, ada).id,
        session_id=session_id,
        scope="openid",
        auth_time=0,
        acr="",
        amr=[],
        is_offline=False,
        created_at=0,
        expires_at=2**31,
    )
    database.add(grant)
    database.commit()
    shown = json.loads(succeed("user", "show", "ada", "--json").stdout)
    assert [each["apps"] for each in shown["sessions"]] == [["Wiki"]]
    assert "Wiki" in succeed("user", "show", "ada").stdout


def test_disable_ends_sessions_and_enable_brings_back(ada: str, succeed: Run, database: Session) -> None:
    session_id = _sign_in(database)
    assert "Disabled ada." in succeed("user", "disable", "ada").stderr
    assert "already" in succeed("user", "disable", "ada").stderr
    database.expire_all()
    assert database.get_one(BrowserSession, session_id).end_reason == "user_disabled"
    with pytest.raises(SignInRefused):
        _sign_in(database)
    database.rollback()
    assert "Enabled ada." in succeed("user", "enable", "ada@example.org").stderr
    assert "not disabled" in succeed("user", "enable", "ada").stderr
    assert _sign_in(database)


def test_sign_out_ends_sessions_and_nothing_else(ada: str, succeed: Run, run: Run, database: Session) -> None:
    session_ids = [_sign_in(database), _sign_in(database)]
    assert "Signed ada out: 2 sessions ended." in succeed("user", "sign-out", "ada@example.org").stderr
    database.expire_all()
    reasons = {database.get_one(BrowserSession, session_id).end_reason for session_id in session_ids}
    assert reasons == {"ended_by_operator"}
    assert "ada had no sessions" in succeed("user", "sign-out", "ada").stderr
    assert _sign_in(database)
    assert "1 session ended" in succeed("user", "sign-out", "ada").stderr
    assert "no user 'nobody'" in run("user", "sign-out", "nobody").stderr


def test_set_password_ends_sessions(ada: str, succeed: Run, run: Run, database: Session) -> None:
    _sign_in(database)
    refused = run("user", "set-password", "ada", "--password-stdin", stdin="short")
    assert refused.exit_code == 1
    assert "password:" in refused.stderr
    succeed("user", "set-password", "ada", "--password-stdin", stdin=NEW_PASSWORD)
    user = users.get_user(database, "ada")
    assert not sessions.list_sessions(database, settings.load(), user.id)
    assert _sign_in(database, NEW_PASSWORD)
    user.locale = "de-AT"
    database.commit()
    succeed("user", "set-password", "ada", "--password-stdin", stdin=PASSWORD)
    subjects = database.scalars(select(MailMessage.subject)).all()
    assert sorted(subjects) == ["Ihr Passwort wurde geändert", "Your password was changed"]


def test_a_temporary_password_must_be_changed(ada: str, succeed: Run, database: Session) -> None:
    result = succeed("user", "set-password", "ada", "--password-stdin", "--temporary", stdin=NEW_PASSWORD)
    assert "Set a temporary password for ada" in result.stderr
    assert json.loads(succeed("user", "show", "ada", "--json").stdout)["must_change_password"] is True
    session_id = _sign_in(database, NEW_PASSWORD)
    found = find_session_by_id(database, settings.load(), session_id)
    assert found is not None
    assert found.must_change_password
    succeed("user", "set-password", "ada", "--password-stdin", stdin=PASSWORD)
    assert json.loads(succeed("user", "show", "ada", "--json").stdout)["must_change_password"] is False


def test_states_are_shown(ada: str, succeed: Run, database: Session) -> None:
    user = users.get_user(database, "ada")
    for name, value, state in (
        ("deletion_due_at", 1, "to be deleted"),
        ("is_registration_pending", True, "waits for confirmation"),
        ("disabled_at", 1, "disabled"),
    ):
        setattr(user, name, value)
        database.commit()
        assert state in succeed("user", "list").stdout


def test_data_is_what_the_person_can_download(ada: str, succeed: Run, database: Session) -> None:
    session_id = _sign_in(database)
    whole = json.loads(succeed("user", "data", "ADA@example.org").stdout)
    assert whole == data_export.export_account(database, users.get_user(database, ada).id)
    assert [each["id"] for each in whole["sessions"]] == [session_id]


def test_delete_asks_first_and_leaves_the_name_to_others(ada: str, run: Run, succeed: Run, database: Session) -> None:
    user_id = users.get_user(database, ada).id
    session_id = _sign_in(database)
    for answer, code in (("n\n", 130), ("", 1)):
        assert run("user", "delete", ada, stdin=answer).exit_code == code
    assert succeed("user", "show", ada)
    asked = succeed("user", "delete", ada, stdin="y\n").stderr
    assert "Delete the account ada (ada@example.org) for good?" in asked
    assert f"Deleted ada (id {user_id})." in asked
    database.expire_all()
    assert users.find_user(database, user_id) is None
    assert database.get(BrowserSession, session_id) is None
    told = json.loads(succeed("audit", "--user", user_id, "--json").stdout)[-2:]
    assert [(each["event"], each["actor"]) for each in told] == [
        ("account:session:end", "operator"),
        ("account:user:delete", "operator"),
    ]
    succeed("user", "add", "ada", "--email", "ada@example.org", "--password-stdin", stdin=PASSWORD)
    succeed("user", "delete", ada, "--yes")


def test_the_commands_that_end_sessions_end_their_tokens_too(ada: str, succeed: Run) -> None:
    from idp.oidc import token_status

    succeed("user", "disable", "ada")
    assert token_status.revoke_grants in ended_sessions._listeners


def test_roles(ada: str, succeed: Run, run: Run) -> None:
    assert succeed("user", "roles", "ada").stdout == "admin\n"
    assert json.loads(succeed("user", "roles", "ada", "--add", "x", "--add", "y", "--json").stdout) == [
        "admin",
        "x",
        "y",
    ]
    assert succeed("user", "roles", "ada", "--remove", "admin", "--remove", "x").stdout == "y\n"
    mistyped = succeed("user", "roles", "ada", "--remove", "Y", "--add", "y", "--add", "z")
    assert mistyped.stderr == "Gave ada z.\nada had y already.\nada did not have Y.\n"
    assert succeed("user", "roles", "ada", "--remove", "z").stderr == "Took z from ada.\n"
    last = succeed("user", "roles", "ada", "--remove", "y")
    assert not last.stdout
    assert "no roles" in last.stderr
    assert run("user", "roles", "ada", "--add", "z", "--remove", "z").exit_code == 2
    assert run("user", "roles", "ada", "--add", "not a role").exit_code == 1
