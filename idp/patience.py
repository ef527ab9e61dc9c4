"""How long a request waits in all: for a password's turn to be hashed, for locks, for what an app's server answers.

Each wait has a bound of its own, and one may follow the other. But proxies, and a server that stops, wait for 20
seconds: whoever waited longer would get no answer at all, and could not tell what became of the request. Commands, and
the worker, have only the bounds of each.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

from idp import clock

WITHIN = 12.0  # seconds for a request's waits together; a connection to PostgreSQL may take 2 more
BUSY_TIMEOUT = 15  # seconds for what others hold: SQLite's one lock; with PostgreSQL a connection first, and then a row
_MOMENT = 0.05  # seconds that are left to each, however late it is: what is free is there at once
_until: ContextVar[float] = ContextVar("until", default=math.inf)  # on `clock.ticks`


def begin() -> Token[float]:
    """Begin a request; returns what `end` takes."""
    return _until.set(clock.ticks() + WITHIN)


def end(begun: Token[float]) -> None:
    """End a request."""
    _until.reset(begun)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let the block's waits take no longer together, whoever's they are.

    Args:
        seconds: less, where the request has less left.
    """
    begun = _until.set(clock.ticks() + left(seconds))
    try:
        yield
    finally:
        _until.reset(begun)


def left(most: float) -> float:
    """Return how long to wait now, in seconds.

    Args:
        most: what the wait's own bound is.
    """
    return max(_MOMENT, min(most, _until.get() - clock.ticks()))
