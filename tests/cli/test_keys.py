"""`idp keys`."""

import json
from pathlib import Path

from sqlalchemy import update
from sqlalchemy.orm import Session

from idp import clock, settings
from idp.mail import messages, outbox
from idp.models import MailMessage, SigningKey
from idp.oidc.keys import ALGORITHMS
from idp.settings import Settings
from tests.cli.conftest import Run

LEAD = Settings().key_publish_lead


def _states(succeed: Run) -> list[tuple[str, str]]:
    return sorted((each["algorithm"], each["state"]) for each in json.loads(succeed("keys", "list", "--json").stdout))


def _each(*states: str) -> list[tuple[str, str]]:
    return sorted((algorithm, state) for algorithm in ALGORITHMS for state in states)


def test_rotating_publishes_and_later_exchanges(instance: Path, succeed: Run) -> None:
    assert _states(succeed) == _each("active")
    told = json.loads(succeed("keys", "rotate", "--json").stdout)
    assert set(told) == set(ALGORITHMS)
    assert all("is published, and signs from 2" in each for each in told.values())
    assert json.loads(succeed("keys", "rotate", "--json").stdout) == told, "what was begun is not begun again"
    assert _states(succeed) == _each("active", "next")
    now = clock.now()
    with clock.stopped_at(lambda: now + LEAD + 1):
        assert "soon: the worker sees to it" in succeed("keys", "list").stdout
        told = json.loads(succeed("keys", "rotate", "--json").stdout)
    assert all(each.endswith("signs now") for each in told.values())
    assert _states(succeed) == _each("active", "retired")


def test_the_worker_exchanges_them(instance: Path, succeed: Run) -> None:
    succeed("keys", "rotate")
    now = clock.now()
    with clock.stopped_at(lambda: now + LEAD + 1):
        assert json.loads(succeed("worker", "--once", "--json").stdout)["key_activated"] == len(ALGORITHMS)


def test_an_emergency_is_confirmed(instance: Path, succeed: Run, run: Run) -> None:
    before = succeed("keys", "list", "--json").stdout
    refused = run("keys", "rotate", "--now", stdin="n\n")
    assert refused.exit_code != 0
    assert "whatever the old ones signed is refused" in refused.stderr
    assert succeed("keys", "list", "--json").stdout == before
    done = succeed("keys", "rotate", "--now", stdin="y\n")
    assert "signs now; the keys before it are taken back" in done.stdout
    assert "within 60 seconds" in done.stderr
    assert _states(succeed) == _each("active")
    after = succeed("keys", "list", "--json").stdout
    assert not {key["kid"] for key in json.loads(before)} & {key["kid"] for key in json.loads(after)}
    assert set(json.loads(succeed("keys", "rotate", "--now", "--yes", "--json").stdout)) == set(ALGORITHMS)


def test_another_secret_key_is_put_in_place(instance: Path, succeed: Run, run: Run) -> None:
    """Where the old one is lost, or in the wrong hands."""
    to = ("--redirect-uri", "https://app.example.org/cb")
    succeed("client", "add", "Signer", *to, "--id", "signer", "--auth-method", "client_secret_jwt")
    succeed("client", "add", "Shop", *to, "--subject-type", "pairwise")
    before = succeed("keys", "list", "--json").stdout
    assert "still the one" in run("keys", "rotate", "--now", "--new-secret-key", "--yes").stderr
    assert succeed("keys", "list", "--json").stdout == before
    (instance / "secret_key").write_text("another secret key, of 32 characters or more")
    assert "does not fit" in run("keys", "rotate", "--now", "--yes").stderr
    assert run("keys", "rotate", "--new-secret-key").exit_code == 2
    told = succeed("keys", "rotate", "--now", "--new-secret-key", "--yes").stderr
    assert "`idp client rotate-secret signer`" in told
    assert "mail" not in told.partition("Stop the provider")[2], "none waited"
    assert "Shop knows people by pairwise subjects" in told
    assert "Start the provider again" in told
    assert _states(succeed) == _each("active")
    succeed("keys", "rotate")  # they open with it


def test_mail_that_nobody_can_read_any_more_is_given_up(instance: Path, succeed: Run, database: Session) -> None:
    message = messages.test_message(settings.load(), "en")
    sent, waiting = (outbox.post(database, settings.load(), message, "ada@example.org") for _ in range(2))
    database.execute(update(MailMessage).where(MailMessage.id == sent).values(state="sent", finished_at=clock.now()))
    database.commit()
    assert "given up" not in succeed("keys", "rotate", "--now", "--yes").stderr, "the secret key is the same"
    (instance / "secret_key").write_text("another secret key, of 32 characters or more")
    told = succeed("keys", "rotate", "--now", "--new-secret-key", "--yes").stderr
    assert "1 mail that waited is given up" in told
    [mail] = json.loads(succeed("mail", "list", "--state", "failed", "--json").stdout)
    assert (mail["id"], mail["last_error"]) == (waiting, "the secret key is another one since")
    [event] = json.loads(succeed("audit", "--event", "provider:mail:give_up", "--json").stdout)
    assert event["details"]["mail"] == waiting


def test_the_table_says_what_comes_next_and_shows_no_private_part(
    instance: Path, succeed: Run, database: Session
) -> None:
    # The instance may have been made an hour ago, by the first test that needed one.
    database.execute(update(SigningKey).values(created_at=clock.now(), activated_at=clock.now()))
    database.commit()
    shown = succeed("keys", "list").stdout.splitlines()
    assert shown[0].split() == ["KEY", "ID", "ALGORITHM", "STATE", "AGE", "CREATED", "WHAT", "COMES", "NEXT"]
    assert "0 min" in shown[1]
    assert "gets a successor 2" in shown[1]
    now = clock.now()
    with clock.stopped_at(lambda: now + 40 * 86_400):
        assert "40 d" in succeed("keys", "list").stdout
    assert "sealed" not in succeed("keys", "list", "--json").stdout


def test_without_a_schedule_the_operator_is_named(instance: Path, succeed: Run, monkeypatch: object) -> None:
    with (instance / "idp.toml").open("a") as toml:
        toml.write("\nkey_rotation_interval = 0\n")
    assert "gets a successor by `idp keys rotate`" in succeed("keys", "list").stdout
