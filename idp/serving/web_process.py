"""One of the web server's processes: it loads the application, misses no signal to stop, and outlives no server."""

import contextlib
import gc
import importlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from idp import processors, signals
from idp.serving import connections

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

APPLICATION = "idp.app"  # a name only: the server lies below the application, and never loads it
STOPPING = (signal.SIGINT, *signals.TO_END)
GONE_WITHIN = 3  # seconds that running requests have once the server itself was killed

log = logging.getLogger(__name__)


def hold_signals_while_forking() -> None:
    """Let no signal to stop be lost between the fork of a web process and its first own handler.

    A forked process begins with its parent's handlers, which here would note the signal and do no more. Instead it
    begins with the system's: SIGTERM ends it. SIGINT and SIGHUP, which a terminal sends to all, it leaves to the
    server, which then tells it to stop. The server's library sets handlers of its own once the application is loaded.
    """
    if sys.platform != "win32":  # which forks nothing
        hold = partial(signal.pthread_sigmask, signal.SIG_BLOCK, STOPPING)
        release = partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, STOPPING)
        os.register_at_fork(before=hold, after_in_parent=release, after_in_child=partial(_begin_anew, release))


def load_application(capacity: int, first_processor: int, index: int, processes: int) -> "WSGIApplication":
    """Return the application; from now on this process ends when the one that started it does, however suddenly.

    Args:
        capacity: how many connections it accepts at once; those that take too long are closed.
        first_processor: where the server's processes begin.
        index: of this process among the web processes, from 0 on.
        processes: how many there are.
    """
    processors.keep_to_one(index, processes, first_processor)
    _let_threads_finish()
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    try:
        application = importlib.import_module(APPLICATION).create_app()
    except Exception:  # Python would tell of it too, but not as the log is written
        log.exception("A web process cannot start.")
        sys.exit(1)
    connections.watch(capacity, are_peers_visitors=not application.extensions["idp_settings"].proxy_hops)
    gc.collect()
    gc.freeze()  # what was loaded stays: the collector need not look through all of it again and again
    return cast("WSGIApplication", application)


def _end_with_parent() -> None:
    """Wait for the parent's end, then stop: kindly at first.

    Each process waits at a pipe of its own, whose other end the parent holds, and with it those that were forked later.
    The youngest therefore notices first, and the others as the younger ones end.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    with contextlib.suppress(ProcessLookupError):
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GONE_WITHIN)
    os._exit(1)


def _let_threads_finish() -> None:
    """Have a thread that wakes up wait for the one that runs, on Linux, instead of interrupting it at once.

    The other one holds the interpreter, so that both would only have been put to sleep and woken again: that costs
    as much as a token check does.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # not permitted here
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _begin_anew(release: Callable[[], object]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signals.HANGUP, signal.SIG_IGN)
    release()
