"""Fixtures of the command line's tests: an instance of its own for each, and ways to run commands in it."""

import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import IO

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.orm import Session

from bench.loaded import IDP, Running
from idp import settings as provider_settings
from idp.cli import main
from idp.cli.init import initialise
from idp.settings import Settings
from idp.storage.database import open_engine
from tests.factories import PASSWORD

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance as `idp init` makes it, made once."""
    folder = tmp_path_factory.mktemp("initialised") / "instance"
    initialise(Settings(instance=folder))
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of an instance that does not exist yet, named by the environment."""
    for name in [name for name in os.environ if name.startswith("IDP_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "instance"
    monkeypatch.setenv("IDP_INSTANCE", str(folder))
    monkeypatch.setenv("IDP_BCRYPT_COST", "4")
    return folder


@pytest.fixture
def instance(empty: Path, initialised: Path) -> Path:
    """A ready instance, named by the environment."""
    shutil.copytree(initialised, empty)
    empty.chmod(0o700)
    return empty


@pytest.fixture
def run() -> Run:
    """Run a command in this process; unexpected errors fail the test."""

    def run_command(*arguments: str, stdin: str | bytes = "") -> Result:
        result = CliRunner().invoke(main, arguments, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run_command


@pytest.fixture
def succeed(run: Run) -> Run:
    """Run a command that must succeed."""

    def run_command(*arguments: str, stdin: str | bytes = "") -> Result:
        result = run(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.stderr
        return result

    return run_command


class Command:
    """A command at work, with what `subprocess.Popen` offers of it.

    Args:
        running: its process.
        stdout: what it writes there.
        stderr: what it writes there.
    """

    def __init__(self, running: Running, stdout: IO[str], stderr: IO[str]) -> None:
        self._running = running
        self.stdout, self.stderr = stdout, stderr
        self.pid, self.poll, self.wait = running.pid, running.poll, running.wait
        self.send_signal, self.terminate, self.kill = running.send_signal, running.terminate, running.kill

    @property
    def returncode(self) -> int | None:
        """How it ended, once that is known."""
        return self._running.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read what it writes to the end, which comes when nobody can write any more, and wait for its own.

        Raises:
            TimeoutError: nothing of that came in so many seconds.
        """
        with self.stdout, self.stderr, ThreadPoolExecutor(2) as readers:
            reading = [readers.submit(stream.read) for stream in (self.stdout, self.stderr)]
            try:
                told = [each.result(timeout) for each in reading]
            except TimeoutError:
                kill_all(self)
                raise
        self.wait(timeout)
        return told[0], told[1]


Process = Command | Popen[str]


def kill_all(command: Process) -> None:
    """Kill a command and all that it started: one that outlived it would hold the streams open for who reads them."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(command.pid, signal.SIGKILL)


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Callable[..., Process]]:
    """Start `python -m idp ...` as a process of its own; whatever still runs at the end is killed."""
    running: list[Process] = []

    def start_command(*arguments: str) -> Process:
        begin = _begin_python if "adjust" in request.fixturenames else _begin_loaded
        running.append(begin(arguments))
        return running[-1]

    yield start_command
    for process in running:
        kill_all(process)
        process.wait(120)
        for stream in (process.stdout, process.stderr):
            assert stream
            stream.close()


def _begin_loaded(arguments: tuple[str, ...]) -> Command:
    (out, stdout), (err, stderr) = os.pipe(), os.pipe()
    with open(os.devnull, "rb") as nothing, open(stdout, "wb") as to_out, open(stderr, "wb") as to_err:
        process = IDP.start(arguments, os.environ, Path.cwd(), (nothing, to_out, to_err))
    return Command(process, os.fdopen(out, encoding="utf-8"), os.fdopen(err, encoding="utf-8"))


def _begin_python(arguments: tuple[str, ...]) -> Popen[str]:
    words = (sys.executable, "-m", "idp", *arguments)
    return Popen(words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, text=True, start_new_session=True)


@pytest.fixture
def adjust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have each Python process that starts from now on run some lines before anything else."""

    def write(lines: str) -> None:
        folder = tmp_path / "adjusted"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(lines)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")

    return write


@pytest.fixture
def database(instance: Path) -> Iterator[Session]:
    """A session on the instance's database."""
    engine = open_engine(provider_settings.load())
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def ada(instance: Path, succeed: Run) -> str:
    """An account; gives its user name."""
    arguments = ("--email", "ada@example.org", "--first-name", "Ada", "--last-name", "Lovelace", "--role", "admin")
    succeed("user", "add", "ada", *arguments, "--password-stdin", stdin=PASSWORD)
    return "ada"


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody listens at."""
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]
