"""Web processes of one server take turns at writing to SQLite, which has one place to write.

Left alone, each looks again and again whether the other is done: SQLite wakes nobody. Here a counter in the kernel is 1
while nobody writes; the server makes it before it forks its web processes. Who writes takes it to 0, and who waits
sleeps until it is given back.

It is advice: SQLite's own lock decides, and all others (commands, the worker, another server) know that one only. A
counter that was lost with a process that was killed is given back by the first one that waited for long enough and
then wrote; one that was given back twice is still one.
"""

import contextlib
import os
import select
import sys

from idp import clock


class WriteTurns:
    """Turns that nobody takes until they are shared."""

    def __init__(self) -> None:
        self._counter: int | None = None

    def share(self) -> None:
        """Begin to take turns: in the process that will fork the others. Only Linux has an eventfd."""
        if self._counter is None and sys.platform == "linux":
            self._counter = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    @property
    def are_taken(self) -> bool:
        """Whether this process takes turns with others."""
        return self._counter is not None

    def take(self, within: float) -> bool:
        """Wait for this process's turn.

        Args:
            within: seconds that it waits at most.

        Returns:
            Whether it came.
        """
        if sys.platform != "linux" or self._counter is None:
            return False
        if self._has_taken(self._counter):
            return True
        until = clock.ticks() + within
        waiting = select.poll()
        waiting.register(self._counter, select.POLLIN)
        while (left := until - clock.ticks()) > 0:
            if waiting.poll(1000 * left) and self._has_taken(self._counter):
                return True
        return False

    def give_back(self) -> None:
        """Let others have their turn."""
        if sys.platform == "linux" and self._counter is not None:
            os.eventfd_write(self._counter, 1)

    @staticmethod
    def _has_taken(counter: int) -> bool:
        with contextlib.suppress(BlockingIOError):
            if sys.platform == "linux":
                os.eventfd_read(counter)
                return True
        return False


SHARED = WriteTurns()
