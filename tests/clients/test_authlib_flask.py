"""Authlib's Flask client in an app of its own, as `docs/clients/authlib-flask.md` tells to write it."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.clients.how_to import HowTo
from tests.clients.person import Person
from tests.clients.processes import running
from tests.journeys.conftest import House


@pytest.fixture(scope="module")
def weather(provider: House, app_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app."""
    folder = tmp_path_factory.mktemp("weather")
    how_to = HowTo("authlib-flask", provider.issuer, app_url)
    how_to.register(provider)
    provider.idp("client", "update", "weather", "--access-token-lifetime", "80")  # so that each request renews it
    how_to.write(folder, "app.py")
    command = [sys.executable, "-m", "flask", "run", f"--port={app_url.rpartition(':')[2]}"]
    with running(command, folder, f"{app_url}/"):
        yield app_url


def test_login_with_pkce(weather: str, person: Person) -> None:
    assert person.walk(f"{weather}/login").text == "Hello Ada Lovelace"


def test_refresh_token_that_rotates(weather: str, person: Person) -> None:
    person.walk(f"{weather}/login")
    for _ in range(2):  # a refresh token is good for one use: the second shows that the app was given another
        told = person.walk(f"{weather}/me").json()
        assert told["email"] == "ada@example.org"
        assert told["roles"] == ["admin"]


def test_two_requests_at_once_use_no_refresh_token_twice(weather: str, person: Person) -> None:
    person.walk(f"{weather}/login")
    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(person.http.get, [f"{weather}/me"] * 4))
    assert [answer.status_code for answer in answers] == [200] * 4


def test_logout(weather: str, person: Person) -> None:
    person.walk(f"{weather}/login")
    after = person.walk(f"{weather}/logout")
    assert (str(after.url), after.text) == (f"{weather}/", "Hello stranger")
    assert not person.is_signed_in()
