"""What most tests of the protocol begin with: Ada, an app that is trusted, and one that is not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from idp.models import User
from idp.oidc import backchannel, server
from idp.oidc.authorization_response import WITH_TOKENS
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings
from tests.document_server import DocumentServer
from tests.oidc.listening import App, listening
from tests.relying_party import RelyingParty


@pytest.fixture
def ada(settled_ada: User) -> User:
    """The person who signs in where a test names nobody else."""
    return settled_ada


@pytest.fixture
def rp(relying_party: Callable[..., RelyingParty], ada: User) -> RelyingParty:
    """A confidential app of the operator's own house, and a browser in which nobody is signed in."""
    return relying_party()


@pytest.fixture
def public_rp(relying_party: Callable[..., RelyingParty], ada: User) -> RelyingParty:
    """A native app: it has no secret, and listens on a loopback port."""
    return relying_party(
        token_endpoint_auth_method="none",
        application_type="native",
        redirect_uris=("http://127.0.0.1/callback", "org.example.app:/callback"),
    )


@pytest.fixture
def stranger(relying_party: Callable[..., RelyingParty], ada: User) -> RelyingParty:
    """An app of somebody else: people are asked for consent."""
    return relying_party(is_trusted=False, client_name="Horoscope")


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let minutes pass for a process that looks for new keys now and then."""
    hand = SimpleNamespace(time=1_000.0)
    monkeypatch.setattr(server, "clock", SimpleNamespace(ticks=lambda: hand.time))

    def advance(count: int = 1) -> None:
        hand.time += count * 60 + 1

    return advance


@pytest.fixture
def relying_party_of_every_type(
    settings: Settings,
    make_app: Callable[[Settings], Flask],
    make_client: Callable[..., tuple[ClientMetadata, str | None]],
) -> Callable[..., RelyingParty]:
    """Like `relying_party`, before a provider with the implicit and hybrid flows on, and registered for them all."""
    app = make_app(replace(settings, response_types="all"))

    def make(browser: FlaskClient | None = None, **metadata: Any) -> RelyingParty:
        every = {
            "response_types": ("code", *WITH_TOKENS),
            "grant_types": ("authorization_code", "implicit", "refresh_token"),
        }
        registered, secret = make_client(**{**every, **metadata})
        return RelyingParty(browser or app.test_client(), settings.issuer, registered, secret)

    return make


@pytest.fixture
def every_type(relying_party_of_every_type: Callable[..., RelyingParty], ada: User) -> RelyingParty:
    """An app that may use every response type there is."""
    return relying_party_of_every_type()


@pytest.fixture
def document_server() -> Iterator[DocumentServer]:
    """A host on loopback that serves what an app publishes: request objects, keys."""
    with DocumentServer() as server:
        yield server


@pytest.fixture
def listening_app() -> Iterator[App]:
    """An app that listens for logout tokens."""
    with listening() as app:
        yield app


@pytest.fixture
def send_due(engine: Engine, settings: Settings) -> Callable[[], dict[str, int]]:
    """Do what the worker does with logout notices; returns how many went how."""
    return lambda: dict(backchannel.send_due(engine, settings))
