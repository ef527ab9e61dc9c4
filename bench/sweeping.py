#!/usr/bin/env python3
"""Show what people notice of a sweep: the latency of requests while `idp worker` ends and deletes 100,000 old rows.

    python bench/sweeping.py
    python bench/sweeping.py --rows 200000 --rate 40 --plot
    python bench/sweeping.py --database postgresql://postgres@127.0.0.1:5432/postgres

A provider with 10,000 people, two web processes and no worker is under a steady load of logins by single sign-on,
refreshes and userinfo: each request has its appointed time, whether those before it were answered or not. Then a worker
begins beside it. Sessions that were idle end and their grants with them; tokens, grants, throttle buckets and parked
requests are deleted. On a machine that is busy with other things, look at the difference and not at the figures.
"""

import argparse
import base64
import contextlib
import hashlib
import http.client
import json
import os
import queue
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import plots
import population
import sqlalchemy as sa
from growth import IMAGES, database_for
from measure import APP, BASIC, REDIRECT_URI, SECRET

from idp import crypto
from idp.accounts.visitor import OPERATOR
from idp.models import AuthorizationGrant, BrowserSession, ParkedRequest, RefreshToken, Throttle
from idp.oidc.client_store import register_client
from idp.settings import Settings
from idp.storage import database

PEOPLE = 10_000
CLIENTS = 8  # requests that may be under way at once
# Of all old rows so many are of a kind. Each idle session stands for two: it ends, and its grant is revoked.
SHARES = (
    (RefreshToken, 0.4), (Throttle, 0.2), (AuthorizationGrant, 0.25), (ParkedRequest, 0.1), (BrowserSession, 0.05),
)  # fmt: skip


@dataclass
class Answered:
    """A request that was answered.

    Attributes:
        at: its appointed time, in seconds since the load began.
        took: seconds from then to its answer.
    """

    what: str
    at: float
    took: float


@dataclass
class Load:
    """Requests at a steady rate, by a few threads."""

    port: int
    rate: float
    stop: threading.Event = field(default_factory=threading.Event)
    answered: list[Answered] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    appointed: "queue.Queue[float]" = field(default_factory=queue.Queue)
    begun: float = 0.0

    def run(self) -> list[threading.Thread]:
        """Begin."""
        self.begun = time.monotonic()
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        threads.append(threading.Thread(target=self._appoint))
        for thread in threads:
            thread.start()
        return threads

    def _appoint(self) -> None:
        at = time.monotonic()
        while not self.stop.is_set():
            at += 1 / self.rate
            self.appointed.put(at)
            time.sleep(max(0.0, at - time.monotonic()))

    def _ask(self, number: int) -> None:
        client = Client(self.port, random.Random(number))
        while not self.stop.is_set():
            with contextlib.suppress(queue.Empty):
                at = self.appointed.get(timeout=5)  # each in turn: what is idle for long is closed by the server
                time.sleep(max(0.0, at - time.monotonic()))
                try:
                    what = client.ask()
                except (OSError, http.client.HTTPException, AssertionError) as fault:
                    self.faults.append(str(fault))
                    client = Client(self.port, random.Random())
                    continue
                self.answered.append(Answered(what, at - self.begun, time.monotonic() - at))


class Client:
    """Somebody's browser and an app at once, on one connection."""

    def __init__(self, port: int, chance: random.Random) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.chance = chance
        self.code, self.verifier, self.tokens = "", "", {}

    def ask(self) -> str:
        """Do the next thing, and say what it was: a person comes, the app redeems the code, uses and renews tokens."""
        if not self.tokens:
            if not self.code:
                return self._authorize()
            self.tokens = self._token(grant_type="authorization_code", code=self.code, redirect_uri=REDIRECT_URI,
                                      code_verifier=self.verifier)  # fmt: skip
            self.code = ""
            return "token request"
        what = self.chance.choice(("userinfo", "userinfo", "refresh", "leave"))
        if what == "userinfo":
            self._send("GET", "/oauth/userinfo", 200, authorization=f"Bearer {self.tokens['access_token']}")
        elif what == "refresh":
            self.tokens = self._token(grant_type="refresh_token", refresh_token=self.tokens["refresh_token"])
        else:
            self.tokens = {}
            return self._authorize()
        return what

    def _authorize(self) -> str:
        self.verifier = secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code", "client_id": "bench", "redirect_uri": REDIRECT_URI, "state": "s",
            "scope": "openid profile offline_access", "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        cookie = f"{COOKIE}={population.session_token(self.chance.randrange(PEOPLE))}"
        answer = self._send("GET", f"/oauth/authorize?{urlencode(query)}", 303, cookie=cookie)
        self.code = parse_qs(urlsplit(answer[0].getheader("Location") or "").query)["code"][0]
        return "authorization request"

    def _token(self, **form: str) -> dict[str, str]:
        told: dict[str, str] = json.loads(self._send("POST", "/oauth/token", 200, urlencode(form))[1])
        return told

    def _send(
        self, method: str, path: str, status: int, body: str = "", authorization: str = "", cookie: str = ""
    ) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {"Authorization": authorization or BASIC, "Cookie": cookie}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, path, body or None, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        assert answer.status == status, f"{method} {path.partition('?')[0]}: {answer.status} {content[:100]!r}"
        return answer, content


