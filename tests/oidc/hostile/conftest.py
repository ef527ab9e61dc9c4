"""What the hostile tests begin with: everything that can be turned on is on, so that there is more to attack."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask import Flask

from idp.models import User
from idp.oidc import outgoing
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings
from tests.relying_party import RelyingParty
from tests.serving import serving


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Every response type, and registration for anyone."""
    return replace(settings, response_types="all", dynamic_registration="open")


@pytest.fixture
def target(relying_party: Callable[..., RelyingParty], ada: User) -> RelyingParty:
    """An app that may do whatever an app may do, and that people are asked about."""
    return relying_party(
        is_trusted=False,
        client_name="Horoscope",
        post_logout_redirect_uris=("https://app.example.org/bye",),
        response_types=("code", "id_token", "code id_token", "id_token token"),
        grant_types=("authorization_code", "implicit", "refresh_token"),
    )


@pytest.fixture
def public_settings(settings: Settings) -> Settings:
    """A provider that is not on a loopback address: there, its own machine is as private as its network."""
    return replace(settings, issuer="https://login.example.org")


Resolver = Callable[[dict[str, Sequence[str]]], None]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Say to which addresses names lead: a list is one answer, a list of lists one answer after the other."""

    def set_names(known: dict[str, Any]) -> None:
        left = {name: list(answers) for name, answers in known.items()}

        def resolve(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
            answer = left[host] if isinstance(left[host][0], str) else left[host].pop(0)
            return [(0, 0, 0, "", (address, port)) for address in answer]

        monkeypatch.setattr(outgoing.socket, "getaddrinfo", resolve)

    return set_names


@contextmanager
def raw_server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[str]]]:
    """Run a host that answers as it likes; gives its address and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            """Note it, and answer."""
            asked.append(f"{self.command} {self.path}")
            try:
                answer(self)
            except OSError:
                return

        do_GET = do_POST = handle_any  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}", asked


@pytest.fixture
def app_of(make_app: Callable[[Settings], Flask]) -> Callable[[Settings], Flask]:
    """Build an application with other settings."""
    return make_app


@pytest.fixture
def metadata() -> Callable[..., ClientMetadata]:
    """Describe an app, sound but for what the test changes."""

    def make(**changes: Any) -> ClientMetadata:
        sound: dict[str, Any] = {
            "client_id": "app",
            "client_name": "App",
            "redirect_uris": ("https://app.example.org/callback",),
        }
        return ClientMetadata(**{**sound, **changes})

    return make
