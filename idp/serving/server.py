"""The server: it listens, starts the web processes, starts again those that end, and stops them all."""

import logging.config
import multiprocessing
import signal
import socket
import sys
import threading
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from idp import logs, processors, signals
from idp.serving import draining, threads, web_process
from idp.serving.companion import Companion
from idp.serving.start import Serving
from idp.storage import write_turns

if sys.platform != "win32":
    import resource

THREADS = threads.AT_HAND + threads.SPARE  # of a web process, at most
CONNECTIONS = 2048  # that a web process has open at once
OTHER_FILES = 256  # that it has open besides
STOP_WITHIN = 20  # seconds that running requests have when the server stops
HEADERS_WITHIN = 15_000  # milliseconds that a browser may take to send its headers
HEADER_BYTES = 64 * 1024

log = logging.getLogger(__name__)


class _Server(Granian):  # type: ignore[misc,valid-type]  # a class or another, by the interpreter's kind
    """The library's server, which may go on for a while after SIGTERM, or SIGHUP.

    Args:
        drain: seconds for which it does; a second signal, or Ctrl-C, stops it at once.
    """

    def __init__(self, application: str, *, drain: int, **options: Any) -> None:
        super().__init__(application, **options)
        self._drain = drain
        self._ignores_hangup = signal.getsignal(signals.HANGUP) is signal.SIG_IGN  # below `nohup`

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any, **more: Any) -> Any:
        """Start a web process; it hears which one it is, also when it takes another one's place."""
        return super()._spawn_worker(idx, target, partial(callback_loader, idx, self.workers), **more)

    def signal_handler_interrupt(self, *signalled: Any, **more: Any) -> None:
        """Stop, or say that this server stops soon."""
        is_asked = bool(signalled) and signalled[0] in signals.TO_END
        if self._drain and is_asked and not draining.has_begun():
            draining.begin()
            log.info("Stopping in %d seconds: /readyz says so, everything else is answered.", self._drain)
            last = threading.Timer(self._drain, super().signal_handler_interrupt)
            last.daemon = True
            last.start()
        else:
            super().signal_handler_interrupt(*signalled, **more)

    def signal_handler_reload(self, *signalled: Any, **more: Any) -> None:
        """Stop: the terminal was closed. The library would have web processes alone read the settings anew."""
        if not self._ignores_hangup:
            self.signal_handler_interrupt(*signalled, **more)


def serve(serving: Serving) -> None:
    """Run the server until it is told to stop.

    Args:
        serving: says where and how.
    """
    logged = logs.configuration(serving.log_level, serving.log_format)
    logging.config.dictConfig(logged)
    _have_processes_forked()
    address = socket.getaddrinfo(serving.host, serving.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][4][0]
    if serving.drain and not draining.can_be_heard():
        log.warning("--drain waits, but /readyz cannot say so here: web processes are not forked.")
    connections = _room_for_connections()
    server = _Server(
        web_process.APPLICATION,
        drain=serving.drain,
        interface=Interfaces.WSGI,
        address=str(address),
        port=serving.port,
        workers=serving.workers,
        blocking_threads=THREADS,
        backlog=CONNECTIONS,
        backpressure=connections,
        loop=Loops.asyncio,  # WSGI needs none: let no other be loaded that happens to be installed
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADERS_WITHIN, max_buffer_size=HEADER_BYTES),
        websockets=False,
        log_level=LogLevels(serving.log_level),
        log_dictconfig=logged,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_WITHIN,
        reload_paths=[Path("/")],  # never looked at; by default the folder that we are in, which may be gone
    )
    with Companion() if serving.has_worker else nullcontext():
        if serving.workers > 1:
            write_turns.SHARED.share()
        web_process.hold_signals_while_forking()
        load = partial(web_process.load_application, connections, processors.anywhere())
        server.serve(target_loader=load, wrap_loader=False)


def _have_processes_forked() -> None:
    """Have web processes share with the server what it made for them, on Linux with every Python.

    Since 3.14 Python starts processes otherwise, for the sake of those that have threads: this one has a timer at most,
    once it was told to stop.
    """
    if sys.platform == "linux":
        multiprocessing.set_start_method("fork", force=True)


def _room_for_connections() -> int:
    """Ask for as many open files as connections need; returns how many connections there is room for."""
    if sys.platform != "win32":  # which has no such bound
        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = CONNECTIONS + OTHER_FILES
        if now != resource.RLIM_INFINITY and now < needed:
            now = needed if most == resource.RLIM_INFINITY else min(most, needed)
            resource.setrlimit(resource.RLIMIT_NOFILE, (now, most))
            return max(CONNECTIONS // 16, now - OTHER_FILES)
    return CONNECTIONS
