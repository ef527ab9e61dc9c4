"""The OpenID Foundation's Implicit OP plan, row by row, for its two response types.

Off unless the operator turns it on (`IDP_RESPONSE_TYPES=all`): OAuth 2.1 has no implicit flow any more.
"""

import json

import pytest

from tests.factories import EVERY_CLAIM
from tests.oidc.test_plan_basic import ADDRESS, EMAIL, PHONE, PROFILE, header_of, kept
from tests.relying_party import Tokens, shown_error
from tests.request_objects import unsigned


@pytest.fixture(params=["id_token", "id_token token"])
def relying_party(request, relying_party_of_every_type, make_user):
    """Apps that ask for this response type and send no PKCE: there is no code."""
    make_user("ada", **EVERY_CLAIM)

    def make(**metadata):
        party = relying_party_of_every_type(**metadata)
        party.defaults = {"response_type": request.param, "code_challenge": None, "code_challenge_method": None}
        return party

    return make


@pytest.fixture
def rp(relying_party):
    """One of them."""
    return relying_party()


def words_of(rp):
    """What the app asks for."""
    return rp.defaults["response_type"].split()


def has_token(rp):
    """Whether an access token comes too."""
    return "token" in words_of(rp)


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


def test_oidcc_idtoken_unsigned_is_not_offered(rp):
    assert "none" not in rp.discovery["id_token_signing_alg_values_supported"]


def test_oidcc_userinfo_get(rp):
    answer = rp.authorize(scope="openid email")
    if has_token(rp):
        assert userinfo_of(rp, answer)["email"] == "ada@example.org"


def test_oidcc_userinfo_post_header(rp):
    answer = rp.authorize(scope="openid email")
    if has_token(rp):
        assert userinfo_of(rp, answer, "POST")["email"] == "ada@example.org"


def test_oidcc_userinfo_post_body(rp):
    answer = rp.authorize(scope="openid email")
    if has_token(rp):
        form = {"access_token": answer.parameters["access_token"]}
        assert rp.browser.post(rp.path("userinfo_endpoint"), data=form).json["email"] == "ada@example.org"


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


def test_oidcc_alternate_happy_flow(rp):
    """Neither the order of scopes nor that of the response type's words matters."""
    answer = rp.authorize(sent=rp.send(scope="email openid", response_type=" ".join(reversed(words_of(rp)))))
    assert answer.claims["sub"]


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


def test_oidcc_login_hint(rp):
    assert 'value="bob@example.com"' in rp.sign_in_page(login_hint="bob@example.com").text


def test_oidcc_ui_locales(rp):
    assert rp.authorize(ui_locales="se fr-CA").error is None


def test_oidcc_claims_locales(rp):
    assert rp.authorize(claims_locales="se").error is None


def test_oidcc_ensure_request_with_acr_values_succeeds(rp):
    offered = rp.discovery["acr_values_supported"]
    assert rp.authorize(acr_values=" ".join(offered)).claims["acr"] in offered


def test_oidcc_ensure_registered_redirect_uri(rp):
    assert shown_error(rp.send(redirect_uri="https://app.example.org/other")).parameter == "redirect_uri"


def test_oidcc_ensure_post_request_succeeds(rp):
    assert rp.authorize(sent=rp.send(method="POST")).claims["sub"]


@pytest.mark.parametrize("may_send", [False, True])
def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(
    relying_party, document_server, may_send
):
    url = document_server.url("/request.jwt")
    rp = relying_party(request_uris=(url,), may_send_unsigned_request_objects=may_send)
    parameters = rp.authorization_parameters()
    document_server.put("/request.jwt", unsigned(parameters))
    sent = rp.browser.get("/oauth/authorize", query_string={**parameters, "request_uri": url})
    assert rp.authorize(sent=sent).error == (None if may_send else "request_uri_not_supported")


@pytest.mark.parametrize("may_send", [False, True])
def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(relying_party, may_send):
    rp = relying_party(may_send_unsigned_request_objects=may_send)
    if not may_send:
        parameters = rp.authorization_parameters()
        sent = rp.browser.get("/oauth/authorize", query_string={**parameters, "request": unsigned(parameters)})
        assert rp.read_answer(sent).error == "request_not_supported"
    else:
        assert rp.authorize(sent=rp.send_object(unsigned, state="only-inside")).claims["sub"]
        assert rp.state == "only-inside"


def test_oidcc_ensure_request_object_with_redirect_uri(relying_party):
    rp = relying_party(may_send_unsigned_request_objects=True)
    beside = {"client_id": rp.metadata.client_id, "scope": "openid", **kept(rp)}
    sent = rp.send_object(unsigned, beside={**beside, "redirect_uri": "https://evil.example.org/"})
    assert rp.authorize(sent=sent).claims["sub"]
    beside["redirect_uri"] = rp.redirect_uri
    response = rp.send_object(unsigned, beside=beside, redirect_uri="https://evil.example.org/")
    assert shown_error(response).parameter == "redirect_uri"


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
