"""oauth4webapi as a public client, used as `docs/clients/oauth4webapi.md` tells."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.how_to import HowTo
from tests.clients.node_client import needs_node, run_script
from tests.clients.person import Person
from tests.journeys.conftest import House

pytestmark = needs_node


@pytest.fixture
def map_app(provider: House, app_url: str) -> Iterator[HowTo]:
    """The how-to, with its app registered."""
    how_to = HowTo("oauth4webapi", provider.issuer, app_url)
    client_id = how_to.register(provider)
    yield how_to
    provider.idp("client", "remove", client_id)


def test_login_with_pkce_and_logout(map_app: HowTo, app_url: str, person: Person, tmp_path: Path) -> None:
    told = run_script(map_app, "oauth4webapi.mjs", person, tmp_path)
    assert told["person"]["email"] == "ada@example.org"
    assert person.visit(told["logout"]) == f"{app_url}/"
    assert not person.is_signed_in()


def test_par(map_app: HowTo, provider: House, person: Person, tmp_path: Path) -> None:
    provider.idp("client", "update", "map", "--pushed-requests-required")
    told = run_script(map_app, "oauth4webapi_pushed.mjs", person, tmp_path, "sign_in.mjs", "pushed.mjs")
    assert "request_uri=" in told["url"]
    assert "redirect_uri=" not in told["url"]
    assert told["person"]["preferred_username"] == "ada"


def test_dpop(map_app: HowTo, provider: House, person: Person, tmp_path: Path) -> None:
    provider.idp("client", "update", "map", "--dpop-required")
    told = run_script(map_app, "oauth4webapi_bound.mjs", person, tmp_path, "sign_in.mjs", "bound.mjs")
    assert told["person"]["preferred_username"] == "ada"
    assert told["kind"] == "dpop"
    assert told["stolen"] == 401
