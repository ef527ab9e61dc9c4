"""Programs that begin with everything loaded: each run is a process of its own, forked from one that has loaded it.

What `python -m idp` loads takes a second of a processor, and what most of its commands do a tenth of that.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from idp.cli import NOUNS


class Running:
    """A process, with what `subprocess.Popen` offers of it.

    Args:
        told: says its number, and in the end how it ended.
    """

    def __init__(self, told: socket.socket) -> None:
        self._told = told.makefile("r")
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how it ended, or None."""
        if self.returncode is None and not select.select([self._told], [], [], 0)[0]:
            return None
        return self.wait()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return how it ended.

        Args:
            timeout: seconds, or without end.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            with self._told:
                self.returncode = int(self._told.readline())
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Program:
    """A program that is loaded once, when it is first run.

    Args:
        module: what `python -m` would run.
        needs: the modules that it loads as it goes.
    """

    def __init__(self, module: str, *needs: str) -> None:
        self._words = (module, *needs)
        self._lock = threading.Lock()
        self._loaded: socket.socket | None = None

    def start(
        self, arguments: Sequence[str], environ: Mapping[str, str], folder: Path, streams: Sequence[IO[bytes]]
    ) -> Running:
        """Begin a run, in a process group of its own.

        Args:
            arguments: of the program.
            environ: its whole environment, of which Python has read what it reads as it starts.
            folder: where it runs.
            streams: its stdin, stdout and stderr.
        """
        with self._lock:
            self._loaded = self._loaded or self._load()
        ours, its = socket.socketpair()
        with ours, its:
            socket.send_fds(self._loaded, [b"\n"], [each.fileno() for each in (its, *streams)])
            ours.sendall(json.dumps([list(arguments), dict(environ), str(folder)]).encode() + b"\n")
            return Running(ours)

    def run(
        self, arguments: Sequence[str], environ: Mapping[str, str], folder: Path, text: str = "", timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end.

        Args:
            arguments: of the program.
            environ: its whole environment.
            folder: where it runs.
            text: what it reads.
            timeout: seconds that it may take.
        """
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            stdin.write(text.encode())
            stdin.seek(0)
            running = self.start(arguments, environ, folder, (stdin, stdout, stderr))
            try:
                code = running.wait(timeout)
            finally:
                running.kill()
            stdout.seek(0)
            stderr.seek(0)
            return subprocess.CompletedProcess(arguments, code, stdout.read().decode(), stderr.read().decode())

    def _load(self) -> socket.socket:
        """Start the process that has everything loaded; it ends when this one does."""
        ours, its = socket.socketpair()
        with its:
            words = (sys.executable, __file__, str(its.fileno()), *self._words)
            process = subprocess.Popen(
                words, env=_ENVIRON, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[its.fileno()]
            )
        atexit.register(process.wait)
        atexit.register(ours.close)
        return ours


# Programs are loaded in this one, whatever a test makes of its own later.
_ENVIRON = dict(os.environ)

IDP = Program("idp", *(noun.module for noun in NOUNS.values()), "idp.migrations.runner")


def main() -> None:
    """Load a program, and be forked for each run of it, until whoever started this has gone."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    module, *needs = sys.argv[2:]
    sys.path[0] = os.getcwd()
    for each in needs:
        importlib.import_module(each)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks are waited for by nobody
    while (given := socket.recv_fds(asked, 1, 4))[0]:
        if os.fork() == 0:
            asked.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _begin(module, *given[1])
        for each in given[1]:
            os.close(each)


def _begin(module: str, asker: int, *streams: int) -> None:
    """Fork a run, and tell its number and how it ends; what returns from here is the run itself, when it is over."""
    with socket.socket(fileno=asker) as told:
        arguments, environ, folder = json.loads(told.makefile("r").readline())
        if run := os.fork():
            for each in streams:
                os.close(each)
            told.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])}\n".encode())
            os._exit(0)
        os.setsid()
        told.sendall(f"{os.getpid()}\n".encode())
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    sys.path[0] = folder
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