COOKIE = "idp_session"


def add_old_rows(settings: Settings, count: int) -> None:
    """Write rows whose time is over: in a kind's share each."""
    shares = {table: int(count * share) for table, share in SHARES}
    engine = database.open_engine(settings)
    with engine.begin() as db:
        owner = db.scalar(sa.text("SELECT min(user_id) FROM browser_session"))
        ended = population.plain_session(owner, ended_at=2, end_reason="signed_out")
        idle = [population.plain_session(owner) for _ in range(shares[BrowserSession])]
        good_until = int(time.time()) + population.DAY
        kept = population.plain_grant(owner, ended["id"], expires_at=good_until)
        grants = [population.plain_grant(owner, ended["id"]) for _ in range(shares[AuthorizationGrant])]
        grants += [population.plain_grant(owner, each["id"], expires_at=good_until) for each in idle]
        tokens = [population.old_token(kept["id"]) for _ in range(shares[RefreshToken])]
        db.execute(sa.insert(BrowserSession), [ended])
        db.execute(sa.insert(BrowserSession), idle)
        db.execute(sa.insert(AuthorizationGrant), [kept, *grants])
        db.execute(sa.insert(RefreshToken), tokens)
        buckets = [{"bucket": f"bench:{crypto.new_id()}", "available_at": 2} for _ in range(shares[Throttle])]
        db.execute(sa.insert(Throttle), buckets)
        db.execute(sa.insert(ParkedRequest), [
            {"id": crypto.new_token(), "browser_digest": "", "client_id": "bench", "parameters": {"scope": "openid"},
             "created_at": 1, "expires_at": 2, "is_account_chosen": False, "is_consented": False, "is_denied": False}
            for _ in range(shares[ParkedRequest])
        ])  # fmt: skip
    engine.dispose()


def old_rows(engine: sa.Engine) -> int:
    """Count what is left to do."""
    idle = sa.and_(BrowserSession.ended_at.is_(None), BrowserSession.last_seen_at < 5)
    with engine.connect() as db:
        counts = [
            db.scalar(sa.select(sa.func.count()).select_from(table).where(condition)) or 0
            for table, condition in (
                (RefreshToken, RefreshToken.expires_at < 5), (Throttle, Throttle.available_at < 5),
                (AuthorizationGrant, AuthorizationGrant.expires_at < 5), (ParkedRequest, ParkedRequest.expires_at < 5),
                (BrowserSession, idle),
            )
        ]  # fmt: skip
    return sum(counts)


