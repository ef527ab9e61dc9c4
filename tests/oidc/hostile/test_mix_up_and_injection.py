"""What was issued to one, shown by another (RFC 9700 sections 4.4 to 4.8, 4.10, 4.14): codes, tokens, references.

Two apps, both honest as far as the provider knows, and one person who uses both. The attacker has what the browser saw
of the other app, and an app and a browser of their own.
"""

import itertools
from urllib.parse import parse_qsl, urlsplit

import pytest

from idp.oidc.clients import DEVICE_CODE_GRANT, TOKEN_EXCHANGE_GRANT
from tests.oidc.hostile.attacking import assert_harmless
from tests.relying_party import error_of, s256, shown_error

GRANTS = ("authorization_code", "refresh_token", TOKEN_EXCHANGE_GRANT)


@pytest.fixture
def honest(relying_party, ada):
    """The app that is attacked."""
    return relying_party(client_name="Honest", grant_types=GRANTS)


@pytest.fixture
def attacker(relying_party, app, make_user):
    """The attacker's own app, with the same redirect URI for good measure, and a browser where Mallory is signed in."""
    make_user("mallory")
    rp = relying_party(client_name="Attacker", grant_types=GRANTS)
    rp.log_in("mallory")
    return rp


def refused(response, error="invalid_grant"):
    """It came to nothing."""
    assert response.status_code in (400, 401), response.text
    assert error_of(response) == error


# -- Codes -----------------------------------------------------------------------------------------


def test_a_stolen_code_with_another_client(honest, attacker):
    """Code theft (RFC 9700 section 4.5): neither redeemed by another app, nor burnt by it."""
    code = honest.authorize().code
    attacker.verifier = honest.verifier
    refused(attacker.request_tokens(code))
    assert honest.redeem(code).access_token


@pytest.mark.parametrize(
    "changes", [{"code_verifier": "x" * 43}, {"code_verifier": None}, {"code_verifier": "{challenge}"}]
)
def test_a_stolen_code_without_its_verifier(honest, changes):
    """Code injection (RFC 9700 section 4.5.3.1): PKCE; one guess, and the code is burnt."""
    code = honest.authorize().code
    changes = {name: s256(honest.verifier) if value == "{challenge}" else value for name, value in changes.items()}
    refused(honest.request_tokens(code, **changes))
    refused(honest.request_tokens(code))


def test_a_code_of_one_browser_in_another(honest, attacker, relying_party):
    """Code injection (RFC 9700 section 4.5): a victim's code in the attacker's own session with the honest app."""
    code = honest.authorize().code
    honest.authorization_parameters()  # the attacker's session there: a verifier and a nonce of its own
    refused(honest.request_tokens(code))


def test_a_code_with_another_redirect_uri(relying_party, ada):
    """RFC 6749 section 4.1.3: a code that was caught at one of the app's addresses is not redeemed for another."""
    rp = relying_party(redirect_uris=("https://app.example.org/callback", "https://app.example.org/other"))
    code = rp.authorize().code
    refused(rp.request_tokens(code, redirect_uri="https://app.example.org/other"))


def test_pkce_is_not_talked_away(honest, target):
    """PKCE downgrade (RFC 9700 section 4.8.2): the request without a challenge, the redemption with a verifier."""
    code = honest.authorize(code_challenge=None, code_challenge_method=None).code
    refused(honest.request_tokens(code, code_verifier="x" * 43))
    for changes in (
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge_method": "s256"},
        {"code_challenge": ""},
        {"code_challenge": "x"},
    ):
        assert honest.ask(prompt="none", **changes).error == "invalid_request", changes


def test_a_public_app_without_pkce(public_rp):
    """RFC 9700 section 2.1.1: for public clients there is no choice."""
    assert public_rp.ask(code_challenge=None, code_challenge_method=None).error == "invalid_request"


def test_a_code_twice(honest):
    """Replay (RFC 9700 section 4.5, RFC 6749 section 4.1.2): the second use ends what came of the first."""
    code = honest.authorize(scope="openid offline_access").code
    tokens = honest.redeem(code)
    refused(honest.request_tokens(code))
    assert not honest.is_good(tokens)


# -- Whose answer it is -------------------------------------------------------------------------------


