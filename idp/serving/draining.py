"""A server that is about to stop says so first: whoever chooses where requests go sends them elsewhere by then.

What is said is one byte, shared by the server with the web processes that it forks.
"""

import mmap

_said = mmap.mmap(-1, 1)


def begin() -> None:
    """Say that this server stops soon."""
    _said[0] = 1


def is_going_on() -> bool:
    """Tell whether this server stops soon."""
    return _said[0] == 1
