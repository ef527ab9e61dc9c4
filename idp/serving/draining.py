"""A server that is about to stop says so first: whoever chooses where requests go sends them elsewhere by then.

What is said is one byte, shared by the server with the web processes that it forks. Where they are started otherwise
(not on Linux), they do not hear of it.
"""

import mmap
from multiprocessing import get_start_method

_said = mmap.mmap(-1, 1)


def begin() -> None:
    """Say that this server stops soon."""
    _said[0] = 1


def has_begun() -> bool:
    """Tell whether this server has said that it stops soon."""
    return _said[0] == 1


def can_be_heard() -> bool:
    """Tell whether web processes hear of it."""
    return get_start_method() == "fork"
