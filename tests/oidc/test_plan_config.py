"""The OpenID Foundation's Config OP plan."""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from joserfc.jwk import KeySet


@pytest.fixture
def https_browser(settings, make_app):
    """A browser in front of a provider with TLS."""
    return make_app(replace(settings, issuer="https://login.example.org")).test_client()


def test_oidcc_discovery_endpoint_verification(https_browser):
    response = https_browser.get("/.well-known/openid-configuration")
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    metadata = response.json
    assert metadata["issuer"] == "https://login.example.org"
    endpoints = {name: url for name, url in metadata.items() if name.endswith(("_endpoint", "_uri"))}
    assert {"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} <= set(endpoints)
    assert {urlsplit(url).scheme for url in endpoints.values()} == {"https"}
    assert "RS256" in metadata["id_token_signing_alg_values_supported"]
    assert metadata["subject_types_supported"]
    assert {"code"} <= set(metadata["response_types_supported"])
    assert None not in metadata.values()


def test_oidcc_discovery_endpoint_verification_jwks(https_browser):
    metadata = https_browser.get("/.well-known/openid-configuration").json
    response = https_browser.get(urlsplit(metadata["jwks_uri"]).path)
    assert response.mimetype == "application/json"
    keys = KeySet.import_key_set(response.json)
    assert {key.get("use") for key in keys.keys} == {"sig"}
    assert len({key.kid for key in keys.keys}) == len(keys.keys)
    assert not any(key.is_private for key in keys.keys)
    private_members = {"d", "p", "q", "dp", "dq", "qi", "k"}
    assert not any(private_members & set(jwk) for jwk in response.json["keys"])
