"""Request objects, by value and by reference (RFC 9101, OIDC Core section 6), and what hostile ones come to."""

import base64
import hmac
import json
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from idp.models import ParkedRequest
from idp.oidc import outgoing
from idp.oidc.authorization_checks import READ
from idp.oidc.request_objects import ALGORITHMS
from tests.oidc.test_bad_input import quickly
from tests.relying_party import RelyingParty, error_of, shown_error
from tests.request_objects import KEY, OTHER_KEY, keyed_hash, public_jwks, signed, unsigned


@pytest.fixture
def rp(relying_party, ada):
    """An app that has registered keys."""
    return relying_party(jwks=public_jwks())


def beside_of(rp, **more):
    """What stands beside an object, with a redirect URI to hear of faults at."""
    own = {"client_id": rp.metadata.client_id, "response_type": "code", "scope": "openid"}
    return {**own, "redirect_uri": rp.redirect_uri, "state": "outside", **more}


def send(rp, token, **more):
    """Send any text as a request object, with a redirect URI beside it."""
    rp.state, rp.response_type, rp.response_mode = "outside", "code", "query"
    return rp.browser.get("/oauth/authorize", query_string=urlencode({**beside_of(rp, **more), "request": token}))


def refuse(rp, token, error="invalid_request_object", **more):
    """Send it, and expect that the app is told no at the redirect URI beside it; returns the description."""
    answer = rp.read_answer(send(rp, token, **more))
    assert answer.error == error, answer.parameters
    return answer.parameters["error_description"]


def claims_of(rp, **changes):
    """The claims of a correct object, changed."""
    claims = {"iss": rp.metadata.client_id, "aud": rp.issuer, **rp.authorization_parameters(), **changes}
    return {name: value for name, value in claims.items() if value is not None}


