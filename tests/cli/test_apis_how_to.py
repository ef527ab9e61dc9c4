"""The commands of docs/apis.md do what the page says."""

import shlex
from pathlib import Path

from sqlalchemy.orm import Session

from idp.oidc import client_store
from tests.cli.conftest import Run
from tests.house import pages

PAGE = pages.read("apis.md")
TEA, MILK = "https://tea.example.org/api", "https://milk.example.org/api"


def test_its_commands_make_the_clients_that_it_speaks_of(instance: Path, succeed: Run, database: Session) -> None:
    commands = [line.strip() for line in PAGE.splitlines() if line.startswith("    idp ")]
    for command in commands:
        succeed(*shlex.split(command)[1:])
    clients = {client.client_name: client for client in client_store.list_clients(database)}
    shop, tea, ordering = (clients[name] for name in ("Shop", "Tea API", "Tea API that orders milk"))
    assert shop.resources == (TEA,)
    assert shop.has_readable_access_tokens
    assert tea.protected_resources == ordering.protected_resources == (TEA,)
    assert tea.resources == ()
    assert ordering.resources == (MILK,)
    assert ordering.grant_types == ("urn:ietf:params:oauth:grant-type:token-exchange",)
    shown = succeed("client", "show", ordering.client_id).stdout
    assert "It exchanges access tokens" in shown
    assert f"It is an API itself: {TEA}" in shown
