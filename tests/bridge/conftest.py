"""Fixtures of the bridge's tests: a provider on loopback, apps under AppTest, and Streamlit's login recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import streamlit
from fake_provider import ADA, FakeProvider, make_browser_cookie
from httpx._transports import default
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.context import ContextProxy, StreamlitCookies
from streamlit.testing.v1 import AppTest

from streamlit_bridge import api
from streamlit_bridge.memory import SharedMemory, open_shared_memory

APPS = Path(__file__).parent / "apps"

OpenApp = Callable[..., AppTest]

# A server looks once for components in all that is installed, and reads once whom it trusts, which takes a third of a
# second; each of these tests would do so again.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
default.create_ssl_context = cache(default.create_ssl_context)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long for a provider that answers: how slow this machine is decides nothing."""
    monkeypatch.setattr(api, "TIMEOUT", httpx.Timeout(60))


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    fake = FakeProvider()
    yield fake
    fake.close()


@pytest.fixture(autouse=True)
def memory() -> Iterator[SharedMemory]:
    open_shared_memory.clear()
    fresh = open_shared_memory()
    yield fresh
    fresh.client.close()
    open_shared_memory.clear()


@pytest.fixture
def cookies(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The browser's cookies, which AppTest cannot seed; tests may change them."""
    jar = make_browser_cookie()
    monkeypatch.setattr(ContextProxy, "cookies", property(lambda _: StreamlitCookies(jar)))
    return jar


@pytest.fixture
def headers(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The headers that the browser sent, which AppTest cannot seed; tests may change them."""
    sent: dict[str, str] = {}
    monkeypatch.setattr(ContextProxy, "headers", property(lambda _: sent))
    return sent


class RecordedAuth:
    """Counts what the app asked of Streamlit."""

    def __init__(self) -> None:
        self.logins = 0
        self.logouts = 0


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> RecordedAuth:
    """Replace ``st.login``, which needs a secrets file, and count ``st.logout``."""
    record = RecordedAuth()
    genuine_logout = streamlit.logout

    def login(provider: str | None = None) -> None:
        record.logins += 1

    def logout() -> None:
        record.logouts += 1
        genuine_logout()

    monkeypatch.setattr(streamlit, "login", login)
    monkeypatch.setattr(streamlit, "logout", logout)
    return record


def make_user(token: str | None = "at_ada", **claims: Any) -> dict[str, Any]:
    """Build what ``st.user`` holds for Ada."""
    user = {"is_logged_in": True, **ADA, "exp": 4_000_000_000, **claims}
    if token is not None:
        user["tokens"] = {"access": token}
    return user


@pytest.fixture
def open_app(provider: FakeProvider, cookies: dict[str, str], recorded: RecordedAuth) -> OpenApp:
    """Open one of the apps in ``apps/`` (or a script) against the fake provider, as a browser tab would."""

    def open_it(name: str, user: dict[str, Any] | None = None, url: str = "http://localhost:8501/") -> AppTest:
        if "\n" in name:
            app = AppTest.from_string(name, default_timeout=60)
        else:
            app = AppTest.from_file(APPS / f"{name}.py", default_timeout=60)
        app.secrets = {
            "auth": {"server_metadata_url": provider.metadata_url, "client_id": "tea", "client_secret": "tea-secret"}
        }
        app.user = user if user is not None else {"is_logged_in": False}
        app.context = {"url": url}
        return app

    return open_it
