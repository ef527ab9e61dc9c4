"""Ports of loopback for servers that start a moment later.

Whoever asks the system for any free port and lets go of it may find it taken meanwhile: the system gives the same ports
to every connection that goes out. These are below those (Linux begins at 32768), and each process of a test run has
some for itself.
"""

import itertools
import os
import re
import socket
from contextlib import closing

FIRST, PROCESSES, EACH = 20_000, 100, 120
_next = itertools.count(os.getpid())  # two runs on one machine begin at different ones


def free_port() -> int:
    """Return a port that nobody listens at, and that nobody else is told of meanwhile."""
    process = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or PROCESSES - 1) % PROCESSES
    for _ in range(EACH):
        port = FIRST + process * EACH + next(_next) % EACH
        with closing(socket.socket()) as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError("all ports of this process are taken")
