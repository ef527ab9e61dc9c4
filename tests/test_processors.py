"""Which processors a web process, and a thread of it, runs on."""

import os
import threading
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from queue import SimpleQueue

import pytest

from idp import clock, crypto, hashing, processors

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


ALL = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else frozenset({0})


def test_with_as_many_processes_as_processors_each_has_its_own() -> None:
    kept = [in_a_thread(lambda index=index: processors.keep_to_one(index, len(ALL))) for index in range(len(ALL))]  # type: ignore[misc]
    assert kept == [{each} for each in sorted(ALL)]
    assert processors.count() == len(ALL)


def test_the_first_of_them_may_begin_anywhere() -> None:
    count = len(ALL)
    kept = [in_a_thread(lambda index=index: processors.keep_to_one(index, count, 1)) for index in range(count)]  # type: ignore[misc]
    assert kept == [{sorted(ALL)[(index + 1) % count]} for index in range(count)]


def test_servers_begin_at_one_processor_or_another() -> None:
    assert {processors.anywhere() for _ in range(50 * len(ALL))} == set(range(len(ALL)))


def test_a_process_counts_those_that_it_was_given() -> None:
    given: list[int] = []

    def work() -> None:
        os.sched_setaffinity(0, {FIRST})
        given.append(processors.count())

    in_a_thread(work)
    assert given == [1]


def test_with_more_processes_than_processors_they_go_where_there_is_room() -> None:
    assert in_a_thread(lambda: processors.keep_to_one(0, len(ALL) + 1)) == ALL


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


class Machine:
    """A machine that tells, in the place of proc(5), what its processors were busy with.

    Attributes:
        now: seconds.
        used: seconds of a processor that this process has had.
    """

    def __init__(self, path: Path) -> None:
        self.now = 0.0
        self.used = 0.0
        self._path = path
        self._busy = dict.fromkeys(sorted(ALL), 0)
        self.goes_on({})

    def goes_on(self, busy: Mapping[int, int], own: float = 0.0) -> None:
        """Let four seconds pass, 400 ticks, of which processors and this process were busy for such a part.

        Args:
            busy: hundredths, of each; all of it by guests, which proc(5) says once more.
            own: of one processor.
        """
        self.now += 4
        self.used += 4 * own
        lines = ["cpu  1 2 3 4 5 6 7 8 9 10"]
        for each in self._busy:
            self._busy[each] += 4 * busy.get(each, 0)
            idle = round(100 * self.now) - self._busy[each]
            lines.append(f"cpu{each} {self._busy[each]} 0 0 {idle // 2} {idle - idle // 2} 0 0 0 {self._busy[each]} 0")
        self._path.write_text("\n".join([*lines, "intr 5 0", "ctxt 9", ""]))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    if len(ALL) < 2:
        pytest.skip("this machine has one processor")
    monkeypatch.setattr(processors, "_TIMES", tmp_path / "stat")
    monkeypatch.setattr(processors, "LOOK_EVERY", 86_400)  # nobody looks but the test
    made = Machine(tmp_path / "stat")
    monkeypatch.setattr(clock, "ticks", lambda: made.now)
    monkeypatch.setattr(clock, "processor_time", lambda: made.used)
    return made


FIRST, SECOND = (*sorted(ALL), *sorted(ALL))[:2]


def kept_after(look: Callable[[processors.Place], None], beside: Callable[[], object] = lambda: None) -> list[Set[int]]:
    """Keep to the first of several processors, look, and return what the thread and one beside it may use."""
    told: list[Set[int]] = []
    has_looked, has_begun = threading.Event(), threading.Event()

    def stand_beside() -> None:
        beside()
        has_begun.set()
        has_looked.wait()
        told.append(os.sched_getaffinity(0))

    def work() -> None:
        processors.keep_to_one(0, 1)
        other = threading.Thread(target=stand_beside)
        other.start()
        has_begun.wait()
        try:
            look(processors.Place(FIRST))
        finally:
            has_looked.set()
        other.join()

    return [in_a_thread(work), *told]