@contextlib.contextmanager
def running(environ: dict[str, str], log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of `idp` for the block."""
    with log.open("ab") as told:
        process = subprocess.Popen((sys.executable, "-m", "idp", *arguments), env=environ, stdout=told, stderr=told)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def summary(answered: list[Answered]) -> tuple[int, float, float, float]:
    """Return how many there were, and median, 99th percentile and the slowest of them in milliseconds."""
    took = sorted(1000 * each.took for each in answered)
    return len(took), statistics.median(took), took[int(len(took) * 0.99)], took[-1]


def main() -> None:
    """Fill, load, sweep, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="old rows (default: 100,000)")
    parser.add_argument("--rate", type=float, default=30.0, help="requests a second (default: 30)")
    parser.add_argument("--seconds", type=float, default=20.0, help="before the sweep, and after it (default: 20)")
    parser.add_argument("--most", type=float, default=300.0, help="seconds that the sweep may take (default: 300)")
    parser.add_argument("--database", default="", help="a PostgreSQL server on which a database may be made")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--plot", action="store_true", help=f"draw {IMAGES}/sweeping-ENGINE.svg")
    given = parser.parse_args()

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        say(f"Filling a database with {PEOPLE:,} people and {given.rows:,} old rows ...")
        settings = population.prepare(Path(folder), PEOPLE, database_for(given.database, 0), say)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = replace(settings, issuer=f"http://127.0.0.1:{port}")
        with database.open_session(settings) as db:
            register_client(db, settings, OPERATOR, APP, secret=SECRET)
        add_old_rows(settings, given.rows)
        phases, load, spans = _run(settings, port, given, Path(folder), say)
    engine = "PostgreSQL" if given.database else "SQLite"
    if given.plot:
        file = IMAGES / f"sweeping-{engine.lower()}.svg"
        _plot(file, engine, load, spans)
        say(f"drew {file}")
    swept = spans[1] - spans[0]
    if given.json:
        told = {name: dict(zip(("requests", "p50_ms", "p99_ms", "slowest_ms"), row, strict=True))
                for name, row in phases.items()}  # fmt: skip
        print(json.dumps({"engine": engine, "rows": given.rows, "swept_in_s": swept, "faults": load.faults, **told}))
        return
    print(f"{engine}: {given.rows:,} rows swept in {swept:.0f} s, beside {given.rate:g} requests a second\n")
    print(f"{'ms':22}{'requests':>10}{'p50':>10}{'p99':>10}{'slowest':>10}")
    for name, row in phases.items():
        print(f"{name:22}{row[0]:10}{row[1]:10.1f}{row[2]:10.1f}{row[3]:10.1f}")
    print(f"\n{len(load.faults)} requests failed{': ' if load.faults else '.'}{'; '.join(load.faults[:3])}")


def _run(
    settings: Settings, port: int, given: argparse.Namespace, folder: Path, say: Any
) -> tuple[dict[str, tuple[int, float, float, float]], Load, tuple[float, float]]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")} | {
        "IDP_INSTANCE": str(settings.instance), "IDP_ISSUER": settings.issuer, "IDP_SECRET_KEY": settings.secret_key,
        "IDP_LOG_LEVEL": "warning", **({"IDP_DATABASE_URL": settings.database_url} if settings.database_url else {}),
    }  # fmt: skip
    engine = database.open_engine(settings)
    load = Load(port, given.rate)
    with running(environ, folder / "log", "serve", "--port", str(port), "--workers", "2", "--no-worker") as server:
        _wait_for(port, server, folder / "log")
        threads = load.run()
        try:
            say("Load alone ...")
            time.sleep(5)  # caches fill
            begun = time.monotonic() - load.begun
            time.sleep(given.seconds)
            with running(environ, folder / "log", "worker"):
                began, left = time.monotonic() - load.begun, given.rows
                while left and time.monotonic() - load.begun - began < given.most:
                    time.sleep(1)
                    left = old_rows(engine)
                    say(f"  {left:,} old rows left ...")
                ended = time.monotonic() - load.begun
            say("Load alone ...")
            time.sleep(given.seconds)
        finally:
            load.stop.set()
            for thread in threads:
                thread.join()
            engine.dispose()
    if left:
        say(f"{left:,} rows were not swept in time:\n{(folder / 'log').read_text()[-2000:]}")
    phases = {
        "before": (begun, began), "beside the sweep": (began, ended), "after": (ended, float("inf")),
    }  # fmt: skip
    told = {
        name: summary([each for each in load.answered if first <= each.at < last])
        for name, (first, last) in phases.items()
    }
    return told, load, (began, ended)


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at and server.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"the server does not start:\n{log.read_text()[-3000:]}")


def _plot(file: Path, engine: str, load: Load, span: tuple[float, float]) -> None:
    """Draw median and 99th percentile of every two seconds, and when the sweep was at work."""
    by_time: dict[int, list[float]] = {}
    for each in load.answered:
        by_time.setdefault(int(each.at // 2), []).append(1000 * each.took)
    found = [(2 * at, sorted(took)) for at, took in sorted(by_time.items())]
    lines = [
        plots.Series("99th percentile", [(at, took[int(len(took) * 0.99)]) for at, took in found]),
        plots.Series("median", [(at, statistics.median(took)) for at, took in found]),
        plots.Series("the sweep is at work", [(span[0], 1), (span[1], 1)]),
    ]  # fmt: skip
    panel = plots.Panel("Latency", "ms", lines, is_logarithmic=True)
    plots.draw(file, f"Requests on {engine} while old rows are swept", "seconds", [panel])


if __name__ == "__main__":
    main()
