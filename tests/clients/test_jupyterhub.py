"""JupyterHub with oauthenticator's generic authenticator, set up as `docs/clients/jupyterhub.md` tells."""

import sys
from collections.abc import Iterator

import pytest

from tests.clients.how_to import HowTo
from tests.clients.person import Person
from tests.clients.processes import running
from tests.journeys.conftest import House

# The hub answers by itself: no notebook is started here, so that there is nothing for a proxy to lead to.
WITHOUT_PROXY = """
from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    should_start = False

    async def add_route(self, routespec, target, data):
        pass

    async def delete_route(self, routespec):
        pass

    async def get_all_routes(self):
        return {}


c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.bind_url = c.JupyterHub.hub_bind_url = "%s"
"""


@pytest.fixture(scope="module")
def hub(provider: House, app_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterHub."""
    folder = tmp_path_factory.mktemp("hub")
    how_to = HowTo("jupyterhub", provider.issuer, app_url)
    how_to.register(provider)
    how_to.write(folder, "jupyterhub_config.py")
    with (folder / "jupyterhub_config.py").open("a") as config:
        config.write(WITHOUT_PROXY % app_url)
    with running([sys.executable, "-m", "jupyterhub"], folder, f"{app_url}/hub/health"):
        yield app_url


def test_login_with_pkce(hub: str, person: Person) -> None:
    page = person.walk(f"{hub}/hub/oauth_login?next=%2Fhub%2Fhome")
    assert str(page.url) == f"{hub}/hub/home"
    told = whoami(hub, person)
    assert (told["name"], told["admin"], told["groups"]) == ("ada", True, ["admin"])


def test_who_has_none_of_the_roles_stays_outside(hub: str, provider: House) -> None:
    with Person(provider.issuer, "bob") as other:
        assert other.walk(f"{hub}/hub/oauth_login?next=%2Fhub%2Fhome").status_code == 403


def test_logout(hub: str, person: Person) -> None:
    person.walk(f"{hub}/hub/oauth_login?next=%2Fhub%2Fhome")
    after = person.walk(f"{hub}/hub/logout")
    assert str(after.url) == f"{hub}/hub/login"
    assert not person.is_signed_in()
    assert person.http.get(f"{hub}/hub/home").is_redirect


def whoami(hub: str, person: Person) -> dict[str, object]:
    """Return what JupyterHub's own API says about the person of this browser."""
    headers = {"Referer": f"{hub}/hub/home", "X-XSRFToken": person.http.cookies.get("_xsrf", path="/hub/") or ""}
    answer = person.http.get(f"{hub}/hub/api/user", headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
