"""Connections on which nothing was sent for a while are closed, the sooner the fuller it gets."""

import contextlib
import errno
import os
import socket
import threading
from types import SimpleNamespace

import pytest

from idp import receiving
from idp.serving import connections, web_process
from idp.settings import Settings

pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the kernel tells less than Linux does")

CAPACITY = 100
PEERS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


class Server:
    """A server's end of connections, and its visitors' ends."""

    def __init__(self, handles):
        self.handles = handles
        self.listener = handles.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))

    def connect(self, peer="127.0.0.1"):
        visitor = socket.create_connection(self.listener.getsockname(), timeout=10, source_address=(peer, 0))
        self.handles.enter_context(visitor)
        own, _ = self.listener.accept()
        self.handles.enter_context(own)
        return visitor, own


@pytest.fixture
def server():
    with contextlib.ExitStack() as handles:
        yield Server(handles)


@pytest.fixture
def quiet(monkeypatch):
    """Say for how long connections count as quiet, by the address of their other end; others are as they are."""
    seconds = {}
    found = connections._connections

    def as_said(handles):
        for each in found(handles):
            yield connections.Connection(each.opened, each.peer, seconds.get(each.peer, each.quiet))

    monkeypatch.setattr(connections, "_connections", as_said)
    return seconds


def is_closed(visitor):
    visitor.setblocking(False)
    try:
        return visitor.recv(1) == b""
    except BlockingIOError:
        return False


def close_slow(capacity=CAPACITY, are_peers_visitors=True):
    return connections.close_slow(capacity, are_peers_visitors=are_peers_visitors)


def test_what_took_too_long_is_closed_and_nothing_else(server, quiet):
    (slow, _), (other, _) = server.connect("127.0.0.2"), server.connect("127.0.0.3")
    quiet["127.0.0.2"] = connections.PATIENCE
    quiet["127.0.0.3"] = connections.PATIENCE - 1
    assert close_slow() == 1
    assert (is_closed(slow), is_closed(other)) == (True, False)
    assert server.listener.getsockname()


def test_connections_to_others_are_left_alone(server, quiet):
    """Such as that to the database: this process opened it, whatever is said on it."""
    quiet["127.0.0.1"] = 3600
    with socket.create_server(("127.0.0.2", 0)) as database:
        ours = server.handles.enter_context(socket.create_connection(database.getsockname()[:2]))
        theirs, _ = database.accept()
        database.close()  # in another process: its port is none of ours
        with theirs:
            assert close_slow() == 0
            assert not is_closed(ours)


def test_other_sockets_are_left_alone(server, quiet):
    """Such as those by which the server's own threads wake each other up; nor are handles of them kept."""
    quiet["127.0.0.1"] = connections.PATIENCE
    visitor, _ = server.connect()
    for each in (*socket.socketpair(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)):
        server.handles.enter_context(each)
    before = os.listdir("/proc/self/fd")
    assert close_slow() == 1
    assert is_closed(visitor)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_connections_by_ipv6_are_looked_after_too(quiet):
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("there is no IPv6 here")
    quiet["::1"] = connections.PATIENCE
    with listener, socket.create_connection(listener.getsockname()[:2], timeout=10) as visitor:
        own, _ = listener.accept()
        with own:
            assert close_slow() == 1
            assert is_closed(visitor)


def test_the_kernel_says_for_how_long_nothing_was_sent(server, monkeypatch):
    visitor, own = server.connect()
    for _ in range(3):  # what the visitor sends counts for nothing
        visitor.sendall(b"x")
        with contextlib.suppress(TimeoutError):
            visitor.settimeout(0.1)
            visitor.recv(1)
    assert close_slow() == 0  # some tenths of a second
    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    own.sendall(b"an answer")
    assert close_slow() == 0
    assert visitor.recv(20) == b"an answer"
    with contextlib.suppress(TimeoutError):
        visitor.settimeout(0.3)
        visitor.recv(1)
    assert close_slow() == 1
    assert is_closed(visitor)


@pytest.mark.parametrize(
    ("open_at_once", "is_crowded", "patience"),
    [
        (4, False, connections.PATIENCE),
        (5, False, connections.PATIENCE_WHEN_CROWDED),
        (9, False, connections.PATIENCE_WHEN_FULL),
        (4, True, connections.PATIENCE_WHEN_CROWDED),
    ],
)
def test_the_fuller_the_less_patient(server, quiet, monkeypatch, open_at_once, is_crowded, patience):
    monkeypatch.setattr(receiving, "is_crowded", lambda: is_crowded)
    visitors = [server.connect()[0] for _ in range(open_at_once)]
    quiet["127.0.0.1"] = patience - 0.1
    assert close_slow(10) == 0
    quiet["127.0.0.1"] = patience
    assert close_slow(10) == open_at_once
    assert all(map(is_closed, visitors))


@pytest.mark.parametrize("are_peers_visitors", [True, False])
def test_one_network_has_so_many_but_a_proxy_any_number(server, quiet, monkeypatch, are_peers_visitors):
    monkeypatch.setattr(connections, "NETWORK_MOST", 3)
    many = [server.connect("127.0.0.2")[0] for _ in range(4)]
    few = [server.connect("127.0.0.3")[0] for _ in range(3)]
    quiet.update(dict.fromkeys(PEERS, connections.PATIENCE_WHEN_FULL))
    assert close_slow(are_peers_visitors=are_peers_visitors) == (4 if are_peers_visitors else 0)
    assert [is_closed(each) for each in many] == [are_peers_visitors] * 4
    assert not any(map(is_closed, few))


def test_it_looks_from_when_it_is_told_to(monkeypatch):
    told, has_begun = [], threading.Event()

    def look(*arguments):
        told.extend(arguments)
        has_begun.set()

    monkeypatch.setattr(connections, "_watch", look)
    connections.watch(CAPACITY, are_peers_visitors=False)
    assert has_begun.wait(60)
    assert told == [CAPACITY, False]


@pytest.mark.parametrize("proxy_hops", [0, 1])
def test_a_web_process_looks_after_its_own(monkeypatch, proxy_hops):
    application = SimpleNamespace(extensions={"idp_settings": Settings(proxy_hops=proxy_hops)})
    told = {}
    monkeypatch.setattr(
        web_process.importlib, "import_module", lambda _: SimpleNamespace(create_app=lambda: application)
    )
    monkeypatch.setattr(connections, "watch", lambda capacity, **more: told.update(more, capacity=capacity))
    # What a process does to itself besides, the one that runs tests is spared.
    monkeypatch.setattr(web_process.processors, "keep_to_one", lambda *_: None)
    monkeypatch.setattr(web_process, "_let_threads_finish", lambda: None)
    monkeypatch.setattr(web_process.gc, "freeze", lambda: None)
    monkeypatch.setattr(web_process.multiprocessing, "parent_process", lambda: None)
    assert web_process.load_application(CAPACITY, 0, 0, 1) is application
    assert told == {"capacity": CAPACITY, "are_peers_visitors": proxy_hops == 0}


def test_who_finds_no_free_handle_looks_again(monkeypatch):
    looks = iter([OSError(errno.EMFILE, "Too many open files"), None])

    def look(_capacity, *, are_peers_visitors):
        assert are_peers_visitors
        if fault := next(looks, SystemExit()):
            raise fault
        return 0

    monkeypatch.setattr(connections, "LOOK_EVERY", 0)
    monkeypatch.setattr(connections, "close_slow", look)
    with pytest.raises(SystemExit):
        connections._watch(CAPACITY, are_peers_visitors=True)
