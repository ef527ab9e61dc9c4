"""Claims about a person: which ones are told where, and in what form (OIDC Core section 5)."""

import json

import pytest

from idp.models import AuthorizationGrant
from idp.oidc import scopes
from tests.factories import EVERY_CLAIM

EVERYTHING = "openid profile email address phone roles"


@pytest.fixture
def somebody(make_user):
    """A person who has filled in everything."""
    return make_user("ada", roles=("writer", "admin"), **EVERY_CLAIM)


@pytest.fixture
def nobody(make_user):
    """A person of whom next to nothing is known."""
    user = make_user("ada", given_name="", family_name="", is_email_verified=False)
    return user


def test_everything(relying_party, somebody):
    rp = relying_party()
    claims = rp.userinfo(rp.log_in(scope=EVERYTHING))
    assert claims == {
        "sub": somebody.id,
        "name": "Ada King Lovelace",
        "given_name": "Ada",
        "family_name": "Lovelace",
        "middle_name": "King",
        "nickname": "Countess",
        "preferred_username": "ada",
        "profile": "https://ada.example.org/about",
        "picture": "https://ada.example.org/portrait.png",
        "website": "https://ada.example.org/",
        "gender": "female",
        "birthdate": "1815-12-10",
        "zoneinfo": "Europe/London",
        "locale": "en-GB",
        "updated_at": somebody.updated_at,
        "email": "ada@example.org",
        "email_verified": True,
        "phone_number": "+44 20 7946 0000",
        "phone_number_verified": True,
        "address": {
            "street_address": "12 St James's Square",
            "locality": "London",
            "region": "Greater London",
            "postal_code": "SW1Y 4JH",
            "country": "United Kingdom",
            "formatted": "12 St James's Square\nSW1Y 4JH London\nGreater London\nUnited Kingdom",
        },
        "roles": ["admin", "writer"],
    }
    assert set(claims) == set(scopes.CLAIM_NAMES)


def test_what_is_not_known_is_left_out(relying_party, nobody):
    rp = relying_party()
    claims = rp.userinfo(rp.log_in(scope=EVERYTHING))
    assert claims == {
        "sub": nobody.id,
        "name": "ada",
        "preferred_username": "ada",
        "updated_at": nobody.updated_at,
        "email": "ada@example.org",
        "email_verified": False,
        "roles": [],
    }


def test_a_phone_number_that_nobody_checked(relying_party, make_user):
    make_user("ada", phone_number="+1 555 0100")
    rp = relying_party()
    claims = rp.userinfo(rp.log_in(scope="openid phone"))
    assert claims["phone_number_verified"] is False


def test_a_part_of_an_address(relying_party, make_user):
    make_user("ada", locality="Paris")
    rp = relying_party()
    assert rp.userinfo(rp.log_in(scope="openid address"))["address"] == {"locality": "Paris", "formatted": "Paris"}


def test_letters_of_all_scripts_arrive(relying_party, make_user):
    make_user("ada", given_name="Αδα", family_name="洛芙莱斯 😀")
    rp = relying_party(has_id_token_claims=True)
    tokens = rp.log_in(scope="openid profile")
    assert tokens.claims["name"] == rp.userinfo(tokens)["name"] == "Αδα 洛芙莱斯 😀"


# -- In the ID token -----------------------------------------------------------------------

OF_THE_TOKEN = {"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"}


def test_the_id_token_tells_nothing_of_the_person_by_itself(relying_party, somebody):
    assert set(relying_party().log_in(scope=EVERYTHING).claims) == OF_THE_TOKEN


def test_an_app_that_never_calls_userinfo_gets_them_in_the_id_token(relying_party, somebody):
    rp = relying_party(has_id_token_claims=True)
    tokens = rp.log_in(scope=EVERYTHING)
    told = {name: value for name, value in tokens.claims.items() if name not in OF_THE_TOKEN - {"sub"}}
    assert told == rp.userinfo(tokens)


def test_scopes_bound_what_such_an_app_gets(relying_party, somebody):
    rp = relying_party(has_id_token_claims=True)
    assert set(rp.log_in(scope="openid roles").claims) == OF_THE_TOKEN | {"roles"}


def test_a_refreshed_id_token_tells_them_too(relying_party, somebody):
    rp = relying_party(has_id_token_claims=True)
    second = rp.refresh(rp.log_in(scope="openid email offline_access").refresh_token)
    assert second.claims["email"] == "ada@example.org"
    third = rp.refresh(second.refresh_token, scope="openid")
    assert "email" not in third.claims


