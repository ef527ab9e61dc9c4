"""The UserInfo endpoint, and bearer tokens in general (OIDC Core section 5.3, RFC 6750)."""

import pytest

from idp.oidc import access_token
from tests.relying_party import error_of

PATH = "/oauth/userinfo"


def challenge_of(response):
    """Return the challenge; there must be one."""
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="idp"')
    return challenge


def test_scopes_decide_what_is_told(rp):
    assert set(rp.userinfo(rp.log_in())) == {"sub"}
    assert set(rp.userinfo(rp.log_in(scope="openid email"))) == {"sub", "email", "email_verified"}


def test_the_answer_is_not_cached(rp):
    assert rp.request_userinfo(rp.log_in().access_token).headers["Cache-Control"] == "no-store"


def test_it_tells_what_is_true_now(rp, db, ada):
    tokens = rp.log_in(scope="openid profile")
    ada.given_name = "Augusta"
    db.add(ada)
    db.commit()
    assert rp.userinfo(tokens)["name"] == "Augusta Lovelace"


@pytest.mark.parametrize("header", [None, "Basic YTpi", "Bearer", "Bearer ", "token"])
def test_without_a_token_there_is_a_challenge_but_no_error(rp, header):
    """RFC 6750 section 3.1: who sent no token hears nothing of errors."""
    response = rp.browser.get(PATH, headers={"Authorization": header} if header else {})
    assert response.status_code == 401
    assert "error" not in challenge_of(response)
    assert "error" not in response.json


@pytest.mark.parametrize("token", ["x", "idp_at_", "idp_at_" + "A" * 80, "idp_at_é", "idp_at_*", "a" * 5_000])
def test_what_is_no_token_of_ours_is_refused(rp, token):
    response = rp.request_userinfo(token)
    assert response.status_code == 401
    assert error_of(response) == "invalid_token"
    assert 'error="invalid_token"' in challenge_of(response)


def test_an_altered_token_is_refused(rp):
    token = rp.log_in().access_token
    for position in range(len("idp_at_"), len(token) - 1, 7):
        altered = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        assert rp.request_userinfo(altered).status_code == 401, position


def test_a_token_of_another_provider_is_refused(rp, settings):
    token = rp.log_in().access_token
    grant_id = access_token.read(settings.secret_key, token).grant_id
    foreign = access_token.mint_for_grant("another secret key of another provider", grant_id, 2**31)
    assert rp.request_userinfo(foreign).status_code == 401
    own = access_token.mint_for_grant(settings.secret_key, grant_id, 2**31)
    assert rp.request_userinfo(own).status_code == 200


@pytest.mark.parametrize("kind", ["id_token", "refresh_token"])
def test_other_tokens_open_nothing(rp, kind):
    tokens = rp.log_in(scope="openid offline_access")
    assert rp.request_userinfo(tokens.response[kind]).status_code == 401


def test_an_expired_token_is_refused(rp, clock, settings):
    tokens = rp.log_in()
    clock.advance(settings.access_token_lifetime - 1)
    assert rp.is_good(tokens)
    clock.advance(1)
    assert not rp.is_good(tokens)


def test_a_token_without_openid_is_not_enough(rp):
    tokens = rp.log_in(scope="email", nonce=None)
    response = rp.request_userinfo(tokens.access_token)
    assert response.status_code == 403
    assert error_of(response) == "insufficient_scope"
    assert 'scope="openid"' in challenge_of(response)


def test_a_token_in_the_query_is_not_read(rp):
    response = rp.browser.get(PATH, query_string={"access_token": rp.log_in().access_token})
    assert response.status_code == 401


def test_two_tokens_are_refused(rp):
    token = rp.log_in().access_token
    response = rp.browser.post(PATH, data={"access_token": token}, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 400
    assert error_of(response) == "invalid_request"


def test_a_doubled_token_is_refused(rp):
    token = rp.log_in().access_token
    response = rp.browser.post(
        PATH, data=f"access_token={token}&access_token={token}", content_type="application/x-www-form-urlencoded"
    )
    assert response.status_code == 400
    assert error_of(response) == "invalid_request"


def test_the_scheme_is_read_in_any_case(rp):
    token = rp.log_in().access_token
    assert rp.browser.get(PATH, headers={"Authorization": f"bEARER {token}"}).status_code == 200
