"""Tokens that are bound to a key, and proofs of it (RFC 9449)."""

import json
from dataclasses import replace

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from idp.oidc import dpop, dpop_nonces
from tests.at_once import at_once
from tests.relying_party import ASSERTION_TYPE, RelyingParty, base64url, error_of, sign

KEY = ECKey.generate_key("P-256")
OTHER_KEY = ECKey.generate_key("P-256")
RSA_KEY = RSAKey.generate_key(2048)
SERVICE = {"grant_types": ("client_credentials",), "redirect_uris": ()}


@pytest.fixture
def bound(rp):
    """An app that binds its tokens to its key."""
    rp.dpop_key = KEY
    return rp


@pytest.fixture
def bound_public(public_rp):
    """A native app that does."""
    public_rp.dpop_key = KEY
    return public_rp


@pytest.fixture
def service(relying_party, settings):
    """An app that gets tokens of its own, and has a nonce already."""
    rp = relying_party(**SERVICE)
    rp.dpop_key = KEY
    rp.dpop_nonce = dpop_nonces.current_nonce(settings)
    return rp


@pytest.fixture
def without_nonces(settings, make_app, service):
    """The same app before a provider that asks for no nonces."""
    app = make_app(replace(settings, dpop_nonce="optional"))
    rp = RelyingParty(app.test_client(), settings.issuer, service.metadata, service.secret)
    rp.dpop_key = KEY
    return rp


def ask(rp, proof, **form):
    """Ask for a token of the app's own with a proof."""
    data = {"grant_type": "client_credentials", "client_id": rp.metadata.client_id, "client_secret": rp.secret, **form}
    return rp.browser.post("/oauth/token", data=data, headers={} if proof is None else {"DPoP": proof})


def show(rp, access_token, proof, scheme="DPoP", path="/oauth/userinfo", method="GET"):
    """Call a resource with a token and a proof."""
    headers = {"Authorization": f"{scheme} {access_token}"} | ({} if proof is None else {"DPoP": proof})
    return rp.browser.open(path, method=method, headers=headers)


def refused(response, why, error="invalid_dpop_proof"):
    """The proof is refused at the token endpoint, and the description says why."""
    assert response.status_code == 400, response.text
    assert error_of(response) == error
    assert why in response.json["error_description"], response.json


def not_opened(response, error):
    """The resource does not open; both schemes are named, that of the error first."""
    assert response.status_code == 401, response.text
    assert error_of(response) == error
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith(f'DPoP realm="idp", error="{error}"')
    assert 'algs="' in challenge
    assert ', Bearer realm="idp"' in challenge


# -- Journeys -----------------------------------------------------------------------------


@pytest.mark.parametrize("key", [KEY, RSA_KEY, OKPKey.generate_key("Ed25519")], ids=["EC", "RSA", "OKP"])
def test_a_whole_journey_with_a_key(rp, key):
    rp.dpop_key = key
    tokens = rp.log_in(scope="openid profile offline_access")
    assert rp.userinfo(tokens)["name"] == "Ada Lovelace"
    answer = rp.introspect(tokens.access_token)
    assert answer["token_type"] == "DPoP"
    assert answer["cnf"] == {"jkt": key.thumbprint()}
    again = rp.refresh(tokens.refresh_token)
    assert rp.userinfo(again)["name"] == "Ada Lovelace"


def test_without_a_proof_a_token_is_a_bearer_s(rp):
    tokens = rp.log_in()
    assert "cnf" not in rp.introspect(tokens.access_token)


def test_discovery_tells_of_it(rp):
    assert rp.discovery["dpop_signing_alg_values_supported"] == list(dpop.ALGORITHMS)


def test_an_app_may_be_held_to_it(relying_party, ada):
    rp = relying_party(dpop_bound_access_tokens=True)
    response = rp.request_tokens(rp.authorize().code)
    assert response.status_code == 400
    assert error_of(response) == "invalid_dpop_proof"
    rp.dpop_key = KEY
    assert rp.userinfo(rp.log_in())


def test_a_client_s_own_token_is_bound_too(service):
    token = ask(service, service.proof("POST", service.discovery["token_endpoint"])).json
    assert token["token_type"] == "DPoP"
    assert service.introspect(token["access_token"])["cnf"] == {"jkt": KEY.thumbprint()}


