"""For the tests of apps: an AppTest in which somebody is signed in.

    pytest_plugins = ["streamlit_bridge.testing"]      # in conftest.py

    def test_admin_page(signed_in_app):
        app = signed_in_app("main.py", username="ada", roles=["admin"]).run()
        assert not app.exception

No provider is needed, and none is asked, whatever the app's secrets name. What the account widgets ask, the fixture
``account_api`` answers from memory:

    def test_registration(account_api):
        app = connect(account_api, AppTest.from_file("main.py")).run()
        ...
        assert account_api.mails[-1].kind == "verify_address"

Needs Streamlit 1.67 (``AppTest.user``) and pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Protocol

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from streamlit_bridge.fake_account_api import METADATA_PATH, FakeAccountApi
from streamlit_bridge.fake_answers import FakeAnswer, FakeMail, FakePerson
from streamlit_bridge.memory import open_shared_memory

__all__ = [
    "FakeAccountApi",
    "FakeAnswer",
    "FakeMail",
    "FakePerson",
    "OpenSignedInApp",
    "account_api",
    "connect",
    "open_signed_in_app",
    "sign_in",
    "sign_out",
    "signed_in_app",
]


class OpenSignedInApp(Protocol):
    """The signature of what the fixture ``signed_in_app`` hands out."""

    def __call__(
        self,
        script: str | Path | Callable[..., object],
        username: str = "ada",
        *,
        name: str | None = None,
        email: str | None = None,
        roles: str | Iterable[str] = (),
    ) -> AppTest:
        """Open the app; see ``open_signed_in_app``."""


def sign_in(
    app: AppTest,
    username: str = "ada",
    *,
    name: str | None = None,
    email: str | None = None,
    roles: str | Iterable[str] = (),
) -> AppTest:
    """Sign somebody in for all following runs of an AppTest.

    Parameters:
        app: the app under test.
        username: the user name.
        name: the display name, by default the capitalised user name.
        email: the address, by default one at example.org.
        roles: the user's role or roles.

    Returns:
        The same app, so that ``.run()`` can follow.

    Raises:
        RuntimeError: Streamlit is older than 1.67.
    """
    return _show_user(
        app,
        {
            "is_logged_in": True,
            "sub": f"test-{username}",
            "preferred_username": username,
            "name": name or username.capitalize(),
            "email": email or f"{username}@example.org",
            "email_verified": True,
            "roles": [roles] if isinstance(roles, str) else list(roles),
        },
    )


def sign_out(app: AppTest) -> AppTest:
    """Make the visitor of all following runs an anonymous one; returns the same app.

    Raises:
        RuntimeError: Streamlit is older than 1.67.
    """
    return _show_user(app, {"is_logged_in": False})


def open_signed_in_app(
    script: str | Path | Callable[..., object],
    username: str = "ada",
    *,
    name: str | None = None,
    email: str | None = None,
    roles: str | Iterable[str] = (),
) -> AppTest:
    """Open an app in which somebody is signed in.

    Parameters:
        script: the app's main script (a path, relative to the working directory), or a function that is the app.
        username, name, email, roles: see ``sign_in``.

    Returns:
        The app, not run yet.
    """
    app = AppTest.from_function(script) if callable(script) else AppTest.from_file(Path(script).absolute())
    return sign_in(app, username, name=name, email=email, roles=roles)


def connect(api: FakeAccountApi, app: AppTest, username: str | None = None) -> AppTest:
    """Let an app talk to the account API in memory.

    Parameters:
        api: what the fixture ``account_api`` hands out.
        app: the app under test.
        username: who is signed in: one of ``api.people``; None leaves a visitor.

    Returns:
        The same app, so that ``.run()`` can follow.

    Raises:
        RuntimeError: Streamlit is older than 1.67.
    """
    app.secrets["auth"] = {
        "server_metadata_url": f"{api.issuer}{METADATA_PATH}",
        "client_id": "app-under-test",
        "client_secret": "not-secret",
    }
    if username is None:
        return sign_out(app)
    claims = api.people[username].claims
    return _show_user(app, {**claims, "is_logged_in": True, "tokens": {"access": api.let_in(username)}})


def _show_user(app: AppTest, user: dict[str, object]) -> AppTest:
    if not hasattr(app, "user"):
        # Setting what it does not know would leave the app with a visitor, whoever was meant.
        raise RuntimeError("Tests of who is signed in need Streamlit 1.67 or newer (AppTest.user).")
    app.user = user
    return app


@pytest.fixture
def account_api() -> Iterator[FakeAccountApi]:
    """Hand out an account API in memory that answers all apps of the test instead of the provider."""
    api = FakeAccountApi()
    with _answered_by(api.serve):
        yield api


@pytest.fixture
def signed_in_app(request: pytest.FixtureRequest) -> Iterator[OpenSignedInApp]:
    """Hand out ``open_signed_in_app``. The app finds no provider, unless ``account_api`` answers."""
    if "account_api" in request.fixturenames:
        yield open_signed_in_app
        return
    with _answered_by(_answer_nobody):
        yield open_signed_in_app


def _answer_nobody(request: httpx.Request) -> NoReturn:
    raise httpx.ConnectError("Tests ask no provider.", request=request)


@contextmanager
def _answered_by(serve: Callable[[httpx.Request], httpx.Response]) -> Iterator[None]:
    """Let a function answer in the provider's place; what sessions share is new before and after."""
    open_shared_memory.clear()
    memory = open_shared_memory()
    memory.client.close()
    memory.client = httpx.Client(transport=httpx.MockTransport(serve))
    yield
    memory.client.close()
    open_shared_memory.clear()
