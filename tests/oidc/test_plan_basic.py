"""The OpenID Foundation's Basic OP plan, row by row (`oidcc-` modules, response type code)."""

import json
from urllib.parse import quote

import pytest
from joserfc import jws

from idp.accounts.visitor import OPERATOR
from idp.oidc.client_store import register_client
from idp.oidc.clients import ClientMetadata
from tests.factories import EVERY_CLAIM
from tests.relying_party import RelyingParty, decode, error_of, shown_error
from tests.request_objects import unsigned

PROFILE = {
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
}
EMAIL = {"email", "email_verified"}
ADDRESS = {"address"}
PHONE = {"phone_number", "phone_number_verified"}


def kept(rp):
    """Return what this app always sends beside a request object."""
    return {name: value for name, value in rp.defaults.items() if name == "response_type"}


def header_of(token):
    """Return the header of a JWS, unchecked."""
    return json.loads(decode(token.partition(".")[0]))


def test_oidcc_server(rp, ada):
    answer = rp.authorize()
    code = answer.code.removeprefix("idp_ac_")
    assert len(decode(code)) * 8 >= 128
    tokens = rp.redeem(answer.code)  # checks kid, signature, iss, aud, times, nonce, at_hash
    assert tokens.claims["sub"] == ada.id
    assert "name" not in tokens.claims
    assert 0 < tokens.response["expires_in"] <= 600
    assert rp.userinfo(tokens)["sub"] == ada.id


def test_oidcc_server_reads_basic_credentials_that_are_form_urlencoded(relying_party, ada, db, settings):
    secret = "per%cent+plus:colon/slash&and=  blanks"
    assert quote(secret, safe="") != secret
    metadata = ClientMetadata(client_id="", client_name="Odd", redirect_uris=("https://odd.example.org/",))
    registered, _ = register_client(db, settings, OPERATOR, metadata, secret=secret)
    db.commit()
    rp = relying_party()
    odd = RelyingParty(rp.browser, rp.issuer, registered, secret)
    assert odd.log_in().claims["aud"] == registered.client_id


def test_oidcc_server_client_secret_post(relying_party, ada):
    rp = relying_party(token_endpoint_auth_method="client_secret_post")
    tokens = rp.log_in()
    assert rp.userinfo(tokens)["sub"] == ada.id


def test_oidcc_response_type_missing(rp):
    assert rp.ask(response_type=None).error == "invalid_request"


def test_oidcc_idtoken_signature(rp):
    tokens = rp.log_in()
    header = header_of(tokens.id_token)
    assert header["alg"] == "RS256"
    assert header["kid"] in {key.kid for key in rp.keys().keys}


def test_oidcc_idtoken_unsigned_is_not_offered(rp):
    assert "none" not in rp.discovery["id_token_signing_alg_values_supported"]


def test_oidcc_userinfo_get(rp):
    rp.userinfo(rp.log_in(), "GET")


def test_oidcc_userinfo_post_header(rp):
    tokens = rp.log_in()
    rp.userinfo(tokens, "POST")
    bearer = {"Authorization": f"Bearer {tokens.access_token}", "Content-Type": "application/x-www-form-urlencoded"}
    assert rp.browser.post(rp.path("userinfo_endpoint"), headers=bearer).status_code == 200  # a form with nothing in it


def test_oidcc_userinfo_post_body(rp, ada):
    tokens = rp.log_in()
    response = rp.browser.post(rp.path("userinfo_endpoint"), data={"access_token": tokens.access_token})
    assert response.status_code == 200
    assert response.json["sub"] == ada.id


def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(rp):
    tokens = rp.log_in(nonce=None)
    assert "nonce" not in tokens.claims


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
def test_oidcc_scope(relying_party, make_user, scope, expected):
    make_user("ada", **EVERY_CLAIM)
    rp = relying_party()
    tokens = rp.log_in(scope=f"openid {scope}")
    claims = rp.userinfo(tokens)  # checks types and emptiness
    assert set(claims) == expected | {"sub"}
    assert not expected & set(tokens.claims)


def test_oidcc_alternate_happy_flow(rp):
    """Neither the order of scopes nor that of parameters matters."""
    parameters = rp.authorization_parameters(scope="email profile openid")
    sent = rp.browser.get("/oauth/authorize", query_string=dict(reversed(parameters.items())))
    tokens = rp.redeem(rp.authorize(sent=sent).code)
    assert {"name", "email"} <= set(rp.userinfo(tokens))


@pytest.mark.parametrize("display", ["page", "popup"])
def test_oidcc_display(rp, display):
    rp.log_in(display=display)


def test_oidcc_ui_locales(rp):
    rp.log_in(ui_locales="se fr-CA de en")


def test_oidcc_claims_locales(rp):
    rp.log_in(claims_locales="se")


def test_oidcc_login_hint(rp):
    page = rp.sign_in_page(login_hint="bob@example.com")
    assert 'value="bob@example.com"' in page.text


def test_oidcc_ensure_request_with_unknown_parameter_succeeds(rp):
    rp.log_in(extra="foobar")


def test_oidcc_prompt_login(rp, clock):
    first = rp.log_in()
    clock.advance(2)
    rp.sign_in_page(prompt="login")
    second = rp.log_in(prompt="login")
    assert second.claims["sub"] == first.claims["sub"]
    assert second.claims["auth_time"] > first.claims["auth_time"]


def test_oidcc_prompt_none_not_logged_in(rp):
    state = "~s" * 64
    answer = rp.ask(prompt="none", state=state)
    assert answer.error == "login_required"
    assert answer.parameters["state"] == state