def test_a_process_that_others_leave_no_room_moves_with_its_threads(machine: Machine) -> None:
    def look(place: processors.Place) -> None:
        machine.goes_on({FIRST: 60, **dict.fromkeys(ALL - {FIRST, SECOND}, 40), SECOND: 10})
        place.look()
        assert place.processor == SECOND

    assert kept_after(look) == [{SECOND}, {SECOND}]


def test_a_thread_that_goes_where_there_is_room_stays_free(machine: Machine) -> None:
    def look(place: processors.Place) -> None:
        machine.goes_on({FIRST: 90, **dict.fromkeys(ALL - {FIRST, SECOND}, 90)})
        place.look()

    assert kept_after(look, processors.use_all) == [{SECOND}, ALL]


def test_a_thread_that_ends_meanwhile_keeps_no_other_from_moving(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "listdir", lambda _, threads=os.listdir: ["4194305", *threads("/proc/self/task")])

    def look(place: processors.Place) -> None:
        machine.goes_on({FIRST: 90, **dict.fromkeys(ALL - {FIRST, SECOND}, 90)})
        place.look()

    assert kept_after(look) == [{SECOND}, {SECOND}]


@pytest.mark.parametrize(
    ("busy", "own"),
    [
        ({FIRST: 25}, 0.0),  # others take little
        ({FIRST: 100}, 0.8),  # it is busy with what this process does
        ({FIRST: 60, **dict.fromkeys(ALL - {FIRST}, 30)}, 0.0),  # it is no better elsewhere
        ({}, 0.0),
    ],
)
def test_otherwise_it_stays(machine: Machine, busy: Mapping[int, int], own: float) -> None:
    def look(place: processors.Place) -> None:
        machine.goes_on(busy, own)
        place.look()

    assert kept_after(look) == [{FIRST}, {FIRST}]


def test_each_look_tells_of_the_time_since_the_last_one(machine: Machine) -> None:
    def look(place: processors.Place) -> None:
        for _ in range(3):
            machine.goes_on({FIRST: 90}, own=0.8)
            place.look()
        assert place.processor == FIRST
        machine.goes_on({FIRST: 90, **dict.fromkeys(ALL - {FIRST, SECOND}, 90)}, own=0.5)
        place.look()
        assert place.processor == SECOND
        machine.goes_on({SECOND: 90}, own=0.8)
        place.look()
        assert place.processor == SECOND

    kept_after(look)


NOTHING_OF_USE = [
    None,
    "",
    "cpu0 a b c\n",
    "".join(f"cpu{each} 0 0 0 0 0 0 0 0 0 0\n" for each in ALL),
    "cpu999 1 1 1 1 1 1 1\n",
]


@pytest.mark.parametrize("told", NOTHING_OF_USE)
def test_where_the_system_tells_nothing_of_use_it_goes_where_there_is_room(
    machine: Machine, tmp_path: Path, told: str | None
) -> None:
    (tmp_path / "stat").unlink()
    if told is not None:
        (tmp_path / "stat").write_text(told)
    assert in_a_thread(lambda: processors.keep_to_one(0, 1)) == ALL
    assert in_a_thread(lambda: processors.keep_to_one(0, len(ALL))) == {FIRST}


@pytest.mark.parametrize("told", NOTHING_OF_USE)
def test_where_it_does_no_more_it_stays(machine: Machine, tmp_path: Path, told: str | None) -> None:
    def look(place: processors.Place) -> None:
        (tmp_path / "stat").unlink()
        if told is not None:
            (tmp_path / "stat").write_text(told)
        place.look()
        place.look()

    assert kept_after(look) == [{FIRST}, {FIRST}]


def test_the_process_looks_by_itself(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: SimpleQueue[int] = SimpleQueue()
    monkeypatch.setattr(processors, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(processors.Place, "look", lambda place: looks.put(place.processor))
    in_a_thread(lambda: processors.keep_to_one(0, 1))
    assert [looks.get(timeout=10), looks.get(timeout=10)] == [FIRST, FIRST]
    monkeypatch.setattr(processors, "LOOK_EVERY", 86_400)


def test_nobody_looks_where_every_processor_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "Place", None)
    assert in_a_thread(lambda: processors.keep_to_one(0, len(ALL))) == {FIRST}
