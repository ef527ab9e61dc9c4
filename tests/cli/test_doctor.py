"""`idp doctor`: one test a check, each with what is wrong and what to do about it."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event, text, update
from sqlalchemy.orm import Session

from idp import clock, settings
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.cli import checks
from idp.cli.checks import CHECKS, KEY_AGE, KEY_DELAY
from idp.cli.surroundings import check_backup, check_issuer
from idp.clock import DAY
from idp.mail import messages, outbox
from idp.models import AuditEvent, LogoutNotice, MailMessage, Throttle
from idp.oidc import keys
from idp.settings import Settings
from idp.storage import database as database_module
from tests import postgresql
from tests.cli.conftest import Run
from tests.redis_server import BINARY, RedisServer
from tests.serving import serving


def _findings(run: Run) -> dict[str, dict[str, Any]]:
    return {each["check"]: each for each in json.loads(run("doctor", "--json").stdout)}


@pytest.fixture
def answer() -> Iterator[dict[str, Any]]:
    """A web server that speaks for whatever issuer the test names; gives its port."""
    state: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(state.get("status", 200))
            self.end_headers()
            self.wfile.write(json.dumps(state.get("body", {"issuer": state["issuer"]})).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    state["port"] = server.server_port
    with serving(server):
        yield state


def test_a_fresh_instance_has_no_faults(instance: Path, run: Run) -> None:
    result = run("doctor")
    assert result.exit_code == 0
    assert "FAULT" not in result.stdout
    found = _findings(run)
    assert list(found) == ["configuration", *(check.name for check in CHECKS)]
    assert found["configuration"]["told"].startswith("2 settings of your own")  # not the key that `idp init` made
    well = {"configuration", "instance folder", "secret key", "database", "durability", "signing keys", "clock", "mail"}
    assert {name for name in found if found[name]["verdict"] == "ok"} >= well
    assert all(each["advice"] for each in found.values() if each["verdict"] != "ok")


def test_a_log_that_grows_because_somebody_reads_for_long(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "LOG_MOST", 10_000)
    with closing(sqlite3.connect(instance / "idp.sqlite3")) as writer:
        writer.execute("CREATE TABLE filler AS SELECT zeroblob(20000)")
        writer.commit()
        found = _findings(run)["durability"]
    assert found["verdict"] == "warning"
    assert "idp.sqlite3-wal has" in found["told"]


def test_before_init(empty: Path, run: Run) -> None:
    result = run("doctor")
    assert result.exit_code == 1
    assert "idp init" in result.stdout
    assert "faults found" in result.stderr
    found = _findings(run)
    for name in ("instance folder", "secret key", "database", "durability"):
        assert found[name]["verdict"] == "fault"
    for name in ("room", "signing keys"):
        assert found[name]["told"] == "not looked at, for the same reason"
    assert not empty.exists()


@pytest.mark.parametrize(("free", "verdict"), [(1 << 20, "fault"), (65 << 20, "warning"), (1 << 40, "ok")])
def test_room(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch, free: int, verdict: str) -> None:
    """SQLite says no more of a full disk than "disk I/O error"."""
    usage = shutil.disk_usage(instance)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
    with (instance / "idp.sqlite3").open("r+b") as file:
        file.truncate(128 << 20)
    found = _findings(run)["room"]
    assert (found["verdict"], found["told"]) == (verdict, f"{free >> 20:,} MB are free at {instance}")
    assert bool(found["advice"]) == (verdict != "ok")


def test_a_folder_that_cannot_be_written(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != instance)
    found = _findings(run)["room"]
    assert (found["verdict"], "cannot be written by this account" in found["told"]) == ("fault", True)


def test_the_folder_that_was_looked_for_is_named(empty: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IDP_INSTANCE")
    monkeypatch.chdir(empty.parent)
    found = _findings(run)["instance folder"]
    assert (found["told"], "IDP_INSTANCE" in found["advice"]) == (f"{empty} does not exist", True)


def test_configuration(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_PROXY_HOPS", "99")
    monkeypatch.setenv("IDP_NONSENSE", "1")
    assert run("doctor").exit_code == 1
    found = _findings(run)
    assert list(found) == ["configuration"]
    assert "proxy_hops" in found["configuration"]["told"]
    assert "IDP_NONSENSE" in found["configuration"]["told"]


def test_permissions(instance: Path, run: Run) -> None:
    instance.chmod(0o755)
    (instance / "secret_key").chmod(0o644)
    found = _findings(run)
    assert found["instance folder"]["verdict"] == "warning"
    assert found["secret key"]["verdict"] == "fault"
    assert "chmod 600" in found["secret key"]["advice"]


def test_a_foreign_secret_key(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_SECRET_KEY", "the key of quite another instance than this")
    found = _findings(run)
    assert found["secret key"]["told"] == "from IDP_SECRET_KEY"
    assert found["signing keys"]["verdict"] == "fault"
    assert "does not fit" in found["signing keys"]["told"]


@pytest.mark.parametrize(
    ("cost", "verdict", "told"), [(4, "warning", "tests"), (12, "ok", ""), (16, "warning", "16 times")]
)
def test_the_cost_of_passwords(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch, cost: int, verdict: str, told: str
) -> None:
    monkeypatch.setenv("IDP_BCRYPT_COST", str(cost))
    found = _findings(run)["passwords"]
    assert (found["verdict"], told in found["told"], "IDP_BCRYPT_COST" in found["advice"]) == (
        verdict,
        True,
        verdict == "warning",
    )


def test_schema(instance: Path, run: Run, database: Session) -> None:
    database.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.commit()
    assert "newer" in _findings(run)["database"]["told"]


def test_a_broken_database(instance: Path, run: Run) -> None:
    (instance / "idp.sqlite3").write_bytes(b"no database" * 1000)
    found = _findings(run)
    assert found["database"]["verdict"] == "fault"
    assert (found["mail"]["verdict"], found["mail"]["told"]) == ("note", "not looked at, for the same reason")
    told = run("doctor").stdout
    assert "Traceback" not in told
    assert told.count("file is not a database") == 1


def test_a_key_that_is_missing_or_old(
    instance: Path, run: Run, database: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = Settings().key_rotation_interval + Settings().key_publish_lead + KEY_DELAY
    # The instance may have been made an hour ago, by the first test that needed one.
    database.execute(text("UPDATE signing_key SET activated_at = :then"), {"then": clock.now() - most + 600})
    database.commit()
    assert _findings(run)["signing keys"]["verdict"] == "ok"
    database.execute(text("UPDATE signing_key SET activated_at = activated_at - :age"), {"age": 660})
    database.commit()
    found = _findings(run)["signing keys"]
    assert found["verdict"] == "warning"
    assert "worker" in found["advice"]
    monkeypatch.setenv("IDP_KEY_ROTATION_INTERVAL", "0")
    assert _findings(run)["signing keys"]["verdict"] == "ok"
    database.execute(text("UPDATE signing_key SET activated_at = activated_at - :age"), {"age": KEY_AGE})
    database.commit()
    assert "keys rotate" in _findings(run)["signing keys"]["advice"]
    database.execute(text("DELETE FROM signing_key WHERE algorithm = :a"), {"a": keys.ALGORITHMS[1]})
    database.commit()
    found = _findings(run)["signing keys"]
    assert found["verdict"] == "fault"
    assert keys.ALGORITHMS[1] in found["told"]


@pytest.mark.parametrize(("offset", "told"), [(-3_600, "seconds behind the last write"), (-(10**9), "clock says")])
def test_clock(instance: Path, run: Run, offset: int, told: str) -> None:
    now = clock.now()
    with clock.stopped_at(lambda: now + offset):
        found = _findings(run)["clock"]
    assert found["verdict"] == "fault"
    assert told in found["told"]


@pytest.mark.skipif(not BINARY, reason="neither valkey-server nor redis-server is installed")
def test_the_throttles_server(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _findings(run)["throttles"]["told"] == "the database counts attempts"
    server = RedisServer()
    monkeypatch.setenv("IDP_THROTTLE_URL", server.url)
    found = _findings(run)["throttles"]
    assert found["verdict"] == "fault"
    assert "the database takes its place" in found["advice"]
    server.start()
    try:
        found = _findings(run)["throttles"]
        server.stop()
        server.start("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
        forgetful = _findings(run)["throttles"]
    finally:
        server.stop()
    assert (forgetful["verdict"], "noeviction" in forgetful["advice"]) == ("warning", True)
    assert found["verdict"] == "ok"
    assert "version" in found["told"]


def test_the_throttles_package_is_missing(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_THROTTLE_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setitem(sys.modules, "redis", None)
    assert "streamlit-idp[redis]" in _findings(run)["throttles"]["told"]
    served = run("serve")
    assert served.exit_code != 0
    assert "streamlit-idp[redis]" in served.stderr


@pytest.mark.parametrize("option", ["tiemout=1", "socket_timeout=soon"])
def test_an_option_that_the_throttles_package_does_not_know(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setenv("IDP_THROTTLE_URL", f"redis://127.0.0.1:1/0?{option}")
    assert "throttle_url has an option that is not understood" in _findings(run)["throttles"]["told"]
    result = run("serve")  # before anybody's attempt is to be counted
    assert (result.exit_code, option.partition("=")[0] in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("issuer", "hops", "verdict"),
    [
        ("https://login.example.invalid", "0", "warning"),
        ("https://login.example.invalid", "1", "ok"),
        ("http://localhost:1", "0", "ok"),
        ("http://localhost:1", "1", "warning"),
    ],
)
def test_proxy_headers(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch, issuer: str, hops: str, verdict: str
) -> None:
    monkeypatch.setenv("IDP_ISSUER", issuer)
    monkeypatch.setenv("IDP_PROXY_HOPS", hops)
    assert _findings(run)["proxy headers"]["verdict"] == verdict


def test_a_proxy_that_does_not_tell_who_asks(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch, database: Session
) -> None:
    """By what the audit says of those who signed in: nothing else shows whether a proxy says it."""
    monkeypatch.setenv("IDP_ISSUER", "https://login.example.invalid")
    monkeypatch.setenv("IDP_PROXY_HOPS", "1")
    for _ in range(3):
        audit.record(database, Event.SIGN_IN, Visitor(address="127.0.0.1"))
        database.execute(update(AuditEvent).values(at=AuditEvent.at - 1))
    database.commit()
    found = _findings(run)["proxy headers"]
    assert (found["verdict"], "X-Forwarded-For" in found["advice"]) == ("warning", True)
    audit.record(database, Event.SIGN_IN, Visitor(address="192.0.2.7"))
    database.commit()
    assert _findings(run)["proxy headers"]["verdict"] == "ok"


def test_issuer(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> None:
    issuer = f"http://127.0.0.1:{answer['port']}"
    monkeypatch.setenv("IDP_ISSUER", issuer)
    answer["issuer"] = issuer
    assert _findings(run)["issuer"]["verdict"] == "ok"
    answer["issuer"] = "http://localhost:8000"
    assert _findings(run)["issuer"]["verdict"] == "fault"
    answer["issuer"] = None
    assert run("doctor").exit_code == 1


def test_what_answers_at_the_issuer_is_no_provider(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    monkeypatch.setenv("IDP_ISSUER", f"http://127.0.0.1:{answer['port']}")
    answer["body"] = ["Welcome!"]
    found = _findings(run)["issuer"]
    assert (found["verdict"], "no provider's" in found["told"]) == ("fault", True)
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            caller, _ = other.accept()
            with caller:
                caller.recv(10_000)
                caller.sendall(b"SSH-2.0-OpenSSH_9\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        found = check_issuer(Settings(issuer=f"http://127.0.0.1:{other.getsockname()[1]}"))
        thread.join()
    assert (found.verdict, "no provider's" in found.told) == ("fault", True)
    answer["status"] = 502
    found = _findings(run)["issuer"]
    assert (found["verdict"], "answers 502" in found["told"]) == ("warning", True)


@pytest.mark.parametrize(
    ("fault", "verdict", "advice"),
    [
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "fault", "Renew"),
        (socket.gaierror(-2, "Name or service not known"), "warning", "DNS"),
        (ConnectionRefusedError(111, "Connection refused"), "warning", "idp serve"),
    ],
)
def test_why_the_issuer_does_not_answer(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch, fault: OSError, verdict: str, advice: str
) -> None:
    def fail(*_given: object, **_more: object) -> None:
        raise urllib.error.URLError(fault)

    fault.verify_message = "certificate has expired"  # type: ignore[attr-defined]
    monkeypatch.setattr(urllib.request.OpenerDirector, "open", fail)
    found = _findings(run)["issuer"]
    assert (found["verdict"], advice in found["advice"]) == (verdict, True)


def test_an_app_that_hears_of_no_sign_out(instance: Path, run: Run, succeed: Run, database: Session) -> None:
    succeed("client", "add", "Wiki", "--id", "wiki", "--redirect-uri", "https://wiki.example.org/cb")
    notice = {"client_id": "wiki", "user_id": "u", "session_id": "s", "attempts": 9, "next_attempt_at": clock.now()}
    for state in ("waiting", "sent"):
        database.add(LogoutNotice(id=state, state=state, created_at=clock.now(), **notice))
    database.commit()
    assert _findings(run)["sign-outs"]["verdict"] == "ok"
    database.execute(update(LogoutNotice).values(last_error="it answered 404"))
    database.add(LogoutNotice(id="failed", state="failed", created_at=1, last_error="only https is called", **notice))
    database.commit()
    found = _findings(run)["sign-outs"]
    assert found["verdict"] == "warning"
    assert found["told"] == (
        "Wiki waits for 1 sign-out: it answered 404\nWiki was never told of 1 sign-out: only https is called"
    )


@pytest.mark.parametrize(("age", "verdict"), [(1_800, "ok"), (9_000, "warning")])
def test_nothing_is_swept_where_no_worker_runs(
    instance: Path, run: Run, database: Session, age: int, verdict: str
) -> None:
    database.add(Throttle(bucket="b", available_at=clock.now() - age))
    database.commit()
    assert _findings(run)["worker"]["verdict"] == verdict


def _worker(run: Run, database: Session, table: type[Any], **values: Any) -> dict[str, Any]:
    database.execute(update(table).values(**values))
    database.commit()
    return _findings(run)["worker"]


def test_mail_that_no_worker_takes(
    instance: Path, run: Run, database: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before anything expires that nobody sweeps: whoever waits for a mail says so after a few minutes."""
    loaded, now = settings.load(), clock.now()
    outbox.post(database, loaded, messages.test_message(loaded, "en"), "ada@example.org")
    database.commit()
    assert _worker(run, database, MailMessage, created_at=now - 100)["verdict"] == "ok", "it came just now"
    found = _worker(run, database, MailMessage, created_at=now - 241)
    assert (found["verdict"], "due for 4 minutes" in found["told"]) == ("warning", True)
    assert "idp worker" in found["advice"]
    assert _worker(run, database, MailMessage, claimed_until=now + 60)["verdict"] == "ok", "one is at it"
    other = {"kind": "test", "recipient": "", "subject": "", "body_sealed": "", "attempts": 1, "created_at": now}
    database.add(MailMessage(id="sent", state="sent", next_attempt_at=now, finished_at=now - 60, **other))
    assert _worker(run, database, MailMessage, claimed_until=None)["verdict"] == "ok", "one has just sent another"
    assert _worker(run, database, MailMessage, finished_at=now - 240)["verdict"] == "warning"
    monkeypatch.setenv("IDP_ISSUER", "https://login.example.invalid")  # and no mail server, which is another fault
    assert _worker(run, database, MailMessage, claimed_until=None)["verdict"] == "ok"


