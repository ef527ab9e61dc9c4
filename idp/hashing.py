"""The queue for slow hashes: bounded, in three lanes, on threads that give way to everything else.

A password hash takes a fifth of a second of processor time by design, so passwords can be sent faster than they can be
checked. As many are hashed at once as there are processors; the others wait in the lane of whoever brings them, and a
lane that is full refuses at once. The first lanes go first: somebody's own browser is not behind a flood of strangers,
nor a new visitor behind networks that fail again and again.
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from functools import lru_cache
from typing import Any, TypeVar

from idp import metrics, turns
from idp.errors import Busy

WAIT_MOST = 8  # seconds that a hash of the later lanes waits for its beginning


class Lane(IntEnum):
    """Whose password it is, the most trusted first."""

    SURE = 0  # somebody who is signed in, has a mailed link, or whose browser the account knows; and commands
    NEW = 1  # a visitor from a network that has hardly failed lately
    DOUBTFUL = 2  # one from a network that has


PLACES = {Lane.SURE: 16, Lane.NEW: 16, Lane.DOUBTFUL: 8}  # hashes of a lane that may wait in a process

_Result = TypeVar("_Result")


def run(lane: Lane, hash_slowly: Callable[..., _Result], *arguments: object) -> _Result:
    """Hash on a thread of the queue, while whoever waits for it gives up their turn to run Python.

    Args:
        lane: where to wait.
        hash_slowly: what to call; needs no interpreter while it hashes.
        arguments: for it.

    Raises:
        Busy: the lane is full, or its turn did not come in time; nothing was hashed.
    """
    with turns.aside():
        return _queue().run(lane, hash_slowly, arguments)


def check_room(lane: Lane) -> None:
    """Find out beforehand, at no cost, that nothing more could be hashed.

    Raises:
        Busy: the lane is full.
    """
    _queue().check_room(lane)


class HashingQueue:
    """Threads, and who waits for one.

    Args:
        threads: how many hashes are made at once.
    """

    def __init__(self, threads: int) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[Lane, deque[tuple[Future[Any], Callable[[], Any]]]] = {lane: deque() for lane in Lane}
        self._most, self._started, self._idle = threads, 0, 0

    def run(self, lane: Lane, hash_slowly: Callable[..., _Result], arguments: tuple[object, ...]) -> _Result:
        """Wait for a thread and for its result; see `run` above."""
        future: Future[_Result] = Future()
        with self._changed:
            self._check_room(lane)
            self._waiting[lane].append((future, lambda: hash_slowly(*arguments)))
            if self._idle < sum(map(len, self._waiting.values())) and self._started < self._most:
                self._started += 1
                threading.Thread(target=self._work, name="hashing", daemon=True).start()
            self._changed.notify()
        if lane is not Lane.SURE:
            with contextlib.suppress(TimeoutError):
                return future.result(WAIT_MOST)
            if future.cancel():  # it has not begun, and never will
                raise _refusal()
        return future.result()

    def check_room(self, lane: Lane) -> None:
        """See `check_room` above."""
        with self._changed:
            self._check_room(lane)

    def _check_room(self, lane: Lane) -> None:
        waiting = self._waiting[lane]
        while waiting and waiting[0][0].cancelled():
            waiting.popleft()
        if len(waiting) >= max(PLACES[lane], 2 * self._most if lane is Lane.SURE else 0):
            raise _refusal()

    def _work(self) -> None:
        _give_way()
        while True:
            future, hash_it = self._next()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(hash_it())
            except BaseException as fault:
                future.set_exception(fault)
            del future, hash_it  # a password is kept no longer than needed

    def _next(self) -> tuple[Future[Any], Callable[[], Any]]:
        with self._changed:
            self._idle += 1
            try:
                while not any(self._waiting.values()):
                    self._changed.wait()
                return next(waiting for waiting in self._waiting.values() if waiting).popleft()
            finally:
                self._idle -= 1


@lru_cache
def _queue() -> HashingQueue:
    """The process's own, made at first use, because servers fork."""
    return HashingQueue(max(1, os.cpu_count() or 1))


def _give_way() -> None:
    with contextlib.suppress(OSError, AttributeError):  # a thread has a priority of its own on Linux
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _refusal() -> Busy:
    metrics.add(metrics.PASSWORD_HASHES_REFUSED)
    return Busy()
