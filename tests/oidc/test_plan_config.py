"""The OpenID Foundation's Config OP plan: the metadata document and the keys, whatever the operator turned on."""

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import KeySet

from idp.settings import Settings

ISSUER = "https://login.example.org"
DISCOVERY = "/.well-known/openid-configuration"
URL, TEXT, TEXTS, FLAG = "url", "text", "texts", "flag"

# What a member is, by the specification that registered it at IANA; all others are our own.
SCHEMA = {
    # OIDC Discovery 1.0 section 3, RFC 8414 section 2
    "issuer": URL,
    "authorization_endpoint": URL,
    "token_endpoint": URL,
    "userinfo_endpoint": URL,
    "jwks_uri": URL,
    "registration_endpoint": URL,
    "scopes_supported": TEXTS,
    "response_types_supported": TEXTS,
    "response_modes_supported": TEXTS,
    "grant_types_supported": TEXTS,
    "acr_values_supported": TEXTS,
    "subject_types_supported": TEXTS,
    **{
        f"{what}_{how}_values_supported": TEXTS
        for what in ("id_token", "userinfo", "request_object")
        for how in ("signing_alg", "encryption_alg", "encryption_enc")
    },
    **{
        f"{what}_endpoint_auth_{how}_supported": TEXTS
        for what in ("token", "introspection", "revocation")
        for how in ("methods", "signing_alg_values")
    },
    "display_values_supported": TEXTS,
    "claim_types_supported": TEXTS,
    "claims_supported": TEXTS,
    "service_documentation": URL,
    "claims_locales_supported": TEXTS,
    "ui_locales_supported": TEXTS,
    "claims_parameter_supported": FLAG,
    "request_parameter_supported": FLAG,
    "request_uri_parameter_supported": FLAG,
    "require_request_uri_registration": FLAG,
    "op_policy_uri": URL,
    "op_tos_uri": URL,
    "revocation_endpoint": URL,
    "introspection_endpoint": URL,
    "introspection_signing_alg_values_supported": TEXTS,  # RFC 9701
    "code_challenge_methods_supported": TEXTS,
    # Others
    "prompt_values_supported": TEXTS,  # Initiating User Registration via OpenID Connect 1.0
    "end_session_endpoint": URL,  # RP-Initiated Logout 1.0
    "backchannel_logout_supported": FLAG,  # Back-Channel Logout 1.0
    "backchannel_logout_session_supported": FLAG,
    "frontchannel_logout_supported": FLAG,  # Front-Channel Logout 1.0
    "frontchannel_logout_session_supported": FLAG,
    "check_session_iframe": URL,  # Session Management 1.0
    "authorization_response_iss_parameter_supported": FLAG,  # RFC 9207
    "pushed_authorization_request_endpoint": URL,  # RFC 9126
    "require_pushed_authorization_requests": FLAG,
    "require_signed_request_object": FLAG,  # RFC 9101
    "dpop_signing_alg_values_supported": TEXTS,  # RFC 9449
    "device_authorization_endpoint": URL,  # RFC 8628
}
OURS = {
    "account_api_endpoint": URL,
    "account_management_uri": URL,
    "registration_page": URL,
    "forgot_password_page": URL,
    "forgot_username_page": URL,
}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "everything on": {"dynamic_registration": "open", "response_types": "all", "registration": "open"},
    "registration by token": {"dynamic_registration": "token"},
    "another algorithm": {"signing_algorithm": "EdDSA"},
    "below a path": {"issuer": ISSUER + "/login/v1"},
}


