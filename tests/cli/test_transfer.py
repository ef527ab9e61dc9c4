"""`idp import` and `idp export`."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from idp import settings
from idp.accounts import sign_in
from idp.accounts.visitor import Visitor
from idp.cli.init import initialise
from idp.models import User
from tests.cli.conftest import PASSWORD, Process, Run

HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
CONFIG = f"""
cookie: {{expiry_days: 30, key: a_cookie_key, name: n}}
credentials:
  usernames:
    ada: {{email: ada@example.org, first_name: Ada, last_name: Lovelace, password: '{HASH}', password_hint: hint!}}
    bob: {{email: bob@example.org, name: Bob, password: {PASSWORD}, roles: [editor]}}
pre-authorized:
  emails: [melsby@example.org]
"""
IMPORT = ("import", "streamlit-authenticator")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration of two people."""
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG, "utf-8")
    return file


def _count(database: Session) -> int:
    return database.scalars(select(func.count()).select_from(User)).one()


def test_import_for_people(instance: Path, succeed: Run, database: Session, config: Path) -> None:
    result = succeed(*IMPORT, str(config))
    assert "accounts created" in result.stdout
    assert "plain text password" in result.stdout
    assert "password_hint (ada)" in result.stdout
    assert "everything is in" in result.stderr
    for secret in (PASSWORD, HASH, "hint!", "a_cookie_key"):
        assert secret not in result.output
    for name in ("ada", "bob@example.org"):
        sign_in.sign_in(database, settings.load(), Visitor(), name, PASSWORD)


def test_import_for_programs(instance: Path, succeed: Run, config: Path) -> None:
    shown = json.loads(succeed(*IMPORT, str(config), "--json").stdout)
    assert shown["accounts"] == {"found": 2, "created": 2, "updated": 0, "unchanged": 0, "left_out": 0}
    assert shown["preauthorizations"] == {"found": 1, "created": 1, "unchanged": 0}
    assert shown["layout"] == "0.4"
    assert shown["findings"] == [
        {"kind": "plain_text_password", "weight": "changed", "subject": "bob", "told": "", "line": 6}
    ]
    assert shown["dropped"] == [
        {"kind": "hint", "key": "password_hint", "count": 1, "examples": ["ada"]},
        {"kind": "other_system", "key": "cookie", "count": 1, "examples": []},
    ]
    again = json.loads(succeed(*IMPORT, str(config), "--json").stdout)
    assert again["accounts"]["unchanged"] == 2


def test_a_dry_run(instance: Path, succeed: Run, database: Session, config: Path) -> None:
    result = succeed(*IMPORT, str(config), "--dry-run")
    assert "accounts would be created" in result.stdout
    assert "nothing was written" in result.stderr
    assert _count(database) == 0


def test_what_was_left_out_shows_in_the_exit_code(instance: Path, run: Run, succeed: Run, config: Path) -> None:
    config.write_text(CONFIG.replace("email: ada@example.org, ", ""), "utf-8")
    result = run(*IMPORT, str(config))
    assert result.exit_code == 3
    assert "missing address" in result.stdout
    assert "ada (line 5)" in result.stdout
    assert "left out" in result.stderr
    succeed(*IMPORT, str(config), "--email-domain", "example.org", "--verified")
    shown = json.loads(succeed("user", "show", "ada", "--json").stdout)
    assert (shown["email"], shown["email_verified"]) == ("ada@example.org", True)


def test_update(instance: Path, succeed: Run, config: Path) -> None:
    succeed(*IMPORT, str(config))
    config.write_text(CONFIG.replace("[editor]", "[admin]"), "utf-8")
    assert "accounts updated" in succeed(*IMPORT, str(config), "--update").stdout
    assert succeed("user", "roles", "bob").stdout == "admin\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"credentials: {}", "should hold `usernames`"),
        (b"a: b\n\tc: d", "line 2: This is not YAML"),
        (b"\xff\xfea", "not UTF-8"),
    ],
)
def test_bad_files(instance: Path, run: Run, config: Path, content: bytes, told: str) -> None:
    config.write_bytes(content)
    result = run(*IMPORT, str(config))
    assert result.exit_code == 1
    assert told in result.stderr
    assert "config.yaml" in result.stderr
    assert not result.stdout


