"""Software that registers itself, as tests need it."""

from typing import Any

from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from idp.oidc import client_store
from idp.web import context
from tests.relying_party import RelyingParty

CALLBACK = "https://app.example.org/callback"
ENDPOINT = "/oauth/register"


def bearer(token: str | None) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def ask_to_register(app: Flask, token: str | None = None, **document: Any) -> TestResponse:
    """Send a registration request; a redirect URI is there unless it is left out by None."""
    given = {"redirect_uris": [CALLBACK], **document}
    body = {name: value for name, value in given.items() if value is not None}
    return app.test_client().post(ENDPOINT, json=body, headers=bearer(token))


def registered(app: Flask, token: str | None = None, **document: Any) -> dict[str, Any]:
    """Register, and check the client information response (RFC 7591 section 3.2.1)."""
    response = ask_to_register(app, token, **document)
    assert response.status_code == 201, response.text
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    told: dict[str, Any] = response.json
    assert told["client_id"]
    assert None not in told.values()
    # Either both of them or neither (OIDC Registration section 3.2).
    assert told["registration_client_uri"].endswith(f"{ENDPOINT}/{told['client_id']}")
    assert told["registration_access_token"].startswith("idp_rg_")
    if "client_secret" in told:
        assert told["client_secret_expires_at"] == 0
    return told


def refused(response: TestResponse, error: str, said: str, status: int = 400) -> None:
    """Check that a registration came to nothing, and that it is said why."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert set(response.json) == {"error", "error_description"}
    assert response.json["error"] == error
    assert said in response.json["error_description"]


def party(app: Flask, told: dict[str, Any]) -> RelyingParty:
    """Return a strict relying party for what was registered."""
    with app.app_context(), Session(context.extension.engine) as db:
        metadata = client_store.get_client(db, told["client_id"])
    return RelyingParty(app.test_client(), app.extensions["idp_settings"].issuer, metadata, told.get("client_secret"))


def manage(
    app: Flask, told: dict[str, Any], method: str = "GET", token: str | None = "", **document: Any
) -> TestResponse:
    """Call the client configuration endpoint, with the client's own token or another."""
    path = f"{ENDPOINT}/{told['client_id']}"
    headers = bearer(told["registration_access_token"] if token == "" else token)
    body = {"client_id": told["client_id"], "redirect_uris": [CALLBACK], **document}
    sent = {"json": {name: value for name, value in body.items() if value is not None}} if method == "PUT" else {}
    return app.test_client().open(path, method=method, headers=headers, **sent)
