"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 120  # seconds; what does not come is a fault, what comes late is only late
LOOK_EVERY = 0.05

Found = TypeVar("Found")


def until(look: Callable[[], Found], complaint: str = "it did not come to that") -> Found:
    """Wait until something holds.

    Args:
        look: returns something true as soon as it does.
        complaint: what to say if it never does.

    Returns:
        What was found.
    """
    give_up_at = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < give_up_at, complaint
        time.sleep(LOOK_EVERY)
    return found
