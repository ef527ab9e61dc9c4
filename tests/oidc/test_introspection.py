"""Token introspection (RFC 7662)."""

import base64
import json

import pytest
from joserfc import jws

from tests.relying_party import decode, error_of

DEAD = {"active": False}


def test_an_access_token_is_described(rp, ada):
    tokens = rp.log_in(scope="openid profile")
    answer = rp.introspect(tokens.access_token)
    now = tokens.claims["iat"]
    assert answer == {
        "active": True,
        "token_type": "Bearer",
        "scope": "openid profile",
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
@pytest.mark.parametrize(("scope", "told"), [("openid email", None), ("openid profile", "ada")])
def test_the_user_name_is_for_who_may_see_the_profile(rp, kind, scope, told):
    tokens = rp.log_in(scope=f"{scope} offline_access")
    assert rp.introspect(tokens.response[kind]).get("username") == told


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


def signed_answer(rp, token):
    """Ask for an answer as a JWT, and check it (RFC 9701 section 5)."""
    pair = base64.b64encode(f"{rp.metadata.client_id}:{rp.secret}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}", "Accept": "application/token-introspection+jwt"}
    response = rp.browser.post("/oauth/introspect", data={"token": token}, headers=headers)
    assert response.status_code == 200
    assert response.mimetype == "application/token-introspection+jwt"
    assert response.headers["Cache-Control"] == "no-store"
    header = json.loads(decode(response.text.split(".")[0]))
    assert header["typ"] == "token-introspection+jwt"
    assert header["alg"] in rp.discovery["introspection_signing_alg_values_supported"]
    key = next(each for each in rp.keys().keys if each.kid == header["kid"])
    claims = json.loads(jws.deserialize_compact(response.text, key, algorithms=[header["alg"]]).payload)
    assert claims["iss"] == rp.issuer
    assert claims["aud"] == rp.metadata.client_id
    assert isinstance(claims["iat"], int)
    assert set(claims) == {"iss", "aud", "iat", "token_introspection"}  # so that nobody takes it for a token
    return response.text, claims["token_introspection"]


def test_an_answer_may_come_as_a_signed_jwt(rp):
    token = rp.log_in(scope="openid email").access_token
    assert signed_answer(rp, token)[1] == rp.introspect(token)
    assert signed_answer(rp, "nonsense")[1] == DEAD


def test_a_signed_answer_opens_nothing(rp):
    answer, _ = signed_answer(rp, rp.log_in().access_token)
    assert rp.request_userinfo(answer).status_code == 401
    assert rp.introspect(answer) == DEAD
    assert rp.read_answer(rp.send(prompt="none", id_token_hint=answer)).error == "invalid_request"