# -- The claims parameter ----------------------------------------------------------------------


def test_an_app_gets_by_name_only_what_it_might_have_by_a_scope(relying_party, somebody):
    """Also an app that asks nobody, such as the operator's own."""
    rp = relying_party(scopes=("openid", "email"))
    wish = {"userinfo": {"roles": None, "email": None}, "id_token": {"roles": None, "name": None, "sub": None}}
    tokens = rp.log_in(scope="openid", claims=json.dumps(wish))
    assert set(tokens.claims) == OF_THE_TOKEN
    assert set(rp.userinfo(tokens)) == {"sub", "email"}


def test_consent_is_not_asked_for_what_an_app_cannot_have(relying_party, somebody):
    rp = relying_party(is_trusted=False, scopes=("openid",))
    rp.log_in(scope="openid")
    assert rp.ask(scope="openid", prompt="none", claims=json.dumps({"userinfo": {"roles": None}})).code


def test_claims_are_told_where_they_are_asked_for(relying_party, somebody):
    rp = relying_party()
    wish = {"userinfo": {"nickname": None}, "id_token": {"email": {"essential": True}, "auth_time": None}}
    tokens = rp.log_in(claims=json.dumps(wish))
    assert set(tokens.claims) == OF_THE_TOKEN | {"email"}
    assert set(rp.userinfo(tokens)) == {"sub", "nickname"}


def test_a_claim_that_is_not_known_of_this_person_is_left_out(relying_party, nobody):
    rp = relying_party()
    tokens = rp.log_in(claims=json.dumps({"userinfo": {"nickname": {"essential": True}}}))
    assert set(rp.userinfo(tokens)) == {"sub"}


@pytest.mark.parametrize("name", ["password_hash", "username", "id", "disabled_at", "__class__", "", "name#de"])
def test_what_is_no_claim_is_not_told(relying_party, somebody, name):
    rp = relying_party()
    tokens = rp.log_in(claims=json.dumps({"userinfo": {name: None}, "id_token": {name: None}}))
    assert set(tokens.claims) == OF_THE_TOKEN
    assert set(rp.userinfo(tokens)) == {"sub"}


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "sub", "nonce", "sid"])
def test_the_token_s_own_claims_cannot_be_asked_away(relying_party, somebody, name):
    rp = relying_party(has_id_token_claims=True)
    tokens = rp.log_in(claims=json.dumps({"id_token": {name: None}}))  # the relying party checks each
    assert set(tokens.claims) >= OF_THE_TOKEN


def test_names_alone_are_kept_of_a_claims_parameter(relying_party, somebody, db):
    """Whatever else was sent in it is stored nowhere for good."""
    wish = '{"id_token": {"email": {"value": NaN, "x": 1e999}, "unheard_of": null}, "userinfo": {"name": null}}'
    relying_party().log_in(claims=wish)
    grant = db.query(AuthorizationGrant).one()
    assert grant.claims == {"id_token": {"email": None}, "userinfo": {"name": None}}


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "null",
        '"text"',
        "7",
        "{",
        '{"userinfo": []}',
        '{"userinfo": "name"}',
        '{"id_token": {"name": true}}',
        '{"id_token": {"name": ["essential"]}}',
        '{"id_token": 7}',
        "[" * 2_000 + "]" * 2_000,
        '{"id_token": {"name": {"value": ' + "1" * 4_300 + "}}}",
        " " * 4_097,
    ],
)
def test_a_claims_parameter_of_the_wrong_form_is_refused(rp, text):
    assert rp.ask(claims=text).error == "invalid_request"


@pytest.mark.parametrize(
    "text", ["{}", '{"userinfo": null}', '{"userinfo": {}, "other": 7}', '{"id_token": {"\\ud800": null}}']
)
def test_an_empty_one_is_fine(rp, text):
    rp.log_in(claims=text)


@pytest.mark.parametrize("depth", [10, 450, 800, 900, 950, 980])
def test_deep_nesting_is_read_or_refused(rp, depth):
    rp.log_in()
    nested = "[" * depth + "]" * depth
    answer = rp.ask(claims='{"id_token": {"name": {"value": ' + nested + "}}}")
    assert answer.error in (None, "invalid_request")
