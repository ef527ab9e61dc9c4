"""`idp client token`: add, list, remove."""

import json
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from idp import clock
from idp.oidc import initial_tokens
from tests.cli.conftest import Run


def test_add_prints_a_token_that_is_good_for_one(instance: Path, succeed: Run, database: Session) -> None:
    result = succeed("client", "token", "add", "Partner")
    shown = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert initial_tokens.find_token(database, shown["token"]) == shown["id"]
    assert "dynamic_registration is off" in result.stderr
    listed = json.loads(succeed("client", "token", "list", "--json").stdout)
    assert [(each["name"], each["uses_left"]) for each in listed] == [("Partner", 1)]
    assert 6 * 86_400 < listed[0]["expires_at"] - clock.now() <= 7 * 86_400
    assert shown["token"] not in succeed("client", "token", "list").stdout


def test_it_tells_where_to_go_with_it(
    instance: Path, succeed: Run, monkeypatch: pytest.MonkeyPatch, database: Session
) -> None:
    monkeypatch.setenv("IDP_DYNAMIC_REGISTRATION", "token")
    result = succeed("client", "token", "add", "Partner", "--unlimited", "--expires", "30d", "--json")
    shown = json.loads(result.stdout)
    assert shown["registration_endpoint"] == "http://localhost:8000/oauth/register"
    assert "off" not in result.stderr
    assert "any" in succeed("client", "token", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("",), 1, "name:"),
        (("x" * 101,), 1, "name:"),
        (("bad\x1bname",), 1, "name:"),
        (("Partner", "--uses", "0"), 1, "uses:"),
        (("Partner", "--uses", "9999999999"), 1, "uses:"),
        (("Partner", "--uses", "2", "--unlimited"), 2, "exclude each other"),
        (("Partner", "--expires", "yesterday"), 2, "--expires"),
    ],
)
def test_refusals(instance: Path, run: Run, arguments: tuple[str, ...], code: int, told: str) -> None:
    result = run("client", "token", "add", *arguments)
    assert result.exit_code == code
    assert told in result.stderr
    assert "no initial access tokens" in run("client", "token", "list").stderr


@pytest.mark.parametrize(("span", "seconds"), [("45s", 45), ("30m", 1_800), ("12h", 43_200), ("2w", 14 * 86_400)])
def test_a_span_is_said_as_everywhere(instance: Path, succeed: Run, span: str, seconds: int) -> None:
    made = json.loads(succeed("client", "token", "add", "Partner", "--expires", span, "--json").stdout)
    assert seconds - 30 <= made["expires_at"] - clock.now() <= seconds


def test_remove(instance: Path, succeed: Run, run: Run, database: Session) -> None:
    shown = json.loads(succeed("client", "token", "add", "Partner", "--json").stdout)
    assert "worthless" in succeed("client", "token", "remove", shown["id"]).stderr
    assert initial_tokens.find_token(database, shown["token"]) is None
    again = run("client", "token", "remove", shown["id"])
    assert again.exit_code == 1
    assert "see `idp client token list`" in again.stderr
