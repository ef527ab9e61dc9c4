"""oauth4webapi as a public client, used as `docs/clients/oauth4webapi.md` tells."""

from pathlib import Path

from tests.clients.how_to import HowTo
from tests.clients.node_client import needs_node, run_script
from tests.clients.person import Person
from tests.journeys.conftest import House

pytestmark = needs_node


def test_login_with_pkce_and_logout(provider: House, app_url: str, person: Person, tmp_path: Path) -> None:
    how_to = HowTo("oauth4webapi", provider.issuer, app_url)
    how_to.register(provider)
    told = run_script(how_to, "oauth4webapi.mjs", person, tmp_path)
    assert told["person"]["email"] == "ada@example.org"
    assert person.visit(told["logout"]) == f"{app_url}/"
    assert not person.is_signed_in()