@pytest.fixture(params=CONFIGURATIONS)
def in_force(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Settings of a provider with TLS."""
    return replace(settings, **{"issuer": ISSUER, "registration": "closed", **CONFIGURATIONS[request.param]})


@pytest.fixture
def https_browser(in_force: Settings, make_app: Callable[[Settings], Flask]) -> FlaskClient:
    """A browser in front of that provider."""
    return make_app(in_force).test_client()


@pytest.fixture
def metadata(https_browser: FlaskClient, in_force: Settings) -> dict[str, Any]:
    """The document, as it is served."""
    response = https_browser.get(in_force.issuer_path + DISCOVERY)
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    return dict(response.json)


def test_oidcc_discovery_endpoint_verification(metadata: dict[str, Any], in_force: Settings) -> None:
    assert metadata["issuer"] == in_force.issuer
    needed = {
        *("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "response_types_supported"),
        *("subject_types_supported", "id_token_signing_alg_values_supported", "scopes_supported"),
    }
    assert needed <= set(metadata)
    assert "RS256" in metadata["id_token_signing_alg_values_supported"]
    assert "none" not in metadata["id_token_signing_alg_values_supported"]
    assert set(metadata["subject_types_supported"]) <= {"public", "pairwise"}
    assert "openid" in metadata["scopes_supported"]
    assert {"code"} <= set(metadata["response_types_supported"])
    assert {"authorization_code"} <= set(metadata["grant_types_supported"])


def test_oidcc_discovery_endpoint_verification_https_everywhere(metadata: dict[str, Any], in_force: Settings) -> None:
    urls = {name: value for name, value in metadata.items() if {**SCHEMA, **OURS}[name] == URL}
    for name, url in urls.items():
        assert url.startswith(in_force.issuer), name
        assert urlsplit(url).scheme == "https", name
        assert not urlsplit(url).fragment, name
    assert len(set(urls.values())) == len(urls)


def test_oidcc_discovery_endpoint_verification_schema(metadata: dict[str, Any]) -> None:
    """Every member is known, by its specification or as our own, and of its type; nothing is null or empty."""
    schema = {**SCHEMA, **OURS}
    assert set(metadata) <= set(schema)
    for name, value in metadata.items():
        if schema[name] == FLAG:
            assert isinstance(value, bool), name
        elif schema[name] == TEXTS:
            assert isinstance(value, list), name
            assert value, name
            assert all(isinstance(each, str) and each for each in value), name
            assert len(set(value)) == len(value), name
        else:
            assert isinstance(value, str), name
            assert value, name


def test_oidcc_discovery_endpoint_verification_languages_and_scopes(metadata: dict[str, Any]) -> None:
    """Tags are written as BCP 47 writes them, and scopes have only the characters of RFC 6749 section 3.3."""
    tag = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?")
    assert all(tag.fullmatch(each) for each in metadata["ui_locales_supported"])
    assert all(re.fullmatch(r"[!#-\[\]-~]+", each) for each in metadata["scopes_supported"])


def test_oidcc_discovery_endpoint_verification_endpoints_exist(
    metadata: dict[str, Any], https_browser: FlaskClient
) -> None:
    schema = {**SCHEMA, **OURS}
    for name, url in metadata.items():
        if schema[name] == URL and name not in ("issuer", "account_api_endpoint"):
            statuses = {https_browser.open(urlsplit(url).path, method=method).status_code for method in ("GET", "POST")}
            assert statuses != {404}, name


def test_oidcc_discovery_endpoint_verification_jwks(metadata: dict[str, Any], https_browser: FlaskClient) -> None:
    response = https_browser.get(urlsplit(metadata["jwks_uri"]).path)
    assert response.mimetype == "application/json"
    keys = KeySet.import_key_set(response.json)
    assert {key.get("use") for key in keys.keys} == {"sig"}
    assert len({key.kid for key in keys.keys}) == len(keys.keys)
    assert not any(key.is_private for key in keys.keys)
    private_members = {"d", "p", "q", "dp", "dq", "qi", "k"}
    assert not any(private_members & set(jwk) for jwk in response.json["keys"])
    listed = {jwk["alg"] for jwk in response.json["keys"]}
    assert set(metadata["id_token_signing_alg_values_supported"]) <= listed
    for jwk in response.json["keys"]:
        if jwk["kty"] == "RSA":
            assert len(base64.urlsafe_b64decode(jwk["n"] + "==")) * 8 >= 2048


def test_oidcc_discovery_says_what_the_settings_say(metadata: dict[str, Any], in_force: Settings) -> None:
    assert ("registration_endpoint" in metadata) is (in_force.dynamic_registration != "off")
    assert ("registration_page" in metadata) is (in_force.registration != "closed")
    assert ("create" in metadata["prompt_values_supported"]) is (in_force.registration != "closed")
