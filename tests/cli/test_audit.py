"""`idp audit`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import audit, users
from idp.accounts.audit import Event
from idp.accounts.visitor import OPERATOR, Visitor
from tests.cli.conftest import Process, Run


def _shown(succeed: Run, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(succeed("audit", "--json", *arguments).stdout)
    return found


def test_the_latest_last_and_filtered(ada: str, succeed: Run, database: Session) -> None:
    succeed("user", "disable", "ada")
    user_id = users.get_user(database, "ada").id
    events = [each["event"] for each in _shown(succeed)]
    assert events[-1] == "account:user:disable"
    assert events[0] == "provider:key:create"
    assert {each["event"] for each in _shown(succeed, "--event", "account:user")} == {
        "account:user:create",
        "account:user:disable",
    }
    for whom in ("ada", "ADA@example.org", user_id):
        assert {each["user_id"] for each in _shown(succeed, "--user", whom)} == {user_id}
    assert [each["event"] for each in _shown(succeed, "--limit", "1")] == ["account:user:disable"]
    table = succeed("audit").stdout
    assert table.startswith("AT ")
    assert " ada " in table


def test_of_one_app(ada: str, succeed: Run, database: Session) -> None:
    user_id = users.get_user(database, "ada").id
    for app in ("wiki", "shop"):
        succeed("client", "add", app, "--id", app, "--redirect-uri", "https://app.example.org/cb")
        audit.record(database, Event.CONSENT_GIVEN, OPERATOR, user_id=user_id, client_id=app)
        database.commit()
    found = _shown(succeed, "--client", "wiki")
    assert [each["event"] for each in found] == ["client:registration:create", "account:consent:give"]
    assert {each["client_id"] for each in found} == {"wiki"}
    assert len(_shown(succeed, "--client", "wiki", "--event", "account:consent")) == 1
    assert len(_shown(succeed, "--client", "shop", "--user", "ada")) == 1
    assert _shown(succeed, "--client", "wiki", "--event", "account:session") == []


def test_since(instance: Path, succeed: Run, run: Run, database: Session) -> None:
    with clock.stopped_at(lambda: 1_800_000_000):
        audit.record(database, Event.SIGN_IN, OPERATOR)
    database.commit()
    with clock.stopped_at(lambda: 1_800_003_600):
        assert len(_shown(succeed, "--since", "61m")) == 1
        assert _shown(succeed, "--since", "59m") == []
        assert _shown(succeed, "--since", "2w")
    assert len(_shown(succeed, "--since", "2027-01-15T08:00:00Z")) == 1
    assert len(_shown(succeed, "--since", "2027-01-15T09:00:00+01:00")) == 1
    assert _shown(succeed, "--since", "2027-01-15T08:00:01") == []
    assert _shown(succeed, "--since", "2027-01-16") == []
    for wrong in ("yesterday", "2x", "2027-13-01", ""):
        assert run("audit", "--since", wrong).exit_code == 2


def test_nothing_found_and_wrong_names(instance: Path, succeed: Run, run: Run) -> None:
    result = succeed("audit", "--event", "account:session")
    assert not result.stdout
    assert "no such event" in result.stderr
    assert run("audit", "--event", "accout").exit_code == 2
    assert run("audit", "--user", "nobody").exit_code == 1
    assert _shown(succeed, "--user", "0" * 32) == []  # of an account that was removed
    assert run("audit", "--limit", "0").exit_code == 2


def test_what_a_browser_calls_itself_does_not_steer_the_terminal(
    instance: Path, succeed: Run, database: Session
) -> None:
    audit.record(database, Event.SIGN_IN, Visitor(address="\x1b[2J"), note="\x9b31m")
    database.commit()
    shown = succeed("audit").stdout
    assert "\x1b" not in shown
    assert "\x9b" not in shown


def test_follow_prints_what_was_and_what_comes(
    instance: Path, database: Session, start: Callable[..., Process]
) -> None:
    audit.record(database, Event.SIGN_IN, OPERATOR, number=1)
    database.commit()
    process = start("audit", "--follow", "--json", "--event", "account:session")
    assert json.loads(process.stdout.readline())["details"] == {"number": 1}
    for number in (2, 3):
        audit.record(database, Event.SIGN_IN, OPERATOR, number=number)
        audit.record(database, Event.SIGN_IN_REFUSED, OPERATOR)
        database.commit()
        assert json.loads(process.stdout.readline())["details"] == {"number": number}


def test_follow_for_people(instance: Path, start: Callable[..., Process]) -> None:
    process = start("audit", "--follow", "--limit", "1")
    assert "provider:key:create  operator  -" in process.stdout.readline()
