"""`idp mail`, and the settings and checks around it."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from idp import settings
from idp.cli import surroundings
from idp.errors import SettingsError
from idp.mail import messages, outbox
from idp.models import MailMessage
from idp.serving import companion
from tests.cli.conftest import Process, Run
from tests.cli.test_serve import start_server
from tests.mail.conftest import HOST, Manners, manners, serve
from tests.ports import free_port
from tests.waiting import until

__all__ = ["manners", "serve"]  # fixtures

Serve = Callable[..., int]


@pytest.fixture
def mail_server(instance: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve) -> int:
    """A mail server that the instance is set up for; gives its port."""
    port = serve()
    set_mail_server(monkeypatch, port)
    return port


def set_mail_server(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Set the instance up for a mail server."""
    given = {"HOST": HOST, "PORT": str(port), "SECURITY": "none", "TIMEOUT": "60"}
    for name, value in given.items():
        monkeypatch.setenv(f"IDP_SMTP_{name}", value)
    monkeypatch.setenv("IDP_MAIL_FROM", "login@example.org")


def post(database: Session, recipient: str = "ada@example.org") -> str:
    """Post a message."""
    in_force = settings.load()
    mail_id = outbox.post(database, in_force, messages.test_message(in_force, "en"), recipient)
    database.commit()
    return mail_id


def mail_check(run: Run) -> dict[str, Any]:
    """Return what the doctor says of mail."""
    [found] = [each for each in json.loads(run("doctor", "--json").stdout) if each["check"] == "mail"]
    assert isinstance(found, dict)
    return found


def test_a_test_message_goes_to_the_server(mail_server: int, succeed: Run, manners: Manners) -> None:
    told = succeed("mail", "test", "ada@example.org", "--language", "de").stderr
    assert "took the message for ada@example.org" in told
    [(recipient, mail)] = manners.received
    assert recipient == "ada@example.org"
    assert mail["Subject"] == "Testnachricht von Streamlit IdP"


def test_a_language_that_there_is_none_of_is_refused(instance: Path, run: Run) -> None:
    for command in (("mail", "test"), ("preauthorize", "--invite")):
        result = run(*command, "ada@example.org", "--language", "xx")
        assert (result.exit_code, "'xx' is not one of 'en', 'de'" in result.stderr) == (2, True)


def test_a_test_message_goes_to_a_file(instance: Path, succeed: Run) -> None:
    told = succeed("mail", "test", "ada@example.org").stderr
    [file] = (instance / "outbox").glob("*.eml")
    assert str(file) in told


def test_a_test_message_that_does_not_go(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch, mail_server: int, manners: Manners
) -> None:
    manners.refused["ada@example.org"] = "550 no such user"
    result = run("mail", "test", "ada@example.org")
    assert (result.exit_code, "550 no such user" in result.stderr) == (1, True)
    set_mail_server(monkeypatch, free_port())
    result = run("mail", "test", "ada@example.org")
    assert (result.exit_code, "refused" in result.stderr) == (1, True)
    assert run("mail", "test", "no address").exit_code == 1


def test_no_way_for_mail(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch, database: Session) -> None:
    monkeypatch.setenv("IDP_ISSUER", "https://login.example.invalid")
    result = run("mail", "test", "ada@example.org")
    assert (result.exit_code, "IDP_SMTP_HOST" in result.stderr) == (1, True)
    found = mail_check(run)
    assert (found["verdict"], "IDP_SMTP_HOST" in found["advice"]) == ("fault", True)


def test_list_show_and_retry(
    instance: Path, succeed: Run, run: Run, database: Session, mail_server: int, manners: Manners
) -> None:
    assert "no such mail" in succeed("mail", "list").stderr
    manners.refused["nobody@example.org"] = "550 5.1.1 no such user"
    sent, failed = post(database), post(database, "nobody@example.org")
    done = json.loads(succeed("worker", "--once", "--json").stdout)
    assert (done["mail_sent"], done["mail_failed"]) == (1, 1)
    listed = {each["id"]: each for each in json.loads(succeed("mail", "list", "--json").stdout)}
    assert (listed[sent]["state"], listed[failed]["state"]) == ("sent", "failed")
    assert listed[failed]["last_error"] == "550 5.1.1 no such user"
    assert failed in succeed("mail", "list", "--state", "failed").stdout
    assert sent not in succeed("mail", "list", "--state", "failed").stdout
    assert mail_check(run)["verdict"] == "warning"
    shown = succeed("mail", "show", failed).stdout
    assert "nobody@example.org" in shown
    assert "no such user" in shown
    assert json.loads(succeed("mail", "show", sent, "--json").stdout)["text"] is None
    for arguments in ((), (failed, "--failed")):
        assert run("mail", "retry", *arguments).exit_code == 2
    for arguments in ((sent,), ("0" * 32,), (failed, "0" * 32)):
        assert run("mail", "retry", *arguments).exit_code == 1
    assert run("mail", "show", "0" * 32).exit_code == 1
    manners.refused.clear()
    assert "1 mail is tried again." in succeed("mail", "retry", "--failed").stderr
    assert "1 mail is tried again." in succeed("mail", "retry", failed).stderr
    assert json.loads(succeed("worker", "--once", "--json").stdout)["mail_sent"] == 1
    assert mail_check(run)["verdict"] == "ok"


