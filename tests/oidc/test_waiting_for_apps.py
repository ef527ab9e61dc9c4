"""Who waits for an app's own server holds no connection to the database: there are few, and that server may be slow."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey

from idp.oidc import outgoing
from tests.document_server import DocumentServer
from tests.relying_party import RelyingParty
from tests.request_objects import unsigned

KEY = ECKey.generate_key("P-256", {"kid": "one"})
JWKS = json.dumps({"keys": [KEY.as_dict(private=False)]})


@pytest.fixture
def held(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many connections the application held, each time that it asked an app's server for something."""
    with app.app_context():
        pool = app.extensions["sqlalchemy"].engine.pool
    seen: list[int] = []
    real = outgoing._request

    def ask(*args: Any) -> Any:
        seen.append(pool.checkedout())
        return real(*args)

    monkeypatch.setattr(outgoing, "_request", ask)
    return seen


def sign_in(rp: RelyingParty, _server: DocumentServer) -> None:
    """Sign in to an app whose keys are needed for its tokens."""
    rp.log_in()


def ask_by_reference(rp: RelyingParty, server: DocumentServer) -> None:
    """Send an authorization request that stands on the app's server."""
    parameters = rp.authorization_parameters()
    referring = {**parameters, "request_uri": server.put("/request", unsigned(parameters))}
    assert rp.authorize(sent=rp.browser.get("/oauth/authorize", query_string=referring)).code


def read_encrypted_userinfo(rp: RelyingParty, _server: DocumentServer) -> None:
    """Ask for claims that are encrypted to the app's key."""
    tokens = rp.log_in()
    assert rp.request_userinfo(tokens.access_token).text.count(".") == 4


@pytest.mark.parametrize(
    ("metadata", "journey"),
    [
        ({"token_endpoint_auth_method": "private_key_jwt"}, sign_in),
        ({"id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A128GCM"}, sign_in),
        (
            {"userinfo_encrypted_response_alg": "ECDH-ES", "userinfo_encrypted_response_enc": "A128GCM"},
            read_encrypted_userinfo,
        ),
        ({"may_send_unsigned_request_objects": True}, ask_by_reference),
    ],
    ids=["assertion", "ID token", "userinfo", "request object"],
)
def test_it_holds_no_connection(
    relying_party: Callable[..., RelyingParty],
    ada: Any,
    document_server: DocumentServer,
    held: list[int],
    metadata: Mapping[str, Any],
    journey: Callable[[RelyingParty, DocumentServer], None],
) -> None:
    keys = document_server.put("/jwks", JWKS, "application/json")
    rp = relying_party(key=KEY, jwks_uri=keys, request_uris=(document_server.url("/request"),), **metadata)
    rp.encryption_key = KEY
    journey(rp, document_server)
    assert held == [0]
