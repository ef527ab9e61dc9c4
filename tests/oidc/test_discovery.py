"""The provider's metadata (OpenID Connect Discovery 1.0, RFC 8414) and public keys."""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from sqlalchemy import func, select

from idp.models import ParkedRequest
from idp.oidc.claims import _VALUES
from idp.oidc.clients import GRANTS_OF_RESPONSE_TYPES
from tests.relying_party import RelyingParty

OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"


@pytest.fixture
def metadata(client):
    """The document as it is served."""
    return client.get(OPENID).json


@pytest.fixture
def below_a_path(settings, make_app, make_client, make_user):
    """A provider whose issuer has a path, and an app of it."""
    make_user("ada")
    issuer = "http://localhost:8000/login/v1"
    app = make_app(replace(settings, issuer=issuer))
    post_logout = ("https://app.example.org/bye",)
    return RelyingParty(
        app.test_client(), issuer, *make_client(post_logout_redirect_uris=post_logout, is_trusted=False)
    )


def values_of(document):
    """Walk through all values of a JSON document."""
    if isinstance(document, dict):
        for value in document.values():
            yield from values_of(value)
    elif isinstance(document, list):
        for value in document:
            yield from values_of(value)
    else:
        yield document


@pytest.mark.parametrize("kind", [OpenIDProviderMetadata, AuthorizationServerMetadata])
def test_it_is_valid(settings, make_app, kind):
    https = make_app(replace(settings, issuer="https://login.example.org")).test_client()
    kind(https.get(OPENID).json).validate()


def test_nothing_is_null_or_empty(metadata):
    assert None not in list(values_of(metadata))
    assert "" not in list(values_of(metadata))
    assert [] not in metadata.values()


def test_both_well_known_documents_say_the_same(client, metadata):
    assert client.get(OAUTH).json == metadata


def test_every_endpoint_exists(client, metadata):
    for name, url in metadata.items():
        if name.endswith(("_endpoint", "jwks_uri")) and name != "account_api_endpoint":
            assert url.startswith("http://localhost:8000/")
            assert client.get(urlsplit(url).path).status_code != 404, name
            assert client.post(urlsplit(url).path).status_code != 404, name


def test_what_is_not_offered_is_not_promised(metadata):
    assert metadata["response_types_supported"] == ["code"]
    assert "implicit" not in metadata["grant_types_supported"]
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert "none" not in metadata["request_object_signing_alg_values_supported"]
    assert metadata["require_request_uri_registration"] is True
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["claims_parameter_supported"] is True
    assert "registration_endpoint" not in metadata


def test_implicit_and_hybrid_are_promised_where_they_are_on(settings, make_app):
    metadata = make_app(replace(settings, response_types="all")).test_client().get(OPENID).json
    assert metadata["response_types_supported"] == list(GRANTS_OF_RESPONSE_TYPES)
    assert "implicit" in metadata["grant_types_supported"]


def test_every_way_to_send_a_request_is_promised(metadata):
    assert metadata["response_modes_supported"] == ["query", "fragment", "form_post"]
    assert metadata["request_parameter_supported"] is True
    assert metadata["request_uri_parameter_supported"] is True
    assert metadata["pushed_authorization_request_endpoint"] == "http://localhost:8000/oauth/par"
    assert metadata["require_pushed_authorization_requests"] is False


def test_every_claim_that_is_promised_can_be_made(metadata):
    of_tokens = {"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "c_hash", "sid"}
    assert set(metadata["claims_supported"]) == of_tokens | set(_VALUES)


def test_prompt_create_is_promised_where_people_may_register(settings, make_app, metadata):
    assert "create" in metadata["prompt_values_supported"]
    closed = make_app(replace(settings, registration="closed")).test_client()
    assert "create" not in closed.get(OPENID).json["prompt_values_supported"]


@pytest.mark.parametrize("path", [OPENID, OAUTH, "/oauth/jwks"])
def test_documents_are_for_everybody_and_may_be_kept_a_while(client, path):
    response = client.get(path)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in response.headers


def test_the_host_of_a_request_is_not_believed(client):
    response = client.get(OPENID, headers={"Host": "evil.example.org", "X-Forwarded-Host": "evil.example.org"})
    assert "evil" not in response.text


def test_an_issuer_with_a_path(below_a_path):
    """Discovery stands behind the path, RFC 8414's document before it."""
    browser = below_a_path.browser
    metadata = browser.get("/login/v1" + OPENID).json
    assert metadata["issuer"] == "http://localhost:8000/login/v1"
    assert metadata["token_endpoint"] == "http://localhost:8000/login/v1/oauth/token"
    assert browser.get(OAUTH + "/login/v1").json == metadata
    assert browser.get(OAUTH + "/another").status_code == 404


def test_a_whole_journey_below_a_path(below_a_path, db):
    rp = below_a_path
    tokens = rp.log_in()
    assert db.scalar(select(func.count()).select_from(ParkedRequest)) == 1  # there was a page
    rp.userinfo(tokens)
    page = rp.request_logout(client_id=rp.metadata.client_id, post_logout_redirect_uri="https://app.example.org/bye")
    response = rp.submit(page, "logout-confirm")
    assert response.headers["Location"] == "https://app.example.org/bye"
