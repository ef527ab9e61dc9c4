"""Bodies that are being received, of which there may be only so many at once.

A request's body comes as fast as its sender likes, and occupies a thread until it is there. So that slow ones never
occupy all of them, a process receives only so many bodies at once; for the next one a thread waits a moment, of which
there may be few, or it is refused unread. And one network may have only a few that have stalled.

Who closes a connection that takes too long is the server (`idp.serving.connections`), which does so the sooner,
the more crowded it is here.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from idp import clock
from idp.errors import Busy

AT_ONCE = 64  # bodies that a process receives at a time
OF_NETWORK = 16  # of these, bodies of one network
STALLED_MOST = 8  # of these, such as take longer than a moment
WAITING = 16  # requests that wait for a place
MOMENT = 0.25  # seconds: what an honest body needs at most, as a rule

_lock = threading.Lock()
_place_is_free = threading.Condition(_lock)
_receiving: dict[object, tuple[str, float]] = {}
_waiting = 0


@contextmanager
def place(network: str) -> Iterator[None]:
    """Hold a place for the block, in which a body is received.

    Args:
        network: whose body it is.

    Raises:
        Busy: there is no place.
    """
    mine = object()
    with _lock:
        if len(_receiving) >= STALLED_MOST and not _has_room(network):
            _wait(network)
        _receiving[mine] = network, clock.ticks()
    try:
        yield
    finally:
        with _lock:
            del _receiving[mine]
            if _waiting:
                _place_is_free.notify_all()


def is_crowded() -> bool:
    """Tell whether half of the places are taken by bodies that have stalled."""
    with _lock:
        return sum(_stalled().values()) * 2 >= AT_ONCE


def _has_room(network: str) -> bool:
    of_network = sum(whose == network for whose, _ in _receiving.values())
    return len(_receiving) < AT_ONCE and of_network < OF_NETWORK and _stalled()[network] < STALLED_MOST


def _stalled() -> Counter[str]:
    before = clock.ticks() - MOMENT
    return Counter(network for network, began in _receiving.values() if began < before)


def _wait(network: str) -> None:
    """Wait for a moment, but for no place that bodies hold which have stalled."""
    global _waiting  # noqa: PLW0603 - of the whole process, as the threads are
    if _waiting >= WAITING or _stalled()[network] >= STALLED_MOST:
        raise Busy
    _waiting += 1
    try:
        if not _place_is_free.wait_for(lambda: _has_room(network), MOMENT):
            raise Busy
    finally:
        _waiting -= 1