def test_word_of_sign_outs_that_no_worker_takes(instance: Path, run: Run, succeed: Run, database: Session) -> None:
    succeed("client", "add", "Wiki", "--id", "wiki", "--redirect-uri", "https://wiki.example.org/cb")
    now = clock.now()
    notice = {"client_id": "wiki", "user_id": "u", "session_id": "s", "state": "waiting", "created_at": now - 900}
    database.add(LogoutNotice(id="next", attempts=0, next_attempt_at=now - 241, **notice))
    database.commit()
    assert _findings(run)["worker"]["verdict"] == "warning"
    database.add(LogoutNotice(id="tried", attempts=3, next_attempt_at=now + 300, **notice))
    database.commit()
    assert _findings(run)["worker"]["verdict"] == "ok", "one puts off what an app does not take"


def test_backups_that_nobody_makes(instance: Path, succeed: Run, tmp_path: Path, monkeypatch) -> None:
    assert check_backup(settings.load()).verdict == "ok", "a provider to try out needs none"
    monkeypatch.setenv("IDP_ISSUER", "https://login.example.org")
    loaded = settings.load()
    assert check_backup(loaded).told == "none was made yet"
    succeed("backup", str(tmp_path / "backup.tar"))
    assert check_backup(loaded).told == "the last one was made less than an hour ago"
    now = clock.now()
    with clock.stopped_at(lambda: now + 2 * 3_600):
        assert check_backup(loaded).told == "the last one was made 2 hours ago"
    with clock.stopped_at(lambda: now + 9 * DAY):
        found = check_backup(loaded)
    assert (found.verdict, found.told) == ("warning", "the last one was made 9 days ago")


