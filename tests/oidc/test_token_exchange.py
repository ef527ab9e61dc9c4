"""An access token for one with less in it, or for another API (RFC 8693)."""

import json

import pytest
from joserfc.jwk import ECKey

from idp.oidc.clients import TOKEN_EXCHANGE_GRANT
from idp.oidc.grants.token_exchange import EXCHANGES_MOST
from tests.relying_party import error_of

TEA, COFFEE = "https://tea.example.org/api", "https://coffee.example.org/api"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
KEY, OTHER_KEY = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")


@pytest.fixture(params=["opaque", "jwt"])
def form(request):
    """Each format of access tokens."""
    return request.param


@pytest.fixture
def app_(relying_party, ada, form):
    """An app that people sign in to, and that may exchange its tokens."""
    grants = ("authorization_code", "refresh_token", "client_credentials", TOKEN_EXCHANGE_GRANT)
    return relying_party(grant_types=grants, resources=(TEA,), access_token_format=form)


@pytest.fixture
def tea(relying_party, form):
    """An API that calls another one for the people who call it."""
    return relying_party(
        grant_types=(TOKEN_EXCHANGE_GRANT,),
        redirect_uris=(),
        protected_resources=(TEA,),
        resources=(COFFEE,),
        scopes=("openid", "email"),
        access_token_format=form,
    )


@pytest.fixture
def coffee(relying_party):
    """The API that is called in turn."""
    return relying_party(
        grant_types=("client_credentials",), redirect_uris=(), protected_resources=(COFFEE,), scopes=()
    )


def request_exchange(rp, token, **changes):
    """Ask for an exchange."""
    form = {
        "grant_type": TOKEN_EXCHANGE_GRANT,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        **changes,
    }
    return rp.post("token_endpoint", **form)


def exchange(rp, token, **changes):
    """Exchange a token; returns the answer, checked (section 2.2.1)."""
    response = request_exchange(rp, token, **changes)
    assert response.status_code == 200, response.text
    assert "no-store" in response.headers["Cache-Control"]
    answer = response.json
    assert answer["issued_token_type"] == ACCESS_TOKEN
    assert answer["token_type"] == ("DPoP" if rp.dpop_key else "Bearer")
    assert not {"id_token", "refresh_token"} & set(answer)
    assert answer["access_token"] != token
    return answer


def refused(response, error):
    """It is refused."""
    assert response.status_code == 400, response.text
    assert error_of(response) == error


def test_what_an_app_asked_for_by_name_is_not_for_an_api_that_it_calls(app_, relying_party, settings):
    api = relying_party(
        grant_types=(TOKEN_EXCHANGE_GRANT,),
        redirect_uris=(),
        protected_resources=(TEA,),
        resources=(settings.issuer,),
        scopes=("openid",),
    )
    tokens = app_.log_in(scope="openid", resource=TEA, claims=json.dumps({"userinfo": {"email": None}}))
    token = exchange(api, tokens.access_token, resource=settings.issuer)["access_token"]
    told = api.browser.get("/oauth/userinfo", headers={"Authorization": f"Bearer {token}"}).json
    assert set(told) == {"sub"}


# -- A client's own tokens ----------------------------------------------------------------


def test_a_token_with_less_in_it(app_):
    tokens = app_.log_in(scope="openid email profile offline_access")
    answer = exchange(app_, tokens.access_token, scope="openid email")
    assert answer["scope"] == "openid email"
    told = app_.introspect(answer["access_token"])
    assert told["scope"] == "openid email"
    assert told["sub"] == tokens.claims["sub"]
    assert app_.introspect(tokens.access_token)["scope"] == "openid email profile offline_access"


def test_a_token_for_another_api(app_):
    token = app_.log_in(scope="openid email").access_token
    answer = exchange(app_, token, resource=TEA)
    assert app_.introspect(answer["access_token"])["aud"] in (TEA, [TEA])
    assert app_.request_userinfo(answer["access_token"]).status_code == 401
    assert exchange(app_, token, audience=TEA)


def test_what_is_not_said_stays_as_it_is(app_):
    tokens = app_.log_in(scope="openid email offline_access")
    answer = exchange(app_, tokens.access_token)
    assert answer["scope"] == "openid email"  # a token of an exchange is never refreshed
    assert app_.request_userinfo(answer["access_token"]).status_code == 200


