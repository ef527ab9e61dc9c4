"""Apache as a process of its own, with Debian's mod_auth_openidc, set up as `docs/clients/apache.md` tells."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.how_to import HowTo
from tests.clients.person import Person
from tests.clients.processes import running
from tests.journeys.conftest import House

PROGRAM = shutil.which("apache2") or "/usr/sbin/apache2"  # few have /usr/sbin in their path
MODULES = Path("/usr/lib/apache2/modules")

needs_apache = [
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


@contextmanager
def serve_intranet(provider: House, app_url: str) -> Iterator[str]:
    """Run a site with pages for everybody, for who is signed in, and for admins; gives its URL."""
    how_to = HowTo("apache", provider.issuer, app_url)
    client_id = how_to.register(provider, "intranet")
    try:
        with folder_for_all() as folder, serve(folder, app_url, how_to.block("openidc.conf")):
            yield app_url
    finally:
        provider.idp("client", "remove", client_id)


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """Make a folder that is not below pytest's own: whoever Apache serves as must be able to read the pages."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def serve(folder: Path, app_url: str, openidc: str) -> Iterator[None]:
    """Run Apache.

    Args:
        folder: for all that it needs.
        app_url: where.
        openidc: what the how-to adds to its configuration.
    """
    (folder / "openidc.conf").write_text(openidc, "utf-8")
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
    try:
        with running([PROGRAM, "-DFOREGROUND", "-f", f"{folder}/server.conf"], folder, f"{app_url}/"):
            yield
    finally:
        if (folder / "errors").exists():
            sys.stdout.write((folder / "errors").read_text("utf-8", "replace"))


def is_inside(intranet: str, person: Person) -> bool:
    """Tell whether Apache itself lets somebody in, without a way by the provider."""
    return person.http.get(f"{intranet}/inside/").status_code == 200
