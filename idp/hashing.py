"""The queue for slow hashes: bounded, in three lanes, on threads that give way to everything else.

A password hash takes a fifth of a second of processor time by design, so passwords can be sent faster than they can be
checked. As many are hashed at once as there are processors; the others wait in the lane of whoever brings them, and a
lane that is full refuses at once. The first lanes go first: somebody's own browser is not behind a flood of strangers,
nor a new visitor behind networks that fail again and again. In a lane the owners of the passwords take turns, and where
it is full, whoever has most places gives one up for who has fewer: nobody keeps the others out by being trusted. In the
first lane those that an account had lately count as well: so many accounts that there is one for each place, which come
again and again, do not keep out who comes now and then.
"""

import contextlib
import math
import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from itertools import chain, cycle
from typing import Any, NamedTuple, TypeVar

from idp import metrics, patience, processors, turns
from idp.errors import Busy

WAIT_MOST = 8  # seconds that a hash of the later lanes waits for its beginning


class Lane(IntEnum):
    """Whose password it is, the most trusted first."""

    SURE = 0  # somebody who is signed in, has a mailed link, or whose browser the account knows; and commands
    NEW = 1  # a visitor from a network that has hardly failed lately
    DOUBTFUL = 2  # one from a network that has


class Place(NamedTuple):
    """Where a password waits, and for whom.

    Attributes:
        lane: in which.
        owners: whose it is, the account before the network. An account is named only where somebody has proven to be
            its owner: else the turns that a name gets would tell whether it exists.
    """

    lane: Lane
    owners: tuple[str, ...] = ()


OWN = Place(Lane.SURE)  # of commands: nobody else hashes in their process
PLACES = {Lane.SURE: 16, Lane.NEW: 16, Lane.DOUBTFUL: 8}  # hashes of a lane that may wait in a process
LATELY = 512  # hashes of the first lane whose accounts are remembered
# One turn in four is for the lanes behind: however many are trusted, they do not keep newcomers out.
_TURNS = (*3 * (tuple(Lane),), (Lane.NEW, Lane.DOUBTFUL, Lane.SURE))

_Result = TypeVar("_Result")


def run(place: Place, hash_slowly: Callable[..., _Result], *arguments: object) -> _Result:
    """Hash on a thread of the queue, while whoever waits for it gives up their turn to run Python.

    Args:
        place: where to wait.
        hash_slowly: what to call; needs no interpreter while it hashes.
        arguments: for it.

    Raises:
        Busy: the lane is full, or was needed by who had fewer places, or its turn did not come in time; nothing was
            hashed.
    """
    with turns.aside():
        return _queue().run(place, hash_slowly, arguments)


def check_room(place: Place) -> None:
    """Find out beforehand, at no cost, that nothing more could be hashed.

    Raises:
        Busy: the lane is full, and nobody in it has more places than the owners would have.
    """
    _queue().check_room(place)


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A hash that has not begun. Whoever takes it out of its lane has to settle what becomes of it."""

    owners: tuple[str, ...]
    hash_it: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


class HashingQueue:
    """Threads, and who waits for one.

    Args:
        threads: how many hashes are made at once.
    """

    def __init__(self, threads: int) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[Lane, list[_Waiting]] = {lane: [] for lane in Lane}
        self._had_lately: deque[str] = deque(maxlen=LATELY)  # accounts
        self._turns = cycle(_TURNS)
        self._most, self._started, self._idle = threads, 0, 0

    def run(self, place: Place, hash_slowly: Callable[..., _Result], arguments: tuple[object, ...]) -> _Result:
        """Wait for a thread and for its result; see `run` above."""
        mine = _Waiting(place.owners, lambda: hash_slowly(*arguments))
        future: Future[_Result] = mine.future
        waiting = self._waiting[place.lane]
        with self._changed:
            if too_many := self._whom_to_refuse(place):
                waiting.remove(too_many)
                too_many.future.set_exception(_refusal())
            if self._idle <= sum(map(len, self._waiting.values())) and self._started < self._most:
                self._start_thread()
            waiting.append(mine)
            self._changed.notify()
        if (within := patience.left(math.inf if place.lane is Lane.SURE else WAIT_MOST)) < math.inf:
            with contextlib.suppress(TimeoutError):
                return future.result(within)
            with self._changed:
                if mine in waiting:  # it has not begun, and never will
                    waiting.remove(mine)
                    raise _refusal()
        return future.result()

    def check_room(self, place: Place) -> None:
        """See `check_room` above."""
        with self._changed:
            self._whom_to_refuse(place)

    def _whom_to_refuse(self, place: Place) -> _Waiting | None:
        """Return who makes room for one more, the latest of who has most places; raise where nobody has more."""
        waiting = self._waiting[place.lane]
        if len(waiting) < max(PLACES[place.lane], 2 * self._most if place.lane is Lane.SURE else 0):
            return None
        had_lately = self._had_lately if place.lane is Lane.SURE else ()
        had = Counter(chain(had_lately, place.owners, *(each.owners for each in waiting)))

        def share(owners: Sequence[str]) -> list[int]:
            return [had[owner] for owner in owners]

        greediest = max(reversed(waiting), key=lambda each: share(each.owners))
        if share(greediest.owners) <= share(place.owners):
            raise _refusal()
        return greediest

    def _start_thread(self) -> None:
        """Start a thread. Where the system has none to give just now, those that there are do the work."""
        try:
            threading.Thread(target=self._work, name="hashing", daemon=True).start()
        except RuntimeError:
            if not self._started:
                raise _refusal() from None
        else:
            self._started += 1

    def _work(self) -> None:
        processors.use_all()
        _give_way()
        while True:
            taken = self._next()
            try:
                taken.future.set_result(taken.hash_it())
            except BaseException as fault:
                taken.future.set_exception(fault)
            del taken  # a password is kept no longer than needed

    def _next(self) -> _Waiting:
        with self._changed:
            self._idle += 1
            try:
                while not any(self._waiting.values()):
                    self._changed.wait()
            finally:
                self._idle -= 1
            lane = next(lane for lane in next(self._turns) if self._waiting[lane])
            waiting = self._waiting[lane]
            first = waiting.pop(0)
            if lane is Lane.SURE:
                self._had_lately.extend(first.owners[:1])
            # What else its owners have waits behind everybody who waits now; commands have no owners.
            waiting.sort(key=lambda each: [one == other for one, other in zip(each.owners, first.owners, strict=False)])
            return first


@lru_cache
def _queue() -> HashingQueue:
    """The process's own, made at first use, because servers fork."""
    return HashingQueue(processors.count())


def _give_way() -> None:
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own, and its number may be a process's
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _refusal() -> Busy:
    metrics.add(metrics.PASSWORD_HASHES_REFUSED)
    return Busy()