def test_a_client_s_own_token_may_be_exchanged(app_):
    own = app_.post("token_endpoint", grant_type="client_credentials").json["access_token"]
    assert app_.introspect(exchange(app_, own, resource=TEA)["access_token"])["aud"] in (TEA, [TEA])


@pytest.mark.parametrize("scope", ["openid email", "email account", "unknown", '"'])
def test_no_scope_more_than_was_brought(app_, scope):
    refused(request_exchange(app_, app_.log_in(scope="openid").access_token, scope=scope), "invalid_scope")


@pytest.mark.parametrize("name", ["resource", "audience"])
@pytest.mark.parametrize("target", [COFFEE, [TEA, COFFEE], "somebody", '"', "é"], ids=str)
def test_no_other_target_than_is_allowed(app_, name, target):
    token = app_.log_in().access_token
    refused(request_exchange(app_, token, **{name: target}), "invalid_target")


def test_what_is_for_an_api_cannot_be_turned_back_to_this_provider(app_):
    token = exchange(app_, app_.log_in(scope="openid account").access_token, resource=TEA)["access_token"]
    refused(request_exchange(app_, token, resource=app_.issuer), "invalid_target")


def test_never_a_second_longer(app_, clock, settings):
    tokens = app_.log_in()
    clock.advance(settings.access_token_lifetime - 10)
    answer = exchange(app_, tokens.access_token)
    assert answer["expires_in"] == 10
    again = exchange(app_, answer["access_token"])
    assert again["expires_in"] == 10
    clock.advance(10)
    assert app_.introspect(again["access_token"]) == {"active": False}
    refused(request_exchange(app_, tokens.access_token), "invalid_request")


def test_it_ends_with_the_grant(app_):
    tokens = app_.log_in()
    token = exchange(app_, tokens.access_token)["access_token"]
    app_.log_out(tokens.id_token)
    assert app_.introspect(token) == {"active": False}


def test_it_ends_with_the_token_that_was_brought(app_):
    first, other = app_.log_in().access_token, app_.redeem(app_.ask().code).access_token
    second = exchange(app_, first)["access_token"]
    third = exchange(app_, second)["access_token"]
    app_.revoke(first)
    for token in (first, second, third):
        assert app_.introspect(token) == {"active": False}
    for token in (other, exchange(app_, other)["access_token"]):
        assert app_.introspect(token)["active"] is True


def test_to_give_it_back_leaves_what_was_brought(app_):
    first = app_.log_in().access_token
    second = exchange(app_, first)["access_token"]
    third = exchange(app_, second)["access_token"]
    app_.revoke(second)
    assert app_.introspect(third) == {"active": False}
    assert app_.introspect(first)["active"] is True


def test_a_client_s_own_token_takes_with_it_what_came_of_it(app_):
    own = app_.post("token_endpoint", grant_type="client_credentials").json["access_token"]
    token = exchange(app_, own)["access_token"]
    assert app_.introspect(token)["active"] is True
    app_.revoke(own)
    assert app_.introspect(token) == {"active": False}


def test_there_is_an_end_to_exchanging(app_):
    token = app_.log_in().access_token
    for _ in range(EXCHANGES_MOST):
        token = exchange(app_, token)["access_token"]
    refused(request_exchange(app_, token), "invalid_request")


# -- An API and the tokens that it is called with -----------------------------------------


def test_an_api_calls_another_one(app_, tea, coffee):
    token = app_.log_in(scope="openid email profile", resource=TEA).access_token
    answer = exchange(tea, token, resource=COFFEE)
    assert answer["scope"] == "openid email"  # what both the token and the API may
    told = coffee.introspect(answer["access_token"])
    assert told["active"] is True
    assert told["client_id"] == tea.metadata.client_id
    assert told["aud"] in (COFFEE, [COFFEE])
    assert app_.introspect(answer["access_token"]) == {"active": False}  # it is no longer the app's


def test_what_an_api_exchanged_ends_with_the_app_s_grant(app_, tea, coffee):
    tokens = app_.log_in(resource=TEA)
    token = exchange(tea, tokens.access_token, resource=COFFEE)["access_token"]
    app_.log_out(tokens.id_token)
    assert coffee.introspect(token) == {"active": False}