def base64url(content):
    """Encode without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def by_hand(header):
    """Return a header that no library would write."""
    return base64url(json.dumps(header).encode())


# -- By value ------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [each for each in ALGORITHMS if not each.startswith("HS")])
def test_every_algorithm(rp, algorithm):
    answer = rp.authorize(sent=rp.send_object(lambda claims: signed(claims, algorithm)))
    assert rp.redeem(answer.code)
    assert algorithm in rp.discovery["request_object_signing_alg_values_supported"]


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_an_object_under_the_secret_that_both_know(relying_party, ada, algorithm):
    rp = relying_party(request_object_signing_alg=algorithm)
    assert rp.authorize(sent=rp.send_object(lambda claims: keyed_hash(claims, rp.secret, algorithm))).code
    assert "none of the client's keys" in refuse(rp, keyed_hash(claims_of(rp), "another secret " * 5, algorithm))


def test_by_post(rp):
    claims = claims_of(rp)
    sent = {**{name: claims[name] for name in ("client_id", "response_type", "scope")}, "request": signed(claims)}
    assert rp.redeem(rp.authorize(sent=rp.browser.post("/oauth/authorize", data=sent)).code)


def test_the_object_is_all_that_is_parked(rp, db):
    rp.follow(rp.send_object(signed, nonce="n", claims={"userinfo": {"name": None}}, max_age=100))
    parked = db.execute(select(ParkedRequest.parameters, ParkedRequest.source)).one()
    assert parked.source == "request_object"
    assert parked.parameters["max_age"] == "100"
    assert json.loads(parked.parameters["claims"]) == {"userinfo": {"name": None}}
    assert not {"iss", "aud", "request"} & set(parked.parameters)


def test_an_object_without_iss_and_aud_is_one_of_openid_connect(rp):
    sent = rp.send_object(lambda claims: signed({k: v for k, v in claims.items() if k not in ("iss", "aud")}))
    assert rp.authorize(sent=sent).code


def test_client_id_response_type_and_scope_may_be_beside_it_alone(rp):
    def thin(claims):
        return signed({k: v for k, v in claims.items() if k not in ("client_id", "response_type", "scope")})

    tokens = rp.redeem(rp.authorize(sent=rp.send_object(thin, scope="openid email")).code)
    assert tokens.response["scope"] == "openid email"


def test_what_else_is_beside_it_does_not_count(rp):
    """RFC 9101 section 6.3: nobody but the client can have written what counts."""
    beside = {**beside_of(rp), "nonce": "outside", "prompt": "none", "scope": "openid email", "max_age": "x"}
    sent = rp.send_object(signed, beside=beside)
    tokens = rp.redeem(rp.authorize(sent=sent).code)  # checks nonce and state of the object
    assert tokens.response["scope"] == "openid"


def test_an_object_without_redirect_uri_has_none(rp):
    """The one beside it was not signed. Nobody can be told but the person."""
    token = signed(claims_of(rp, redirect_uri=None))
    assert shown_error(send(rp, token)).parameter == "redirect_uri"


def test_the_object_s_redirect_uri_and_mode_count_for_its_faults(rp):
    answer = rp.read_answer(rp.send_object(signed, scope="nonsense", response_mode="form_post", state="inside"))
    assert answer.error == "invalid_scope"
    response = rp.send_object(signed, redirect_uri="https://evil.example.org/", beside=beside_of(rp))
    assert shown_error(response).parameter == "redirect_uri"


# -- What it says of itself -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"iss": "another"}, "iss"),
        ({"iss": 7}, "iss"),
        ({"aud": "https://elsewhere.example.org"}, "aud"),
        ({"aud": ["https://elsewhere.example.org"]}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": {"a": "b"}}, "aud"),
        ({"exp": "tomorrow"}, "exp"),
        ({"exp": float("nan")}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": -(10**400)}, "expired"),
        ({"nbf": 10**400}, "not valid yet"),
        ({"exp": 1_000}, "expired"),
        ({"nbf": 99_999_999_999}, "not valid yet"),
        ({"nbf": []}, "nbf"),
        ({"client_id": "another"}, "client_id"),
        ({"response_type": "id_token"}, "response_type"),
        ({"request": "a.b.c"}, "request"),
        ({"request_uri": "https://app.example.org/"}, "request_uri"),
        ({"state": {"a": "b"}}, "state"),
        ({"state": True}, "state"),
        ({"nonce": ["a", "b"]}, "nonce"),
        ({"max_age": 1.5}, "max_age"),
        ({"claims": [1]}, "claims"),
        ({"resource": [{"a": 1}]}, "resource"),
        ({"nonce": "\x00"}, "nonce"),
        ({"nonce": "\ud800"}, "nonce"),
        ({"redirect_uri": 7.5}, "redirect_uri"),
    ],
)
def test_a_wrong_claim_is_named(rp, changes, named):
    assert named in refuse(rp, signed(claims_of(rp, **changes)))


def test_an_audience_may_be_several(rp):
    token = signed(claims_of(rp, aud=["https://elsewhere.example.org", rp.issuer]))
    assert send(rp, token).status_code == 303


def test_its_times_are_the_provider_s_give_or_take(rp, clock):
    now = int(clock.time)
    assert rp.authorize(sent=rp.send_object(lambda c: signed({**c, "exp": now - 20, "nbf": now + 20}))).code
    assert "expired" in refuse(rp, signed(claims_of(rp, exp=now - 31)))
    assert "not valid yet" in refuse(rp, signed(claims_of(rp, nbf=now + 31)))


def test_a_client_assertion_is_no_request_object(rp):
    """RFC 9101 section 10.8: what proves the client at the token endpoint begins no sign-in."""
    assert "sub" in refuse(rp, signed(claims_of(rp, sub=rp.metadata.client_id)))


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt"])
def test_a_jwt_of_another_kind_is_no_request_object(rp, typ):
    assert "typ" in refuse(rp, signed(claims_of(rp), typ=typ))


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "oauth-authz-req+jwt", "application/oauth-authz-req+jwt"])
def test_its_own_kinds(rp, typ):
    assert rp.authorize(sent=rp.send_object(lambda claims: signed(claims, typ=typ))).code


# -- Attacks on the signature (RFC 8725) --------------------------------------------------------------


def test_another_key_is_refused(rp):
    refuse(rp, signed(claims_of(rp), key=OTHER_KEY))


def test_the_public_key_is_no_hmac_secret(rp):
    """RFC 8725 section 2.1: algorithm confusion."""
    head = unsigned(claims_of(rp)).split(".")[1]
    for secret in (KEY.as_pem(private=False), KEY.as_der(private=False), b""):
        signing_input = by_hand({"alg": "HS256", "kid": KEY.kid}) + "." + head
        refuse(rp, signing_input + "." + base64url(hmac.digest(secret, signing_input.encode(), "sha256")))


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
def test_keys_that_the_header_brings_are_never_used(rp, document_server, name):
    url = document_server.put("/keys", json.dumps(public_jwks(OTHER_KEY)))
    value = {"jwk": OTHER_KEY.as_dict(private=False), "jku": url, "x5u": url, "x5c": ["AAAA"]}[name]
    refuse(rp, signed(claims_of(rp), key=OTHER_KEY, **{name: value}))
    assert document_server.asked == []


def test_another_algorithm_than_the_registered_one_is_refused(relying_party, ada):
    rp = relying_party(jwks=public_jwks(), request_object_signing_alg="ES256")
    assert rp.authorize(sent=rp.send_object(lambda claims: signed(claims, "ES256"))).code
    assert "ES256" in refuse(rp, signed(claims_of(rp), "RS256"))


def test_all_algorithms_are_named_where_none_is_registered(rp):
    head = by_hand({"alg": "ES512"}) + "." + unsigned(claims_of(rp)).split(".")[1]
    assert refuse(rp, head + ".AAAA").endswith(f" one of {', '.join(ALGORITHMS)}.")


@pytest.mark.parametrize("header", [{"kid": 'a"b\\c\r\n'}, {"kid": "é"}, {"kid": "x" * 3_000}])
def test_odd_headers_are_refused(rp, header):
    refuse(rp, signed(claims_of(rp), **header))


@pytest.mark.parametrize(
    "token",
    ["x", "..", "a.b.c", "a.b", "a.b.c.d.e", 'quo"te', "é.é.é", "a" * 17_000, "e30.e30.e30", "bnVsbA.e30.", "W10.W10."],
)
def test_what_is_no_jwt_is_refused(rp, token):
    rp.browser.get("/sign-in")  # a browser with a cookie: its form is read at once
    rp.authorization_parameters(state="outside")
    response = rp.browser.post("/oauth/authorize", data={**beside_of(rp), "request": token})
    assert rp.read_answer(response).error == "invalid_request_object"


@pytest.mark.parametrize("payload", [b"", b"no JSON", b"[]", b'"text"', b"[" * 10_000, b"1" * 6_000, b'{"a": NaN}'])
def test_what_is_no_claims_is_refused(rp, payload):
    response = send(rp, signed(payload))
    assert response.status_code in (303, 400)


def test_a_critical_header_is_not_passed_over(rp):
    """RFC 7515 section 4.1.11."""
    _, claims, signature = signed(claims_of(rp)).split(".")
    assert "critical" in refuse(
        rp, f"{by_hand({'alg': 'RS256', 'kid': KEY.kid, 'crit': ['exp']})}.{claims}.{signature}"
    )


def test_altered_claims_are_refused(rp):
    header, _, signature = signed(claims_of(rp)).split(".")
    other = signed(claims_of(rp, scope="openid email")).split(".")[1]
    refuse(rp, f"{header}.{other}.{signature}")


# -- Unsigned ones ------------------------------------------------------------------------------------


def test_an_unsigned_object_is_not_supported_unless_the_client_may(rp):
    assert "unsigned" in refuse(rp, unsigned(claims_of(rp)), "request_not_supported")


def test_a_client_may_be_allowed_to_send_them(relying_party, ada):
    rp = relying_party(may_send_unsigned_request_objects=True)
    assert rp.authorize(sent=rp.send_object(unsigned)).code
    refuse(rp, unsigned(claims_of(rp), signature="AAAA"))


@pytest.mark.parametrize("may_send", [False, True])
@pytest.mark.parametrize("metadata", [{"require_signed_request_object": True}, {"request_object_signing_alg": "RS256"}])
def test_not_one_that_is_to_sign(relying_party, ada, metadata, may_send):
    """Such an app has it told that its object is no good, and not that none are supported."""
    rp = relying_party(jwks=public_jwks(), may_send_unsigned_request_objects=may_send, **metadata)
    assert "must sign" in refuse(rp, unsigned(claims_of(rp)))


def test_an_app_that_must_send_objects_is_refused_without(relying_party, ada):
    rp = relying_party(jwks=public_jwks(), require_signed_request_object=True)
    assert rp.ask().error == "invalid_request"
    assert rp.authorize(sent=rp.send_object(signed)).code


def test_a_client_without_keys_cannot_sign(relying_party, ada):
    assert "no keys" in refuse(relying_party(), signed({}))


# -- Whom a fault is told ------------------------------------------------------------------------------


def test_without_a_redirect_uri_beside_it_a_fault_is_shown(rp):
    sent = {"client_id": rp.metadata.client_id, "response_type": "code", "scope": "openid", "request": "x.y.z"}
    error = shown_error(rp.browser.get("/oauth/authorize", query_string=sent))
    assert (error.code, error.parameter) == ("invalid_request_object", "request")
    sent["redirect_uri"] = "https://evil.example.org/"
    error = shown_error(rp.browser.get("/oauth/authorize", query_string=sent))
    assert (error.code, error.parameter) == ("invalid_request_object", "request")


def test_a_fault_is_told_in_the_mode_that_was_asked_for(rp):
    sent = {**beside_of(rp, response_mode="form_post"), "request": "x.y.z"}
    rp.authorization_parameters(state="outside", response_mode="form_post")
    assert rp.read_answer(rp.browser.get("/oauth/authorize", query_string=sent)).error == "invalid_request_object"


def test_either_by_value_or_by_reference(rp):
    answer = rp.read_answer(send(rp, signed(claims_of(rp)), request_uri="https://app.example.org/request.jwt"))
    assert answer.error == "invalid_request"


# -- By reference ---------------------------------------------------------------------------------------


@pytest.fixture
def by_reference(relying_party, ada, document_server):
    """An app that has registered where its request objects stand."""
    url = document_server.url("/request.jwt")
    return relying_party(jwks=public_jwks(), request_uris=(url + "#a-version", document_server.url("/other.jwt")))


def refer(rp, request_uri):
    """Send a reference, with a redirect URI beside it."""
    rp.authorization_parameters(state="outside")
    return rp.browser.get("/oauth/authorize", query_string={**beside_of(rp), "request_uri": request_uri})


def told(rp, response, error="invalid_request_uri"):
    """Expect that the app is told; returns the description."""
    answer = rp.read_answer(response)
    assert answer.error == error
    return answer.parameters["error_description"]


@pytest.mark.parametrize("version", ["", "#a-version", "#another"])
@pytest.mark.parametrize("content_type", ["application/jwt", "application/oauth-authz-req+jwt", "text/plain"])
def test_a_registered_reference_is_fetched(by_reference, document_server, version, content_type):
    claims = claims_of(by_reference)
    url = document_server.put("/request.jwt", signed(claims) + "\n", content_type)
    beside = {name: claims[name] for name in ("client_id", "response_type", "scope")}
    response = by_reference.browser.get("/oauth/authorize", query_string={**beside, "request_uri": url + version})
    assert by_reference.redeem(by_reference.authorize(sent=response).code)
    assert document_server.asked == ["/request.jwt"]  # once, and without the fragment


def test_a_reference_that_is_brought_twice_is_two_requests(by_reference, document_server):
    """Only a pushed one stands for a request that waits."""
    url = document_server.put("/request.jwt", signed(claims_of(by_reference)))
    pages = [by_reference.follow(refer(by_reference, url)) for _ in range(2)]
    assert len({page.request.args["i"] for page in pages}) == 2


@pytest.mark.parametrize("rest", ["/elsewhere.jwt", "/request.jwt?a=b", "/request.jwt/", "/REQUEST.jwt", ""])
def test_another_reference_is_not_fetched(by_reference, document_server, rest):
    assert "registered" in told(by_reference, refer(by_reference, document_server.url(rest)))
    assert document_server.asked == []


@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "//127.0.0.1/",
        "urn:ietf:params:oauth:request_uri",
        "http://[::1",
        "é",
        "https://app.example.org@127.0.0.1/",
    ],
)
def test_nothing_is_fetched_that_is_not_registered(by_reference, uri):
    told(by_reference, refer(by_reference, uri))


def test_a_missing_document(by_reference, document_server):
    assert "404" in told(by_reference, refer(by_reference, document_server.url("/request.jwt")))


def test_a_redirect_is_not_followed(by_reference, document_server):
    target = document_server.put("/other.jwt", signed(claims_of(by_reference)))
    url = document_server.redirect("/request.jwt", target)
    assert "302" in told(by_reference, refer(by_reference, url))
    assert document_server.asked == ["/request.jwt"]


def test_a_huge_document_is_not_read_to_its_end(by_reference, document_server):
    url = document_server.put("/request.jwt", b"a" * 5_000_000)
    assert "too long" in told(by_reference, refer(by_reference, url))


def test_a_host_that_drips_is_cut_off(by_reference, document_server, monkeypatch):
    monkeypatch.setattr(outgoing, "WHOLE_TIMEOUT", 0.5)
    told(by_reference, refer(by_reference, document_server.drip("/request.jwt", every=0.1)))


@pytest.mark.parametrize("body", [b"", b"no JWT", b"\xff\xfe", b"<html>"])
def test_a_document_that_is_no_object(by_reference, document_server, body):
    answer = by_reference.read_answer(refer(by_reference, document_server.put("/request.jwt", body)))
    assert answer.error in ("invalid_request_object", "invalid_request_uri")


def test_a_private_address_is_not_called_though_it_is_registered(settings, make_app, make_client, ada, document_server):
    """SSRF: an issuer that is not on loopback calls no loopback address, and no private one."""
    app = make_app(replace(settings, issuer="https://login.example.org"))
    uris = (document_server.url("/request.jwt"), "https://10.0.0.1/request.jwt", "https://[::ffff:10.0.0.1]/r")
    rp = RelyingParty(app.test_client(), "https://login.example.org", *make_client(request_uris=uris))
    for uri in uris:
        rp.authorization_parameters(state="outside")
        query = {**beside_of(rp), "request_uri": uri}
        response = rp.browser.get("/oauth/authorize", query_string=query, base_url="https://login.example.org")
        assert "private" in told(rp, response)
    assert document_server.asked == []


def test_an_unsigned_object_by_reference_is_not_supported(by_reference, document_server):
    url = document_server.put("/request.jwt", unsigned(claims_of(by_reference)))
    told(by_reference, refer(by_reference, url), "request_uri_not_supported")


def test_without_a_redirect_uri_a_fault_of_the_reference_is_shown(by_reference):
    sent = {"client_id": by_reference.metadata.client_id, "request_uri": "https://app.example.org/request.jwt"}
    error = shown_error(by_reference.browser.get("/oauth/authorize", query_string=sent))
    assert (error.code, error.parameter) == ("invalid_request_uri", "request_uri")


# -- Whatever hypothesis can think of ---------------------------------------------------------------------


def test_wild_request_objects(relying_party, ada):
    """Signed properly, and full of nonsense: an error that the app is told or the person shown, never a 500."""
    rp = relying_party(jwks=public_jwks(), resources=("https://api.example.org/",))
    names = st.sampled_from([*READ, "iss", "aud", "exp", "nbf", "iat", "jti", "sub", "request", "request_uri", "x"])
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=12),
        st.sampled_from(["\x00", "\ud800", "", " ", rp.redirect_uri, rp.issuer, "form_post", "none", "openid", "{}"]),
    )
    value = st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
        max_leaves=5,
    )

    @settings(quickly, max_examples=200)
    @given(st.dictionaries(names, value, max_size=4), st.booleans())
    def send_wild(changes, is_pushed):
        claims = {**claims_of(rp), **changes}
        token = signed(json.dumps(claims).encode())
        if is_pushed:
            response = rp.post("pushed_authorization_request_endpoint", request=token)
            assert response.status_code in (201, 400), response.text
            assert response.status_code == 201 or error_of(response)
            return
        response = rp.browser.get("/oauth/authorize", query_string=urlencode({**beside_of(rp), "request": token}))
        assert response.status_code in (200, 303, 400), response.text

    send_wild()
