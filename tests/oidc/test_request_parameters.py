"""The finer parameters of a request: claims with values, acr, what a registration says, resources, keys."""

import json
from urllib.parse import urlencode

import pytest

from idp.oidc import carried_codes, codes
from idp.oidc.subjects import subject_of

API = "https://api.example.org/"
MAIL = "https://mail.example.org/v1?tenant=1"
JKT = "A" * 43


def grant_of(settings, rp, answer):
    """Return what a code stands for."""
    client_id = rp.metadata.client_id
    return carried_codes.read(settings.secret_key, client_id, answer.code.removeprefix(codes.PREFIX))


# -- resource (RFC 8707) -----------------------------------------------------------------------


@pytest.fixture
def caller(relying_party, ada):
    """An app that may ask for tokens for two APIs."""
    return relying_party(resources=(API, MAIL))


def send_resources(rp, *resources):
    """Send an authorization request with any number of resources."""
    pairs = [*rp.authorization_parameters().items(), *(("resource", each) for each in resources)]
    return rp.browser.get("/oauth/authorize", query_string=urlencode(pairs))


@pytest.mark.parametrize("asked", [(API,), (API, MAIL), (MAIL, API, MAIL)])
def test_resources_are_kept_with_the_grant(caller, settings, asked):
    answer = caller.authorize(sent=send_resources(caller, *asked))  # by a page: several are parked, too
    assert grant_of(settings, caller, answer)["resources"] == list(dict.fromkeys(asked))
    again = caller.read_answer(send_resources(caller, *asked))
    assert grant_of(settings, caller, again)["resources"] == list(dict.fromkeys(asked))


def test_resources_may_be_pushed(caller, settings):
    pairs = [*caller.authorization_parameters().items(), ("resource", API), ("resource", MAIL)]
    form = [*pairs, ("client_secret", caller.secret)]
    response = caller.browser.post("/oauth/par", data=urlencode(form), content_type="application/x-www-form-urlencoded")
    answer = caller.authorize(sent=caller.send_pushed(response.json["request_uri"]))
    assert grant_of(settings, caller, answer)["resources"] == [API, MAIL]


@pytest.mark.parametrize(
    "resource",
    [
        "https://other.example.org/",
        "https://api.example.org",  # not to the letter
        "https://API.example.org/",
        "https://api.example.org/#part",
        "https://api.example.org/#",
        "api.example.org",
        "/relative",
        "//api.example.org/",
        "https:",
        "https://[",
        '"',
        "é",
    ],
)
def test_a_resource_that_the_app_may_not_ask_for(caller, resource):
    assert caller.read_answer(send_resources(caller, API, resource)).error == "invalid_target"


def test_no_more_resources_than_ten(caller):
    many = [f"https://api.example.org/{number}" for number in range(11)]
    assert caller.read_answer(send_resources(caller, *many)).error == "invalid_target"


def test_who_asks_for_none_gets_none(caller, settings):
    assert grant_of(settings, caller, caller.authorize())["resources"] == []


# -- dpop_jkt (RFC 9449 section 10) -----------------------------------------------------------------


def test_the_key_that_a_code_is_bound_to_is_kept(rp, settings):
    assert grant_of(settings, rp, rp.authorize(dpop_jkt=JKT))["dpop_jkt"] == JKT


@pytest.mark.parametrize("dpop_jkt", ["A" * 42, "A" * 44, "A" * 42 + "=", "A" * 42 + "é", "A" * 42 + "\n", "none"])
def test_what_is_no_thumbprint_is_refused(rp, dpop_jkt):
    answer = rp.ask(dpop_jkt=dpop_jkt)
    assert answer.error == "invalid_request"
    assert "dpop_jkt" in answer.parameters["error_description"]


# -- claims (OIDC Core section 5.5) -------------------------------------------------------------------


@pytest.mark.parametrize(
    "demand",
    [{"essential": "yes"}, {"essential": 1}, {"values": "ada"}, {"values": {"a": 1}}, "ada", 7, [1], True],
)
@pytest.mark.parametrize("place", ["id_token", "userinfo"])
def test_a_demand_of_the_wrong_form_is_refused(rp, place, demand):
    answer = rp.ask(claims=json.dumps({place: {"email": demand}}))
    assert answer.error == "invalid_request"
    assert place in answer.parameters["error_description"]


@pytest.mark.parametrize(
    "demand",
    [None, {}, {"essential": True}, {"essential": False}, {"value": "x@example.org"}, {"values": ["a", "b"]}, {"x": 1}],
)
def test_a_claim_comes_as_it_is_whatever_value_was_wished_for(rp, demand):
    """Section 5.5.1: a value that cannot be met is no error, and never made up."""
    tokens = rp.log_in(claims=json.dumps({"id_token": {"email": demand}, "userinfo": {"name": demand}}))
    assert tokens.claims["email"] == "ada@example.org"
    assert rp.userinfo(tokens)["name"] == "Ada Lovelace"


