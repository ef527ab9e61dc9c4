"""A provider as its operator runs it, and people: what real clients meet."""

from collections.abc import Iterator

import pytest

from bench.loaded import IDP
from tests.clients.person import Person
from tests.journeys.conftest import House
from tests.ports import free_port


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """`idp serve`, with its worker, and two people; one is an admin."""
    port = free_port()
    house = House(tmp_path_factory.mktemp("provider"), f"http://localhost:{port}")
    house.idp("init")
    (house.folder / "instance" / "idp.toml").write_text('dynamic_registration = "token"\n', "utf-8")
    house.add_people()
    try:
        house.start(IDP, ["serve", "--port", str(port)], f"{house.issuer}/.well-known/openid-configuration", "log")
        yield house
    finally:
        house.stop()


@pytest.fixture
def person(provider: House) -> Iterator[Person]:
    """Ada, with a fresh browser."""
    with Person(provider.issuer) as somebody:
        yield somebody


@pytest.fixture(scope="module")
def app_url() -> str:
    """Where a test module's app will be; cookies know no ports, so it has another host name than the provider."""
    return f"http://127.0.0.1:{free_port()}"
