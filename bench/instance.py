"""A throw-away provider: an instance folder of its own, two apps, a few people, and its processes."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import requests
from loaded import IDP

PASSWORD = "correct horse battery staple"
REDIRECT_URI = "https://app.example.org/callback"
AWAY = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


def free_port() -> int:
    """Return a port at which nobody listens, and that no connection that goes out is given (Linux: from 32768)."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", random.randrange(10_000, 20_000)))
            return int(probe.getsockname()[1])


POSTS_SECRET = ("--auth-method", "client_secret_post", "--json")  # of `idp client add`


class Instance:
    """A provider in a folder of its own, its processes, and two apps.

    Args:
        folder: where its data and its log go.
        database: URL of an empty PostgreSQL database; empty for SQLite.
        settings: more environment variables.
        people: how many accounts it has, `p0`, `p1` and so on.
    """

    def __init__(
        self, folder: Path, database: str = "", settings: Mapping[str, str] | None = None, people: int = 4
    ) -> None:
        self.host, self.port = "127.0.0.1", free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.folder = folder / "instance"
        self.log = folder / "log"
        self.people = people
        self.server: subprocess.Popen[bytes] | None = None
        self.web: dict[str, str] = {}
        self.machine: dict[str, str] = {}
        self.before: Sequence[str] = ()  # what the server's command line begins with, so that it runs elsewhere
        self.server_environ: dict[str, str] = {}  # more for the server, and for no other command
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")} | {
            "IDP_INSTANCE": str(self.folder),
            "IDP_ISSUER": self.issuer,
            "IDP_BCRYPT_COST": "4",
            "IDP_REGISTRATION": "preauthorized",
            "IDP_THROTTLE_ADDRESS_BURST": "1000000",
            "IDP_THROTTLE_ACCOUNT_BURST": "1000000",
            **({"IDP_DATABASE_URL": database} if database else {}),
            **(settings or {}),
        }
        self.options: tuple[str, ...] = ()  # of `idp serve`

    @property
    def door(self) -> str:
        """Where the server itself listens; browsers may come by the issuer, through a proxy."""
        return f"http://{self.host}:{self.port}"

    @property
    def session_cookie(self) -> str:
        """The name of the cookie that holds a session."""
        return "__Host-idp_session" if self.issuer.startswith("https:") else "idp_session"

    def new_browser(self) -> requests.Session:
        """Return a browser that nobody has used."""
        return requests.Session()

    @property
    def database_file(self) -> Path:
        """SQLite's file."""
        return self.folder / "idp.sqlite3"

    def try_command(
        self, *arguments: str, stdin: str = "", more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `idp` on this instance.

        Args:
            arguments: what stands behind `idp`.
            stdin: what it reads.
            more: environment variables for this command only.
        """
        return IDP.run(arguments, {**self.environ, **(more or {})}, Path.cwd(), stdin)

    def command(self, *arguments: str, stdin: str = "", may_fail: bool = False) -> str:
        """Run `idp` on this instance and return what it prints; a failure ends the program."""
        done = self.try_command(*arguments, stdin=stdin)
        if done.returncode and not may_fail:
            raise SystemExit(f"idp {' '.join(arguments)} failed: {done.stderr}")
        return done.stdout

    def fill(self, listed: int = 500) -> None:
        """Make the database, the people and the apps.

        Args:
            listed: how many addresses may register.
        """
        self.command("init")
        for number in range(self.people):
            name = f"p{number}"
            self.command("user", "add", name, "--email", f"{name}@example.org", "--password-stdin", stdin=PASSWORD)
        self.command("preauthorize", "-", stdin="\n".join(f"new{number}@example.org" for number in range(listed)))
        self.web = json.loads(
            self.command(
                "client", "add", "Web", "--redirect-uri", REDIRECT_URI, "--grant", "authorization_code",
                "--grant", "refresh_token", "--scope", "openid", "--scope", "profile", "--scope", "email",
                "--scope", "offline_access", "--trusted", *POSTS_SECRET,
            )
        )  # fmt: skip
        self.machine = self.add_machine("Desk")

    def add_machine(self, name: str) -> dict[str, str]:
        """Add an app that registers people; returns its id and secret."""
        command = ("client", "add", name, "--grant", "client_credentials", "--scope", "registration", *POSTS_SECRET)
        machine: dict[str, str] = json.loads(self.command(*command))
        return machine

    def start(self, wait: bool = True) -> None:
        """Start `idp serve` with two web processes and its worker.

        Args:
            wait: whether to wait until it is ready; it ends the program if it does not start.
        """
        where = ("--host", self.host, "--port", str(self.port))
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(
                (*self.before, sys.executable, "-m", "idp", "serve", *where, "--workers", "2", *self.options),
                env={**self.environ, **self.server_environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait and not self.is_ready_within(300):
            raise SystemExit(f"the server does not start:\n{self.last_words()}")

    def is_ready_within(self, seconds: float) -> bool:
        """Wait until `/readyz` says so, and tell whether it did; an end of the server ends the wait."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at and self.server is not None and self.server.poll() is None:
            with contextlib.suppress(*AWAY):
                if requests.get(f"{self.door}/readyz", timeout=5).status_code == 200:
                    return True
            time.sleep(0.1)
        return False

    def last_words(self) -> str:
        """Return the end of the log."""
        return self.log.read_text("utf-8", "replace")[-3000:]

    def wait_until_free(self) -> None:
        """Wait until nobody listens any more: web processes end with their server."""
        give_up_at = time.monotonic() + 120
        while time.monotonic() < give_up_at:
            with socket.socket() as probe:
                if probe.connect_ex((self.host, self.port)):
                    return
            time.sleep(0.05)
        raise SystemExit(f"web processes outlive their server:\n{self.last_words()}")

    def processes(self) -> dict[str, list[int]]:
        """Return the main process, the web processes and the worker, from /proc."""
        assert self.server is not None
        found: dict[str, list[int]] = {"main": [self.server.pid], "web": [], "worker": []}
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.server.pid:
                    arguments = (path / "cmdline").read_bytes()
                    found["worker" if b"--while-stdin-is-open" in arguments else "web"].append(int(path.name))
        return found

    def signal_all(self, number: int) -> None:
        """Send a signal to every process of the server."""
        for each in [pid for found in self.processes().values() for pid in found]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, number)

    def kill_all(self) -> None:
        """End every process at once, with no chance to say anything."""
        assert self.server is not None
        self.signal_all(signal.SIGKILL)
        self.server.wait(30)
        self.wait_until_free()

    def stop(self) -> None:
        """Stop the server as an operator does; what outlives that is killed."""
        if self.server is None:
            return
        if self.server.poll() is None:
            self.server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.server.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait(30)

    def contradictions(self, but: Iterable[str] = ()) -> list[str]:
        """Return what `idp doctor --deep` finds in the data.

        Args:
            but: names of invariants that do not count here.
        """
        done = self.try_command("doctor", "--deep", "--json")
        try:
            found = json.loads(done.stdout)
            names = [each["check"] for each in found]
            deep = found[names.index("damage") :]
        except ValueError:
            return [f"idp doctor --deep says nothing: {done.stdout[-300:]} {done.stderr[-300:]}"]
        assert len(deep) > 10, names
        return [
            f"{each['check']}: {each['told']}" for each in deep if each["verdict"] != "ok" and each["check"] not in but
        ]
