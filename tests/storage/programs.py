"""Programs of this project at work: today's, and the one that was written for the schema before."""

import os
import signal
import subprocess
import sys
import tarfile
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from werkzeug.exceptions import NotFound
from werkzeug.middleware.http_proxy import ProxyMiddleware
from werkzeug.test import Client

from bench.loaded import IDP
from idp.migrations import newest_revision
from idp.migrations.revisions import FOLDER
from tests.cli.test_serve import get_when_ready
from tests.house.pages import ROOT
from tests.ports import free_port


def git(*arguments: str) -> bytes | None:
    """Run git on this project's history; None where that is missing, or does not reach so far back."""
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def find_former() -> str | None:
    """Return the last commit that did not know the newest step, or None where there is no history to tell."""
    [newest] = (FOLDER / "versions").glob(f"{newest_revision()}_*.py")
    path = newest.relative_to(ROOT).as_posix()
    added = git("log", "--diff-filter=A", "--format=%H", "HEAD", "--", path)
    if added is None:
        return None
    former = git("rev-parse", "--verify", f"{added.split()[-1].decode()}^" if added.split() else "HEAD")
    is_there = former is not None and git("cat-file", "-e", f"{former.decode().strip()}:idp/migrations/versions")
    return former.decode().strip() if former is not None and is_there is not None else None


def unpack(commit: str, folder: Path) -> Path:
    """Lay down the program as it was at a commit."""
    content = git("archive", commit, "idp")
    assert content is not None
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@dataclass
class Program:
    """The program in a folder, working on an instance that others may work on too.

    Attributes:
        folder: where its package `idp` lies.
        environment: what says which instance.
        url: where it serves, once it does.
    """

    folder: Path
    environment: dict[str, str]
    url: str = ""
    _running: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        if self.folder == ROOT:
            return IDP.run(arguments, self._environment(), ROOT, text)
        return subprocess.run(
            self._command(*arguments), cwd=self.folder, env=self._environment(), input=text, capture_output=True,
            text=True, check=False, timeout=300,
        )  # fmt: skip

    def succeed(self, *arguments: str, text: str = "") -> str:
        """Run a command that must succeed; returns what it prints."""
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def serve(self) -> None:
        """Start the server, with a worker, and wait until it is ready."""
        port = free_port()
        process = subprocess.Popen(
            self._command("serve", "--port", str(port)), cwd=self.folder, env=self._environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._running.append(process)
        self.url = f"http://127.0.0.1:{port}"
        get_when_ready(f"{self.url}/readyz", process)

    def stop(self) -> None:
        """Stop the server as an operator does."""
        process = self._running.pop()
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=120)
        assert process.returncode == 0, told
        assert "Traceback" not in told

    def kill(self) -> None:
        """End whatever runs still."""
        for process in self._running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "idp", *arguments]

    def _environment(self) -> dict[str, str]:
        return {**self.environment, "PYTHONPATH": str(self.folder)}


class Turn:
    """A proxy before several programs; says whose turn it is to answer."""

    def __init__(self, program: Program) -> None:
        self.of = program
        self._proxy = ProxyMiddleware(NotFound(), {})

    def browser(self) -> Client:
        """Return a browser whose requests go to whoever's turn it is."""
        return Client(self._answer)

    def _answer(self, environ: Any, start_response: Any) -> Any:
        opts = {"target": self.of.url, "host": None, "headers": {}, "remove_prefix": False, "ssl_context": None}
        return self._proxy.proxy_to(opts, environ["PATH_INFO"], "/")(environ, start_response)
