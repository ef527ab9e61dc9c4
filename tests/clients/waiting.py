"""Waiting for what other processes do."""

import time
from collections.abc import Callable

PATIENCE = 40  # seconds; the provider's worker takes one or two when the machine has nothing else to do


def until(is_so: Callable[[], bool], complaint: str) -> None:
    """Wait until something holds.

    Args:
        is_so: looks.
        complaint: what to say if it never does.
    """
    for _ in range(PATIENCE * 5):
        if is_so():
            return
        time.sleep(0.2)
    raise AssertionError(complaint)
