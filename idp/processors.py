"""Which of the machine's processors this process uses, and which a thread of it.

A request to a web process wakes one thread after the other. Where each wakes on another processor, waking them and
fetching from each other's caches what they know costs more than a token check does. With one interpreter a process
keeps one processor busy, so where there is one for each web process, each keeps to its own; what needs no interpreter
(a password hash) goes wherever there is room.

The system moves others out of the way of a process that keeps to its place, unless they keep to theirs as well: another
server of ours, or one for the network. So whoever has no whole processor, while another lies idle, moves there.
"""

import contextlib
import os
import random
import threading
from collections.abc import Mapping, Set
from pathlib import Path

from idp import clock

LOOK_EVERY = 5  # seconds, more or less: servers that share a processor do not all leave it at once
CROWDED = 0.25  # the part of a processor's time that others may take
_TIMES = Path("/proc/stat")
_before: Set[int] = frozenset()  # what this process might use before it kept to one


def usable() -> Set[int]:
    """Return the processors that this process may use; empty where the system does not tell, as on macOS."""
    return _before or _kept_to()


def count() -> int:
    """Return how many processors this process may use."""
    return len(usable()) or os.cpu_count() or 1


def anywhere() -> int:
    """Return where a server's processes may begin: another's on this machine should do so elsewhere."""
    return random.randrange(count())  # noqa: S311 - no secret


def keep_to_one(index: int, processes: int, first: int = 0) -> None:
    """Keep to one processor, with all threads that start from now on, where each process can have its own.

    With more processes than processors nothing happens: two could come to share one while another is idle. Nor with
    fewer, where the system does not tell what processors are busy with: nobody would notice that there is no room.

    Args:
        index: of this process among them, from 0 on.
        processes: how many there are.
        first: which processor the first of them has, counted in a circle.
    """
    global _before  # noqa: PLW0603 - a process's own
    mine = usable()
    if not 0 < processes <= len(mine):
        return
    processor = sorted(mine)[(first + index) % len(mine)]
    has_room = processes < len(mine)
    if (not has_room or _times().get(processor, (0, 0))[1]) and _move_to({processor}):
        _before = mine
        if has_room:
            threading.Thread(target=Place(processor).look_again_and_again, name="processors", daemon=True).start()


def use_all() -> None:
    """Let the calling thread use all processors again."""
    if _before:
        _move_to(_before)


class Place:
    """The processor that this process keeps to, as long as others leave it enough.

    Args:
        processor: the one at first.
    """

    def __init__(self, processor: int) -> None:
        self.processor = processor
        self._seen = _times()
        self._used = clock.processor_time()
        self._seen_at = clock.ticks()

    def look_again_and_again(self) -> None:
        """Look for as long as the process runs."""
        pause = threading.Event()
        while not pause.wait(random.uniform(0.5, 1.5) * LOOK_EVERY):  # noqa: S311 - no secret
            self.look()

    def look(self) -> None:
        """Move to another processor if others have taken too much of this one since the last look."""
        seen, used, now = _times(), clock.processor_time(), clock.ticks()
        busy = {each: _part(self._seen[each], seen[each]) for each in seen.keys() & self._seen.keys() & usable()}
        own = (used - self._used) / max(now - self._seen_at, 0.001)
        self._seen, self._used, self._seen_at = seen, used, now
        others = busy.get(self.processor, 0) - own
        if others > CROWDED and (better := [each for each, part in busy.items() if part < others / 2]):
            self._move(random.choice(better))  # noqa: S311 - no secret, and not all who look choose the same

    def _move(self, processor: int) -> None:
        """Take along the threads that keep to the place."""
        for thread in map(int, os.listdir("/proc/self/task")):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if _kept_to(thread) == {self.processor}:
                    _move_to({processor}, thread)
        self.processor = processor


def _times() -> Mapping[int, tuple[int, int]]:
    """Return how long each processor was busy so far, and how long it was there; nothing where that is not told."""
    times = {}
    with contextlib.suppress(OSError, ValueError):
        for line in _TIMES.read_text().splitlines():
            name, *numbers = line.split()
            if name.startswith("cpu") and name != "cpu":
                spent = list(map(int, numbers[:8]))  # proc(5); what guests had is in others of them as well
                times[int(name[3:])] = (sum(spent) - sum(spent[3:5]), sum(spent))  # neither idle nor waiting for a disk
    return times


def _part(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return which part of the time between two looks a processor was busy."""
    return (after[0] - before[0]) / max(after[1] - before[1], 1)


def _kept_to(thread: int = 0) -> Set[int]:
    """Return which processors a thread may use, by default the calling one."""
    return os.sched_getaffinity(thread) if hasattr(os, "sched_getaffinity") else frozenset()


def _move_to(processors: Set[int], thread: int = 0) -> bool:
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # not permitted here
            os.sched_setaffinity(thread, processors)
            return True
    return False
