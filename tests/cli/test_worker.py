"""`idp worker`, and the sweeps behind it."""

import errno
import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from idp import clock, crypto, settings, worker
from idp.accounts import sessions, users
from idp.models import (
    AuthorizationGrant,
    BrowserSession,
    Client,
    ParkedRequest,
    RefreshToken,
    RevokedAccessToken,
    Throttle,
)
from idp.serving import companion
from idp.serving.companion import Companion
from idp.settings import Settings
from idp.storage import batches
from idp.worker import Job
from tests.cli.conftest import Process, Run
from tests.waiting import until

TABLES = (ParkedRequest, RefreshToken, AuthorizationGrant, RevokedAccessToken, Throttle, BrowserSession)


def _session(user_id: str, expires_at: int) -> BrowserSession:
    return BrowserSession(
        id=crypto.new_id(),
        user_id=user_id,
        token_digest=crypto.digest(crypto.new_token()),
        browser_digest="",
        auth_time=0,
        acr="",
        amr=[],
        user_agent="",
        address="",
        created_at=0,
        last_seen_at=clock.now(),
        expires_at=expires_at,
    )


def _grant(user_id: str, session_id: str, expires_at: int) -> AuthorizationGrant:
    return AuthorizationGrant(
        id=crypto.new_id(),
        client_id="wiki",
        user_id=user_id,
        session_id=session_id,
        scope="openid",
        redirect_uri="",
        code_digest=crypto.digest(crypto.new_token()),
        code_expires_at=0,
        auth_time=0,
        acr="",
        amr=[],
        is_offline=False,
        created_at=0,
        expires_at=expires_at,
    )


@pytest.fixture
def rows(ada: str, succeed: Run, database: Session) -> None:
    """For each kind of row, one that expired long ago and one that is good still."""
    succeed("client", "add", "Wiki", "--redirect-uri", "https://wiki.example.org/cb", "--id", "wiki")
    user_id = users.get_user(database, ada).id
    now = clock.now()
    for expires_at in (now - 2 * sessions.KEPT_AFTER_END, now + 3_600):
        session = _session(user_id, expires_at)
        database.add(session)
        database.flush()
        kept = _grant(user_id, session.id, now + 3_600) if expires_at > now else None
        grant = kept or _grant(user_id, session.id, expires_at)
        database.add(grant)
        database.flush()
        database.add_all(
            [
                RefreshToken(
                    id=crypto.new_id(),
                    grant_id=grant.id,
                    client_id="wiki",
                    token_digest=crypto.digest(crypto.new_token()),
                    scope="",
                    created_at=0,
                    expires_at=expires_at,
                ),
                RevokedAccessToken(token_id=crypto.new_id(), expires_at=expires_at),
                Throttle(bucket=crypto.new_id(), available_at=expires_at),
                ParkedRequest(
                    id=crypto.new_token(),
                    browser_digest="",
                    client_id="wiki",
                    parameters={},
                    created_at=0,
                    expires_at=expires_at,
                    is_account_chosen=False,
                    is_consented=False,
                    is_denied=False,
                ),
            ]
        )
    database.commit()


def _counts(database: Session) -> dict[str, int]:
    return {table.__tablename__: database.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES}


def test_sweeps_what_expired_and_nothing_else(rows: None, succeed: Run, database: Session) -> None:
    assert set(_counts(database).values()) == {2}
    done = json.loads(succeed("worker", "--once", "--json").stdout)
    assert done.pop("session_expired") == 1
    swept = {name: count for name, count in done.items() if count}
    assert swept == dict.fromkeys((table.__tablename__ for table in TABLES), 1)
    assert set(_counts(database).values()) == {1}
    again = succeed("worker", "--once").stdout
    assert {line.split()[-1] for line in again.splitlines()[1:]} == {"0"}
    assert database.scalar(select(func.count()).select_from(Client)) == 1


def test_every_table_that_expires_is_swept() -> None:
    expiring = {mapper.class_.__tablename__ for mapper in Client.registry.mappers if "expires_at" in mapper.columns}
    assert expiring <= {sweep.name for sweep in worker.SWEEPS}


