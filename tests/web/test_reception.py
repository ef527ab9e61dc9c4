"""Bodies are received before anything else is done, so many at once, and slow ones hold up nobody."""

import io
import threading
from collections import Counter

import pytest

from idp import receiving, turns
from idp.errors import Busy
from idp.web.one_at_a_time import OneAtATime
from idp.web.reception import Reception

PATIENCE = 30  # seconds; how long a test waits for what must come


class SlowBody:
    """A body of which a piece arrives at once, and the rest when it may."""

    def __init__(self, pieces):
        self.is_waiting, self.may_go_on = threading.Event(), threading.Event()
        self._pieces = list(pieces)

    def read(self, most):
        if len(self._pieces) == 1:
            self.is_waiting.set()
            assert self.may_go_on.wait(PATIENCE)
        piece, rest = (self._pieces[0][:most], self._pieces[0][most:]) if self._pieces else (b"", b"")
        self._pieces[:1] = [rest] if rest else []
        return piece


def echo(environ, _start_response):
    return [environ["wsgi.input"].read()]


def test_who_sends_slowly_holds_up_nobody():
    body, answered = SlowBody([b"grant_type=", b"refresh_token"]), []
    environ = {"CONTENT_LENGTH": "24", "wsgi.input": body}
    thread = threading.Thread(target=lambda: answered.append(Reception(OneAtATime(echo), body_most=100)(environ, None)))
    thread.start()
    assert body.is_waiting.wait(PATIENCE)
    assert turns._turn.acquire(timeout=PATIENCE)
    turns._turn.release()
    assert answered == []
    body.may_go_on.set()
    thread.join()
    assert answered == [[b"grant_type=refresh_token"]]


@pytest.mark.parametrize(
    ("headers", "sent", "received"),
    [
        ({"CONTENT_LENGTH": "3"}, b"abcdef", b"abc"),
        ({"CONTENT_LENGTH": "10"}, b"abcdefghij", b"abcdefghij"),
        ({"CONTENT_LENGTH": "11"}, b"abcdefghijk", b""),  # the length alone is reason enough to refuse it
        ({"CONTENT_LENGTH": ""}, b"abc", b""),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, b"abc", b""),
        ({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}, b"abc", b"abc"),
        ({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}, b"abcdefghijklm", b"abcdefghijk"),
    ],
)
def test_a_body_is_received_as_far_as_it_may_be_read(headers, sent, received):
    environ = {**headers, "wsgi.input": io.BytesIO(sent)}
    assert Reception(echo, body_most=10)(environ, None) == [received]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("header", ["CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"])
def test_what_has_no_body_waits_for_none(method, header):
    """Reading would wait for ever: the environment's stream fails the test if it is touched."""
    environ = {"REQUEST_METHOD": method, header: "5", "wsgi.input": None, "wsgi.input_terminated": True}
    assert Reception(echo, body_most=100)(environ, None) == [b""]
    assert header not in environ


class Senders:
    """Bodies of which nothing comes until the end of the test."""

    def __init__(self):
        self.threads, self.bodies = [], []

    def send(self, application, network):
        body = SlowBody([b"never"])
        environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "9", "REMOTE_ADDR": network, "wsgi.input": body}
        thread = threading.Thread(target=application, args=(environ, lambda *_: None))
        thread.start()
        assert body.is_waiting.wait(PATIENCE)
        self.threads.append(thread)
        self.bodies.append(body)

    def stop(self):
        for body in self.bodies:
            body.may_go_on.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def senders():
    senders = Senders()
    yield senders
    senders.stop()
    assert receiving._receiving == {}


def post(application, network):
    """Send a body that is there; gives the status line and the headers."""
    told = []
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "1", "REMOTE_ADDR": network, "wsgi.input": io.BytesIO(b"x")}
    list(application(environ, lambda *given: told.append(given)))
    return told[0][0], dict(told[0][1])


@pytest.fixture
def application():
    def answer(environ, start_response):
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    return Reception(answer, body_most=100)


def test_one_network_stalls_so_often_only(application, senders, monkeypatch):
    monkeypatch.setattr(receiving, "MOMENT", -1)  # everything has stalled
    for _ in range(receiving.STALLED_MOST):
        senders.send(application, "192.0.2.1")
    status, headers = post(application, "192.0.2.1")
    assert status.startswith("503")
    assert headers["Retry-After"] == "5"
    assert post(application, "192.0.2.2")[0] == "200 OK"
    assert not receiving.is_crowded()


def test_one_network_has_so_many_places_however_fast_it_takes_them(application, senders, monkeypatch):
    monkeypatch.setattr(receiving, "_stalled", Counter)  # they are all fresh
    for _ in range(receiving.OF_NETWORK):
        senders.send(application, "192.0.2.1")
    assert post(application, "192.0.2.1")[0].startswith("503")
    assert post(application, "192.0.2.2")[0] == "200 OK"


def test_addresses_of_one_household_count_as_one(application, senders, monkeypatch):
    monkeypatch.setattr(receiving, "MOMENT", -1)
    for number in range(receiving.STALLED_MOST):
        senders.send(application, f"2001:db8::{number}")
    assert post(application, "2001:db8::ffff")[0].startswith("503")
    assert post(application, "2001:db8:0:1::1")[0] == "200 OK"


def test_so_many_are_received_at_once_and_then_none(application, senders, monkeypatch):
    for number in range(receiving.AT_ONCE):
        senders.send(application, f"192.0.2.{number}")
    assert post(application, "198.51.100.1")[0].startswith("503")
    monkeypatch.setattr(receiving, "MOMENT", -1)
    assert receiving.is_crowded()


def test_who_waits_a_moment_gets_the_place_that_becomes_free(application, senders, monkeypatch):
    monkeypatch.setattr(receiving, "MOMENT", PATIENCE)
    for number in range(receiving.AT_ONCE):
        senders.send(application, f"192.0.2.{number}")
    answered = []
    thread = threading.Thread(target=lambda: answered.append(post(application, "198.51.100.1")[0]))
    thread.start()
    for _ in range(PATIENCE * 100):
        if receiving._waiting:
            break
        threading.Event().wait(0.01)
    assert (receiving._waiting, answered) == (1, [])
    senders.bodies[0].may_go_on.set()
    thread.join()
    assert answered == ["200 OK"]


def test_few_wait_for_a_place(senders, application, monkeypatch):
    for number in range(receiving.AT_ONCE):
        senders.send(application, f"192.0.2.{number}")
    monkeypatch.setattr(receiving, "_waiting", receiving.WAITING)
    with pytest.raises(Busy), receiving.place("198.51.100.1"):
        pytest.fail("there was no place")