def test_an_essential_claim_that_nobody_has_told_is_left_out(rp):
    tokens = rp.log_in(claims=json.dumps({"id_token": {"birthdate": {"essential": True}, "made_up": None}}))
    assert not {"birthdate", "made_up"} & set(tokens.claims)


def test_auth_time_is_always_there(rp):
    assert "auth_time" in rp.log_in(claims=json.dumps({"id_token": {"auth_time": {"essential": True}}})).claims


@pytest.mark.parametrize(
    ("make", "is_met"),
    [
        (lambda ada: {"values": ["nobody", ada.id]}, True),
        (lambda ada: {"value": ada.id, "values": []}, True),
        (lambda _: {"values": []}, True),
        (lambda _: {"values": ["nobody"]}, False),
        (lambda _: {"values": [7, None]}, False),
    ],
)
def test_a_sub_may_be_one_of_several(rp, ada, make, is_met):
    rp.log_in()
    answer = rp.ask(prompt="none", claims=json.dumps({"id_token": {"sub": make(ada)}}))
    assert answer.error == (None if is_met else "login_required")


# -- Pairwise subjects (section 8) ----------------------------------------------------------------------


@pytest.fixture
def pairwise(relying_party, ada):
    """An app that knows people by subjects of its own."""
    return relying_party(subject_type="pairwise")


def test_a_sub_claim_names_the_person_as_the_app_knows_them(pairwise, ada, settings):
    own = subject_of(settings, pairwise.metadata, ada.id)
    assert pairwise.log_in().claims["sub"] == own != ada.id
    wish = json.dumps({"id_token": {"sub": {"value": own}}})
    assert pairwise.ask(prompt="none", claims=wish).code
    wish = json.dumps({"id_token": {"sub": {"value": ada.id}}})
    assert pairwise.ask(prompt="none", claims=wish).error == "login_required"


def test_a_hint_names_the_person_as_the_app_knows_them(pairwise, make_user):
    make_user("bob")
    tokens = pairwise.log_in()
    assert pairwise.ask(prompt="none", id_token_hint=tokens.id_token).code
    page = pairwise.sign_in_page(prompt="login", id_token_hint=tokens.id_token)
    assert 'value="ada"' in page.text  # it is Ada who is to prove herself again
    assert pairwise.read_answer(pairwise.sign_in(page, "bob")).error == "login_required"


# -- acr and amr ----------------------------------------------------------------------------------------


def test_they_say_how_somebody_signed_in(rp):
    claims = rp.log_in().claims
    assert (claims["acr"], claims["amr"]) == ("aal1", ["pwd"])


@pytest.mark.parametrize("acr_values", ["aal1", "aal3 aal1", "urn:nobody:offers:this", "é"])
def test_a_voluntary_acr_is_answered_with_what_was_reached(rp, acr_values):
    assert rp.log_in(acr_values=acr_values).claims["acr"] == "aal1"


def test_default_acr_values_are_voluntary_too(relying_party, ada):
    assert relying_party(default_acr_values=("aal1",)).log_in().claims["acr"] == "aal1"


def test_an_essential_acr_that_cannot_be_met_is_refused_in_every_mode(rp):
    wish = json.dumps({"id_token": {"acr": {"essential": True, "values": ["aal3"]}}})
    assert rp.authorize(claims=wish, response_mode="form_post").error == "unmet_authentication_requirements"
    assert rp.ask(claims=wish, prompt="none").error == "unmet_authentication_requirements"


# -- What a registration says beforehand ------------------------------------------------------------------


def test_default_max_age_counts_where_the_request_says_nothing(relying_party, ada, clock):
    rp = relying_party(default_max_age=100)
    first = rp.log_in()
    clock.advance(101)
    assert rp.ask(prompt="none").error == "login_required"
    assert rp.ask(prompt="none", max_age="1000").code
    assert rp.log_in().claims["auth_time"] > first.claims["auth_time"]


def test_require_auth_time_is_met(relying_party, ada):
    assert "auth_time" in relying_party(require_auth_time=True).log_in().claims


# -- What is accepted, and what is refused ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["display", "ui_locales", "claims_locales", "login_hint", "unknown", "x-y"])
@pytest.mark.parametrize("value", ["page", "fr-CA de", '"', "é", "\\"])
def test_hints_are_never_an_error(rp, name, value):
    rp.log_in()
    assert rp.ask(**{name: value}).code


@pytest.mark.parametrize("long", [{"nonce": "n" * 513}, {"state": "s" * 4_097}, {"login_hint": "x" * 16_384}])
def test_what_is_too_long_is_refused(rp, long):
    assert rp.read_answer(rp.send(**long)).error == "invalid_request"


def test_a_client_that_describes_itself_is_refused(rp):
    assert rp.ask(registration="{}").error == "registration_not_supported"
