"""Access tokens for certain APIs (RFC 8707), and what an API may ask about them (RFC 7662)."""

import pytest

from tests.relying_party import error_of

TEA, COFFEE, MILK = "https://tea.example.org/api", "https://coffee.example.org/api", "urn:example:milk"
SERVICE = {"grant_types": ("client_credentials",), "redirect_uris": ()}
DEAD = {"active": False}


@pytest.fixture(params=["opaque", "jwt"])
def shopper(relying_party, ada, settings, request):
    """An app that may get tokens for three APIs and for this provider, of either format."""
    own = settings.issuer
    return relying_party(resources=(TEA, COFFEE, MILK, own), access_token_format=request.param)


@pytest.fixture
def tea(relying_party):
    """The API for tea, which asks about the tokens that it is called with."""
    return relying_party(protected_resources=(TEA,), **SERVICE)


def code_for(rp, *resources, **changes):
    """Authorize for some APIs; the parameter comes more than once."""
    parameters = [*rp.authorization_parameters(**changes).items(), *(("resource", each) for each in resources)]
    return rp.authorize(sent=rp.browser.get(rp.path("authorization_endpoint"), query_string=parameters)).code


def redeem(rp, code, *resources):
    """Redeem a code for some APIs."""
    return rp.read_tokens(rp.request_tokens(code, resource=list(resources)), nonce=rp.nonce)


def audience(rp, token):
    """Return whom a token is for, as introspection has it."""
    told = rp.introspect(token)["aud"]
    return {told} if isinstance(told, str) else set(told)


def test_a_token_is_for_what_was_granted(shopper):
    tokens = redeem(shopper, code_for(shopper, TEA, COFFEE))
    assert audience(shopper, tokens.access_token) == {TEA, COFFEE}


def test_a_token_may_be_for_less(shopper):
    tokens = redeem(shopper, code_for(shopper, TEA, COFFEE, MILK), TEA, MILK)
    assert audience(shopper, tokens.access_token) == {TEA, MILK}


def test_without_a_resource_it_is_for_this_provider(shopper):
    tokens = shopper.log_in()
    assert audience(shopper, tokens.access_token) == {shopper.issuer}
    assert shopper.userinfo(tokens)


def test_a_grant_without_resources_is_for_this_provider_alone(shopper):
    assert redeem(shopper, shopper.authorize().code, shopper.issuer)
    response = shopper.request_tokens(shopper.ask().code, resource=TEA)
    assert error_of(response) == "invalid_target"


@pytest.mark.parametrize("resource", [COFFEE, "https://tea.example.org", TEA + "/", TEA + "#x", "é", '"', "x" * 500])
def test_no_more_than_was_granted_may_be_had(shopper, resource):
    response = shopper.request_tokens(code_for(shopper, TEA), resource=resource)
    assert response.status_code == 400
    assert error_of(response) == "invalid_target"


def test_refreshing_may_change_the_api(shopper):
    first = redeem(shopper, code_for(shopper, TEA, COFFEE, scope="openid offline_access"), TEA)
    second = shopper.refresh(first.refresh_token, resource=COFFEE)
    assert audience(shopper, second.access_token) == {COFFEE}
    response = shopper.request_refresh(second.refresh_token, resource=MILK)
    assert error_of(response) == "invalid_target"
    third = shopper.refresh(second.refresh_token)  # nothing was lost
    assert audience(shopper, third.access_token) == {TEA, COFFEE}


def test_a_token_for_another_api_opens_nothing_here(shopper):
    """RFC 9700 section 2.3: what an API was shown must not open userinfo or the account."""
    token = redeem(shopper, code_for(shopper, TEA, scope="openid account")).access_token
    for path in ("/oauth/userinfo", "/api/v1/me"):
        response = shopper.browser.get(path, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 401
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_a_token_for_an_api_and_for_this_provider_opens_both(shopper, tea):
    tokens = redeem(shopper, code_for(shopper, TEA, shopper.issuer))
    assert shopper.userinfo(tokens)
    assert tea.introspect(tokens.access_token)["active"] is True


def test_ten_long_resources_make_a_token_that_works(relying_party, ada):
    many = tuple(f"https://{'x' * 470}.example.org/{number}" for number in range(10))
    rp = relying_party(resources=many)
    tokens = redeem(rp, code_for(rp, *many))
    assert audience(rp, tokens.access_token) == set(many)


# -- A client's own tokens ----------------------------------------------------------------


@pytest.mark.parametrize("form", ["opaque", "jwt"])
def test_a_client_s_own_token_is_for_what_it_asks(relying_party, form):
    rp = relying_party(resources=(TEA,), access_token_format=form, **SERVICE)
    token = rp.post("token_endpoint", grant_type="client_credentials", resource=TEA).json["access_token"]
    assert audience(rp, token) == {TEA}
    plain = rp.post("token_endpoint", grant_type="client_credentials").json["access_token"]
    assert audience(rp, plain) == {rp.issuer}
    response = rp.post("token_endpoint", grant_type="client_credentials", resource=COFFEE)
    assert error_of(response) == "invalid_target"


# -- What an API may ask ------------------------------------------------------------------


def test_an_api_hears_of_tokens_that_are_for_it(shopper, tea, ada):
    tokens = redeem(shopper, code_for(shopper, TEA, COFFEE))
    answer = tea.introspect(tokens.access_token)
    assert answer["active"] is True
    assert answer["client_id"] == shopper.metadata.client_id
    assert answer["sub"] == ada.id
    assert TEA in answer["aud"]
    assert not {"username", "sid"} & set(answer)  # it needs no more


def test_an_api_hears_of_nothing_else(shopper, tea):
    tokens = redeem(shopper, code_for(shopper, COFFEE, scope="openid offline_access"))
    assert tea.introspect(tokens.access_token) == DEAD
    assert tea.introspect(shopper.log_in().access_token) == DEAD
    assert tea.introspect(tokens.refresh_token) == DEAD


def test_to_ask_for_an_api_is_not_to_be_it(shopper, relying_party):
    """`resources` says what a client may get tokens for; only `protected_resources` says what it is."""
    other = relying_party(resources=(TEA,), **SERVICE)
    assert other.introspect(redeem(shopper, code_for(shopper, TEA)).access_token) == DEAD


def test_an_api_cannot_give_back_what_is_not_its_own(shopper, tea):
    token = redeem(shopper, code_for(shopper, TEA)).access_token
    assert error_of(tea.post("revocation_endpoint", token=token)) == "invalid_grant"
    assert tea.introspect(token)["active"] is True
