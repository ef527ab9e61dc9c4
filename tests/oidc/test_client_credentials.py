"""Client credentials: an app acts for itself."""

import pytest

from idp.accounts.visitor import OPERATOR
from idp.oidc import token_status
from idp.oidc.client_store import remove_client
from tests.relying_party import error_of


@pytest.fixture
def service(relying_party):
    """An app without people."""
    return relying_party(grant_types=("client_credentials",), redirect_uris=(), client_name="Nightly job")


def token_of(rp, **form):
    """Ask for a token of the app's own."""
    response = rp.post("token_endpoint", grant_type="client_credentials", **form)
    assert response.status_code == 200, response.text
    return response.json


def test_it_gives_an_access_token_and_nothing_else(service):
    response = service.post("token_endpoint", grant_type="client_credentials")
    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]
    assert set(response.json) == {"access_token", "token_type", "expires_in"}
    assert response.json["token_type"] == "Bearer"


def test_the_token_stands_for_the_client(service):
    answer = service.introspect(token_of(service)["access_token"])
    assert answer["active"] is True
    assert answer["sub"] == answer["client_id"] == service.metadata.client_id
    assert "username" not in answer
    assert "scope" not in answer


def test_the_token_stands_for_no_person(service):
    token = token_of(service)["access_token"]
    response = service.request_userinfo(token)
    assert response.status_code == 403
    assert error_of(response) == "insufficient_scope"
    response = service.browser.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 403


@pytest.mark.parametrize("scope", ["openid", "profile", "offline_access", "account", "roles", "unknown", 'quo"te'])
def test_scopes_that_speak_of_a_person_are_refused(relying_party, scope):
    rp = relying_party(grant_types=("authorization_code", "refresh_token", "client_credentials"))
    response = rp.post("token_endpoint", grant_type="client_credentials", scope=scope)
    assert response.status_code == 400
    assert error_of(response) == "invalid_scope"


def test_a_client_without_the_grant_is_refused(rp):
    response = rp.post("token_endpoint", grant_type="client_credentials")
    assert response.status_code == 400
    assert error_of(response) == "unauthorized_client"


def test_a_public_client_is_refused(public_rp):
    response = public_rp.post("token_endpoint", grant_type="client_credentials")
    assert response.status_code == 400
    assert error_of(response) == "invalid_client"


def test_the_token_can_be_given_back(service):
    token = token_of(service)["access_token"]
    service.revoke(token)
    assert service.introspect(token) == {"active": False}


def test_the_token_expires(service, clock, settings):
    token = token_of(service)["access_token"]
    clock.advance(settings.access_token_lifetime)
    assert service.introspect(token) == {"active": False}


def test_the_token_dies_with_its_client(service, app, db):
    provider = app.extensions["idp_provider"]
    token = token_of(service)["access_token"]
    assert token_status.find_active_token(db, provider, token)
    remove_client(db, OPERATOR, service.metadata.client_id)
    db.commit()
    assert token_status.find_active_token(db, provider, token) is None
    assert service.post("introspection_endpoint", token=token).status_code == 401


# -- Scopes that speak of no person ---------------------------------------------------------

OF_CLIENTS = ("registration", "recovery", "recovery:password")


@pytest.fixture
def helper(relying_party):
    """An app that registers people and recovers their accounts."""
    return relying_party(
        grant_types=("authorization_code", "client_credentials"), scopes=("openid", "account", *OF_CLIENTS)
    )


def test_without_a_scope_it_gets_all_of_its_own(helper):
    assert token_of(helper)["scope"].split() == list(OF_CLIENTS)


@pytest.mark.parametrize("scope", OF_CLIENTS)
def test_it_gets_the_one_that_it_asks_for(helper, scope):
    token = token_of(helper, scope=scope)
    assert token["scope"] == scope
    assert helper.introspect(token["access_token"])["scope"] == scope


@pytest.mark.parametrize("scope", OF_CLIENTS)
def test_what_the_operator_did_not_grant_is_refused(relying_party, scope):
    granted = tuple(each for each in OF_CLIENTS if each != scope)
    party = relying_party(grant_types=("client_credentials",), redirect_uris=(), scopes=granted)
    response = party.post("token_endpoint", grant_type="client_credentials", scope=scope)
    assert error_of(response) == "invalid_scope"


@pytest.mark.parametrize("scope", OF_CLIENTS)
def test_no_person_can_grant_them(helper, make_user, scope):
    make_user("ada")
    assert helper.ask(scope=f"openid {scope}").error == "invalid_scope"
