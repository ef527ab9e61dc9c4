"""A PostgreSQL server of one's own, as durable as it comes, that may be killed."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from instance import free_port


class Cluster:
    """A PostgreSQL server in a folder, on a port of its own, with `fsync` on.

    PostgreSQL refuses to run as root: then it runs as the account `postgres`, which must be able to reach the folder.

    Args:
        folder: must not exist; what is above it must be open to that account.
        address: at which it listens.
        before: what a command line begins with, so that it runs where that address is.
    """

    def __init__(self, folder: Path, address: str = "127.0.0.1", before: Sequence[str] = ()) -> None:
        self.folder, self.address, self.port, self.before = folder, address, free_port(), before
        self.url = f"postgresql://postgres@{address}:{self.port}/postgres"
        self.options = {"listen_addresses": address, "unix_socket_directories": str(folder), "fsync": "on"}
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        initdb = str(found[-1]) if found else shutil.which("initdb")
        if initdb is None:
            raise SystemExit("PostgreSQL's server is not installed (Debian: postgresql)")
        self.programs = Path(initdb).parent
        folder.mkdir(0o700, parents=True)
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", str(folder), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8")

    def _run(self, program: str, *arguments: str, may_fail: bool = False) -> None:
        account = ("runuser", "-u", "postgres", "--") if os.getuid() == 0 else ()
        done = subprocess.run(
            (*self.before, *account, str(self.programs / program), *arguments),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a pipe would stay open as long as the server runs
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode and not may_fail:
            raise SystemExit(f"{program} failed: {self.last_words()}")

    def last_words(self) -> str:
        """Return the end of the server's log."""
        with contextlib.suppress(OSError):
            return (self.folder / "log").read_text("utf-8", "replace")[-2000:]
        return ""

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        options = " ".join((f"-p {self.port}", *(f"-c {name}={value}" for name, value in self.options.items())))
        self._run("pg_ctl", "-D", str(self.folder), "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; `immediate` writes nothing more, as in a crash."""
        self._run("pg_ctl", "-D", str(self.folder), "-w", "-m", mode, "stop", may_fail=True)

    def kill_postmaster(self) -> None:
        """End the server's first process with SIGKILL; its backends notice and end."""
        pid = int((self.folder / "postmaster.pid").read_text().splitlines()[0])
        backends = self.backends()
        os.kill(pid, signal.SIGKILL)
        give_up_at = time.monotonic() + 30
        while any(Path(f"/proc/{each}").exists() for each in (pid, *backends)) and time.monotonic() < give_up_at:
            time.sleep(0.05)

    def backends(self) -> list[int]:
        """Return the processes that serve connections or work in the background."""
        pid = (self.folder / "postmaster.pid").read_text().splitlines()[0]
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                if (path / "stat").read_text().rpartition(")")[2].split()[1] == pid:
                    found.append(int(path.name))
        return found

    def serving(self) -> list[int]:
        """Return the backends that serve a connection of the provider."""
        found = []
        for each in self.backends():
            with contextlib.suppress(OSError):
                title = Path(f"/proc/{each}/cmdline").read_bytes().decode("utf-8", "replace")
                if " idp_" in title:
                    found.append(each)
        return found
