"""Passwords wait in three lanes to be hashed: the first lanes go first, and a lane that is full refuses at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from idp import hashing
from idp.errors import Busy
from idp.hashing import PLACES, HashingQueue, Lane

PATIENCE = 30  # seconds; how long a test waits for what must come


class Hashes:
    """Hashes that take as long as a test likes."""

    def __init__(self):
        self.done, self.begun, self.may_end = [], threading.Semaphore(0), threading.Event()

    def __call__(self, name):
        self.begun.release()
        assert self.may_end.wait(PATIENCE)
        self.done.append(name)
        return f"hash of {name}"


@pytest.fixture
def hashes():
    hashes = Hashes()
    yield hashes
    hashes.may_end.set()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(64) as pool:
        yield pool


def waiting(queue):
    return sum(map(len, queue._waiting.values()))


def enter(pool, queue, hashes, *places):
    """Have passwords enter the queue one after another; gives what will come of each."""
    coming = []
    for lane, name in places:
        before = waiting(queue)
        coming.append(pool.submit(queue.run, lane, hashes, (name,)))
        for _ in range(PATIENCE * 100):
            if waiting(queue) > before:
                break
            threading.Event().wait(0.01)
        assert waiting(queue) == before + 1
    return coming


@pytest.fixture
def busy_queue(pool, hashes):
    """A queue whose only thread is at work."""
    queue = HashingQueue(1)
    pool.submit(queue.run, Lane.SURE, hashes, ("first",))
    assert hashes.begun.acquire(timeout=PATIENCE)
    return queue


def test_as_many_at_once_as_there_are_threads(pool):
    inside, most, lock = 0, 0, threading.Lock()

    def slow(_name):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.005)
        with lock:
            inside -= 1

    queue = HashingQueue(2)
    list(pool.map(lambda name: queue.run(Lane.SURE, slow, (name,)), range(12)))
    assert most == 2


def test_the_first_lanes_go_first(busy_queue, pool, hashes):
    coming = enter(
        pool,
        busy_queue,
        hashes,
        (Lane.DOUBTFUL, "doubtful"),
        (Lane.NEW, "new"),
        (Lane.SURE, "sure"),
        (Lane.NEW, "new again"),
    )
    hashes.may_end.set()
    assert [each.result(PATIENCE) for each in coming][:2] == ["hash of doubtful", "hash of new"]
    assert hashes.done == ["first", "sure", "new", "new again", "doubtful"]


@pytest.mark.parametrize("lane", [Lane.NEW, Lane.DOUBTFUL])
def test_a_full_lane_refuses_at_once_and_the_lanes_before_it_do_not(busy_queue, pool, hashes, lane):
    busy_queue.check_room(lane)
    enter(pool, busy_queue, hashes, *((lane, number) for number in range(PLACES[lane])))
    with pytest.raises(Busy) as refusal:
        busy_queue.run(lane, hashes, ("one too many",))
    assert refusal.value.retry_after == 5
    with pytest.raises(Busy):
        busy_queue.check_room(lane)
    (coming,) = enter(pool, busy_queue, hashes, (Lane(lane - 1), "honest"))
    hashes.may_end.set()
    assert coming.result(PATIENCE) == "hash of honest"
    assert hashes.done[:2] == ["first", "honest"]
    assert "one too many" not in hashes.done


def test_whose_turn_does_not_come_in_time_is_refused_and_never_hashed(busy_queue, pool, hashes, monkeypatch):
    monkeypatch.setattr(hashing, "WAIT_MOST", 0.05)
    (coming,) = enter(pool, busy_queue, hashes, (Lane.NEW, "late"))
    with pytest.raises(Busy):
        coming.result(PATIENCE)
    hashes.may_end.set()
    assert busy_queue.run(Lane.NEW, hashes, ("next",)) == "hash of next"
    assert hashes.done == ["first", "next"]


def test_who_gave_up_takes_nobodys_place(busy_queue, pool, hashes, monkeypatch):
    monkeypatch.setattr(hashing, "WAIT_MOST", 0.05)
    coming = enter(pool, busy_queue, hashes, *((Lane.DOUBTFUL, number) for number in range(PLACES[Lane.DOUBTFUL])))
    for each in coming:
        with pytest.raises(Busy):
            each.result(PATIENCE)
    busy_queue.check_room(Lane.DOUBTFUL)


def test_what_fails_fails_for_who_asked_and_the_thread_goes_on():
    queue = HashingQueue(1)
    with pytest.raises(ValueError, match="nonsense"):
        queue.run(Lane.SURE, int, ("nonsense",))
    assert queue.run(Lane.SURE, int, ("7",)) == 7
