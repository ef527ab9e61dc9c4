"""Which of the machine's processors this process uses, and which a thread of it.

A request to a web process wakes one thread after the other. Where each wakes on another processor, waking them and
fetching from each other's caches what they know costs as much as a token check does. With one interpreter a process
keeps one processor busy, so where there is one for each web process, each keeps to its own; what needs no interpreter
(a password hash) goes wherever there is room.
"""

import contextlib
import os
from collections.abc import Set

_before: Set[int] = frozenset()  # what this process might use before it kept to one


def usable() -> Set[int]:
    """Return the processors that this process may use; empty where the system does not tell, as on macOS."""
    return _before or (os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else frozenset())


def count() -> int:
    """Return how many processors this process may use."""
    return len(usable()) or os.cpu_count() or 1


def keep_to_one(index: int, processes: int) -> None:
    """Keep to one processor, with all threads that start from now on, where each process can have its own.

    With fewer or more processes than processors nothing happens: two could come to share one while another is idle.

    Args:
        index: of this process among them, from 0 on.
        processes: how many there are.
    """
    global _before  # noqa: PLW0603 - a process's own
    mine = usable()
    if len(mine) == processes and _move_to({sorted(mine)[index]}):
        _before = mine


def use_all() -> None:
    """Let the calling thread use all processors again."""
    if _before:
        _move_to(_before)


def _move_to(processors: Set[int]) -> bool:
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # not permitted here
            os.sched_setaffinity(0, processors)
            return True
    return False
