"""A throw-away instance of the provider, as it runs in production, and what its processes and its database cost."""

import contextlib
import copy
import json
import os
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from certificate import write_certificate
from places import on_loopback
from proxies import Proxy, write_nginx

from attacking.wire import Wire
from instance import free_port

PASSWORD = "correct horse battery staple"
REDIRECT_URI = "https://app.example.org/callback"
LEAKED = 4  # accounts whose passwords attackers have
PEOPLE = ("owner", "neighbour", "newcomer", "sso", "app", "attacker", *(f"leak{number}" for number in range(LEAKED)))
_ADD = """
import sys
from idp import settings
from idp.storage import database
from idp.accounts import registration
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR
password, loaded = sys.stdin.read(), settings.load()
with database.open_session(loaded) as db:
    for name in sys.argv[1:]:
        registration.add_user(db, loaded, OPERATOR, Person(name, f"{name}@example.org"), password)
"""
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Reading:
    """What was used up so far.

    Attributes:
        cpu: seconds of processor time of all processes.
        memory: bytes of memory of all processes, shared ones counted for each.
        rows: in each table.
        size: bytes of the database and its log.
    """

    cpu: float
    memory: int
    rows: dict[str, int]
    size: int


class Instance:
    """A provider in a folder of its own: two web processes, a worker, bcrypt at its usual cost, SQLite.

    Args:
        folder: where everything goes.
        is_proxied: whether it stands behind a proxy that tells addresses.
    """

    def __init__(self, folder: Path, *, is_proxied: bool) -> None:
        self.port = self.door = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.is_proxied = is_proxied
        self.folder = folder
        self.server: subprocess.Popen[bytes] | None = None
        self.front: Proxy | None = None
        self.trust: ssl.SSLContext | None = None
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")} | {
            "IDP_INSTANCE": str(folder / "instance"),
            "IDP_ISSUER": self.issuer,
            "IDP_REGISTRATION": "open",
            "IDP_PROXY_HOPS": "1" if is_proxied else "0",
            "IDP_DPOP_NONCE": "optional",
        }
        self.clients: dict[str, dict[str, str]] = {}

    def copy(self, folder: Path) -> "Instance":
        """Return an instance as this one is now, in a folder of its own: making people takes long."""
        other = copy.copy(self)
        shutil.copytree(self.folder / "instance", folder / "instance")
        other.folder, other.environ = folder, self.environ | {"IDP_INSTANCE": str(folder / "instance")}
        return other

    def wire(self) -> Wire:
        """Return a client of its own for somebody."""
        return Wire(self.door, self.is_proxied, self.trust)

    def put_nginx_before(self) -> None:
        """Let everybody come through nginx from now on, from addresses of their own; before it is started.

        Raises:
            NotPossibleError: nginx is not installed.
        """
        certificate, key = write_certificate(self.folder, "nginx", "127.0.0.1")
        self.door, self.is_proxied = free_port(), False
        self.environ = self.environ | {"IDP_PROXY_HOPS": "1"}
        self.trust = ssl.create_default_context(cafile=certificate)
        behind, ports = [f"127.0.0.1:{self.port}"], (self.door, free_port())
        command = write_nginx(self.folder, "127.0.0.1", behind, certificate, key, ports)
        self.front = Proxy(self.folder, on_loopback("nginx"), command)

    def command(self, *arguments: str) -> str:
        """Run a command of the provider's."""
        return self._run("-m", "idp", *arguments)

    def _run(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            (sys.executable, *arguments),
            env=self.environ, input=stdin, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{arguments[:4]} failed: {done.stderr}")
        return done.stdout

    def fill(self) -> None:
        """Make people and apps."""
        self.command("init")
        self._run("-c", _ADD, *PEOPLE, stdin=PASSWORD)
        shared = ("--auth-method", "client_secret_post", "--json")
        web = ("--redirect-uri", REDIRECT_URI, "--scope", "openid", "--scope", "offline_access", "--trusted")
        self._register("web", "Web", *web, "--grant", "authorization_code", "--grant", "refresh_token", *shared)
        self._register("desk", "Desk", "--grant", "client_credentials", "--scope", "recovery", *shared)
        device = ("--grant", "urn:ietf:params:oauth:grant-type:device_code", "--scope", "openid")
        self._register("tv", "TV", *device, "--auth-method", "none", "--json")

    def _register(self, key: str, name: str, *options: str) -> None:
        self.clients[key] = json.loads(self.command("client", "add", name, *options))

    def start(self) -> None:
        """Start it, and wait until it serves."""
        with (self.folder / "log").open("ab") as log:
            self.server = subprocess.Popen(
                (sys.executable, "-m", "idp", "serve", "--port", str(self.port), "--workers", "2"),
                env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        give_up_at = time.monotonic() + 60
        while time.monotonic() < give_up_at and self.server.poll() is None:
            if Wire(self.port, is_proxied=False).send("GET", "/readyz", patience=2).status == 200:
                return
            time.sleep(0.1)
        raise SystemExit(f"the server does not start:\n{(self.folder / 'log').read_text()[-3000:]}")

    def stop(self) -> None:
        """Stop it, whatever it is doing."""
        if self.front is not None:
            self.front.stop()
        if self.server is not None and self.server.poll() is None:
            self.server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.server.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.server.pid, signal.SIGKILL)

    def read(self) -> Reading:
        """Read what was used up."""
        cpu, memory = 0, 0
        for pid in self._processes():
            with contextlib.suppress(OSError, IndexError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                cpu += int(fields[11]) + int(fields[12])
                memory += int(fields[21]) * _PAGE
        path = self.folder / "instance" / "idp.sqlite3"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as db:
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = {name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
            size = db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]
        return Reading(cpu / _TICK, memory, rows, size)

    def _processes(self) -> list[int]:
        assert self.server is not None
        parents = {}
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        found, new = [], [self.server.pid]
        while new:
            found += new
            new = [pid for pid, parent in parents.items() if parent in new]
        return found
