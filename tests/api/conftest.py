"""What tests of the account API begin with: Ada, an app that may do all, and a driver that checks every answer."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from idp.mail import outbox
from idp.models import MailMessage, User
from idp.settings import Settings
from idp.web.api import openapi
from tests.relying_party import RelyingParty

SCOPES = ("openid", "profile", "email", "roles", "account", "registration", "recovery", "recovery:password")
PASSPHRASE = "seven purple elephants juggle"  # gitleaks:allow


@dataclass
class Api:
    """A strict caller of the API.

    Attributes:
        app: the provider.
        token: what it calls with; nothing for no token.
    """

    app: Flask
    token: str = ""

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """Call, and check what every answer must be like."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        given = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        return self.send(method, path, headers=sent, **given)

    def send(self, method: str, path: str, **request: Any) -> TestResponse:
        """Send anything at all."""
        response = self.app.test_client().open("/api/v1" + path, method=method, **request)
        assert response.status_code < 500, response.text
        assert response.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in response.headers
        assert not [name for name in dict(response.headers) if name.lower().startswith("access-control")]
        if response.status_code >= 400 and method != "HEAD":
            check_problem(response)
        check_promise(method, path, response)
        return response


def check_promise(method: str, path: str, response: TestResponse) -> None:
    """Check that the OpenAPI document foresees an answer, and its form."""
    for (described_method, described_path), operation in openapi.OPERATIONS.items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", re.escape(described_path).replace(r"\{", "{").replace(r"\}", "}"))
        if method == described_method and re.fullmatch(pattern, path.partition("?")[0]):
            promised = operation["responses"][str(response.status_code)]
            if response.status_code < 300 and "content" in promised:
                Draft202012Validator(promised["content"]["application/json"]["schema"]).validate(response.json)
            elif response.status_code < 300:
                assert response.data == b""


def check_problem(response: TestResponse) -> None:
    """Check a refusal for its form (RFC 9457)."""
    assert response.mimetype == "application/problem+json"
    problem = json.loads(response.data)
    assert set(problem) - {"faults"} == {"type", "title", "status", "code", "detail"}
    assert problem["status"] == response.status_code
    assert problem["type"] == "about:blank"
    assert problem["detail"]
    for sentences in problem.get("faults", {}).values():
        assert sentences
        assert all(isinstance(sentence, str) and sentence for sentence in sentences)
    if response.status_code == 401:
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm="idp", ')
    if response.status_code == 429:
        assert int(response.headers["Retry-After"]) > 0


def refusal(response: TestResponse) -> tuple[int, str]:
    """Return status and code of a refusal."""
    check_problem(response)
    return response.status_code, response.json["code"]


@pytest.fixture
def ada(settled_ada: User) -> User:
    """Somebody with an account."""
    return settled_ada


@pytest.fixture
def tea_house(relying_party: Callable[..., RelyingParty]) -> RelyingParty:
    """An app that may do everything."""
    return relying_party(
        client_name="Tea House",
        scopes=SCOPES,
        grant_types=("authorization_code", "client_credentials"),
        registration_roles=("guest", "member"),
    )


@pytest.fixture
def api_as(app: Flask) -> Callable[..., Api]:
    """Call with a client's own token."""

    def make(client: RelyingParty, scope: str) -> Api:
        response = client.post("token_endpoint", grant_type="client_credentials", scope=scope)
        assert response.status_code == 200, response.text
        return Api(app, response.json["access_token"])

    return make


@pytest.fixture
def nobody(app: Flask) -> Api:
    """Call without a token."""
    return Api(app)


@pytest.fixture
def registrar(api_as: Callable[..., Api], tea_house: RelyingParty) -> Api:
    """The app, registering people."""
    return api_as(tea_house, "registration")


@pytest.fixture
def recoverer(api_as: Callable[..., Api], tea_house: RelyingParty) -> Api:
    """The app, having forgotten things mailed."""
    return api_as(tea_house, "recovery")


@pytest.fixture
def trusted(api_as: Callable[..., Api], tea_house: RelyingParty) -> Api:
    """The app, being told what the provider would otherwise mail."""
    return api_as(tea_house, "recovery:password")


@pytest.fixture
def as_ada(app: Flask, tea_house: RelyingParty, ada: User) -> Api:
    """Ada, signed in to the app."""
    return Api(app, tea_house.log_in("ada", scope="openid account").access_token)


@pytest.fixture
def mailbox(db: Session, settings: Settings) -> Callable[[], list[tuple[str, str, str]]]:
    """Read all mail that waits: kind, recipient and text, the oldest first."""

    def read() -> list[tuple[str, str, str]]:
        db.rollback()
        rows = db.scalars(select(MailMessage).order_by(MailMessage.created_at))
        return [(row.kind, row.recipient, outbox.open_body(settings, row.body_sealed)[0]) for row in rows]

    return read
