"""Child processes of `idp demo`: started together, waited for, stopped together."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from idp import clock, signals
from idp.errors import IdpError

START_WITHIN = 90  # seconds; a cold Streamlit on a slow disk takes a while
STOP_WITHIN = 10
LOOK_EVERY = 0.2
STOPPING = (signal.SIGINT, *signals.TO_END)
TAIL = 15  # lines of a failed child's output to show

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine is not behind a proxy


@dataclass(frozen=True, kw_only=True)
class Child:
    """A process to start.

    Attributes:
        name: for messages, and for the file that takes its output.
        arguments: the command line.
        folder: where it runs.
        environ: its whole environment.
        answers_at: a URL that answers once it is ready.
    """

    name: str
    arguments: Sequence[str]
    folder: Path
    environ: Mapping[str, str]
    answers_at: str


class Children:
    """Children that run together; leaving the block stops all of them.

    Args:
        logs: a folder for what they write.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, tuple[Child, subprocess.Popen[bytes]]] = {}

    def __enter__(self) -> "Children":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, child: Child) -> None:
        """Start a child, away from the terminal's Ctrl-C: only its parent tells it to stop."""
        with self._log(child).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command lines
                child.arguments,
                cwd=child.folder,
                env=dict(child.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running[child.name] = (child, process)

    def wait_until_all_answer(self) -> None:
        """Wait until every child answers.

        Raises:
            IdpError: one ended, or took too long; shows its last words.
        """
        give_up_at = clock.ticks() + START_WITHIN
        for child, _ in self._running.values():
            while not _answers(child.answers_at):
                self._check_running()
                if clock.ticks() > give_up_at:
                    raise IdpError(f"The {child.name} did not answer within {START_WITHIN} seconds.{self._tail(child)}")
                time.sleep(LOOK_EVERY)

    def watch(self) -> None:
        """Watch over the children until somebody interrupts.

        Raises:
            IdpError: one ended by itself; shows its last words.
        """
        while True:
            self._check_running()
            time.sleep(LOOK_EVERY)

    def stop(self) -> None:
        """Stop all children, kindly first; a second signal meanwhile changes nothing."""
        before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
        try:
            for _, process in self._running.values():
                _tell_group(process, is_asked=True)
            give_up_at = clock.ticks() + STOP_WITHIN
            for _, process in self._running.values():
                try:
                    process.wait(max(0.1, give_up_at - clock.ticks()))
                except subprocess.TimeoutExpired:
                    _tell_group(process, is_asked=False)
                    process.wait()
            self._running.clear()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _check_running(self) -> None:
        for child, process in self._running.values():
            code = process.poll()
            if code is not None:
                raise IdpError(f"The {child.name} ended by itself (exit code {code}).{self._tail(child)}")

    def _log(self, child: Child) -> Path:
        return self._logs / f"{child.name}.log"

    def _tail(self, child: Child) -> str:
        lines = self._log(child).read_text("utf-8", "replace").splitlines()[-TAIL:]
        return "".join(f"\n  | {line}" for line in lines)


def _tell_group(process: subprocess.Popen[bytes], *, is_asked: bool) -> None:
    """Ask a child and what it started to end, or kill it. Windows knows the latter only; what is below it follows."""
    if sys.platform == "win32":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM if is_asked else signal.SIGKILL)


def _answers(url: str) -> bool:
    try:
        with _direct.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
