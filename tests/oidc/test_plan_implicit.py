"""The OpenID Foundation's Implicit OP plan, row by row, for its two response types.

Off unless the operator turns it on (`IDP_RESPONSE_TYPES=all`): OAuth 2.1 has no implicit flow any more.
"""

import json

import pytest

from tests.factories import EVERY_CLAIM
from tests.oidc.test_plan_basic import ADDRESS, EMAIL, PHONE, PROFILE, header_of
from tests.relying_party import Tokens, shown_error


@pytest.fixture(params=["id_token", "id_token token"])
def rp(request, relying_party_of_every_type, make_user):
    """An app that asks for this response type and sends no PKCE: there is no code."""
    make_user("ada", **EVERY_CLAIM)
    party = relying_party_of_every_type()
    party.defaults = {"response_type": request.param, "code_challenge": None, "code_challenge_method": None}
    return party


def has_token(rp):
    """Whether an access token comes too."""
    return "token" in rp.defaults["response_type"].split()


def userinfo_of(rp, answer, method="GET"):
    """Fetch userinfo with the access token of an answer."""
    return rp.userinfo(Tokens(answer.parameters, answer.claims), method)


def test_oidcc_server(rp):
    answer = rp.authorize()  # checks the fragment, nonce, at_hash, signature
    assert answer.claims["sub"]
    assert "code" not in answer.parameters
    assert ("expires_in" in answer.parameters) == has_token(rp)


def test_oidcc_response_type_missing(rp):
    assert rp.ask(response_type=None).error == "invalid_request"


def test_oidcc_idtoken_signature(rp):
    header = header_of(rp.authorize().parameters["id_token"])
    assert header["alg"] == "RS256"
    assert header["kid"] in {key.kid for key in rp.keys().keys}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_oidcc_userinfo(rp, method):
    answer = rp.authorize(scope="openid email")
    if has_token(rp):
        assert userinfo_of(rp, answer, method)["email"] == "ada@example.org"


def test_oidcc_ensure_request_without_nonce_fails(rp):
    answer = rp.ask(nonce=None)  # checks that the error stands in the fragment
    assert answer.error == "invalid_request"
    assert "nonce" in answer.parameters["error_description"]
    assert rp.ask(nonce=None, response_mode="form_post").error == "invalid_request"


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("profile", PROFILE),
        ("email", EMAIL),
        ("address", ADDRESS),
        ("phone", PHONE),
        ("profile email address phone", PROFILE | EMAIL | ADDRESS | PHONE),
    ],
    ids=["profile", "email", "address", "phone", "all"],
)
def test_oidcc_scope(rp, scope, expected):
    """Where there is no access token, the claims of the scopes are in the ID token; otherwise in userinfo."""
    answer = rp.authorize(scope=f"openid {scope}")
    if has_token(rp):
        assert not expected & set(answer.claims)
        assert set(userinfo_of(rp, answer)) == expected | {"sub"}
    else:
        assert expected <= set(answer.claims)


@pytest.mark.parametrize("display", ["page", "popup"])
def test_oidcc_display(rp, display):
    assert rp.authorize(display=display).error is None


def test_oidcc_prompt_login(rp, clock):
    first = rp.authorize()
    clock.advance(2)
    rp.sign_in_page(prompt="login")
    assert rp.authorize(prompt="login").claims["auth_time"] > first.claims["auth_time"]


def test_oidcc_prompt_none_not_logged_in(rp):
    answer = rp.ask(prompt="none", state="~s" * 64)
    assert answer.error == "login_required"
    assert answer.parameters["state"] == "~s" * 64


def test_oidcc_prompt_none_logged_in(rp, clock):
    first = rp.authorize()
    clock.advance(2)
    second = rp.ask(prompt="none")
    assert {name: second.claims[name] for name in ("sub", "auth_time")} == {
        name: first.claims[name] for name in ("sub", "auth_time")
    }


def test_oidcc_max_age_1(rp, clock):
    first = rp.authorize()
    clock.advance(2)
    rp.sign_in_page(max_age="1")
    assert rp.authorize(max_age="1").claims["auth_time"] > first.claims["auth_time"]


def test_oidcc_max_age_10000(rp, clock):
    first = rp.authorize()
    clock.advance(2)
    assert rp.ask(max_age="10000").claims["auth_time"] == first.claims["auth_time"]


def test_oidcc_ensure_request_with_unknown_parameter_succeeds(rp):
    assert rp.authorize(extra="foobar").error is None


def test_oidcc_id_token_hint(rp):
    first = rp.authorize()
    second = rp.ask(prompt="none", id_token_hint=first.parameters["id_token"])
    assert second.claims["sub"] == first.claims["sub"]


def test_oidcc_login_hint_ui_locales_and_claims_locales(rp):
    assert 'value="bob@example.com"' in rp.sign_in_page(login_hint="bob@example.com").text
    assert rp.authorize(ui_locales="se fr-CA", claims_locales="se").error is None


def test_oidcc_ensure_request_with_acr_values_succeeds(rp):
    offered = rp.discovery["acr_values_supported"]
    assert rp.authorize(acr_values=" ".join(offered)).claims["acr"] in offered


def test_oidcc_ensure_registered_redirect_uri(rp):
    assert shown_error(rp.send(redirect_uri="https://app.example.org/other")).parameter == "redirect_uri"


def test_oidcc_ensure_post_request_succeeds(rp):
    assert rp.authorize(sent=rp.send(method="POST")).claims["sub"]


def test_oidcc_claims_essential(rp):
    place = "userinfo" if has_token(rp) else "id_token"
    answer = rp.authorize(claims=json.dumps({place: {"name": {"essential": True}}}))
    if has_token(rp):
        assert "name" not in answer.claims
        assert userinfo_of(rp, answer)["name"] == "Ada King Lovelace"
    else:
        assert answer.claims["name"] == "Ada King Lovelace"


def test_oidcc_discovery(rp):
    assert {"code", "id_token", "id_token token"} <= set(rp.discovery["response_types_supported"])
    assert {"authorization_code", "implicit"} <= set(rp.discovery["grant_types_supported"])


def test_oidcc_form_post(rp):
    assert rp.authorize(response_mode="form_post").claims["sub"]
