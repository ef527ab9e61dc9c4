"""Which processors a web process, and a thread of it, runs on."""

import os
import threading
from collections.abc import Callable, Set
from queue import SimpleQueue

import pytest

from idp import crypto, hashing, processors

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a process choose")


@pytest.fixture(autouse=True)
def _as_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_before", frozenset())


def in_a_thread(work: Callable[[], object]) -> Set[int]:
    """Do something in a thread of its own, and return which processors that may use afterwards."""
    told: SimpleQueue[Set[int]] = SimpleQueue()

    def do_it() -> None:
        work()
        told.put(os.sched_getaffinity(0))

    thread = threading.Thread(target=do_it)
    thread.start()
    thread.join()
    return told.get_nowait()


ALL = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else frozenset()


def test_with_as_many_processes_as_processors_each_has_its_own() -> None:
    kept = [in_a_thread(lambda index=index: processors.keep_to_one(index, len(ALL))) for index in range(len(ALL))]  # type: ignore[misc]
    assert kept == [{each} for each in sorted(ALL)]
    assert processors.count() == len(ALL)


@pytest.mark.parametrize("processes", [len(ALL) - 1, len(ALL) + 1])
def test_with_fewer_or_more_they_go_where_there_is_room(processes: int) -> None:
    assert in_a_thread(lambda: processors.keep_to_one(0, processes)) == ALL


def test_threads_that_start_afterwards_stay_there_and_a_hash_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = hashing.HashingQueue(1)
    monkeypatch.setattr(hashing, "_queue", lambda: queue)
    hashed_on: list[Set[int]] = []
    others: list[Set[int]] = []

    def hash_it(*_: object) -> bytes:
        hashed_on.append(os.sched_getaffinity(0))
        return b"$2b$"

    monkeypatch.setattr("bcrypt.hashpw", hash_it)

    def work() -> None:
        processors.keep_to_one(0, len(ALL))
        others.append(in_a_thread(lambda: None))
        crypto.hash_password("a password", 4)

    assert in_a_thread(work) == {min(ALL)}
    assert others == [{min(ALL)}]
    assert hashed_on == [ALL]


def test_where_it_may_not_choose_it_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    assert in_a_thread(lambda: processors.keep_to_one(0, len(ALL))) == ALL
    processors.use_all()
    assert processors.count() == len(ALL)


def test_where_the_system_does_not_tell_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    processors.keep_to_one(0, os.cpu_count() or 1)
    assert processors.usable() == frozenset()
    assert processors.count() == os.cpu_count()