# -- The token endpoint -------------------------------------------------------------------


def test_a_proof_is_used_once(service):
    proof = service.proof("POST", service.discovery["token_endpoint"])
    assert ask(service, proof).status_code == 200
    refused(ask(service, proof), "used before")


def test_of_many_who_show_it_at_once_one_gets_a_token(service):
    proof = service.proof("POST", service.discovery["token_endpoint"])
    parties = [service.in_another_browser() for _ in range(5)]
    statuses = at_once(lambda number: ask(parties[number], proof).status_code, 5)
    assert sorted(statuses) == [200, 400, 400, 400, 400]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"htm": "GET"}, "htm"),
        ({"htm": "post"}, "htm"),
        ({"htm": None}, "htm"),
        ({"htu": "https://other.example.org/oauth/token"}, "htu"),
        ({"htu": "http://localhost:8000/oauth/userinfo"}, "htu"),
        ({"htu": "https://localhost:8000/oauth/token"}, "htu"),
        ({"htu": "http://localhost:8001/oauth/token"}, "htu"),
        ({"htu": "http://localhost:8000@evil.example.org/oauth/token"}, "htu"),
        ({"htu": "http://a@localhost:8000/oauth/token"}, "htu"),
        ({"htu": "http://localhost:8000/oauth/TOKEN"}, "htu"),
        ({"htu": "/oauth/token"}, "htu"),
        ({"htu": "http://[::1"}, "htu"),
        ({"htu": 7}, "htu"),
        ({"htu": None}, "htu"),
        ({"iat": None}, "iat"),
        ({"iat": "now"}, "iat"),
        ({"iat": True}, "iat"),
        ({"iat": float("nan")}, "iat"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": 7}, "jti"),
        ({"jti": "x" * 257}, "jti"),
        ({"header": {"typ": "JWT"}}, "dpop+jwt"),
        ({"header": {"jwk": None}}, "jwk"),
    ],
    ids=range(24),
)
def test_a_proof_of_something_else_is_refused(service, changes, why):
    if changes.get("header", {}).get("jwk", "") is None:
        signed = service.proof("POST", service.discovery["token_endpoint"]).split(".")
        proof = ".".join((base64url(b'{"typ":"dpop+jwt","alg":"ES256"}'), *signed[1:]))
    else:
        proof = service.proof("POST", service.discovery["token_endpoint"], **changes)
    refused(ask(service, proof), why)


@pytest.mark.parametrize(
    "htu",
    [
        "http://LOCALHOST:8000/oauth/token",
        "HTTP://localhost:8000/oauth/token",
        "http://localhost:8000/oauth/token?a=b",
        "http://localhost:8000/oauth/token#there",
        "http://localhost:8000/%6Fauth/t%6fken",
    ],
)
def test_spellings_of_one_address_are_one(service, htu):
    assert ask(service, service.proof("POST", htu)).status_code == 200


@pytest.mark.parametrize("iat", [-dpop.AGE_MOST, dpop.LEEWAY + 1, 10**400], ids=["old", "early", "absurd"])
def test_an_old_proof_and_one_from_the_future_are_refused(without_nonces, clock, iat):
    proof = without_nonces.proof("POST", without_nonces.discovery["token_endpoint"], iat=int(clock.time) + iat)
    refused(ask(without_nonces, proof), "iat")


@pytest.mark.parametrize("iat", [-dpop.AGE_MOST + 1, dpop.LEEWAY])
def test_clocks_may_differ_a_little(without_nonces, clock, iat):
    proof = without_nonces.proof("POST", without_nonces.discovery["token_endpoint"], iat=int(clock.time) + iat)
    assert ask(without_nonces, proof).status_code == 200


@pytest.mark.parametrize("iat", [-86_400, 86_400, 10**400], ids=["slow", "fast", "absurd"])
def test_a_nonce_tells_how_old_a_proof_is_whatever_the_client_s_clock_says(service, settings, clock, iat):
    clock.advance(dpop_nonces.WINDOW - clock.time % dpop_nonces.WINDOW)  # to the beginning of a window
    service.dpop_nonce = dpop_nonces.current_nonce(settings)
    proof = service.proof("POST", service.discovery["token_endpoint"], iat=int(clock.time) + iat)
    assert ask(service, proof).status_code == 200
    clock.advance(2 * dpop_nonces.WINDOW - 1)  # as long as the nonce is good
    refused(ask(service, proof), "used before")
    clock.advance(1)
    refused(ask(service, proof), "nonce", "use_dpop_nonce")


