"""Passwords wait in three lanes to be hashed: the first lanes go first, and a lane that is full refuses at once.

In each their owners take turns, so that nobody keeps others out by having many.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from idp import hashing
from idp.errors import Busy
from idp.hashing import OWN, PLACES, HashingQueue, Lane, Place

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
    for lane, name, *owners in places:
        before = waiting(queue)
        coming.append(pool.submit(queue.run, Place(lane, tuple(owners)), hashes, (name,)))
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
    pool.submit(queue.run, OWN, hashes, ("first",))
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
    list(pool.map(lambda name: queue.run(OWN, slow, (name,)), range(12)))
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
    busy_queue.check_room(Place(lane))
    enter(pool, busy_queue, hashes, *((lane, number) for number in range(PLACES[lane])))
    with pytest.raises(Busy) as refusal:
        busy_queue.run(Place(lane), hashes, ("one too many",))
    assert refusal.value.retry_after == 5
    with pytest.raises(Busy):
        busy_queue.check_room(Place(lane))
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
    assert busy_queue.run(Place(Lane.NEW), hashes, ("next",)) == "hash of next"
    assert hashes.done == ["first", "next"]


def test_who_gave_up_takes_nobodys_place(busy_queue, pool, hashes, monkeypatch):
    monkeypatch.setattr(hashing, "WAIT_MOST", 1)
    coming = enter(pool, busy_queue, hashes, *((Lane.DOUBTFUL, number) for number in range(PLACES[Lane.DOUBTFUL])))
    for each in coming:
        with pytest.raises(Busy):
            each.result(PATIENCE)
    busy_queue.check_room(Place(Lane.DOUBTFUL))


def all_done(coming, hashes):
    """The order in which all were hashed."""
    hashes.may_end.set()
    for each in coming:
        each.result(PATIENCE)
    return hashes.done


def many(lane, count, *owners):
    """So many passwords of the same owners."""
    return [(lane, f"{owners[0]} {number}", *owners) for number in range(count)]


def test_owners_take_turns_in_a_lane(busy_queue, pool, hashes):
    coming = enter(
        pool,
        busy_queue,
        hashes,
        *many(Lane.SURE, 4, "mallory", "his network"),
        *many(Lane.SURE, 2, "ada", "her network"),
        *many(Lane.SURE, 1, "bob", "his network"),
    )
    assert all_done(coming, hashes) == [
        "first", "mallory 0", "ada 0", "bob 0", "ada 1", "mallory 1", "mallory 2", "mallory 3",
    ]  # fmt: skip


def test_many_accounts_of_a_network_take_turns_with_other_networks(busy_queue, pool, hashes):
    accounts = [(Lane.SURE, f"account {number}", f"account {number}", "network") for number in range(4)]
    coming = enter(pool, busy_queue, hashes, *accounts, (Lane.SURE, "ada", "ada", "elsewhere"))
    assert all_done(coming, hashes) == ["first", "account 0", "ada", "account 1", "account 2", "account 3"]


@pytest.mark.parametrize(
    ("lane", "greedy", "honest"),
    [
        (Lane.SURE, ("mallory", "network"), ("ada", "network")),
        (Lane.SURE, ("mallory", "network"), ("ada", "elsewhere")),
        (Lane.NEW, ("network",), ("elsewhere",)),
        (Lane.DOUBTFUL, ("network",), ("elsewhere",)),
    ],
)
def test_nobody_is_refused_for_who_has_more_places(busy_queue, pool, hashes, lane, greedy, honest):
    coming = enter(pool, busy_queue, hashes, *many(lane, PLACES[lane], *greedy))
    with pytest.raises(Busy):
        busy_queue.check_room(Place(lane, greedy))
    with pytest.raises(Busy):
        busy_queue.run(Place(lane, greedy), hashes, ("one too many",))
    busy_queue.check_room(Place(lane, honest))
    served = pool.submit(busy_queue.run, Place(lane, honest), hashes, ("honest",))
    with pytest.raises(Busy):
        coming[-1].result(PATIENCE)
    hashes.may_end.set()
    assert served.result(PATIENCE) == "hash of honest"
    assert [each.result(PATIENCE) for each in coming[:-1]] == [
        f"hash of {greedy[0]} {n}" for n in range(len(coming) - 1)
    ]
    assert hashes.done[:3] == ["first", f"{greedy[0]} 0", "honest"]
    assert not waiting(busy_queue)


def test_one_network_with_an_account_for_each_place_gives_way_to_others(busy_queue, pool, hashes):
    accounts = [(Lane.SURE, number, f"account {number}", "network") for number in range(PLACES[Lane.SURE])]
    coming = enter(pool, busy_queue, hashes, *accounts)
    with pytest.raises(Busy):
        busy_queue.check_room(Place(Lane.SURE, ("one account more", "network")))
    served = pool.submit(busy_queue.run, Place(Lane.SURE, ("ada", "elsewhere")), hashes, ("ada",))
    with pytest.raises(Busy):
        coming[-1].result(PATIENCE)
    hashes.may_end.set()
    assert served.result(PATIENCE) == "hash of ada"


def test_accounts_for_all_places_that_come_again_and_again_give_way_to_who_comes_now(pool, hashes):
    queue = HashingQueue(1)
    accounts = [(f"account {number}", f"network {number}") for number in range(PLACES[Lane.SURE])]
    for owners in accounts:
        queue.run(Place(Lane.SURE, owners), int, ("7",))
    pool.submit(queue.run, OWN, hashes, ("first",))
    assert hashes.begun.acquire(timeout=PATIENCE)
    coming = enter(pool, queue, hashes, *((Lane.SURE, owners[0], *owners) for owners in accounts))
    with pytest.raises(Busy):
        queue.check_room(Place(Lane.SURE, accounts[0]))
    served = pool.submit(queue.run, Place(Lane.SURE, ("ada", "her network")), hashes, ("ada",))
    with pytest.raises(Busy):
        coming[-1].result(PATIENCE)
    hashes.may_end.set()
    assert served.result(PATIENCE) == "hash of ada"


def test_an_owner_alone_has_the_whole_lane(busy_queue, pool, hashes):
    """An office behind one address, while nobody else needs the room."""
    coming = enter(pool, busy_queue, hashes, *many(Lane.NEW, PLACES[Lane.NEW], "office"))
    hashes.may_end.set()
    assert len({each.result(PATIENCE) for each in coming}) == PLACES[Lane.NEW]


def test_new_visitors_have_a_turn_in_four_however_many_are_trusted(busy_queue, pool, hashes):
    trusted = [(Lane.SURE, f"sure {number}", f"account {number}", f"network {number}") for number in range(8)]
    coming = enter(pool, busy_queue, hashes, *trusted, (Lane.DOUBTFUL, "doubtful", "a"), (Lane.NEW, "new", "b"))
    done = all_done(coming, hashes)
    assert (done.index("new"), done.index("doubtful")) == (3, 7)


def test_everybody_is_hashed_or_refused_and_nobody_is_forgotten(pool, monkeypatch):
    """Many owners at once, with refusals for lack of room, of time, and for who has fewer places."""
    monkeypatch.setattr(hashing, "WAIT_MOST", 0.02)
    queue = HashingQueue(2)

    def come(number):
        owners = (f"account {number % 7}", f"network {number % 3}")
        try:
            return queue.run(Place(Lane(number % 3), owners), _hash_soon, (number,)) == number
        except Busy:
            return None

    came = [pool.submit(come, number) for number in range(600)]
    results = [each.result(PATIENCE) for each in came]
    assert True in results
    assert set(results) <= {True, None}
    assert not waiting(queue)


def _hash_soon(number):
    threading.Event().wait(0.001)
    return number


def test_what_fails_fails_for_who_asked_and_the_thread_goes_on():
    queue = HashingQueue(1)
    with pytest.raises(ValueError, match="nonsense"):
        queue.run(OWN, int, ("nonsense",))
    assert queue.run(OWN, int, ("7",)) == 7


class NoThread:
    """The limit of processes and threads is reached, as in a container."""

    def __init__(self, **_):
        """Take what a thread takes."""

    def start(self):
        raise RuntimeError("can't start new thread")


def test_where_no_thread_can_be_started_it_is_tried_again_with_the_next_one(monkeypatch):
    queue = HashingQueue(2)
    with monkeypatch.context() as limit:
        limit.setattr(hashing, "threading", SimpleNamespace(Thread=NoThread))
        for _ in range(3):
            with pytest.raises(Busy):
                queue.run(OWN, int, ("7",))
    assert not waiting(queue)
    assert queue.run(OWN, int, ("7",)) == 7


def test_where_no_other_thread_can_be_started_those_that_there_are_do_the_work(pool, hashes, monkeypatch):
    queue = HashingQueue(2)
    first = pool.submit(queue.run, OWN, hashes, ("first",))
    assert hashes.begun.acquire(timeout=PATIENCE)
    monkeypatch.setattr(hashing, "threading", SimpleNamespace(Thread=NoThread))
    (second,) = enter(pool, queue, hashes, (Lane.SURE, "second"))
    hashes.may_end.set()
    assert (first.result(PATIENCE), second.result(PATIENCE)) == ("hash of first", "hash of second")
