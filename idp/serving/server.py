"""The server: it listens, starts the web processes, starts again those that end, and stops them all."""

import logging.config
import resource
import socket
from contextlib import nullcontext
from functools import partial

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from idp import hashing, logs, receiving
from idp.serving import web_process
from idp.serving.companion import Companion
from idp.serving.start import Serving

# Of a web process, at most: bodies that are received or wait for that, passwords that wait, and 24 for everything else.
THREADS = receiving.AT_ONCE + receiving.WAITING + sum(hashing.PLACES.values()) + 24
CONNECTIONS = 2048  # that a web process has open at once
OTHER_FILES = 256  # that it has open besides
STOP_WITHIN = 20  # seconds that running requests have when the server stops
HEADERS_WITHIN = 15_000  # milliseconds that a browser may take to send its headers
HEADER_BYTES = 64 * 1024


def serve(serving: Serving) -> None:
    """Run the server until it is told to stop.

    Args:
        serving: says where and how.
    """
    log = logs.configuration(serving.log_level, serving.log_format)
    logging.config.dictConfig(log)
    address = socket.getaddrinfo(serving.host, serving.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][4][0]
    connections = _room_for_connections()
    server = Granian(
        web_process.APPLICATION,
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
        log_dictconfig=log,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_WITHIN,
    )
    with Companion() if serving.has_worker else nullcontext():
        web_process.hold_signals_while_forking()
        server.serve(target_loader=partial(web_process.load_application, connections), wrap_loader=False)


def _room_for_connections() -> int:
    """Ask for as many open files as connections need; returns how many connections there is room for."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CONNECTIONS + OTHER_FILES
    if now == resource.RLIM_INFINITY or now >= needed:
        return CONNECTIONS
    now = needed if most == resource.RLIM_INFINITY else min(most, needed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (now, most))
    return max(CONNECTIONS // 16, now - OTHER_FILES)