def test_what_else_a_proof_says_is_passed_over(service, clock):
    """Headers and claims that nobody knows, and times beside `iat`."""
    now = int(clock.time)
    more = {"header": {"kid": "x", "tx_id": 7}, "tx_id": 7, "nbf": now, "exp": now + 300}
    assert ask(service, service.proof("POST", service.discovery["token_endpoint"], **more)).status_code == 200


def forged(service, header, key=KEY):
    """Make a proof with a header of one's own choice, signed by a key."""
    claims = {"htm": "POST", "htu": service.discovery["token_endpoint"], "iat": 2**31, "jti": "x"}
    return sign({"typ": "dpop+jwt", "alg": "ES256", **header}, claims, key)


def test_another_key_s_signature_is_refused(service):
    refused(ask(service, forged(service, {"jwk": OTHER_KEY.as_dict(private=False)})), "its own key")


def test_a_private_key_must_not_be_shown(service):
    refused(ask(service, forged(service, {"jwk": KEY.as_dict(private=True)})), "private")


def test_a_symmetric_key_proves_nothing(service):
    secret = OctKey.generate_key(256)
    header = {"alg": "HS256", "jwk": secret.as_dict(private=True)}
    refused(ask(service, forged(service, header, secret)), "not signed with one of")
    header = {"alg": "ES256", "jwk": secret.as_dict(private=True)}
    refused(ask(service, forged(service, header)), "symmetric")


def test_alg_none_is_refused(service):
    signed = service.proof("POST", service.discovery["token_endpoint"]).split(".")
    header = {"typ": "dpop+jwt", "alg": "none", "jwk": KEY.as_dict(private=False)}
    refused(ask(service, f"{base64url(json.dumps(header).encode())}.{signed[1]}."), "not signed with one of")


@pytest.mark.parametrize("alg", ["RS256", "PS256", "EdDSA", "ES384"])
def test_the_algorithm_is_the_key_s(service, alg):
    header = {"typ": "dpop+jwt", "alg": alg, "jwk": KEY.as_dict(private=False)}
    signed = service.proof("POST", service.discovery["token_endpoint"]).split(".")
    proof = ".".join((base64url(json.dumps(header).encode()), *signed[1:]))
    assert error_of(ask(service, proof)) == "invalid_dpop_proof"