def test_a_logo_that_is_not_there(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_BRAND_LOGO", "logo.svg")
    assert _findings(run)["logo"]["verdict"] == "warning"
    (instance / "logo.svg").touch()
    assert _findings(run)["logo"]["verdict"] == "ok"


def test_a_database_of_another_account(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    file = instance / "idp.sqlite3"
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != file or mode == os.R_OK)
    found = _findings(run)["database"]
    assert (found["verdict"], f"{file} (of {file.owner()}, mode 0600)" in found["told"]) == ("fault", True)


def test_a_database_that_takes_no_writes(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a standby, or one whose account may only read."""
    real = database_module.open_engine

    def open_reading(loaded: Settings) -> Engine:
        engine = real(loaded)
        event.listen(engine, "connect", lambda driver, _record: driver.execute("PRAGMA query_only=ON"))
        return engine

    monkeypatch.setattr(database_module, "open_engine", open_reading)
    found = _findings(run)["database"]
    assert (found["verdict"], "attempt to write a readonly database" in found["told"]) == ("fault", True)
    assert found["advice"]
    assert "idp doctor" not in found["told"], "it runs already"


@postgresql.needed
@pytest.mark.parametrize(
    ("is_here", "mode", "verdict"),
    [(True, "prefer", "ok"), (False, "prefer", "warning"), (False, "require", "warning"), (False, "verify-full", "ok")],
)
def test_a_database_elsewhere_that_need_not_prove_who_it_is(
    empty: Path, run: Run, succeed: Run, monkeypatch: pytest.MonkeyPatch, is_here: bool, mode: str, verdict: str
) -> None:
    monkeypatch.setattr(checks, "is_loopback", lambda _host: is_here)
    monkeypatch.setattr(psycopg.ConnectionInfo, "get_parameters", lambda _info: {"sslmode": mode})
    with postgresql.new_database() as url:
        monkeypatch.setenv("IDP_DATABASE_URL", url)
        succeed("init")
        found = _findings(run)["database"]
    assert found["verdict"] == verdict
    assert ("need not prove" in found["told"], "sslmode=verify-full" in found["advice"]) == (verdict == "warning",) * 2


ENDLESS = """
from sqlalchemy import text
from idp.cli import invariants
rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0"
endless = invariants.Invariant("endless", "rows take for ever", lambda _: text(rows).columns(invariants.column("i")))
invariants.INVARIANTS = (endless,)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_takes_long(instance: Path, start, adjust, number: int) -> None:
    adjust(ENDLESS)
    process = start("doctor", "--deep")
    for line in process.stdout:
        if "damage" in line:
            break
    time.sleep(0.5)  # it is at the next check now
    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert stderr.strip() == "Stopped."
