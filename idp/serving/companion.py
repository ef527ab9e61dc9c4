"""The worker beside the web server: `idp serve` starts it, keeps it running, and stops it."""

import logging
import os
import signal
import subprocess
import sys
from types import FrameType, TracebackType
from typing import Any

from idp.serving.start import interpreter

STOP_WITHIN = 10  # seconds; then whatever mail is in its hands goes again later
START_AGAIN_AFTER = 5  # seconds

log = logging.getLogger(__name__)


class Companion:
    """A worker in a process of its own, for as long as the block runs.

    A process, because the server forks, and threads do not survive that. It reads from a pipe, whose other
    end this process and the server's own hold: when all of them are gone, however suddenly, the pipe closes and the
    worker ends by itself. When the worker dies, it is started again, except on Windows, which has no signals for that.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._handlers_before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Companion":
        self._start()
        if sys.platform != "win32":
            for number, handler in ((signal.SIGCHLD, self._look_after), (signal.SIGALRM, self._start_again)):
                self._handlers_before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        _wake_up_after(0)
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        if self._process is None:
            return
        if self._process.stdin:
            self._process.stdin.close()
        if sys.platform != "win32":  # where it would be a kill
            self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            interpreter("idp", "worker", "--while-stdin-is-open"),
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches this process, which then tells the worker
        )

    def _look_after(self, _number: int, _frame: FrameType | None) -> None:
        """Have the worker started again when it was the child that ended; the server has children of its own."""
        if self._process is None or os.getpid() != self._owner:
            return
        code = self._process.poll()
        if code is None:
            return
        log.error("The worker ended (exit code %d); it is started again in %d seconds.", code, START_AGAIN_AFTER)
        if self._process.stdin:
            self._process.stdin.close()
        self._process = None
        _wake_up_after(START_AGAIN_AFTER)

    def _start_again(self, _number: int, _frame: FrameType | None) -> None:
        if self._process is None and os.getpid() == self._owner:
            try:
                self._start()
            except OSError as fault:  # no process is to be had just now; raised from here it would end the server
                again = START_AGAIN_AFTER
                log.error("The worker cannot be started (%s); the next try is in %d seconds.", fault.strerror, again)  # noqa: TRY400
                _wake_up_after(again)


def _wake_up_after(seconds: int) -> None:
    if sys.platform != "win32":
        signal.alarm(seconds)
