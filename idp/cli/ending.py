"""SIGTERM and SIGHUP end a command as Ctrl-C does: what it has half done is undone, and its drafts are taken away."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from idp import signals


class _Ended(SystemExit):
    """A signal came. PostgreSQL's driver cancels what the server is at for this and Ctrl-C, and for nothing else."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def tidied() -> Iterator[None]:
    """Let the block tidy up when a signal ends it; then the process ends by that signal, as whoever sent it expects.

    A second one meanwhile changes nothing. What is ignored, such as SIGHUP below `nohup`, stays so; and a command with
    handlers of its own has its own.
    """
    if threading.current_thread() is not threading.main_thread():  # as part of another program
        yield
        return

    def end(number: int, _frame: FrameType | None) -> None:
        for each in signals.TO_END:
            if signal.getsignal(each) is end:
                signal.signal(each, signal.SIG_IGN)
        raise _Ended(number)

    heeded = [number for number in signals.TO_END if signal.getsignal(number) is signal.SIG_DFL]
    for number in heeded:
        signal.signal(number, end)
    try:
        yield
    except _Ended as ended:
        with contextlib.suppress(OSError):  # a terminal that hung up takes no more words
            click.echo("Stopped.", err=True)
        signal.signal(ended.number, signal.SIG_DFL)
        os.kill(os.getpid(), ended.number)
        os._exit(128 + ended.number)  # the first process of a container is spared by its own signals
    finally:
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)
