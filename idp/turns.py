"""Threads that take turns: one at a time runs Python, and steps aside where it waits.

A process has one interpreter, whatever the number of its threads. Left alone, threads take it from each other in the
middle of a request, and each exchange costs more than a short request does. Here a request keeps its turn until it is
answered, and gives it up only for what needs no interpreter and takes long: a password hash, an answer from elsewhere.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

_turn = threading.Lock()
_mine = threading.local()


class _Turn:
    """A block that begins when its turn has come; at each request, so not by a generator."""

    def __enter__(self) -> None:
        _turn.acquire()
        _mine.is_held = True

    def __exit__(self, *_: object) -> None:
        _mine.is_held = False
        _turn.release()


_taken = _Turn()


def taken() -> AbstractContextManager[None]:
    """Wait for a turn, and keep it for the block."""
    return _taken


@contextmanager
def aside() -> Iterator[None]:
    """Let others have their turn while the block waits for something; nothing to do for who holds none."""
    if not getattr(_mine, "is_held", False):
        yield
        return
    _mine.is_held = False
    _turn.release()
    try:
        yield
    finally:
        _turn.acquire()
        _mine.is_held = True