def test_a_mail_that_goes_before_others_is_not_said_to_be_older(
    instance: Path, succeed: Run, database: Session
) -> None:
    shown = json.loads(succeed("mail", "show", post(database), "--json").stdout)
    assert shown["next_attempt_at"] == shown["created_at"]


def test_show_what_was_written_to_a_file(instance: Path, succeed: Run, database: Session) -> None:
    mail_id = post(database)
    succeed("worker", "--once")
    assert "This is a test" in succeed("mail", "show", mail_id).stdout
    assert "This is a test" in json.loads(succeed("mail", "show", mail_id, "--json").stdout)["text"]


def test_the_doctor_looks_at_the_mail_server(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch, mail_server: int, database: Session, manners: Manners
) -> None:
    assert mail_check(run)["verdict"] == "ok"
    assert not manners.received
    post(database)
    assert mail_check(run)["verdict"] == "ok"
    manners.refused["ada@example.org"] = "450 4.2.0 Greylisted"
    run("worker", "--once")
    assert mail_check(run)["told"] == "1 mail is put off: 450 4.2.0 Greylisted", (
        "the server takes the sign-in all the same"
    )
    database.execute(update(MailMessage).values(state="failed"))
    database.commit()
    assert mail_check(run)["told"] == "1 mail was given up in the last 30 days"
    before = os.environ["IDP_SMTP_PORT"]
    set_mail_server(monkeypatch, free_port())
    assert mail_check(run)["verdict"] == "fault", "a mail that was given up hides no server that is away"
    monkeypatch.setenv("IDP_SMTP_PORT", before)
    database.execute(update(MailMessage).values(state="sent"))
    database.commit()
    monkeypatch.setattr(surroundings, "is_loopback", lambda _host: False)
    assert "in clear" in mail_check(run)["told"]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"SMTP_HOST": "mail.example.org"}, "mail_from must be set"),
        ({"SMTP_HOST": "mail.example.org:25", "MAIL_FROM": "a@example.org"}, "without port"),
        ({"SMTP_HOST": "mail example", "MAIL_FROM": "a@example.org"}, "must be a host name"),
        ({"SMTP_USERNAME": "a"}, "smtp_password must be set"),
        ({"SMTP_PASSWORD": "hush"}, "smtp_username must be set"),
        ({"SMTP_SECURITY": "ssl"}, "must be one of starttls, tls, none"),
        ({"SMTP_CA_FILE": "/no/such/file"}, "a file of certificates (PEM) that exists"),
        ({"SMTP_PORT": "70000"}, "from 0 to 65535"),
        ({"MAIL_FROM": "nobody"}, "must be one address"),
        ({"MAIL_FROM": "Tea House <>"}, "must be one address"),
        ({"MAIL_FROM": "a@example.org\nBcc: b@example.org"}, "must be one address"),
        ({"MAIL_FROM": "a@example.org, b@example.org"}, "must be one address"),
        ({"MAIL_FROM": "a@bücher.example"}, "ASCII"),
        (
            {
                "SMTP_HOST": "mail.example.org",
                "SMTP_SECURITY": "none",
                "SMTP_USERNAME": "a",
                "SMTP_PASSWORD": "hush",
                "MAIL_FROM": "a@example.org",
            },
            "in clear",
        ),
    ],
)
def test_settings_that_cannot_work(given: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingsError) as told:
        settings.load({f"IDP_{name}": value for name, value in given.items()})
    assert fault in told.value.message
    assert "hush" not in told.value.message


@pytest.mark.parametrize("sender", ["login@example.org", "Tea House <login@example.org>", '"Tea, House" <a@b.example>'])
def test_a_sender(sender: str) -> None:
    loaded = settings.load({"IDP_SMTP_HOST": "mail.example.org", "IDP_MAIL_FROM": sender})
    assert (loaded.mail_from, loaded.mail_route) == (sender, "smtp")


def _worker_of(process: Process) -> int | None:
    """Return the worker's process among the server's children."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == process.pid and b"--while-stdin-is-open" in (path / "cmdline").read_bytes():
                return int(path.name)
    return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_server_has_a_worker_which_sends_mail_and_dies_with_it(
    instance: Path, start: Callable[..., Process], database: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, _ = start_server(start, monkeypatch)
    post(database)
    until(lambda: list((instance / "outbox").glob("*.eml")))
    first = until(lambda: _worker_of(process))
    os.kill(first, signal.SIGKILL)
    # The dead one may be listed for a moment longer.
    second = until(lambda: worker if (worker := _worker_of(process)) != first else None)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert f"started again in {companion.START_AGAIN_AFTER} seconds" in stderr
    assert not _is_alive(second)


def test_the_worker_outlives_nobody(
    instance: Path, start: Callable[..., Process], database: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Popen(
        [os.sys.executable, "-m", "idp", "worker", "--while-stdin-is-open"],  # type: ignore[attr-defined]
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    post(database)
    until(lambda: database.scalar(select(MailMessage.id).where(MailMessage.state == "sent")))
    _, stderr = process.communicate(timeout=120)  # closes stdin
    assert (process.returncode, "Traceback" in stderr) == (0, False)


def test_a_server_without_a_worker(
    instance: Path, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    process, _ = start_server(start, monkeypatch, "--no-worker")
    assert _worker_of(process) is None
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
