"""The OpenID Foundation's Hybrid OP plan: the rows of Basic for three response types, and those of its own.

Off unless the operator turns it on (`IDP_RESPONSE_TYPES=all`).
"""

import pytest

from tests.oidc.test_plan_basic import *  # noqa: F403 - each row of Basic is a row here, with the fixtures below
from tests.oidc.test_plan_basic import error_of

HYBRID = ["code id_token", "code token", "code id_token token"]


@pytest.fixture(params=HYBRID)
def relying_party(request, relying_party_of_every_type):
    """Apps that ask for this response type; as the suite, they send no PKCE."""

    def make(browser=None, **metadata):
        party = relying_party_of_every_type(browser, **metadata)
        party.defaults = {"response_type": request.param, "code_challenge": None, "code_challenge_method": None}
        return party

    return make


def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(rp):
    """Without an ID token from the authorization endpoint there is nothing that only a nonce protects."""
    if rp.defaults["response_type"] == "code token":
        assert "nonce" not in rp.log_in(nonce=None).claims


def test_oidcc_ensure_request_without_nonce_fails(rp):
    if "id_token" in rp.defaults["response_type"].split():
        answer = rp.ask(nonce=None)  # checks that the error stands in the fragment
        assert answer.error == "invalid_request"
        assert "nonce" in answer.parameters["error_description"]
        assert rp.ask(nonce=None, response_mode="form_post").error == "invalid_request"


def test_oidcc_ensure_request_with_valid_pkce_succeeds(rp):
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # of RFC 7636 appendix B
    answer = rp.authorize(code_challenge=challenge, code_challenge_method="S256")
    rp.verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert rp.redeem(answer.code)


def test_oidcc_both_id_tokens_are_about_the_same(rp):
    """OIDC Core section 3.3.3.6: iss, sub, auth_time and nonce agree."""
    answer = rp.authorize()
    tokens = rp.redeem(answer.code)
    for name in ("iss", "sub", "aud", "auth_time", "nonce", "sid") if answer.claims else ():
        assert tokens.claims[name] == answer.claims[name]


def test_oidcc_both_access_tokens_open_userinfo(rp):
    answer = rp.authorize(scope="openid email")
    tokens = rp.redeem(answer.code)
    assert rp.userinfo(tokens)["email"] == "ada@example.org"
    if "access_token" in answer.parameters:
        response = rp.request_userinfo(answer.parameters["access_token"])
        assert response.json["email"] == "ada@example.org"


def test_oidcc_codereuse_ends_the_token_of_the_front_channel_too(rp):
    answer = rp.authorize()
    rp.redeem(answer.code)
    assert error_of(rp.request_tokens(answer.code)) == "invalid_grant"
    if "access_token" in answer.parameters:
        assert rp.request_userinfo(answer.parameters["access_token"]).status_code == 401
