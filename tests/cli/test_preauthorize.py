"""`idp preauthorize`."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import preauthorization
from idp.cli import preauthorize
from idp.models import MailMessage
from tests.cli.conftest import Run

DAY = 86_400


@pytest.fixture
def open_instance(instance: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An instance where listed addresses register."""
    monkeypatch.setenv("IDP_REGISTRATION", "preauthorized")
    return instance


def _listed(succeed: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(succeed("preauthorize", "--list", "--json").stdout)
    return found


def test_several_addresses_with_roles_and_an_end(open_instance: Path, succeed: Run) -> None:
    arguments = ("--role", "b", "--role", "a", "--expires", "30d")
    result = succeed("preauthorize", "Zoe@Example.org", "yan@example.org", *arguments)
    assert not result.stdout
    assert result.stderr == "Listed 2 addresses.\n"
    found = _listed(succeed)
    assert [each["email"] for each in found] == ["yan@example.org", "Zoe@example.org"]
    assert found[0]["roles"] == ["a", "b"]
    assert abs(found[0]["expires_at"] - clock.now() - 30 * DAY) < 60


def test_json(open_instance: Path, succeed: Run) -> None:
    shown = json.loads(succeed("preauthorize", "zoe@example.org", "--json").stdout)
    assert set(shown[0]) == {"id", "email", "client_id", "roles", "created_at", "expires_at"}
    assert shown == _listed(succeed)


def test_more_from_stdin(open_instance: Path, succeed: Run) -> None:
    lines = "\ufeff# the team\r\nyan@example.org\r\n\r\n  ZOE@example.org  \n"
    succeed("preauthorize", "zoe@example.org", "-", "xia@example.org", stdin=lines.encode())
    emails = [each["email"] for each in _listed(succeed)]
    assert emails == ["xia@example.org", "yan@example.org", "ZOE@example.org"]


@pytest.mark.parametrize(
    ("stdin", "told"), [(b"", "Nothing came on stdin"), (b"# none\n\n", "Nothing came"), (b"\xff", "not UTF-8")]
)
def test_stdin_without_addresses(open_instance: Path, run: Run, stdin: bytes, told: str) -> None:
    result = run("preauthorize", "-", stdin=stdin)
    assert result.exit_code == 1
    assert told in result.stderr


def test_stdin_without_an_end(open_instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preauthorize, "MOST_BYTES", 1 << 20)
    result = run("preauthorize", "-", stdin=b"ada@example.org\n" * 70_000)
    assert (result.exit_code, "More than 1 MB came on stdin" in result.stderr) == (1, True)


def test_an_end_that_no_calendar_reaches(open_instance: Path, succeed: Run) -> None:
    succeed("preauthorize", "ada@example.org", "--expires", "9999-12-31T23:59:59-23:00")
    assert "253402383599" in succeed("preauthorize", "--list").stdout


def test_all_or_none(open_instance: Path, run: Run, succeed: Run) -> None:
    result = run("preauthorize", "zoe@example.org", "nonsense", "more nonsense")
    assert result.exit_code == 1
    assert "'nonsense'" in result.stderr
    assert "'more nonsense'" in result.stderr
    assert _listed(succeed) == []


def test_invitations_are_mailed(open_instance: Path, succeed: Run, database: Session) -> None:
    result = succeed("preauthorize", "zoe@example.org", "yan@example.org", "--invite", "--language", "de")
    assert "Invited 2 addresses." in result.stderr
    mails = database.execute(select(MailMessage.kind, MailMessage.recipient, MailMessage.subject)).all()
    assert {(kind, recipient) for kind, recipient, _ in mails} == {
        ("invitation", "zoe@example.org"),
        ("invitation", "yan@example.org"),
    }
    assert all("Einladung" in subject or "eingeladen" in subject.lower() for *_, subject in mails)


def test_only_for_one_app(open_instance: Path, succeed: Run, run: Run, database: Session) -> None:
    succeed("client", "add", "Wiki", "--redirect-uri", "https://wiki.example.org/cb", "--id", "wiki")
    succeed("preauthorize", "zoe@example.org", "--client", "wiki")
    assert _listed(succeed)[0]["client_id"] == "wiki"
    succeed("preauthorize", "zoe@example.org", "--client", "wiki", "--invite")
    assert database.scalar(select(MailMessage.subject)) == "Your invitation to Wiki"
    unknown = run("preauthorize", "zoe@example.org", "--client", "nobody")
    assert unknown.exit_code == 1
    assert "There is no client 'nobody': see `idp client list`." in unknown.stderr


def test_withdraw(open_instance: Path, succeed: Run, run: Run) -> None:
    succeed("preauthorize", "zoe@example.org", "yan@example.org")
    assert "Withdrew 1 address." in succeed("preauthorize", "--withdraw", "ZOE@example.org").stderr
    refused = run("preauthorize", "--withdraw", "yan@example.org", "zoe@example.org", "nobody@example.org")
    assert refused.exit_code == 1
    assert "'zoe@example.org' is not listed." in refused.stderr
    assert "'nobody@example.org' is not listed." in refused.stderr
    assert [each["email"] for each in _listed(succeed)] == ["yan@example.org"]


def test_the_list_for_people(open_instance: Path, succeed: Run) -> None:
    assert "No address is listed" in succeed("preauthorize", "--list").stderr
    succeed("preauthorize", "zoe@example.org", "--role", "editor", "--expires", "2990-01-31")
    table = succeed("preauthorize", "--list").stdout.splitlines()
    assert table[0].split() == ["ADDRESS", "APP", "ROLES", "LISTED", "UNTIL"]
    assert table[1].split()[:2] == ["zoe@example.org", "editor"]
    assert table[1].endswith("2990-01-31T00:00:00Z")


@pytest.mark.parametrize("how", [(), ("--invite",)])
def test_who_has_an_account_is_pointed_out_and_neither_listed_nor_mailed(
    open_instance: Path, ada: str, succeed: Run, how: tuple[str, ...]
) -> None:
    assert "ada@example.org has an account already" in succeed("preauthorize", "ada@example.org", *how).stderr
    assert "No address is listed" in succeed("preauthorize", "--list").stderr
    assert json.loads(succeed("mail", "list", "--json").stdout) == []


def test_that_registration_is_closed_is_of_no_matter_where_nobody_was_listed(
    instance: Path, ada: str, succeed: Run
) -> None:
    assert "Registration is closed" not in succeed("preauthorize", "ada@example.org").stderr


@pytest.mark.parametrize(("how", "told"), [((), "they cannot register"), (("--invite",), "the links lead nowhere")])
def test_a_closed_provider_is_pointed_out(instance: Path, succeed: Run, how: tuple[str, ...], told: str) -> None:
    assert told in succeed("preauthorize", "zoe@example.org", *how).stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Name addresses"),
        (("--list", "zoe@example.org"), "Name addresses"),
        (("--list", "--invite"), "--list by itself"),
        (("--withdraw",), "Name addresses"),
        (("--withdraw", "zoe@example.org", "--role", "x"), "--withdraw goes with"),
        (("zoe@example.org", "--expires", "soon"), "neither a span"),
        (("zoe@example.org", "--expires", "2001-01-01"), "over already"),
        (("zoe@example.org", "--expires", "0d"), "over already"),
    ],
)
def test_command_lines_that_are_wrong(open_instance: Path, run: Run, arguments: tuple[str, ...], told: str) -> None:
    result = run("preauthorize", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_role_that_is_none(open_instance: Path, run: Run, succeed: Run) -> None:
    result = run("preauthorize", "zoe@example.org", "--role", "no role")
    assert result.exit_code == 1
    assert "role:" in result.stderr
    assert _listed(succeed) == []


def test_listing_again_replaces(open_instance: Path, succeed: Run, database: Session) -> None:
    succeed("preauthorize", "zoe@example.org", "--role", "a", "--expires", "4w")
    succeed("preauthorize", "zoe@example.org", "--role", "b")
    found = list(preauthorization.each_preauthorization(database))
    assert [(each.roles, each.expires_at) for each in found] == [(["b"], None)]
