"""SIGTERM and SIGHUP end a command as Ctrl-C does: what it has half done is undone, and its drafts are taken away."""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from idp import signals

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN: Final = 0.1  # seconds


class _Ended(SystemExit):
    """A signal came. PostgreSQL's driver cancels what the server is at for this and Ctrl-C, and for nothing else."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _is_about_more(record: logging.LogRecord) -> bool:
    """Tell whether a line of the log says more than that a signal came, of which SQLAlchemy tells as of a fault."""
    fault = record.exc_info and record.exc_info[1]
    return fault is None or isinstance(fault, Exception)


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

    def raise_again(unraised: "UnraisableHookArgs") -> None:
        if isinstance(unraised.exc_value, _Ended):  # it came while Python collected garbage, say, and is lost
            number = unraised.exc_value.number
            signal.signal(number, end)
            # Sent to the process, it also wakes one that waits; Windows cannot do that.
            send = signal.raise_signal if sys.platform == "win32" else partial(os.kill, os.getpid())
            timer = threading.Timer(_AGAIN, send, [number])
            timer.daemon = True
            timer.start()
        else:
            hook_before(unraised)

    hook_before, sys.unraisablehook = sys.unraisablehook, raise_again
    last_resort = logging.lastResort or logging.NullHandler()  # what writes where a command has set up no log
    last_resort.addFilter(_is_about_more)
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
        sys.unraisablehook = hook_before
        last_resort.removeFilter(_is_about_more)
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)
