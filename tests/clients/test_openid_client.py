"""openid-client for Node.js, used as `docs/clients/openid-client.md` tells."""

from pathlib import Path

from tests.clients.how_to import HowTo
from tests.clients.node_client import needs_node, run_script
from tests.clients.person import Person
from tests.journeys.conftest import House

pytestmark = needs_node


def test_login_with_pkce_refresh_token_and_logout(
    provider: House, app_url: str, person: Person, tmp_path: Path
) -> None:
    how_to = HowTo("openid-client", provider.issuer, app_url)
    how_to.register(provider, "kitchen")
    told = run_script(how_to, "openid_client.mjs", person, tmp_path)
    assert told["person"]["preferred_username"] == "ada"
    assert told["person"]["roles"] == ["admin"]
    assert told["rotated"]
    assert (told["before"], told["after"]) == (True, False)  # introspected, revoked, introspected again
    assert person.visit(told["logout"]) == f"{app_url}/"
    assert not person.is_signed_in()


def test_dynamic_registration_private_key_jwt_par_and_dpop(
    provider: House, app_url: str, person: Person, tmp_path: Path
) -> None:
    how_to = HowTo("openid-client", provider.issuer, app_url)
    how_to.get_initial_access_token(provider)
    told = run_script(how_to, "openid_client_strict.mjs", person, tmp_path, "register.mjs", "strict.mjs")
    assert told["person"]["preferred_username"] == "ada"
    assert told["rotated"]
    assert "request_uri=" in told["url"]
    assert "redirect_uri=" not in told["url"]
    assert told["kind"] == "dpop"
    assert told["stolen"] == 401


def test_device(provider: House, app_url: str, person: Person, tmp_path: Path) -> None:
    how_to = HowTo("openid-client", provider.issuer, app_url)
    how_to.register(provider, "oven")
    told = run_script(how_to, "openid_client_device.mjs", person, tmp_path, "device.mjs")
    assert told["person"]["preferred_username"] == "ada"