@pytest.mark.parametrize("response_mode", ["query", "fragment", "form_post"])
def test_every_answer_says_who_answers(target, response_mode):
    """Mix-up (RFC 9700 section 4.4.2.1, RFC 9207): `iss` in each answer, success or error, whatever its way."""
    asked = (
        *(
            {"prompt": "none"},
            {"response_type": "x"},
            {"scope": "x"},
            {"prompt": "x"},
            {"max_age": "x"},
            {"claims": "["},
        ),
        *({"request": "x"}, {"request_uri": "https://x.example/"}, {"registration": "{}"}, {"id_token_hint": "x"}),
        *({"code_challenge": "x"}, {"resource": "x"}, {"response_type": "code token"}, {"nonce": "x" * 600}),
    )
    for changes in asked:
        answer = target.ask(response_mode=response_mode, **changes)  # read_answer compares iss with the issuer
        assert answer.error, changes
    for response_type in target.metadata.response_types:
        mode = "fragment" if response_mode == "query" and response_type != "code" else response_mode
        assert target.authorize(response_type=response_type, response_mode=mode).parameters["iss"] == target.issuer
    assert target.discovery["authorization_response_iss_parameter_supported"] is True


def test_iss_cannot_be_set_from_outside(target):
    """Mix-up (RFC 9207 section 4): a registered query or `state` makes no second `iss`."""
    response = target.send(prompt="none", state="x&iss=https://evil.example.net", iss="https://evil.example.net")
    pairs = parse_qsl(urlsplit(response.headers["Location"]).query)
    assert [value for name, value in pairs if name == "iss"] == [target.issuer]


# -- Tokens --------------------------------------------------------------------------------------------


def test_a_refresh_token_of_another_app(honest, attacker):
    """RFC 9700 section 4.14, RFC 6749 section 10.4: its client's alone; another neither uses nor burns it."""
    tokens = honest.log_in(scope="openid offline_access")
    refused(attacker.request_refresh(tokens.refresh_token))
    fresh = honest.refresh(tokens.refresh_token)
    refused(attacker.request_refresh(tokens.refresh_token))
    assert honest.is_good(fresh), "nor does a used one, shown by another, end anything"


def test_one_thing_in_place_of_another(honest):
    """Token substitution (RFC 9700 section 4.10, RFC 8725 section 2.8): each kind opens its own door only."""
    code = honest.authorize(scope="openid offline_access").code
    tokens = honest.redeem(code)
    pushed = honest.push()
    things = {
        "code": code,
        "access token": tokens.access_token,
        "refresh token": tokens.refresh_token,
        "ID token": tokens.id_token,
        "reference": pushed,
        "secret": honest.secret,
        "session": tokens.claims["sid"],
        "subject": tokens.claims["sub"],
    }
    for name, thing in things.items():
        if name != "code":
            refused(honest.request_tokens(thing))
        if name != "refresh token":
            refused(honest.request_refresh(thing))
        if name != "access token":
            assert honest.request_userinfo(thing).status_code == 401, name
            exchange = honest.post(
                "token_endpoint",
                grant_type=TOKEN_EXCHANGE_GRANT,
                subject_token=thing,
                subject_token_type="urn:ietf:params:oauth:token-type:access_token",
            )
            refused(exchange, "invalid_request")
        if name not in ("access token", "refresh token"):
            assert honest.introspect(thing) == {"active": False}, name
        if name != "ID token":
            assert honest.ask(prompt="none", id_token_hint=thing).error == "invalid_request", name
        assert (
            honest.browser.get(
                "/oauth/register/" + honest.metadata.client_id, headers={"Authorization": f"Bearer {thing}"}
            ).status_code
            == 401
        )
        refused(honest.post("token_endpoint", grant_type=DEVICE_CODE_GRANT, device_code=thing), "unauthorized_client")
    assert honest.is_good(tokens)