def test_oidcc_prompt_none_logged_in(rp, clock):
    first = rp.log_in()
    clock.advance(2)
    second = rp.redeem(rp.ask(prompt="none").code)
    assert second.claims["sub"] == first.claims["sub"]
    assert second.claims["auth_time"] == first.claims["auth_time"]


def test_oidcc_max_age_1(rp, clock):
    first = rp.log_in()
    clock.advance(2)
    rp.sign_in_page(max_age="1")
    second = rp.log_in(max_age="1")
    assert second.claims["auth_time"] > first.claims["auth_time"]


def test_oidcc_max_age_10000(rp, clock):
    first = rp.log_in()
    clock.advance(2)
    second = rp.redeem(rp.ask(max_age="10000").code)
    assert second.claims["auth_time"] == first.claims["auth_time"]


def test_oidcc_id_token_hint(rp):
    first = rp.log_in()
    second = rp.redeem(rp.ask(prompt="none", id_token_hint=first.id_token).code)
    assert second.claims["sub"] == first.claims["sub"]


def test_oidcc_ensure_request_with_acr_values_succeeds(rp):
    offered = rp.discovery["acr_values_supported"]
    tokens = rp.log_in(acr_values=" ".join(offered))
    assert tokens.claims["acr"] in offered
    rp.redeem(rp.ask(acr_values="nobody:offers:this").code)


def test_oidcc_codereuse(rp):
    code = rp.authorize().code
    rp.redeem(code)
    second = rp.request_tokens(code)
    assert second.status_code == 400
    assert error_of(second) == "invalid_grant"


def test_oidcc_codereuse_30seconds(rp, clock):
    code = rp.authorize().code
    tokens = rp.redeem(code)
    clock.advance(30)
    second = rp.request_tokens(code)
    assert second.status_code == 400
    assert error_of(second) == "invalid_grant"
    assert not rp.is_good(tokens)


def test_oidcc_ensure_registered_redirect_uri(rp):
    error = shown_error(rp.send(redirect_uri="https://app.example.org/other"))
    assert error.parameter == "redirect_uri"


def test_oidcc_ensure_post_request_succeeds(rp):
    answer = rp.authorize(sent=rp.send(method="POST"))
    rp.redeem(answer.code)


def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(relying_party, ada, document_server):
    """Refused as unsupported, and by redirect, unless the operator lets this app send unsigned objects."""
    url = document_server.url("/request.jwt")
    for may_send in (False, True):
        rp = relying_party(request_uris=(url + "#version-1",), may_send_unsigned_request_objects=may_send)
        parameters = rp.authorization_parameters()
        document_server.put("/request.jwt", unsigned(parameters))
        sent = rp.browser.get("/oauth/authorize", query_string={**parameters, "request_uri": url + "#version-1"})
        answer = rp.authorize(sent=sent)
        if may_send:
            rp.redeem(answer.code)
        else:
            assert answer.error == "request_uri_not_supported"


def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(relying_party, ada):
    """Refused as unsupported, and by redirect, unless allowed; then the state counts that only the object holds."""
    rp = relying_party()
    parameters = rp.authorization_parameters()
    sent = {**parameters, "request": unsigned(parameters)}
    answer = rp.read_answer(rp.browser.get("/oauth/authorize", query_string=sent))
    assert answer.error == "request_not_supported"
    rp = relying_party(may_send_unsigned_request_objects=True)
    assert rp.redeem(rp.authorize(sent=rp.send_object(unsigned, state="only-inside")).code)
    assert rp.state == "only-inside"


def test_oidcc_ensure_request_object_with_redirect_uri(relying_party, ada):
    """The object's redirect URI wins over the one beside it; one that is not registered is shown."""
    rp = relying_party(may_send_unsigned_request_objects=True)
    beside = {"client_id": rp.metadata.client_id, "response_type": "code", "scope": "openid"}
    beside["redirect_uri"] = "https://evil.example.org/"
    assert rp.authorize(sent=rp.send_object(unsigned, beside={**beside, **kept(rp)})).code
    beside["redirect_uri"] = rp.redirect_uri
    response = rp.send_object(unsigned, beside={**beside, **kept(rp)}, redirect_uri="https://evil.example.org/")
    assert shown_error(response).parameter == "redirect_uri"


def test_oidcc_claims_essential(rp):
    tokens = rp.log_in(claims=json.dumps({"userinfo": {"name": {"essential": True}}}))
    assert "name" not in tokens.claims
    assert rp.userinfo(tokens)["name"] == "Ada Lovelace"


def test_oidcc_claims_essential_in_the_id_token(rp):
    tokens = rp.log_in(claims=json.dumps({"id_token": {"email": {"essential": True}, "acr": None}}))
    assert tokens.claims["email"] == "ada@example.org"


def test_oidcc_refresh_token(rp, relying_party, clock):
    first = rp.log_in(scope="openid offline_access", prompt="consent")
    clock.advance(2)
    second = rp.refresh(first.refresh_token)  # checks no-store
    for name in ("iss", "sub", "aud", "auth_time"):
        assert second.claims[name] == first.claims[name]
    assert second.claims["iat"] > first.claims["iat"]
    other = relying_party()
    refused = other.request_refresh(second.refresh_token)
    assert refused.status_code == 400
    assert error_of(refused) == "invalid_grant"
    rp.refresh(second.refresh_token, scope="openid")


def test_oidcc_ensure_request_with_valid_pkce_succeeds(rp):
    rp.redeem(rp.authorize().code)
    assert rp.verifier is not None
    assert "S256" in rp.discovery["code_challenge_methods_supported"]


def test_oidcc_modules_that_send_no_pkce_pass(rp):
    tokens = rp.log_in(code_challenge=None, code_challenge_method=None)
    assert jws.extract_compact(tokens.id_token.encode())
