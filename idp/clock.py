"""The only reader of time.

Times are whole seconds since 1970-01-01T00:00:00Z, the NumericDate of RFC 7519 section 2: what the
protocol speaks is what the database holds.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DAY = 86_400  # seconds
CLOCKS_APART = 300  # seconds that the clocks of several machines may differ by
_read: Callable[[], float] = time.time


def now() -> int:
    """Return the present time in seconds since the epoch."""
    return int(_read())


def ticks() -> float:
    """Return seconds on a clock that never jumps and begins anywhere: for how long something takes."""
    return time.perf_counter()


def processor_time() -> float:
    """Return the seconds of processor time that this process has had, with all its threads."""
    return time.process_time()


@contextmanager
def stopped_at(read: Callable[[], float]) -> Iterator[None]:
    """Let `read` answer for the system's clock inside the block (tests of lifetimes and clock jumps)."""
    global _read  # noqa: PLW0603 - one clock a process is the point
    before, _read = _read, read
    try:
        yield
    finally:
        _read = before
