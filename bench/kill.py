"""Kills the provider at random while it works, again and again, and then looks whether anything is lost or wrong.

    python bench/kill.py --rounds 100
    python bench/kill.py --rounds 100 --database postgresql://postgres@127.0.0.1:5432/postgres

Each round has `idp serve` with two web processes and its worker under load, kills one of them, all of them, or the
server's main process with SIGKILL at a random moment, and goes on. After each round `idp doctor --deep` reads the data;
at the end a ledger of every acknowledged write is compared with it.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import requests

PASSWORD = "correct horse battery staple"
REDIRECT_URI = "https://app.example.org/callback"
PEOPLE = 4
LISTED = 20_000  # preauthorized addresses: each registration uses one up
AWAY = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


@dataclass
class Ledger:
    """What was acknowledged, and what must therefore be true."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    registered: set[str] = field(default_factory=set)
    signed_out: list[str] = field(default_factory=list)  # cookies that must open nothing
    redeemed: Counter[str] = field(default_factory=Counter)  # by code

    def note(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def blame(self, what: str) -> None:
        with self.lock:
            self.wrong.append(what)


class Instance:
    """A provider in a folder of its own, its processes, and two apps."""

    def __init__(self, folder: Path, database: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        self.server: subprocess.Popen[bytes] | None = None
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")} | {
            "IDP_INSTANCE": str(folder / "instance"),
            "IDP_ISSUER": self.issuer,
            "IDP_BCRYPT_COST": "4",
            "IDP_REGISTRATION": "preauthorized",
            "IDP_THROTTLE_ADDRESS_BURST": "1000000",
            "IDP_THROTTLE_ACCOUNT_BURST": "1000000",
            **({"IDP_DATABASE_URL": database} if database else {}),
        }

    def command(self, *arguments: str, stdin: str = "", may_fail: bool = False) -> str:
        done = subprocess.run(
            (sys.executable, "-m", "idp", *arguments),
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode and not may_fail:
            raise SystemExit(f"idp {' '.join(arguments)} failed: {done.stderr}")
        return done.stdout

    def fill(self) -> None:
        self.command("init")
        for number in range(PEOPLE):
            name = f"p{number}"
            self.command("user", "add", name, "--email", f"{name}@example.org", "--password-stdin", stdin=PASSWORD)
        listed = "\n".join(f"new{number}@example.org" for number in range(LISTED))
        self.command("preauthorize", "-", stdin=listed)
        shared = ("--auth-method", "client_secret_post", "--json")
        self.web = json.loads(
            self.command(
                "client", "add", "Web", "--redirect-uri", REDIRECT_URI, "--grant", "authorization_code",
                "--grant", "refresh_token", "--scope", "openid", "--scope", "offline_access", "--trusted", *shared,
            )
        )  # fmt: skip
        self.machine = json.loads(
            self.command("client", "add", "Desk", "--grant", "client_credentials", "--scope", "registration", *shared)
        )

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(
                (sys.executable, "-m", "idp", "serve", "--port", str(self.port), "--workers", "2"),
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        give_up_at = time.monotonic() + 60
        while time.monotonic() < give_up_at and self.server.poll() is None:
            with contextlib.suppress(*AWAY):
                if requests.get(f"{self.issuer}/readyz", timeout=2).status_code == 200:
                    return
            time.sleep(0.1)
        raise SystemExit(f"the server does not start:\n{self.log.read_text()[-3000:]}")

    def wait_until_free(self) -> None:
        """Wait until nobody listens any more: web processes end with their server."""
        give_up_at = time.monotonic() + 30
        while time.monotonic() < give_up_at:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)):
                    return
            time.sleep(0.05)
        raise SystemExit(f"web processes outlive their server:\n{self.log.read_text()[-3000:]}")

    def processes(self) -> dict[str, list[int]]:
        """The main process, the web processes and the worker, from /proc."""
        assert self.server is not None
        found: dict[str, list[int]] = {"main": [self.server.pid], "web": [], "worker": []}
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.server.pid:
                    arguments = (path / "cmdline").read_bytes()
                    found["worker" if b"--while-stdin-is-open" in arguments else "web"].append(int(path.name))
        return found

    def stop(self) -> None:
        if self.server is not None and self.server.poll() is None:
            self.server.terminate()
            self.server.wait(60)


class Person:
    """Somebody who does things at random, and knows what was acknowledged."""

    def __init__(self, instance: Instance, ledger: Ledger, number: int, seed: int) -> None:
        self.instance, self.ledger, self.number = instance, ledger, number
        self.chance = random.Random(seed * 1000 + number)
        self.browser = requests.Session()
        self.is_signed_in = False
        self.refresh_token = ""
        self.made = 0

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            action = self.chance.choice(
                (self.log_in, self.log_in, self.refresh, self.refresh, self.register, self.leave)
            )
            try:
                action()
            except AWAY:
                self.ledger.note("away")
                # What was under way may have happened or not: nothing is known of it.
                self.browser = requests.Session()
                self.is_signed_in, self.refresh_token = False, ""
                time.sleep(0.05)

    def _send(self, method: str, path: str, **more: object) -> requests.Response:
        url = path if path.startswith("http") else self.instance.issuer + path
        answer = self.browser.request(method, url, allow_redirects=False, timeout=30, **more)  # type: ignore[arg-type]
        if answer.status_code == 503 and answer.headers.get("Retry-After"):
            raise requests.ConnectionError("busy")
        if answer.status_code >= 500:
            self.ledger.blame(f"{method} {path}: {answer.status_code}")
        return answer

    def _csrf(self, page: requests.Response) -> str:
        return page.text.split('name="csrf_token" value="')[1].partition('"')[0]

    def sign_in(self) -> None:
        page = self._send("GET", "/sign-in")
        form = {"username": f"p{self.number}", "password": PASSWORD, "csrf_token": self._csrf(page)}
        answer = self._send("POST", "/sign-in", data=form)
        if answer.status_code != 303:
            raise requests.ConnectionError(f"not signed in: {answer.status_code}")
        self.is_signed_in = True
        self.ledger.note("sign-in")

    def log_in(self) -> None:
        """A login by single sign-on; then the code is tried a second time, now and then."""
        if not self.is_signed_in:
            self.sign_in()
        web = self.instance.web
        query = {"client_id": web["client_id"], "redirect_uri": REDIRECT_URI, "response_type": "code"}
        answer = self._send("GET", "/oauth/authorize", params={**query, "scope": "openid offline_access", "state": "s",
                                                               "prompt": "none"})  # fmt: skip
        given = parse_qs(urlsplit(answer.headers.get("Location", "")).query)
        if "code" not in given:
            self.ledger.blame(f"no code for somebody who is signed in: {answer.status_code} {given}")
            self.is_signed_in = False
            return
        form = {"grant_type": "authorization_code", "code": given["code"][0], "redirect_uri": REDIRECT_URI}
        is_doubled = self.chance.random() < 0.2
        answer = self._token(form)
        if answer.status_code != 200:
            self.ledger.blame(f"a fresh code is refused: {answer.text[:200]}")
            return
        with self.ledger.lock:
            self.ledger.redeemed[form["code"]] += 1
        self.ledger.note("login")
        self.refresh_token = answer.json()["refresh_token"]
        if is_doubled:
            self.refresh_token = ""  # the second use ends all that came of the first
            if self._token(form).status_code == 200:
                self.ledger.blame("a code was redeemed twice")
            self.ledger.note("code tried twice")

    def _token(self, form: dict[str, str]) -> requests.Response:
        web = self.instance.web
        return self._send(
            "POST",
            "/oauth/token",
            data={**form, "client_id": web["client_id"], "client_secret": web["client_secret"]},
        )

    def refresh(self) -> None:
        if not self.refresh_token:
            return
        used, self.refresh_token = self.refresh_token, ""
        answer = self._token({"grant_type": "refresh_token", "refresh_token": used})
        if answer.status_code != 200:
            self.ledger.blame(f"a refresh token that nobody used is refused: {answer.text[:200]}")
            return
        self.ledger.note("refresh")
        self.refresh_token = answer.json()["refresh_token"]

    def register(self) -> None:
        """Use up a listed address; two people share each, and the one who is later is told the same."""
        desk = self.instance.machine
        form = {"grant_type": "client_credentials", "scope": "registration", "client_id": desk["client_id"]}
        token = self._send("POST", "/oauth/token", data={**form, "client_secret": desk["client_secret"]}).json()
        self.made += 1
        number = (self.number // 2) + self.made * PEOPLE
        email = f"new{number}@example.org"
        body = {
            "username": f"new{number}x{self.number}",
            "email": email,
            "password": PASSWORD,
        }
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        answer = self._send("POST", "/api/v1/users", json=body, headers=bearer)
        if answer.status_code == 202:
            with self.ledger.lock:
                self.ledger.registered.add(email)
            self.ledger.note("registration")
        elif answer.status_code not in (403, 409, 422):
            self.ledger.blame(f"registration: {answer.status_code} {answer.text[:200]}")

    def leave(self) -> None:
        if not self.is_signed_in or self.chance.random() < 0.7:
            return
        page = self._send("GET", "/account")
        if page.status_code != 200:
            self.ledger.blame(f"the account of somebody who is signed in: {page.status_code}")
            return
        cookie = self.browser.cookies.get("idp_session", "")
        self.is_signed_in = False
        answer = self._send("POST", "/sign-out", data={"csrf_token": self._csrf(page)})
        if answer.status_code == 303:
            with self.ledger.lock:
                self.ledger.signed_out.append(cookie)
            self.ledger.note("sign-out")


def kill_something(instance: Instance, chance: random.Random, only: str | None) -> str:
    """Kill -9 one web process, the worker, the main process, or all at once; returns what."""
    running = instance.processes()
    what = only or chance.choice([*("web", "worker", "main", "everything"), "web"])
    everything = [each for found in running.values() for each in found]
    targets = everything if what == "everything" else running[what][:1]
    for target in targets:
        with contextlib.suppress(ProcessLookupError):
            os.kill(target, signal.SIGKILL)
    assert instance.server is not None
    if what in ("main", "everything"):
        instance.server.wait(30)
        instance.wait_until_free()
        instance.start()
    return what


def contradictions(instance: Instance) -> list[str]:
    """What `idp doctor --deep` finds in the data."""
    found = json.loads(instance.command("doctor", "--deep", "--json", may_fail=True))
    names = [each["check"] for each in found]
    deep = found[names.index("damage") :]
    assert len(deep) > 10, names
    return [f"{each['check']}: {each['told']}" for each in deep if each["verdict"] != "ok"]


def settle(instance: Instance, ledger: Ledger) -> None:
    """Compare the ledger with the data."""
    listed = {each["email"] for each in json.loads(instance.command("user", "list", "--json"))}
    if missing := ledger.registered - listed:
        ledger.blame(f"{len(missing)} acknowledged registrations are missing: {sorted(missing)[:3]}")
    waiting = {each["email"] for each in json.loads(instance.command("preauthorize", "--list", "--json"))}
    if twice := ledger.registered & waiting:
        ledger.blame(f"{len(twice)} addresses have registered and are listed still: {sorted(twice)[:3]}")
    for cookie in ledger.signed_out[-200:]:
        answer = requests.get(
            f"{instance.issuer}/account", cookies={"idp_session": cookie}, allow_redirects=False, timeout=30
        )
        if answer.status_code == 200:
            ledger.blame("a session that was signed out of is alive")
    if twice_redeemed := [code for code, times in ledger.redeemed.items() if times > 1]:
        ledger.blame(f"{len(twice_redeemed)} codes were redeemed twice")


def run(rounds: int, seed: int, database: str, only: str | None, say: Callable[[str], None]) -> Ledger:
    """Kill and look, so many times.

    Args:
        rounds: how many kills.
        seed: of everything that is left to chance, except the moments at which processes are scheduled.
        database: URL of an empty PostgreSQL database; empty for SQLite.
        only: what to kill; nothing for any of it.
        say: is told what happens.
    """
    chance, ledger = random.Random(seed), Ledger()
    with tempfile.TemporaryDirectory(prefix="idp-kill-") as folder:
        instance = Instance(Path(folder), database)
        try:
            instance.fill()
            instance.start()
            for number in range(1, rounds + 1):
                stop = threading.Event()
                people = [Person(instance, ledger, each, seed * 7919 + number) for each in range(PEOPLE)]
                for person in people:
                    person.made = number * 10
                threads = [threading.Thread(target=person.run, args=(stop,)) for person in people]
                for thread in threads:
                    thread.start()
                time.sleep(chance.uniform(0.3, 1.5))
                what = kill_something(instance, chance, only)
                time.sleep(chance.uniform(0.1, 0.5))
                stop.set()
                for thread in threads:
                    thread.join()
                for each in contradictions(instance):
                    ledger.blame(f"after round {number}: {each}")
                say(f"{number:>4}  killed {what:<10}  {dict(ledger.counts)}  {len(ledger.wrong)} wrong")
            settle(instance, ledger)
        finally:
            if instance.server is not None:
                instance.stop()
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(instance.server.pid, signal.SIGKILL)
            if ledger.wrong:
                shutil.copy(instance.log, Path(tempfile.gettempdir()) / "idp-kill.log")
    return ledger


@contextlib.contextmanager
def own_database(server: str) -> Iterator[str]:
    """Make a database on a PostgreSQL server for one run; nothing for SQLite."""
    if not server:
        yield ""
        return
    import psycopg  # noqa: PLC0415 - for PostgreSQL only

    name = f"idp_kill_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type]


def main() -> None:
    """Read the command line, run, and say what was wrong."""
    parser = argparse.ArgumentParser(description="Kill the provider under load, and look whether anything is lost.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--what", choices=("web", "worker", "main", "everything"), help="kill nothing else")
    parser.add_argument("--database", default="", help="a PostgreSQL server on which a database may be made")
    given = parser.parse_args()
    with own_database(given.database) as database:
        ledger = run(given.rounds, given.seed, database, given.what, lambda line: print(line, flush=True))
    print(f"{given.rounds} kills; acknowledged: {dict(ledger.counts)}; wrong: {len(ledger.wrong)}")
    for each in ledger.wrong[:50]:
        print(f"  {each}")
    sys.exit(1 if ledger.wrong else 0)


if __name__ == "__main__":
    main()
