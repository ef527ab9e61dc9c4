"""Databases on a PostgreSQL server, and which tests run there.

`IDP_TEST_POSTGRES_URL` names a server on which databases may be made. With it, the modules of `BOTH` run on SQLite and
on PostgreSQL. `IDP_TEST_DATABASE=postgresql` runs every test whose provider has a database on PostgreSQL only:

    IDP_TEST_DATABASE=postgresql python -m pytest tests/accounts tests/oidc tests/storage tests/api
"""

import atexit
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from idp import crypto

SERVER = os.environ.get("IDP_TEST_POSTGRES_URL", "")
MARKS = [
    pytest.mark.postgres,
    pytest.mark.skipif(not SERVER, reason="IDP_TEST_POSTGRES_URL names no PostgreSQL server"),
]
BOTH = (
    "tests.accounts.test_deletion",
    "tests.accounts.test_email_change",
    "tests.accounts.test_mail_floods",
    "tests.accounts.test_one_time_codes",
    "tests.accounts.test_one_time_links",
    "tests.accounts.test_passwords",
    "tests.accounts.test_preauthorization",
    "tests.accounts.test_recovery",
    "tests.accounts.test_registration",
    "tests.accounts.test_roles",
    "tests.accounts.test_sessions",
    "tests.accounts.test_sign_in",
    "tests.accounts.test_sign_in_under_load",
    "tests.accounts.test_throttle",
    "tests.accounts.test_users",
    "tests.api.test_idempotency",
    "tests.mail.test_delivery",
    "tests.mail.test_workers",
    "tests.oidc.test_backchannel_logout",
    "tests.oidc.test_carried_codes",
    "tests.oidc.test_device_grant",
    "tests.oidc.test_key_rotation",
    "tests.oidc.test_logout_notices",
    "tests.oidc.test_pushed_requests",
    "tests.oidc.test_races",
    "tests.oidc.test_refresh_token",
    "tests.oidc.test_registration_fuzzed",
    "tests.oidc.test_session_policy",
    "tests.storage.test_batches",
    "tests.storage.test_invariants",
    "tests.storage.test_plans",
    "tests.transfer.test_writing",
)


_Test = TypeVar("_Test")


def needed(test: _Test) -> _Test:
    """Mark a test, or a class of tests, that is about a server; skipped where there is none."""
    for mark in MARKS:
        test = mark(test)
    return test


def default_engine() -> str:
    """Return the engine of tests that choose none."""
    chosen = os.environ.get("IDP_TEST_DATABASE", "sqlite")
    assert chosen in ("sqlite", "postgresql"), "IDP_TEST_DATABASE is sqlite or postgresql"
    assert chosen == "sqlite" or SERVER, "IDP_TEST_DATABASE=postgresql needs IDP_TEST_POSTGRES_URL"
    return chosen


def runs_on_both(module: str) -> bool:
    """Tell whether the tests of a module run on both engines."""
    return bool(SERVER) and default_engine() == "sqlite" and module in BOTH


@contextmanager
def new_database(template: str = "template1", encoding: str = "UTF8") -> Iterator[str]:
    """Make a database for a while; gives its URL.

    Args:
        template: what it begins as; nobody may be connected to that one.
        encoding: of its text; another than that of the server's own takes `template0`.
    """
    name, admin = f"idp_test_{crypto.new_id()}", _admin()
    statement = "CREATE DATABASE {} TEMPLATE {} ENCODING {}" + (" LOCALE 'C'" if encoding != "UTF8" else "")
    if admin.info.server_version >= 150_000:  # half as long as by the log, where the disk is not waited for
        statement += " STRATEGY FILE_COPY"
    named = (sql.Identifier(name), sql.Identifier(template), sql.Literal(encoding))
    admin.execute(sql.SQL(statement).format(*named))
    try:
        yield urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}"))
    finally:
        _end_connections(admin, name)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@cache
def _admin() -> psycopg.Connection:
    """Connect to the server, once for all databases: to connect takes a third of what a database does."""
    admin = psycopg.connect(SERVER, autocommit=True)
    atexit.register(admin.close)
    return admin


def _end_connections(admin: psycopg.Connection, name: str) -> None:
    """End what is connected to a database: dropping it would look a tenth of a second later whether they are gone."""
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    for _ in range(100):
        if not admin.execute(end, (name,)).fetchall():
            return
        time.sleep(0.002)


def name_of(url: str) -> str:
    """Return the name of a URL's database."""
    return urlsplit(url).path[1:]


def as_written(db: Session) -> TextClause:
    """Return what orders the rows of a table as they were written, as long as none of them was changed."""
    return text("rowid" if db.get_bind().dialect.name == "sqlite" else "ctid")


class Pausing:
    """Stands before the server, as a pooler does, and may pause: it takes what it is sent and passes nothing on.

    Args:
        url: of a database.

    Attributes:
        url: of the same database, by this way.
    """

    def __init__(self, url: str) -> None:
        server = urlsplit(url)
        self._server = (server.hostname or "127.0.0.1", server.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        account = server.netloc.rpartition("@")[0]
        at = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = urlunsplit(server._replace(netloc=f"{account}@{at}" if account else at))
        self._passes_on = threading.Event()
        self._passes_on.set()

    def __enter__(self) -> Self:
        self._run(self._take_in)
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()
        _end(self._listener)
        self._threads[0].join()
        for each in self._sockets:
            _end(each)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()

    def pause(self) -> None:
        """Pass nothing on."""
        self._passes_on.clear()

    def go_on(self) -> None:
        """Pass on what came meanwhile, and all that comes."""
        self._passes_on.set()

    def _take_in(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._sockets += [visitor, server]
            self._run(self._pass_on, visitor, server)
            self._run(self._pass_on, server, visitor)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while some := source.recv(65_536):
                self._passes_on.wait()
                sink.sendall(some)
        _end(sink)

    def _run(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()


def _end(each: socket.socket) -> None:
    """End a connection, which wakes whoever waits for something on it."""
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