@pytest.mark.parametrize(
    "jwk",
    [
        "text",
        [],
        {},
        {"kty": "EC"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": '"', "x": 7, "y": None},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": "é" * 400, "e": "AQAB"},
        {"kty": "RSA", "n": "A" * 400, "e": []},
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
        {"kty": ["EC"]},
    ],
    ids=range(11),
)
def test_an_odd_key_is_no_fault_of_ours(service, jwk):
    for alg in ("ES256", "RS256", "EdDSA"):
        header = base64url(json.dumps({"typ": "dpop+jwt", "alg": alg, "jwk": jwk}).encode())
        response = ask(service, f"{header}.e30.AA")
        assert response.status_code == 400
        assert error_of(response) == "invalid_dpop_proof"


@pytest.mark.parametrize("proof", ["x", "a.b.c", "a.b.c, a.b.c", "é", '"', "", "." * 9_000], ids=range(7))
def test_nonsense_is_refused(service, proof):
    refused(ask(service, proof.encode().decode("latin-1")), "no signed JWT")


# -- Nonces -------------------------------------------------------------------------------


@pytest.mark.parametrize("nonce", [None, "", "made-up", "é", 7, base64url(b"\0" * 24)], ids=range(6))
def test_without_a_nonce_of_ours_one_is_handed_out(service, settings, clock, nonce):
    proof = service.proof("POST", service.discovery["token_endpoint"], nonce=nonce)
    response = ask(service, proof)
    refused(response, "nonce", "use_dpop_nonce")
    assert response.headers["DPoP-Nonce"] == dpop_nonces.current_nonce(settings)


def test_a_nonce_is_good_for_some_minutes(service, clock):
    url = service.discovery["token_endpoint"]
    clock.advance(dpop_nonces.WINDOW - clock.time % dpop_nonces.WINDOW)  # to the beginning of a window
    service.dpop_nonce = ask(service, service.proof("POST", url, nonce=None)).headers["DPoP-Nonce"]
    first = ask(service, service.proof("POST", url))
    assert first.status_code == 200
    assert "DPoP-Nonce" not in first.headers
    clock.advance(2 * dpop_nonces.WINDOW - 1)
    second = ask(service, service.proof("POST", url))
    assert second.status_code == 200
    assert second.headers["DPoP-Nonce"] != service.dpop_nonce  # the next one comes before it is needed
    clock.advance(1)
    refused(ask(service, service.proof("POST", url)), "nonce", "use_dpop_nonce")
    assert ask(service, service.proof("POST", url, nonce=second.headers["DPoP-Nonce"])).status_code == 200


def test_a_nonce_may_be_left_to_the_client(without_nonces):
    url = without_nonces.discovery["token_endpoint"]
    assert ask(without_nonces, without_nonces.proof("POST", url)).status_code == 200
    refused(ask(without_nonces, without_nonces.proof("POST", url, nonce="made-up")), "nonce", "use_dpop_nonce")


def test_a_proof_without_a_nonce_uses_up_nothing(bound):
    code = bound.authorize().code
    bound.dpop_nonce = "too old"
    assert bound.redeem(code)


@pytest.mark.parametrize("endpoint", ["token_endpoint", "pushed_authorization_request_endpoint"])
def test_a_proof_without_a_nonce_uses_up_no_assertion(relying_party, endpoint):
    """Some libraries make another proof, and send all else again as it was."""
    grants = ("authorization_code", "client_credentials")
    rp = relying_party(key=OTHER_KEY, token_endpoint_auth_method="private_key_jwt", grant_types=grants)
    rp.dpop_key = KEY
    asked = {"grant_type": "client_credentials"} if endpoint == "token_endpoint" else rp.authorization_parameters()
    form = {**asked, "client_assertion_type": ASSERTION_TYPE, "client_assertion": rp.assertion()}

    def send(nonce):
        proof = rp.proof("POST", rp.discovery[endpoint], nonce=nonce)
        return rp.browser.post(rp.path(endpoint), data=form, headers={"DPoP": proof})

    response = send(None)
    refused(response, "nonce", "use_dpop_nonce")
    nonce = response.headers["DPoP-Nonce"]
    assert send(nonce).status_code in (200, 201)
    assert error_of(send(nonce)) == "invalid_client"  # now it was used


# -- Codes and refresh tokens -------------------------------------------------------------


@pytest.mark.parametrize("key", [None, OTHER_KEY], ids=["no key", "another key"])
def test_a_code_that_is_bound_to_a_key_needs_it(rp, key):
    code = rp.authorize(dpop_jkt=KEY.thumbprint()).code
    rp.dpop_key = key
    refused(rp.request_tokens(code), "bound to a key", "invalid_grant")


def test_a_bound_code_is_redeemed_with_its_key(bound):
    code = bound.authorize(dpop_jkt=KEY.thumbprint()).code
    assert bound.redeem(code)


@pytest.mark.parametrize("key", [None, OTHER_KEY], ids=["no key", "another key"])
def test_a_public_client_s_refresh_token_is_bound(bound_public, key):
    token = bound_public.log_in(scope="openid offline_access", prompt="consent").refresh_token
    bound_public.dpop_key = key
    refused(bound_public.request_refresh(token), "bound to a key", "invalid_grant")
    bound_public.dpop_key = KEY  # whoever stole it has done no harm
    assert bound_public.refresh(token)


@pytest.mark.parametrize("key", [None, OTHER_KEY], ids=["no key", "another key"])
def test_a_used_refresh_token_without_its_key_ends_nothing(bound_public, key):
    used = bound_public.log_in(scope="openid offline_access", prompt="consent").refresh_token
    tokens = bound_public.refresh(used)
    bound_public.dpop_key = key
    refused(bound_public.request_refresh(used), "already used", "invalid_grant")
    bound_public.dpop_key = KEY
    assert bound_public.is_good(tokens)
    refused(bound_public.request_refresh(used), "already used", "invalid_grant")  # somebody has the key as well
    assert not bound_public.is_good(tokens)


def test_a_public_client_s_chain_stays_bound(bound_public):
    token = bound_public.log_in(scope="openid offline_access", prompt="consent").refresh_token
    second = bound_public.refresh(token).refresh_token
    bound_public.dpop_key = OTHER_KEY
    refused(bound_public.request_refresh(second), "bound to a key", "invalid_grant")


def test_a_confidential_client_may_change_its_key(bound):
    token = bound.log_in(scope="openid offline_access").refresh_token
    assert "cnf" not in bound.introspect(token)
    bound.dpop_key = OTHER_KEY
    tokens = bound.refresh(token)
    assert bound.introspect(tokens.access_token)["cnf"] == {"jkt": OTHER_KEY.thumbprint()}


@pytest.mark.parametrize("stored", [False, True], ids=["carried", "stored"])
def test_a_proof_that_was_used_before_uses_no_code_up(settings, make_app, bound, stored):
    app = make_app(replace(settings, authorization_codes="stored" if stored else "carried"))
    rp = RelyingParty(app.test_client(), settings.issuer, bound.metadata, bound.secret)
    rp.dpop_key, rp.dpop_nonce = KEY, dpop_nonces.current_nonce(settings)
    first = rp.authorize().code
    form = {"grant_type": "authorization_code", "redirect_uri": rp.redirect_uri}
    proof = rp.proof("POST", rp.discovery["token_endpoint"])
    assert ask(rp, proof, code=first, code_verifier=rp.verifier, **form).status_code == 200
    second = rp.ask().code
    refused(ask(rp, proof, code=second, code_verifier=rp.verifier, **form), "used before")
    assert rp.redeem(second)


def test_a_proof_that_was_used_before_uses_no_refresh_token_up(bound):
    first = bound.log_in(scope="openid offline_access").refresh_token
    proof = bound.proof("POST", bound.discovery["token_endpoint"])
    second = ask(bound, proof, grant_type="refresh_token", refresh_token=first).json["refresh_token"]
    refused(ask(bound, proof, grant_type="refresh_token", refresh_token=second), "used before")
    assert bound.refresh(second)


@pytest.mark.parametrize("kind", ["code", "refresh token"])
def test_the_same_request_word_for_word_is_no_second_use(settings, bound, kind):
    """A network that repeats it signs nobody out: it is its proof that is refused."""
    bound.dpop_nonce = dpop_nonces.current_nonce(settings)
    code = bound.authorize(scope="openid offline_access").code
    form = {"grant_type": "authorization_code", "redirect_uri": bound.redirect_uri, "code_verifier": bound.verifier}
    form |= {"code": code}
    if kind == "refresh token":
        form = {"grant_type": "refresh_token", "refresh_token": bound.redeem(code).refresh_token}
    proof = bound.proof("POST", bound.discovery["token_endpoint"])
    token = ask(bound, proof, **form).json["access_token"]
    refused(ask(bound, proof, **form), "used before")
    assert bound.introspect(token)["active"]


# -- Pushed requests ----------------------------------------------------------------------


def test_a_pushed_request_with_a_proof_binds_the_code(bound):
    code = bound.authorize(sent=bound.send_pushed(bound.push())).code
    bound.dpop_key = None
    refused(bound.request_tokens(code), "bound to a key", "invalid_grant")
    bound.dpop_key = KEY
    assert bound.redeem(bound.authorize(sent=bound.send_pushed(bound.push())).code)


def test_a_pushed_request_names_no_other_key_than_it_shows(bound):
    assert bound.push(dpop_jkt=KEY.thumbprint())
    refused(bound.request_push(dpop_jkt=OTHER_KEY.thumbprint()), "dpop_jkt")


def test_a_proof_that_was_used_before_pushes_nothing(bound, monkeypatch):
    assert bound.push()  # by now it knows the nonce
    proof = bound.proof("POST", bound.discovery["pushed_authorization_request_endpoint"])
    monkeypatch.setattr(bound, "proof", lambda *_, **__: proof)
    assert bound.push()
    refused(bound.request_push(), "used before")


def test_an_authorization_request_may_name_the_key(bound):
    code = bound.authorize(dpop_jkt=KEY.thumbprint()).code
    assert bound.redeem(code)
    bound.dpop_key = OTHER_KEY
    refused(bound.request_tokens(bound.ask(dpop_jkt=KEY.thumbprint()).code), "bound to a key", "invalid_grant")


# -- Resources ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/oauth/userinfo", "/api/v1/me"])
def test_a_bound_token_opens_with_a_proof_only(bound, path):
    token = bound.log_in(scope="openid account").access_token
    url = bound.issuer + path
    assert show(bound, token, bound.proof("GET", url, token), path=path).status_code == 200
    for scheme, proof, error in [
        ("Bearer", None, "invalid_token"),
        ("Bearer", bound.proof("GET", url, token), "invalid_token"),
        ("DPoP", None, "invalid_dpop_proof"),
        ("DPoP", bound.proof("GET", url, token, OTHER_KEY), "invalid_token"),
        ("DPoP", bound.proof("POST", url, token), "invalid_dpop_proof"),
        ("DPoP", bound.proof("GET", bound.issuer + "/elsewhere", token), "invalid_dpop_proof"),
        ("DPoP", bound.proof("GET", url), "invalid_dpop_proof"),
        ("DPoP", bound.proof("GET", url, "another token"), "invalid_dpop_proof"),
        ("DPoP", bound.proof("GET", url, token, nonce=None), "use_dpop_nonce"),
        ("DPoP", "nonsense", "invalid_dpop_proof"),
    ]:
        response = show(bound, token, proof, scheme, path)
        assert response.status_code == 401
        challenge = response.headers["WWW-Authenticate"]
        assert challenge.startswith(f'DPoP realm="idp", error="{error}"'), (scheme, proof, challenge)
        assert 'algs="' in challenge
        assert ', Bearer realm="idp"' in challenge
        assert ("DPoP-Nonce" in response.headers) == (error == "use_dpop_nonce")


@pytest.mark.parametrize("scheme", ["dpop", "DPOP", "dPOP"])
def test_the_scheme_may_be_written_in_any_case(bound, scheme):
    token = bound.log_in().access_token
    proof = bound.proof("GET", bound.discovery["userinfo_endpoint"], token)
    assert show(bound, token, proof, scheme).status_code == 200


@pytest.mark.parametrize("path", ["/oauth/userinfo", "/api/v1/me"])
def test_a_proof_is_used_once_at_resources_too(bound, path):
    token = bound.log_in(scope="openid account").access_token
    proof = bound.proof("GET", bound.issuer + path, token)
    assert show(bound, token, proof, path=path).status_code == 200
    assert show(bound, token, proof, path=path).status_code == 401


def test_a_bound_token_in_a_form_is_a_bearer_s(bound):
    token = bound.log_in().access_token
    not_opened(bound.browser.post("/oauth/userinfo", data={"access_token": token}), "invalid_token")


def test_a_bearer_token_is_not_taken_as_dpop(rp):
    token = rp.log_in().access_token
    rp.dpop_key = KEY
    response = show(rp, token, rp.proof("GET", rp.discovery["userinfo_endpoint"], token))
    assert response.status_code == 401
    assert error_of(response) == "invalid_token"


def test_no_token_no_error_but_both_schemes(rp):
    response = rp.browser.get("/oauth/userinfo")
    assert response.headers["WWW-Authenticate"].startswith('Bearer realm="idp", DPoP realm="idp", algs="')


@pytest.mark.parametrize(("path", "scope"), [("/oauth/userinfo", "account"), ("/api/v1/me", "openid")])
def test_that_a_bound_token_permits_too_little_is_told_under_its_own_scheme(bound, path, scope):
    token = bound.log_in(scope=scope).access_token
    response = show(bound, token, bound.proof("GET", bound.issuer + path, token), path=path)
    assert response.status_code == 403
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith('DPoP realm="idp", error="insufficient_scope", error_description="'), challenge
    assert ', Bearer realm="idp"' in challenge


@pytest.mark.parametrize("path", ["/oauth/userinfo", "/api/v1/me"])
def test_the_next_nonce_comes_with_an_answer(bound, path, clock, settings):
    clock.advance(dpop_nonces.WINDOW - clock.time % dpop_nonces.WINDOW)
    token = bound.log_in(scope="openid account").access_token
    url = bound.issuer + path
    assert "DPoP-Nonce" not in show(bound, token, bound.proof("GET", url, token), path=path).headers
    clock.advance(dpop_nonces.WINDOW)
    response = show(bound, token, bound.proof("GET", url, token), path=path)
    assert response.status_code == 200
    assert response.headers["DPoP-Nonce"] == dpop_nonces.current_nonce(settings)
