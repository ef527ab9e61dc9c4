"""Keys are exchanged under load, with two server processes: no request fails, and no key signs unpublished."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound
from werkzeug.middleware.http_proxy import ProxyMiddleware
from werkzeug.test import Client

from idp import settings as provider_settings
from idp.models import SigningKey
from idp.settings import Settings
from tests import factories
from tests.cli.conftest import Process, Run
from tests.cli.test_serve import get_when_ready
from tests.oidc.test_key_rotation import kid_of
from tests.ports import free_port
from tests.relying_party import RelyingParty
from tests.waiting import until

BROWSERS = 3
# A minute is long for a test: each process that starts here looks at the table every second instead.
HURRY = "from idp.oidc import keys\nkeys.RELOAD_EVERY = 1\n"


class Load:
    """People who sign in again and again, each in a browser of their own, by a relying party that checks everything."""

    def __init__(self, url: str, apps: list[RelyingParty]) -> None:
        self.url = url
        self.signed_by: Counter[str] = Counter()  # key id to ID tokens
        self.faults: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._go_on, args=(app,)) for app in apps]
        for thread in self._threads:
            thread.start()

    def _go_on(self, app: RelyingParty) -> None:
        try:
            while not self._stop.is_set():
                self.signed_by[kid_of(app.log_in())] += 1  # checks that the kid is published at this moment
        except BaseException as fault:
            self.faults.append(fault)

    def wait_for(self, kid: str, count: int) -> None:
        """Wait until so many more ID tokens were signed by a key."""
        wanted = self.signed_by[kid] + count
        until(lambda: self.faults or self.signed_by[kid] >= wanted, f"{self.signed_by}")
        assert not self.faults, self.faults

    def no_more_by(self, old: str, new: str) -> bool:
        """Tell whether of the next tokens, of which each process signs some, none was signed by the old key."""
        before = self.signed_by[old]
        self.wait_for(new, 20)
        return self.signed_by[old] == before

    def stop(self) -> None:
        """Let everybody finish."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


def relay(url: str) -> Client:
    """Return a browser whose requests go to a real server."""
    proxy = ProxyMiddleware(NotFound(), {})
    target = {"target": url, "host": None, "headers": {}, "remove_prefix": False, "ssl_context": None}
    return Client(lambda environ, respond: proxy.proxy_to(target, environ["PATH_INFO"], "/")(environ, respond))


@pytest.fixture
def server(
    instance: Path,
    adjust: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    start: Callable[..., Process],
) -> Iterator[str]:
    """`idp serve --workers 2`; gives its URL."""
    adjust(HURRY)
    url = f"http://localhost:{free_port()}"
    monkeypatch.setenv("IDP_ISSUER", url)
    process = start("serve", "--workers", "2", "--no-worker")
    get_when_ready(url + "/.well-known/openid-configuration", process)
    yield url
    process.terminate()
    assert process.wait(timeout=60) == 0, process.communicate()


def published(server: str) -> set[str]:
    """Return the keys that one of the processes publishes."""
    return {each["kid"] for each in json.loads(relay(server).get("/oauth/jwks").data)["keys"]}


@pytest.fixture
def load(server: str, database: Session) -> Iterator[Load]:
    """People who sign in while the test goes on."""
    settings: Settings = provider_settings.load()
    factories.make_user(database, settings)
    metadata, secret = factories.make_client(database, settings)
    going = Load(server, [RelyingParty(relay(server), server, metadata, secret) for _ in range(BROWSERS)])
    yield going
    going.stop()


def key(database: Session, state: str) -> Any:
    """Return the RS256 key in a state."""
    database.rollback()
    return database.scalars(select(SigningKey).where(SigningKey.algorithm == "RS256", SigningKey.state == state)).one()


def test_no_request_fails_and_no_key_signs_before_it_was_published(
    load: Load, succeed: Run, database: Session, server: str
) -> None:
    old = key(database, "active").kid
    load.wait_for(old, 10)

    succeed("keys", "rotate")
    new = key(database, "next").kid
    until(lambda: all({old, new} <= published(server) for _ in range(10)), "a process does not publish the next key")
    load.wait_for(old, 10)
    assert load.signed_by[new] == 0

    lead = provider_settings.load().key_publish_lead
    database.execute(
        update(SigningKey).where(SigningKey.state == "next").values(created_at=SigningKey.created_at - lead)
    )
    database.commit()
    succeed("worker", "--once")
    assert key(database, "active").kid == new
    load.wait_for(new, 10)
    until(lambda: load.no_more_by(old, new), "a process goes on with the old key")
    assert not load.faults
