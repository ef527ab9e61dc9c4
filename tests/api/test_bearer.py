"""Who may call: tokens of this provider, alive, for the right one, with the right scope."""

import pytest

from idp.web.api import ROUTES
from tests.api.conftest import Api, refusal

CALLS = [(method, path.replace("<code_id>", "x")) for method, path, _ in ROUTES if path != "/openapi.json"]
OF_PEOPLE = [call for call in CALLS if call[1].startswith("/me")]
OF_APPS = [call for call in CALLS if not call[1].startswith("/me")]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_a_token(nobody, method, path):
    response = nobody.call(method, path, {} if method != "GET" else None)
    assert refusal(response) == (401, "missing_token")
    assert "error=" not in response.headers["WWW-Authenticate"]
    assert "scope=" in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_with_a_token_that_is_none(app, method, path):
    response = Api(app, "idp_at_nonsense").call(method, path)
    assert refusal(response) == (401, "invalid_token")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", "Bearer ", "bearer\t", "idp_at_x", "Bearer a b", "Bearer é"]
)
def test_headers_that_are_none(nobody, header):
    response = nobody.call("GET", "/me", Authorization=header)
    assert response.status_code == 401


def test_a_token_elsewhere_does_not_count(nobody, as_ada):
    assert nobody.call("GET", f"/me?access_token={as_ada.token}").status_code == 401
    sent = nobody.send("POST", "/me/password", data={"access_token": as_ada.token})
    assert sent.status_code == 401


def test_a_browser_session_does_not_count(app, tea_house, ada):
    tea_house.log_in("ada")
    assert tea_house.browser.get("/account").status_code == 200
    assert tea_house.browser.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize(("method", "path"), OF_PEOPLE)
def test_an_app_is_no_person(registrar, method, path):
    response = registrar.call(method, path, {} if method != "GET" else None)
    assert refusal(response) == (403, "insufficient_scope")
    assert 'scope="account"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize(("method", "path"), OF_APPS)
def test_a_person_is_no_app(as_ada, method, path):
    assert refusal(as_ada.call(method, path, {} if method != "GET" else None)) == (403, "insufficient_scope")


@pytest.mark.parametrize(("method", "path"), OF_PEOPLE)
def test_a_persons_token_without_the_scope(app, tea_house, ada, method, path):
    tokens = tea_house.log_in("ada", scope="openid profile")
    response = Api(app, tokens.access_token).call(method, path, {} if method != "GET" else None)
    assert refusal(response) == (403, "insufficient_scope")


def test_each_scope_opens_its_own_doors(registrar, recoverer, trusted):
    for path in ("/recovery/password", "/recovery/username"):
        assert refusal(registrar.call("POST", path, {})) == (403, "insufficient_scope")
    for caller in (recoverer, trusted):
        assert refusal(caller.call("POST", "/users", {})) == (403, "insufficient_scope")
        assert refusal(caller.call("GET", "/registration")) == (403, "insufficient_scope")


@pytest.mark.parametrize("scope", ["registration", "recovery", "recovery:password"])
def test_a_client_without_the_grant_of_the_operator_gets_no_such_token(relying_party, scope):
    client = relying_party(grant_types=("client_credentials",), redirect_uris=(), scopes=("openid",))
    response = client.post("token_endpoint", grant_type="client_credentials", scope=scope)
    assert response.status_code == 400
    assert response.json["error"] == "invalid_scope"


def test_a_scope_that_was_taken_back_counts_no_more(registrar, tea_house, db):
    from sqlalchemy import update

    from idp.models import Client

    assert registrar.call("GET", "/registration").status_code == 200
    db.execute(
        update(Client)
        .where(Client.client_id == tea_house.metadata.client_id)
        .values(scopes=["openid"], version=Client.version + 1)
    )
    db.commit()
    assert refusal(registrar.call("GET", "/registration")) == (401, "invalid_token")


def test_a_token_dies(registrar, as_ada, tea_house, db, ada, clock, settings):
    from idp.accounts import users
    from idp.accounts.visitor import OPERATOR

    tea_house.revoke(registrar.token)
    assert refusal(registrar.call("GET", "/registration")) == (401, "invalid_token")
    assert as_ada.call("GET", "/me").status_code == 200
    users.disable_user(db, OPERATOR, ada.id)
    db.commit()
    assert refusal(as_ada.call("GET", "/me")) == (401, "invalid_token")


def test_a_token_expires(registrar, clock, settings):
    clock.advance(settings.access_token_lifetime)
    assert refusal(registrar.call("GET", "/registration")) == (401, "invalid_token")


def test_other_methods_and_paths_are_refused(as_ada):
    assert refusal(as_ada.call("DELETE", "/me")) == (405, "method_not_allowed")
    response = as_ada.call("OPTIONS", "/me")
    assert refusal(response) == (405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "PATCH"}
    assert refusal(as_ada.call("GET", "/you")) == (404, "not_found")
    assert as_ada.call("HEAD", "/me").status_code == 200


def test_what_an_app_does_is_written_down_as_the_apps(registrar, tea_house, db):
    from idp.accounts import audit

    person = {"email": "eve@example.org", "username": "eve", "password": "seven purple elephants juggle"}
    assert registrar.call("POST", "/users", person).status_code == 202
    created = audit.list_events(db, event="account:user:create")[0]
    assert created.actor == f"client:{tea_house.metadata.client_id}"[:40]
    assert created.address == "127.0.0.1"
