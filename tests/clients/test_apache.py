"""Apache with Debian's mod_auth_openidc, set up as `docs/clients/apache.md` tells."""

import re
import subprocess
from collections.abc import Iterator
from html import unescape
from urllib.parse import quote

import httpx
import pytest

from tests.clients.apache import folder_for_all, is_inside, needs_apache, serve, serve_intranet
from tests.clients.how_to import HowTo
from tests.clients.person import Person
from tests.journeys.conftest import House
from tests.ports import free_port
from tests.waiting import until

pytestmark = needs_apache


@pytest.fixture(scope="module")
def intranet(provider: House, app_url: str) -> Iterator[str]:
    """The site."""
    with serve_intranet(provider, app_url) as url:
        yield url


def test_login_with_pkce(intranet: str, person: Person) -> None:
    page = person.walk(f"{intranet}/inside/")
    assert page.text == "This is inside/index.html"
    assert page.headers["Seen-User"] == "ada"
    assert page.headers["Seen-Email"] == "ada@example.org"


def test_roles_open_what_is_for_them_and_nothing_else(intranet: str, provider: House, person: Person) -> None:
    assert person.walk(f"{intranet}/inside/office/").text == "This is inside/office/index.html"
    with Person(provider.issuer, "bob") as other:
        assert other.walk(f"{intranet}/inside/").headers["Seen-User"] == "bob"
        assert other.walk(f"{intranet}/inside/office/").status_code == 401


def test_logout(intranet: str, person: Person) -> None:
    person.walk(f"{intranet}/inside/")
    goodbye = quote(f"{intranet}/goodbye.html", safe="")
    after = person.walk(f"{intranet}/inside/redirect_uri?logout={goodbye}")
    assert after.text == "This is goodbye.html"
    assert str(after.url).startswith(f"{intranet}/goodbye.html")
    assert not person.is_signed_in()
    assert not is_inside(intranet, person)


def test_back_channel_logout(intranet: str, person: Person) -> None:
    person.walk(f"{intranet}/inside/")
    assert is_inside(intranet, person)
    person.sign_out()
    until(lambda: not is_inside(intranet, person), "Apache does not notice")


@pytest.fixture
def told_in_a_frame(intranet: str, provider: House) -> Iterator[None]:
    """The provider does not call Apache any more, until the end of the test."""
    (command,) = [each for each in HowTo("apache", provider.issuer, intranet).commands() if "update" in each]
    provider.idp(*command)
    yield
    back = f"{intranet}/inside/redirect_uri?logout=backchannel"
    cleared = ("--clear", "frontchannel_logout_uri", "--clear", "frontchannel_logout_session_required")
    provider.idp("client", "update", "intranet", "--backchannel-logout-uri", back, *cleared)


def test_front_channel_logout(intranet: str, told_in_a_frame: None, person: Person) -> None:
    person.walk(f"{intranet}/inside/")
    (frame,) = re.findall(r'<iframe src="([^"]+)"', person.sign_out())
    assert is_inside(intranet, person)
    # A browser that withholds cookies in frames of other sites: the address alone must do.
    assert httpx.get(unescape(frame), trust_env=False).status_code == 200
    assert not is_inside(intranet, person)


def test_private_key_jwt(provider: House, person: Person) -> None:
    app_url = f"http://127.0.0.1:{free_port()}"
    how_to = HowTo("apache", provider.issuer, app_url)
    how_to.register(provider, "intranet-by-key")
    with folder_for_all() as folder:
        how_to.values["/etc/apache2/oidc"] = str(folder)
        for command in how_to.commands("openssl"):
            subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=60)
        given = [line for line in how_to.block("openidc.conf").splitlines() if not line.startswith("OIDCClient")]
        with serve(folder, app_url, "\n".join([*given, how_to.block("by_key.conf")])):
            assert person.walk(f"{app_url}/inside/").headers["Seen-User"] == "ada"