def test_bad_command_lines(instance: Path, run: Run, config: Path, tmp_path: Path) -> None:
    assert run(*IMPORT, str(tmp_path / "missing.yaml")).exit_code == 2
    assert run(*IMPORT, str(config), "--email-domain", "no domain").exit_code == 2
    assert run("export", str(config)).exit_code == 2
    assert config.read_text("utf-8") == CONFIG


def test_without_an_instance(empty: Path, run: Run, config: Path) -> None:
    result = run(*IMPORT, str(config))
    assert result.exit_code == 1
    assert "idp init" in result.stderr


def test_names_cannot_steer_the_terminal(instance: Path, run: Run, config: Path) -> None:
    config.write_text('credentials: {usernames: {"\\e[2J": {email: x}}}', "utf-8")
    assert "\x1b" not in run(*IMPORT, str(config)).output


@pytest.mark.parametrize("form", ["json", "lines"])
def test_export_and_import_elsewhere(
    instance: Path, succeed: Run, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    succeed(*IMPORT, str(config))
    file = tmp_path / "accounts.json"
    assert "Exported 2 accounts" in succeed("export", str(file), "--format", form).stderr
    assert file.stat().st_mode & 0o777 == 0o600
    content = file.read_text("utf-8")
    assert succeed("export", "--format", form).stdout == content
    succeed("export", str(file), "--format", form, "--force")
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".accounts")] == []
    monkeypatch.setenv("IDP_INSTANCE", str(tmp_path / "elsewhere"))
    initialise(settings.load())
    shown = json.loads(succeed("import", "accounts", "-", "--json", stdin=content).stdout)
    assert (shown["accounts"]["created"], shown["preauthorizations"]["created"], shown["complete"]) == (2, 1, True)
    assert succeed("export", "--format", form).stdout == content


@pytest.mark.parametrize("form", ["json", "lines"])
def test_an_export_through_a_pipe(instance: Path, succeed: Run, config: Path, database: Session, form: str) -> None:
    succeed(*IMPORT, str(config))
    content = succeed("export", "--format", form).stdout
    database.execute(delete(User))
    database.commit()
    command = [sys.executable, "-m", "idp", "import", "accounts", "-"]
    done = subprocess.run(command, input=content, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert _count(database) == 2


def test_export_of_nobody(instance: Path, succeed: Run) -> None:
    for form in ("json", "lines"):
        content = succeed("export", "--format", form).stdout
        assert json.loads(succeed("import", "accounts", "-", "--json", stdin=content).stdout)["accounts"]["found"] == 0


def test_an_export_that_broke_off(instance: Path, run: Run, succeed: Run, config: Path, database: Session) -> None:
    succeed(*IMPORT, str(config))
    head, *lines = succeed("export", "--format", "lines").stdout.splitlines(keepends=True)
    database.execute(delete(User))
    database.commit()
    for kept in range(len(lines)):
        result = run("import", "accounts", "-", stdin=head + "".join(lines[:kept]))
        assert result.exit_code == 1, kept
        assert "stdin: The end is missing" in result.stderr
    for damaged in (lines[1:], [lines[0], *lines], [*lines, lines[0]]):
        result = run("import", "accounts", "-", stdin=head + "".join(damaged))
        assert result.exit_code == 1
        assert "Nothing was imported" in result.stderr
    assert _count(database) == 0
    # Files of older releases have no end.
    older = head.replace(',"has_end":true', "") + "".join(lines[:-1])
    assert json.loads(succeed("import", "accounts", "-", "--json", stdin=older).stdout)["accounts"]["created"] == 2


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": "x"}', '{"format": "streamlit-idp accounts", "version": 9}']
)
def test_what_is_no_export(instance: Path, run: Run, text: str) -> None:
    result = run("import", "accounts", "-", stdin=text)
    assert result.exit_code == 1
    assert "stdin:" in result.stderr


def test_stopped_with_ctrl_c(instance: Path, config: Path, start: Callable[..., Process], database: Session) -> None:
    """Plain-text passwords take their time: what is written stays, and the message says what to do."""
    people = "".join(f"    u{n}: {{email: u{n}@example.org, password: {PASSWORD}}}\n" for n in range(20_000))
    config.write_text(f"credentials:\n  usernames:\n{people}", "utf-8")
    process = start(*IMPORT, str(config))
    until = time.monotonic() + 120
    while _count(database) == 0 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert "Run the same command again" in told
    assert "Traceback" not in told
    assert 0 < _count(database) < 20_000
