"""Connections of a web process that take too long are closed: by senders of slow bodies, or of nothing at all.

The server's library gives headers a time limit, and bodies none; and it accepts only so many connections, whoever they
come from. Here a thread looks once a second at what the kernel knows of each: a connection on which nothing was sent
for a while has no complete request, or is idle. The fuller it gets, the shorter that while. Nothing else of the server
is touched; where the kernel tells less than Linux does, nothing happens, and a proxy must do it.
"""

import contextlib
import logging
import os
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from idp import receiving

LOOK_EVERY = 1.0  # seconds
PATIENCE = 40.0  # seconds without an answer: headers have 15, and no honest request takes 25
PATIENCE_WHEN_CROWDED = 12.0  # a password may wait 8 until it is hashed
PATIENCE_WHEN_FULL = 4.0
NETWORK_MOST = 128  # connections of one address to a process before patience with it is as short as that

_OPEN_FILES = Path("/proc/self/fd")
_INFO_BYTES = 48
_LAST_SENT = struct.Struct("=44xI")  # milliseconds, `tcpi_last_data_sent` in Linux's `struct tcp_info`

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Connection:
    """An open connection, as the kernel sees it.

    Attributes:
        opened: a handle of our own to it.
        peer: address of the other end.
        quiet: seconds since something was sent to it; since its beginning, when nothing was.
    """

    opened: socket.socket
    peer: str
    quiet: float


def watch(capacity: int, *, are_peers_visitors: bool) -> None:
    """Look after this process's connections from now on.

    Args:
        capacity: how many the server accepts at once.
        are_peers_visitors: whether connections come from visitors themselves; a proxy may have any number.
    """
    if _OPEN_FILES.is_dir():
        arguments = (capacity, are_peers_visitors)
        threading.Thread(target=_watch, args=arguments, name="connections", daemon=True).start()


def close_slow(capacity: int, *, are_peers_visitors: bool) -> int:
    """Close what takes too long; returns how many.

    Args:
        capacity: see `watch`.
        are_peers_visitors: see `watch`.
    """
    with contextlib.ExitStack() as handles:
        found = list(_connections(handles))
        patience = _patience(len(found) / capacity)
        peers = Counter(each.peer for each in found) if are_peers_visitors else Counter[str]()
        slow = [
            each
            for each in found
            if each.quiet >= (PATIENCE_WHEN_FULL if peers[each.peer] > NETWORK_MOST else patience)
        ]
        for each in slow:
            with contextlib.suppress(OSError):  # gone by itself
                each.opened.shutdown(socket.SHUT_RDWR)
    return len(slow)


def _patience(fullness: float) -> float:
    if fullness >= 0.9:
        return PATIENCE_WHEN_FULL
    return PATIENCE_WHEN_CROWDED if fullness >= 0.5 or receiving.is_crowded() else PATIENCE


def _watch(capacity: int, are_peers_visitors: bool) -> None:
    pause = threading.Event()
    while not pause.wait(LOOK_EVERY):
        try:
            if closed := close_slow(capacity, are_peers_visitors=are_peers_visitors):
                log.info("Closed %d connections that took too long.", closed)
        except OSError as fault:  # no handle is free just now
            log.warning("Cannot look after connections: %s", fault.strerror)


def _connections(handles: contextlib.ExitStack) -> Iterator[Connection]:
    """Find the connections that somebody else opened: their own end is that of a listening socket."""
    if sys.platform != "linux":
        return
    sockets = [each for each in map(_socket_at, os.listdir(_OPEN_FILES)) if each is not None]
    for each in sockets:
        handles.enter_context(each)
    ports = {each.getsockname()[1] for each in sockets if each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)}
    for each in sockets:
        with contextlib.suppress(OSError):  # not connected any more
            if each.getsockname()[1] in ports and (peer := each.getpeername()):
                (quiet,) = _LAST_SENT.unpack(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES))
                yield Connection(each, peer[0], quiet / 1000)


def _socket_at(name: str) -> socket.socket | None:
    """Return a handle of our own to an open file that is a TCP socket: what is looked at is what is closed."""
    try:
        if not os.readlink(_OPEN_FILES / name).startswith("socket:"):
            return None
        handle = os.dup(int(name))
    except OSError:  # closed meanwhile
        return None
    try:
        opened = socket.socket(fileno=handle)
    except OSError:
        os.close(handle)
        return None
    if opened.family in (socket.AF_INET, socket.AF_INET6) and opened.type == socket.SOCK_STREAM:
        return opened
    opened.close()
    return None
