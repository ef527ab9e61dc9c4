"""Apache with Debian's mod_auth_openidc, set up as `docs/clients/apache.md` tells."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.clients.how_to import HowTo
from tests.clients.person import Person
from tests.clients.processes import running
from tests.clients.waiting import until
from tests.journeys.conftest import House

PROGRAM = shutil.which("apache2") or "/usr/sbin/apache2"  # few have /usr/sbin in their path
MODULES = Path("/usr/lib/apache2/modules")

pytestmark = [
    pytest.mark.skipif(not Path(PROGRAM).exists(), reason="Apache is not installed (apache2)"),
    pytest.mark.skipif(
        not (MODULES / "mod_auth_openidc.so").exists(),
        reason="Apache's module is not installed (libapache2-mod-auth-openidc)",
    ),
]

# What Debian's own configuration would have done; the headers show what a program behind Apache would see.
SERVER = """
ServerRoot {folder}
ServerName localhost
Listen {address}
PidFile {folder}/pid
ErrorLog {folder}/errors
{user}
{modules}
DocumentRoot {folder}/pages
<Directory {folder}/pages>
  Require all granted
</Directory>
Include {folder}/openidc.conf
Header always set Seen-User "expr=%{{REMOTE_USER}}"
Header always set Seen-Email "expr=%{{reqenv:OIDC_CLAIM_email}}"
"""
LOADED = ("mpm_event", "authn_core", "authz_core", "authz_user", "dir", "headers", "auth_openidc")


@pytest.fixture(scope="module")
def intranet(provider: House, app_url: str) -> Iterator[str]:
    """A site with pages for everybody, for who is signed in, and for admins."""
    how_to = HowTo("apache", provider.issuer, app_url)
    how_to.register(provider)
    # Not below pytest's own folder: whoever Apache serves as must be able to read the pages.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        how_to.write(folder, "openidc.conf")
        for page in ("index.html", "goodbye.html", "inside/index.html", "inside/office/index.html"):
            path = folder / "pages" / page
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"This is {page}", "utf-8")
        server = SERVER.format(
            folder=folder,
            address=app_url.removeprefix("http://"),
            user="User www-data\nGroup www-data" if os.getuid() == 0 else "",
            modules="\n".join(f"LoadModule {each}_module {MODULES}/mod_{each}.so" for each in LOADED),
        )
        (folder / "server.conf").write_text(server, "utf-8")
        with running([PROGRAM, "-DFOREGROUND", "-f", f"{folder}/server.conf"], folder, f"{app_url}/"):
            yield app_url
        sys.stdout.write((folder / "errors").read_text("utf-8", "replace"))


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


def is_inside(intranet: str, person: Person) -> bool:
    """Tell whether Apache itself lets somebody in, without a way by the provider."""
    return person.http.get(f"{intranet}/inside/").status_code == 200
