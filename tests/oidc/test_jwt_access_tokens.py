"""Access tokens that APIs can read by themselves (RFC 9068)."""

import json
import re
import time

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from idp.accounts.roles import change_roles
from idp.accounts.visitor import OPERATOR
from idp.oidc.signatures import registry
from tests.relying_party import base64url, decode, error_of, sign

TEA = "https://tea.example.org/api"
SERVICE = {"grant_types": ("client_credentials",), "redirect_uris": ()}


@pytest.fixture
def rp(relying_party, ada):
    """An app whose access tokens are JWTs."""
    return relying_party(access_token_format="jwt", resources=(TEA,))


def read(rp, token):
    """Read an access token as an API does (section 4): strictly, with nothing but the published keys."""
    header = json.loads(decode(token.split(".")[0]))
    assert header["typ"] == "at+jwt"
    key = next(each for each in rp.keys().keys if each.kid == header["kid"])
    assert key.get("alg") == header["alg"] != "none"
    claims = json.loads(jws.deserialize_compact(token, key, registry=registry([header["alg"]])).payload)
    assert claims["iss"] == rp.issuer
    assert claims["iat"] <= time.time() + 5 < claims["exp"]
    assert re.fullmatch(r"[0-9a-f]{32}", claims["jti"])
    return claims


def with_claims(rp, token, key=None, **changes):
    """Forge a token: the same with other claims, signed by a key of one's own."""
    header, payload, _ = token.split(".")
    claims = {**json.loads(decode(payload)), **changes}
    return sign(json.loads(decode(header)) | {"alg": "ES256"}, claims, key or ECKey.generate_key("P-256"))


def test_it_says_all_that_an_api_needs(rp, ada):
    tokens = rp.log_in(scope="openid email", resource=TEA)
    claims = read(rp, tokens.access_token)
    assert claims["aud"] == TEA
    assert claims["sub"] == ada.id == tokens.claims["sub"]
    assert claims["client_id"] == rp.metadata.client_id
    assert claims["scope"] == "openid email"
    assert claims["exp"] - claims["iat"] == tokens.response["expires_in"]
    for name in ("auth_time", "acr", "amr"):
        assert claims[name] == tokens.claims[name]
    assert not {"roles", "cnf", "email", "name"} & set(claims)


def test_roles_are_told_where_they_were_asked_for(rp, db, ada):
    change_roles(db, OPERATOR, ada.id, add=("admin",))
    db.commit()
    tokens = rp.log_in(scope="openid roles offline_access")
    assert read(rp, tokens.access_token)["roles"] == ["admin"]
    assert read(rp, rp.refresh(tokens.refresh_token).access_token)["roles"] == ["admin"]


def test_a_client_s_own_token_is_about_the_client(relying_party):
    rp = relying_party(access_token_format="jwt", **SERVICE)
    claims = read(rp, rp.post("token_endpoint", grant_type="client_credentials").json["access_token"])
    assert claims["sub"] == claims["client_id"] == rp.metadata.client_id
    assert claims["aud"] == rp.issuer
    assert "grant_id" not in claims
    assert "auth_time" not in claims


def test_it_is_bound_to_a_key_like_any_other(rp):
    rp.dpop_key = ECKey.generate_key("P-256")
    tokens = rp.log_in()
    assert read(rp, tokens.access_token)["cnf"] == {"jkt": rp.dpop_key.thumbprint()}
    assert rp.userinfo(tokens)
    assert (
        rp.browser.get("/oauth/userinfo", headers={"Authorization": f"Bearer {tokens.access_token}"}).status_code == 401
    )


def test_two_are_never_the_same(rp):
    first, second = rp.log_in(), rp.redeem(rp.ask().code)
    assert read(rp, first.access_token)["jti"] != read(rp, second.access_token)["jti"]


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_the_setting_says_how_it_is_signed(settings, make_app, make_client, ada, algorithm):
    from dataclasses import replace

    from tests.relying_party import RelyingParty

    app = make_app(replace(settings, signing_algorithm=algorithm))
    metadata, secret = make_client(
        access_token_format="jwt", id_token_signed_response_alg=algorithm, grant_types=("client_credentials",)
    )
    rp = RelyingParty(app.test_client(), settings.issuer, metadata, secret)
    token = rp.post("token_endpoint", grant_type="client_credentials").json["access_token"]
    assert read(rp, token)
    assert json.loads(decode(token.split(".")[0]))["alg"] == algorithm
    assert rp.introspect(token)["active"] is True