def test_tokens_of_another_app_are_nobody_s(honest, attacker):
    """Confused deputy (RFC 9700 section 4.10.2, RFC 7662 section 4): not described, not exchanged, not revoked."""
    tokens = honest.log_in(scope="openid offline_access")
    for token in (tokens.access_token, tokens.refresh_token):
        assert attacker.introspect(token) == {"active": False}
        attacker.post("revocation_endpoint", token=token)
        exchange = attacker.post(
            "token_endpoint",
            grant_type=TOKEN_EXCHANGE_GRANT,
            subject_token=token,
            subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        )
        refused(exchange, "invalid_request")
    assert honest.is_good(tokens)
    assert honest.refresh(tokens.refresh_token).access_token


def test_an_id_token_of_another_app_as_a_hint(honest, attacker):
    """ID token of another audience (OIDC Core section 3.1.2.1): no hint, and no way to sign anybody out."""
    tokens = honest.log_in()
    assert attacker.ask(prompt="none", id_token_hint=tokens.id_token).error == "invalid_request"
    for client in ({"client_id": attacker.metadata.client_id}, {}):
        response = attacker.request_logout(id_token_hint=tokens.id_token, **client)
        assert_harmless(response, attacker)
        assert response.status_code in (200, 400), "asked, or refused; not signed out"
    assert attacker.ask(prompt="none").code


def test_a_narrower_token_does_not_grow(honest):
    """Privilege escalation (RFC 6749 section 6, RFC 8693 section 2.1): neither by refresh nor by exchange."""
    tokens = honest.log_in(scope="openid offline_access")
    for scope in ("openid profile", "openid email offline_access", "account", "openid recovery:password", "admin"):
        refused(honest.request_refresh(tokens.refresh_token, scope=scope), "invalid_scope")
        exchange = honest.post(
            "token_endpoint",
            grant_type=TOKEN_EXCHANGE_GRANT,
            subject_token=tokens.access_token,
            subject_token_type="urn:ietf:params:oauth:token-type:access_token",
            scope=scope,
        )
        refused(exchange, "invalid_scope")


# -- References -----------------------------------------------------------------------------------------


def test_a_pushed_request_of_another_app(honest, attacker):
    """RFC 9126 section 7.1: a reference is its app's alone, and another's browser does not use it up."""
    pushed = honest.push(prompt="none")
    assert shown_error(attacker.send_pushed(pushed)).code == "invalid_request_uri"
    state = honest.state
    response = honest.send_pushed(pushed)
    assert dict(parse_qsl(urlsplit(response.headers["Location"]).query))["state"] == state


def test_parameters_beside_a_pushed_request(honest):
    """Parameter injection (RFC 9126 section 4): nothing counts that stands beside the reference."""
    honest.log_in()
    pushed = honest.push(prompt="none", state="own")
    response = honest.send_pushed(
        pushed, redirect_uri="https://evil.example.net/", scope="openid account", state="x", response_mode="fragment"
    )
    answer = dict(parse_qsl(urlsplit(response.headers["Location"]).query))
    assert response.headers["Location"].startswith("https://app.example.org/callback?")
    assert answer["state"] == "own"
    honest.state = "own"
    assert honest.redeem(answer["code"]).response["scope"] == "openid"


def test_client_ids_of_two_minds(honest, attacker):
    """Client confusion (RFC 6749 section 2.3): header, form and assertion name one client, or nobody is let in."""
    code = honest.authorize().code
    for endpoint, form in (
        ("token_endpoint", {"grant_type": "authorization_code", "code": code, "redirect_uri": honest.redirect_uri}),
        ("introspection_endpoint", {"token": "x"}),
        ("revocation_endpoint", {"token": "x"}),
        ("pushed_authorization_request_endpoint", honest.authorization_parameters()),
    ):
        sent = {**form, "client_id": honest.metadata.client_id}
        assert attacker.post(endpoint, "client_secret_basic", **sent).status_code == 400, endpoint


def test_ways_to_authenticate_are_not_mixed(honest, attacker):
    """RFC 6749 section 2.3: two methods at once, of one app or of two, are refused before either counts."""
    basic = {"client_secret": honest.secret, "client_id": honest.metadata.client_id, "token": "x"}
    assertion = {"client_assertion": "a.b.c", "client_assertion_type": "x"}
    for rp, form in itertools.product((honest, attacker), (basic, assertion, {**basic, **assertion})):
        response = rp.post("introspection_endpoint", "client_secret_basic", **form)
        refused(response, "invalid_request")
