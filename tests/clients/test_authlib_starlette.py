"""Authlib's Starlette client in an app of its own, as `docs/clients/authlib-starlette.md` tells to write it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.clients.person import Person
from tests.clients.starlette_app import serve_weather
from tests.journeys.conftest import House
from tests.waiting import until


@pytest.fixture(scope="module")
def weather(provider: House, app_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app."""
    with serve_weather(provider, app_url, tmp_path_factory.mktemp("weather")) as url:
        yield url


def test_login_with_pkce(weather: str, person: Person) -> None:
    told = person.walk(f"{weather}/login").json()
    assert told["preferred_username"] == "ada"
    assert told["roles"] == ["admin"]


def test_logout(weather: str, person: Person) -> None:
    person.walk(f"{weather}/login")
    after = person.walk(f"{weather}/logout")
    assert (str(after.url), after.text) == (f"{weather}/", "Hello stranger")
    assert not person.is_signed_in()


def test_back_channel_logout(weather: str, person: Person) -> None:
    person.walk(f"{weather}/login")
    person.sign_out()
    until(lambda: person.walk(f"{weather}/").text == "Hello stranger", "the app does not notice")


def test_back_channel_logout_of_a_forger_ends_nothing(weather: str, person: Person) -> None:
    person.walk(f"{weather}/login")
    unsigned = "eyJhbGciOiJub25lIn0.eyJzaWQiOiJ4In0."
    answer = httpx.post(f"{weather}/backchannel-logout", data={"logout_token": unsigned}, trust_env=False)
    assert answer.status_code == 400
    assert person.walk(f"{weather}/").json()["preferred_username"] == "ada"