def test_what_an_api_exchanged_ends_with_the_api(app_, tea, coffee, db):
    from idp.accounts.visitor import OPERATOR
    from idp.oidc.client_store import remove_client

    token = exchange(tea, app_.log_in(resource=TEA).access_token, resource=COFFEE)["access_token"]
    remove_client(db, OPERATOR, tea.metadata.client_id)
    db.commit()
    assert coffee.introspect(token) == {"active": False}


def test_an_api_cannot_use_what_is_not_for_it(app_, tea):
    refused(request_exchange(tea, app_.log_in().access_token, resource=COFFEE), "invalid_request")


def test_an_api_gets_in_nowhere_else(app_, tea):
    token = app_.log_in(scope="openid account", resource=TEA).access_token
    refused(request_exchange(tea, token), "invalid_target")
    refused(request_exchange(tea, token, resource=app_.issuer), "invalid_target")
    refused(request_exchange(tea, token, resource=TEA), "invalid_target")
    refused(request_exchange(tea, token, resource=COFFEE, scope="openid account"), "invalid_scope")


def test_an_api_that_may_have_nothing_of_it_gets_nothing(app_, relying_party):
    """A token of no scope would pass for one of all that the grant permits."""
    api = relying_party(
        grant_types=(TOKEN_EXCHANGE_GRANT,),
        redirect_uris=(),
        protected_resources=(TEA,),
        resources=(COFFEE,),
        scopes=("phone",),
    )
    token = app_.log_in(scope="openid email", resource=TEA).access_token
    refused(request_exchange(api, token, resource=COFFEE), "invalid_scope")


def test_a_client_s_own_token_is_nobody_s_to_use(app_, tea):
    own = app_.post("token_endpoint", grant_type="client_credentials", resource=TEA).json["access_token"]
    assert tea.introspect(own)["active"] is True
    refused(request_exchange(tea, own, resource=COFFEE), "invalid_request")


def test_another_app_cannot_use_a_stolen_token(app_, relying_party):
    thief = relying_party(grant_types=("authorization_code", TOKEN_EXCHANGE_GRANT), resources=(TEA,))
    refused(request_exchange(thief, app_.log_in(resource=TEA).access_token), "invalid_request")


# -- Keys ---------------------------------------------------------------------------------


def test_a_bound_token_does_not_come_loose(app_):
    app_.dpop_key = KEY
    token = app_.log_in().access_token
    answer = exchange(app_, token)
    assert app_.introspect(answer["access_token"])["cnf"] == {"jkt": KEY.thumbprint()}
    for key in (None, OTHER_KEY):
        app_.dpop_key = key
        refused(request_exchange(app_, token), "invalid_request")


def test_an_api_binds_a_bound_token_to_its_own_key(app_, tea):
    app_.dpop_key = KEY
    token = app_.log_in(resource=TEA).access_token
    refused(request_exchange(tea, token, resource=COFFEE), "invalid_request")
    tea.dpop_key = OTHER_KEY
    answer = exchange(tea, token, resource=COFFEE)
    assert tea.introspect(answer["access_token"])["cnf"] == {"jkt": OTHER_KEY.thumbprint()}


# -- What is not supported ----------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_token": None},
        {"subject_token_type": None},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"requested_token_type": '"'},
        {"actor_token": "x", "actor_token_type": ACCESS_TOKEN},
        {"actor_token_type": ACCESS_TOKEN},
        {"subject_token": "nonsense"},
        {"subject_token": "a.b.c"},
    ],
    ids=range(10),
)
def test_what_is_not_supported_is_said(app_, changes):
    refused(request_exchange(app_, app_.log_in().access_token, **changes), "invalid_request")


@pytest.mark.parametrize("kind", ["id_token", "refresh_token"])
def test_other_tokens_are_no_access_tokens(app_, kind):
    tokens = app_.log_in(scope="openid offline_access")
    refused(request_exchange(app_, tokens.response[kind]), "invalid_request")


def test_a_client_is_registered_for_it(relying_party, ada):
    rp = relying_party()
    refused(request_exchange(rp, rp.log_in().access_token), "unauthorized_client")
    assert TOKEN_EXCHANGE_GRANT in rp.discovery["grant_types_supported"]