# -- When it comes back to us -------------------------------------------------------------


def test_userinfo_takes_it(rp):
    assert rp.userinfo(rp.log_in(scope="openid email"))["email"] == "ada@example.org"


def test_it_dies_with_its_session_here(rp):
    tokens = rp.log_in()
    rp.log_out(tokens.id_token)
    assert not rp.is_good(tokens)
    assert rp.introspect(tokens.access_token) == {"active": False}


def test_it_can_be_given_back(rp):
    tokens, other = rp.log_in(), rp.redeem(rp.ask().code)
    rp.revoke(tokens.access_token)
    assert not rp.is_good(tokens)
    assert rp.is_good(other)


def test_it_dies_with_its_refresh_token(rp):
    tokens = rp.log_in(scope="openid offline_access")
    rp.revoke(tokens.refresh_token)
    assert not rp.is_good(tokens)


def test_it_expires(rp, clock, settings):
    tokens = rp.log_in()
    clock.advance(settings.access_token_lifetime - 1)
    assert rp.is_good(tokens)
    clock.advance(1)
    assert not rp.is_good(tokens)


# -- Forgeries ----------------------------------------------------------------------------


def assert_dead(rp, token):
    """Neither userinfo nor introspection takes it, and revocation does not stumble over it."""
    assert rp.request_userinfo(token).status_code == 401
    assert rp.introspect(token) == {"active": False}
    rp.revoke(token)


def test_another_s_signature_is_worth_nothing(rp):
    token = rp.log_in().access_token
    assert_dead(rp, with_claims(rp, token))
    header, payload, signature = token.split(".")
    claims = json.loads(decode(payload)) | {"scope": "openid email account"}
    assert_dead(rp, f"{header}.{base64url(json.dumps(claims).encode())}.{signature}")


def test_of_another_issuer_with_our_key_it_is_worth_nothing(rp, app):
    """Who moves to another address takes the keys along; what was said under the old one is for who trusted that."""
    key, token = app.extensions["idp_provider"].signing_key("ES256"), rp.log_in().access_token
    header, claims = {"typ": "at+jwt", "alg": "ES256", "kid": key.kid}, json.loads(decode(token.split(".")[1]))
    assert rp.introspect(sign(header, claims, key))["active"]
    assert_dead(rp, sign(header, claims | {"iss": "https://elsewhere.example.org"}, key))


def test_none_and_a_mac_with_our_public_key_are_worth_nothing(rp):
    header, payload, _ = rp.log_in().access_token.split(".")
    none = base64url(json.dumps(json.loads(decode(header)) | {"alg": "none"}).encode())
    assert_dead(rp, f"{none}.{payload}.")
    key = next(each for each in rp.keys().keys if each.get("alg") == "RS256")
    secret = OctKey.import_key(json.dumps(key.as_dict()))
    forged = sign(json.loads(decode(header)) | {"alg": "HS256"}, json.loads(decode(payload)), secret)
    assert_dead(rp, forged)


def test_an_id_token_is_no_access_token(rp):
    """Both are signed by the same key: the type tells them apart (RFC 8725 section 3.11)."""
    assert_dead(rp, rp.log_in().id_token)


def test_an_access_token_is_no_hint(rp):
    token = rp.log_in().access_token
    response = rp.send(prompt="none", id_token_hint=token)
    assert rp.read_answer(response).error == "invalid_request"


@pytest.mark.parametrize("kid", ["nobody", '"', 7, None, {}, "\0" * 32, "\ud800", "a" * 32, "é" * 32], ids=range(9))
def test_an_odd_kid_is_no_fault_of_ours(rp, kid):
    payload = rp.log_in().access_token.split(".")[1]
    header = base64url(json.dumps({"typ": "at+jwt", "alg": "RS256", "kid": kid}).encode())
    assert_dead(rp, f"{header}.{payload}.AA")


def test_the_grant_s_id_alone_opens_nothing(rp):
    claims = read(rp, rp.log_in().access_token)
    for token in (claims["grant_id"], claims["jti"], "idp_at_" + claims["grant_id"], "idp_at_" + claims["jti"]):
        assert_dead(rp, token)


def test_another_app_cannot_ask_about_it(rp, relying_party):
    token = rp.log_in().access_token
    other = relying_party()
    assert other.introspect(token) == {"active": False}
    assert error_of(other.post("revocation_endpoint", token=token)) == "invalid_grant"
