"""Whatever is sent to the registration endpoints: a client, or a refusal that says why; never a fault of ours."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp.accounts import throttle
from idp.oidc import client_admission
from idp.oidc.outgoing import OutgoingError
from idp.settings import Settings
from tests.oidc.registering import ENDPOINT, bearer, registered
from tests.oidc.test_client_document import documents

content_types = st.sampled_from(["application/json", "application/json; charset=utf-8", "text/plain", "a/b;;=", ""])
headers = st.dictionaries(
    st.sampled_from(["Authorization", "Accept", "X-Forwarded-For", "Content-Language", "DPoP"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    max_size=3,
)
fuzz = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def open_app(settings: Settings, make_app: Callable[[Settings], Flask], monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A provider where anyone may register as much as they like, and that has no network."""

    def nowhere(*_: Any) -> None:
        raise OutgoingError("there is no network")

    monkeypatch.setattr(client_admission, "fetch", nowhere)
    monkeypatch.setattr(throttle, "CLIENTS_BURST", 1_000_000)
    return make_app(replace(settings, dynamic_registration="open", throttle_account_burst=1_000_000))


def answered(response: Any) -> None:
    """Check that it is an answer: success, or OAuth's JSON with a description."""
    assert response.status_code in (200, 201, 400, 401, 413), response.text
    if response.status_code in (400, 401):
        assert response.json["error"] in ("invalid_redirect_uri", "invalid_client_metadata", "invalid_token")
        description = response.json["error_description"]
        assert description
        assert all(" " <= c <= "~" and c not in '"\\' for c in description)


@fuzz
@given(documents)
def test_any_document_registers_or_is_refused(open_app: Flask, document: dict[str, Any]) -> None:
    body = json.dumps({"redirect_uris": ["https://app.example.org/"], **document})
    answered(open_app.test_client().post(ENDPOINT, data=body, content_type="application/json"))


@fuzz
@given(st.binary(max_size=100), content_types, headers)
def test_any_body_with_any_header_is_answered(
    open_app: Flask, body: bytes, content_type: str, sent: dict[str, str]
) -> None:
    answered(open_app.test_client().post(ENDPOINT, data=body, content_type=content_type, headers=sent))


@fuzz
@given(documents)
def test_any_document_changes_a_registration_or_is_refused(open_app: Flask, document: dict[str, Any]) -> None:
    told = registered(open_app)
    path, token = f"{ENDPOINT}/{told['client_id']}", told["registration_access_token"]
    body = json.dumps({"redirect_uris": ["https://app.example.org/"], "client_id": told["client_id"], **document})
    browser = open_app.test_client()
    answered(browser.put(path, data=body, content_type="application/json", headers=bearer(token)))
    assert browser.get(path, headers=bearer(token)).status_code == 200


def test_the_longest_values_that_the_rules_let_pass_are_stored(open_app: Flask) -> None:
    """Columns must not be narrower than the rules, nor text longer in bytes than in characters."""
    uri = "https://app.example.org/".ljust(500, "x")
    long = {
        "client_name": "\U0001f375" * 100,
        "redirect_uris": [f"https://app.example.org/{n}/".ljust(400, "x") for n in range(50)],
        "post_logout_redirect_uris": ["https://app.example.org/".ljust(2_000, "x")],
        **dict.fromkeys(("client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri", "initiate_login_uri"), uri),
        **dict.fromkeys(("backchannel_logout_uri", "frontchannel_logout_uri"), uri),
        "request_uris": [uri],
        "contacts": ["\U0001f375" * 200] * 1,
        "software_id": "\U0001f375" * 200,
        "software_version": "\U0001f375" * 100,
        "default_max_age": 2**31 - 1,
        "default_acr_values": ["\U0001f375" * 200],
        "token_endpoint_auth_method": "private_key_jwt",
        "id_token_encrypted_response_alg": "ECDH-ES+A256KW",
        "id_token_encrypted_response_enc": "A256CBC-HS512",
    }
    told = registered(open_app, **long)
    assert {name: told[name] for name in long} == long