def test_in_small_batches_of_a_transaction_each(rows: None, database: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    database.add_all([RevokedAccessToken(token_id=f"{n:032}", expires_at=1) for n in range(5)])
    database.commit()
    engine = database.get_bind()
    assert isinstance(engine, Engine)
    assert worker.sweep_all(engine)["revoked_access_token"] == 6
    stop = threading.Event()
    stop.set()
    assert not any(worker.sweep_all(engine, stop).values())


def test_a_job_has_one_connection_at_a_time(rows: None, database: Session) -> None:
    """`docs/deployment.md` says how many a worker holds: as many as it has jobs."""
    engine = database.get_bind()
    assert isinstance(engine, Engine)
    database.close()
    held: list[int] = []
    event.listen(engine, "checkout", lambda *_: held.append(engine.pool.checkedout()))  # type: ignore[attr-defined]
    for job in worker.JOBS:
        held.clear()
        job.work(engine, settings.load(), None)
        assert set(held) == {1}, job.name


def test_json_goes_with_once(instance: Path, run: Run) -> None:
    assert run("worker", "--json").exit_code == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stops_cleanly(rows: None, database: Session, start: Callable[..., Process], number: signal.Signals) -> None:
    process = start("worker")
    while "Swept 1 parked_request" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "Stopped." in stderr
    assert "Traceback" not in stderr


def test_a_database_that_is_away_is_waited_for(
    instance: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rounds = []

    def sweep_all(_engine: Engine, _stop: threading.Event) -> dict[str, int]:
        rounds.append(time.monotonic())
        if len(rounds) == 1:
            raise OperationalError("DELETE", {}, Exception("the server closed the connection"))
        stop.set()
        return {"throttle": 3, "parked_request": 0}

    stop = threading.Event()
    monkeypatch.setattr(worker, "sweep_all", sweep_all)
    monkeypatch.setattr(worker, "AFTER_A_FAULT", 0.01)
    monkeypatch.setattr(worker, "JOBS", [Job("sweep", 0.01, job.work) for job in worker.JOBS if job.name == "sweep"])
    with caplog.at_level(logging.INFO):
        worker.run(settings.load(), stop)
    assert "the server closed the connection" in caplog.text
    assert "Swept 3 throttle." in caplog.text


def test_a_job_that_comes_to_grief_holds_up_no_other_and_is_tried_again(
    instance: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []
    stop = threading.Event()
    slow_has_begun = threading.Event()

    def stumble(_engine: Engine, _settings: Settings, _stop: threading.Event | None) -> dict[str, int]:
        slow_has_begun.wait()
        done.append("stumbled")
        if done.count("stumbled") == 3:
            stop.set()
        raise RuntimeError("a bug")

    def slow(_engine: Engine, _settings: Settings, told: threading.Event | None) -> dict[str, int]:
        assert told is not None
        slow_has_begun.set()
        told.wait()
        done.append("slow")
        return {}

    monkeypatch.setattr(worker, "AFTER_A_FAULT", 0.01)
    monkeypatch.setattr(worker, "JOBS", (Job("stumbling", 0.01, stumble), Job("slow", 0.01, slow)))
    worker.run(settings.load(), stop)
    assert sorted(done) == ["slow", "stumbled", "stumbled", "stumbled"]
    assert "The job stumbling came to grief" in caplog.text


def test_a_worker_that_cannot_be_started_again_does_not_end_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the limit of processes is reached; this runs in a handler of signals, in the middle of anything."""
    process_of = subprocess.Popen
    starts = iter((["sleep", "100"], None, ["sleep", "100"]))

    def open_process(*_: object, **more: Any) -> Popen[bytes]:
        command = next(starts)
        if command is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return process_of(command, **more)

    monkeypatch.setattr(companion.subprocess, "Popen", open_process)
    monkeypatch.setattr(companion, "START_AGAIN_AFTER", 1)
    with Companion() as beside:
        first = beside._process
        assert first is not None
        first.kill()
        until(lambda: beside._process not in (first, None))
    assert next(starts, "none is left") == "none is left"
