"""Token introspection (RFC 7662)."""

import pytest

from tests.relying_party import error_of

DEAD = {"active": False}


def test_an_access_token_is_described(rp, ada):
    tokens = rp.log_in(scope="openid email")
    answer = rp.introspect(tokens.access_token)
    now = tokens.claims["iat"]
    assert answer == {
        "active": True,
        "token_type": "Bearer",
        "scope": "openid email",
        "client_id": rp.metadata.client_id,
        "iss": rp.issuer,
        "sub": ada.id,
        "aud": rp.issuer,
        "username": "ada",
        "iat": answer["iat"],
        "exp": answer["iat"] + tokens.response["expires_in"],
        "auth_time": tokens.claims["auth_time"],
        "acr": tokens.claims["acr"],
        "sid": tokens.claims["sid"],
    }
    assert abs(answer["iat"] - now) <= 1


def test_a_refresh_token_is_described(rp, ada, settings):
    tokens = rp.log_in(scope="openid offline_access")
    answer = rp.introspect(tokens.refresh_token)
    assert answer["active"] is True
    assert answer["token_type"] == "refresh_token"
    assert answer["sub"] == ada.id
    assert answer["exp"] - answer["iat"] == settings.refresh_token_lifetime


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "unknown_kind"])
def test_a_wrong_hint_does_no_harm(rp, kind, hint):
    tokens = rp.log_in(scope="openid offline_access")
    response = rp.post("introspection_endpoint", token=tokens.response[kind], token_type_hint=hint)
    assert response.json["active"] is True


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_tokens_of_other_apps_are_not_told_from_nonsense(rp, relying_party, kind):
    tokens = rp.log_in(scope="openid offline_access")
    assert relying_party().introspect(tokens.response[kind]) == DEAD


@pytest.mark.parametrize("token", ["x", "é", "idp_rt_x", "idp_rt_é", "idp_at_x", "x" * 9_000])
def test_nonsense_is_not_active(rp, token):
    assert rp.introspect(token) == DEAD


def test_an_id_token_is_not_active(rp):
    assert rp.introspect(rp.log_in().id_token) == DEAD


def test_a_used_refresh_token_is_not_active(rp):
    first = rp.log_in(scope="openid offline_access")
    rp.refresh(first.refresh_token)
    assert rp.introspect(first.refresh_token) == DEAD


def test_an_expired_refresh_token_is_not_active(rp, clock, settings):
    token = rp.log_in(scope="openid offline_access").refresh_token
    clock.advance(settings.refresh_token_lifetime - 1)
    assert rp.introspect(token)["active"] is True
    clock.advance(1)
    assert rp.introspect(token) == DEAD


def test_a_missing_token_is_named(rp):
    response = rp.post("introspection_endpoint")
    assert response.status_code == 400
    assert error_of(response) == "invalid_request"


def test_the_answer_is_not_cached(rp):
    assert rp.post("introspection_endpoint", token="x").headers["Cache-Control"] == "no-store"
