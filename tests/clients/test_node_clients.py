"""Clients for Node.js that no one here wrote sign somebody in, over real HTTP."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from idp.models import User
from idp.oidc.clients import ClientMetadata
from tests.clients.person import Person

FOLDER = Path(__file__).parent / "node"
CALLBACK = "https://app.example.org/callback"
MakeClient = Callable[..., tuple[ClientMetadata, str]]

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules").is_dir(), reason="run `npm ci` in tests/clients/node to install the clients"
    ),
]


def sign_in(script: str, issuer: str, *arguments: str) -> tuple[dict[str, Any], Person]:
    """Run a script, do in a browser what it asks for, and return what it tells; the browser stays signed in."""
    person = Person(issuer)
    with subprocess.Popen(
        ["node", str(FOLDER / script), issuer, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as node:  # fmt: skip
        assert node.stdin is not None
        assert node.stdout is not None
        assert node.stderr is not None
        first = node.stdout.readline()
        assert first, node.stderr.read()
        node.stdin.write(person.visit(json.loads(first)) + "\n")
        node.stdin.flush()
        told, faults = node.communicate(timeout=30)
    assert node.returncode == 0, faults
    return json.loads(told), person


def test_openid_client(live_server: str, make_user: Callable[..., User], make_client: MakeClient) -> None:
    user = make_user()
    registered, secret = make_client(redirect_uris=(CALLBACK,), post_logout_redirect_uris=(CALLBACK,))
    told, person = sign_in("openid_client.mjs", live_server, registered.client_id, secret, CALLBACK)
    with person:
        assert told["claims"]["sub"] == user.id
        assert told["userinfo"]["email"] == "ada@example.org"
        assert told["before"] is True
        assert told["after"] is False
        assert person.visit(told["logout"]) == CALLBACK
        assert person.http.get(f"{live_server}/account").status_code == 303


def test_oauth4webapi_as_a_public_client(
    live_server: str, make_user: Callable[..., User], make_client: MakeClient
) -> None:
    user = make_user()
    registered, _ = make_client(
        redirect_uris=(CALLBACK,),
        token_endpoint_auth_method="none",
        id_token_signed_response_alg="ES256",
        is_trusted=False,
    )
    told, person = sign_in("oauth4webapi.mjs", live_server, registered.client_id, CALLBACK)
    with person:
        assert told["claims"]["sub"] == user.id
        assert told["userinfo"]["email"] == "ada@example.org"
