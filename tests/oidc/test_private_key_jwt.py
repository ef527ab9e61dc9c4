"""Apps that prove who they are by a JWT that they signed (RFC 7523 section 2.2, OIDC Core section 9)."""

import base64
import hmac
import json
from dataclasses import replace

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from sqlalchemy import select

from idp import crypto
from idp.accounts.visitor import OPERATOR
from idp.models import AuditEvent, Client, SeenAssertion
from idp.oidc import client_assertions, client_keys
from idp.oidc.client_store import get_client, rotate_secret, update_client
from idp.worker import sweep_all
from tests.at_once import at_once
from tests.relying_party import ASSERTION_TYPE, base64url, error_of

ENDPOINTS = ("token_endpoint", "introspection_endpoint", "revocation_endpoint")
FORM = {"grant_type": "client_credentials", "token": "unknown"}
SERVICE = {"grant_types": ("client_credentials",), "redirect_uris": ()}
KEY = ECKey.generate_key("P-256", {"kid": "service-1"})
RSA_KEY = RSAKey.generate_key(2048, {"kid": "service-rsa"})
KEYS = {"RS": RSA_KEY, "PS": RSA_KEY, "ES": KEY, "Ed": OKPKey.generate_key("Ed25519", {"kid": "service-ed"})}


@pytest.fixture
def service(relying_party):
    """An app with a key."""
    return relying_party(key=KEY, token_endpoint_auth_method="private_key_jwt", **SERVICE)


@pytest.fixture
def with_secret(relying_party):
    """An app that keys a MAC with its secret."""
    return relying_party(token_endpoint_auth_method="client_secret_jwt", **SERVICE)


def call(rp, assertion, endpoint="token_endpoint", **form):
    """Call an endpoint with an assertion."""
    data = {**FORM, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **form}
    sent = {name: value for name, value in data.items() if value is not None}
    return rp.browser.post(rp.path(endpoint), data=sent)


def refused(response, why):
    """The assertion is refused, and the description says why."""
    assert response.status_code == 401, response.text
    assert error_of(response) == "invalid_client"
    assert why in response.json["error_description"]


def unsigned(header, payload="e30"):
    """Return the first two parts of a JWT; the header may be whatever no library would write."""
    return f"{base64url(json.dumps(header).encode())}.{payload}"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_assertion_opens_every_endpoint(service, with_secret, endpoint):
    assert service.post(endpoint, **FORM).status_code == 200
    assert with_secret.post(endpoint, **FORM).status_code == 200


@pytest.mark.parametrize("what", ["a code", "a refresh token", "a question"])
def test_a_forged_assertion_opens_nothing_that_is_read_before_the_client_is_known(relying_party, ada, what):
    rp = relying_party(key=KEY, token_endpoint_auth_method="private_key_jwt")
    tokens = rp.log_in(scope="openid offline_access")
    code, token = rp.ask(scope="openid").code, tokens.refresh_token
    endpoint, form = {
        "a code": (
            "token_endpoint",
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": rp.metadata.redirect_uris[0],
                "code_verifier": rp.verifier,
            },
        ),
        "a refresh token": ("token_endpoint", {"grant_type": "refresh_token", "refresh_token": token}),
        "a question": ("introspection_endpoint", {"token": tokens.access_token}),
    }[what]
    forged = rp.assertion(key=ECKey.generate_key("P-256", {"kid": "service-1"}))
    refused(call(rp, forged, endpoint, **form), "signature")
    assert call(rp, rp.assertion(), endpoint, **form).status_code == 200


def test_a_code_that_is_shown_twice_ends_what_came_of_it_by_one_assertion_each(relying_party, ada):
    rp = relying_party(key=KEY, token_endpoint_auth_method="private_key_jwt")
    code = rp.authorize().code
    tokens = rp.redeem(code)
    assert error_of(rp.request_tokens(code)) == "invalid_grant"
    assert not rp.is_good(tokens)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("audience", ["issuer", "token_endpoint", "own"])
def test_the_audience_is_the_issuer_or_an_endpoint(service, endpoint, audience):
    named = service.discovery[endpoint if audience == "own" else audience]
    assert call(service, service.assertion(aud=named), endpoint).status_code == 200
    assert call(service, service.assertion(aud=[named]), endpoint).status_code == 200


def test_a_list_of_audiences_that_are_all_ours_is_one_audience(service):
    both = [service.issuer, service.discovery["token_endpoint"]]
    assert call(service, service.assertion(aud=both)).status_code == 200


@pytest.mark.parametrize(
    "audience",
    ["https://other.example.org", "", None, [], {}, 7, ["http://localhost:8000", "https://other.example.org"], [[]]],
    ids=["another", "empty", "missing", "no entry", "object", "number", "another besides", "nested"],
)
def test_an_assertion_for_somebody_else_is_refused(service, audience):
    """Audience injection: what one provider is shown, it must not be able to show to another."""
    refused(call(service, service.assertion(aud=audience)), "aud")


def test_the_endpoint_s_own_url_is_no_audience_elsewhere(service):
    other = service.discovery["introspection_endpoint"]
    refused(call(service, service.assertion(aud=other), "revocation_endpoint"), "aud")


@pytest.mark.parametrize("algorithm", client_keys.PUBLIC_KEY_ALGORITHMS)
def test_every_algorithm_of_discovery_is_taken(relying_party, algorithm):
    key = ECKey.generate_key("P-384", {"kid": "x"}) if algorithm == "ES384" else KEYS[algorithm[:2]]
    rp = relying_party(key=key, token_endpoint_auth_method="private_key_jwt", **SERVICE)
    assert algorithm in rp.discovery["token_endpoint_auth_signing_alg_values_supported"]
    assert call(rp, rp.assertion(algorithm=algorithm)).status_code == 200


@pytest.mark.parametrize("algorithm", client_keys.SECRET_ALGORITHMS)
def test_a_secret_may_key_every_mac(with_secret, algorithm):
    assert call(with_secret, with_secret.assertion(algorithm=algorithm)).status_code == 200


def test_the_registered_algorithm_is_the_only_one(relying_party):
    rp = relying_party(
        key=RSA_KEY,
        token_endpoint_auth_method="private_key_jwt",
        token_endpoint_auth_signing_alg="PS256",
        **SERVICE,
    )
    assert call(rp, rp.assertion(algorithm="PS256")).status_code == 200
    refused(call(rp, rp.assertion(algorithm="RS256")), "PS256")


# -- Methods ------------------------------------------------------------------------------


def test_only_the_registered_method_counts(service, with_secret, relying_party):
    basic = relying_party(**SERVICE)
    key = OctKey.import_key(basic.secret)
    refused(call(basic, basic.assertion(key=key)), "must authenticate with client_secret_basic")
    refused(call(basic, basic.assertion(key=KEY)), "must authenticate with client_secret_basic")
    refused(call(with_secret, with_secret.assertion(key=KEY)), "must authenticate with client_secret_jwt")
    for method in ("client_secret_basic", "client_secret_post"):
        assert error_of(with_secret.post("token_endpoint", method, **FORM)) == "invalid_client"
        assert error_of(service.post("token_endpoint", method, **FORM)) == "invalid_client"
    assert error_of(service.post("token_endpoint", "none", **FORM)) == "invalid_client"


def test_a_public_key_is_no_secret(service):
    """The old attack: an HMAC keyed with the text of the public key."""
    signed = service.assertion().split(".")
    message = unsigned({"alg": "HS256", "kid": KEY.kid}, signed[1])
    for text in (KEY.as_pem(private=False), json.dumps(KEY.as_dict(private=False)).encode()):
        forged = f"{message}.{base64url(hmac.digest(text, message.encode(), 'sha256'))}"
        refused(call(service, forged), "must authenticate with private_key_jwt")


def test_two_methods_at_once_are_refused(service, with_secret):
    response = call(with_secret, with_secret.assertion(), client_secret=with_secret.secret)
    assert error_of(response) == "invalid_request"
    pair = base64.b64encode(f"{service.metadata.client_id}:x".encode()).decode()
    data = {**FORM, "client_assertion_type": ASSERTION_TYPE, "client_assertion": service.assertion()}
    response = service.browser.post("/oauth/token", data=data, headers={"Authorization": f"Basic {pair}"})
    assert response.status_code == 400
    assert error_of(response) == "invalid_request"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_assertion": None},
        {"client_assertion_type": None},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {"client_id": "somebody-else"},
    ],
    ids=["no assertion", "no type", "another type", "another client_id"],
)
def test_a_request_that_contradicts_itself_is_refused(service, changes):
    response = call(service, service.assertion(), **changes)
    assert response.status_code == 400
    assert error_of(response) == "invalid_request"


@pytest.mark.parametrize("name", ["client_assertion", "client_assertion_type"])
@pytest.mark.parametrize(
    "endpoint", [*ENDPOINTS, "pushed_authorization_request_endpoint", "device_authorization_endpoint"]
)
def test_what_comes_twice_is_refused_at_every_endpoint(service, endpoint, name):
    sent = {"client_assertion": service.assertion(), "client_assertion_type": ASSERTION_TYPE}
    response = service.browser.post(service.path(endpoint), data={**FORM, **sent, name: [sent[name], "another"]})
    assert response.status_code == 400
    assert error_of(response) == "invalid_request"
    assert name in response.json["error_description"]


def test_the_client_id_may_stand_in_the_form_too(service):
    assert call(service, service.assertion(), client_id=service.metadata.client_id).status_code == 200


# -- Claims -------------------------------------------------------------------------------


def test_an_assertion_is_used_once(service):
    assertion = service.assertion()
    assert call(service, assertion).status_code == 200
    refused(call(service, assertion), "used before")
    refused(call(service, assertion, "revocation_endpoint"), "used before")


def test_two_apps_may_choose_the_same_jti(service, relying_party):
    other = relying_party(key=KEY, token_endpoint_auth_method="private_key_jwt", **SERVICE)
    for each in (service, other):
        assert call(each, each.assertion(jti="the same")).status_code == 200


def test_of_many_who_show_it_at_once_one_is_let_in(service, app):
    assertion = service.assertion()
    path = service.path("token_endpoint")
    data = {**FORM, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    browsers = [app.test_client() for _ in range(6)]
    statuses = at_once(lambda number: browsers[number].post(path, data=data).status_code, 6)
    assert sorted(statuses) == [200, 401, 401, 401, 401, 401]


def test_what_was_seen_is_forgotten_an_hour_after_it_has_expired(service, db, clock):
    call(service, service.assertion())
    assert db.scalars(select(SeenAssertion)).all()
    db.rollback()
    clock.advance(3_600 + 121)
    sweep_all(db.get_bind())
    assert not db.scalars(select(SeenAssertion)).all()


def test_a_clock_that_was_an_hour_ahead_makes_none_good_again(service, db, clock):
    assertion = service.assertion()
    assert call(service, assertion).status_code == 200
    clock.advance(3_600)
    sweep_all(db.get_bind())
    clock.advance(-3_600)
    assert call(service, assertion).status_code == 401


@pytest.mark.parametrize("claim", ["iss", "sub"])
def test_iss_and_sub_are_the_client(service, with_secret, claim):
    other = with_secret.metadata.client_id
    response = call(service, service.assertion(**{claim: other}))
    assert response.status_code == 401
    assert error_of(response) == "invalid_client"
    assert error_of(call(service, service.assertion(**{claim: None}))) == "invalid_client"


@pytest.mark.parametrize(
    ("ahead", "why"),
    [
        (-client_assertions.LEEWAY, "expired"),
        (client_assertions.LIFETIME_MOST + client_assertions.LEEWAY + 1, "too long"),
        (10 * 366 * 86_400, "too long"),
    ],
)
def test_it_is_good_for_a_while_only(service, clock, ahead, why):
    refused(call(service, service.assertion(exp=int(clock.time) + ahead)), why)


def test_clocks_may_differ_a_little(service, clock):
    assert call(service, service.assertion(exp=int(clock.time) - client_assertions.LEEWAY + 1)).status_code == 200
    assert call(service, service.assertion(iat=int(clock.time) + client_assertions.LEEWAY)).status_code == 200


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_it_does_not_come_from_the_future(service, clock, claim):
    refused(call(service, service.assertion(**{claim: int(clock.time) + client_assertions.LEEWAY + 1})), claim)


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value", ["soon", True, [], {}, float("nan"), float("inf")], ids=["text", "true", "list", "object", "nan", "inf"]
)
def test_a_time_is_a_number(service, claim, value):
    refused(call(service, service.assertion(**{claim: value})), claim)


def test_a_time_may_be_absurdly_large(service):
    refused(call(service, service.assertion(exp=10**400)), "too long")
    refused(call(service, service.assertion(exp=-(10**400))), "expired")


def test_exp_is_needed(service):
    refused(call(service, service.assertion(exp=None)), "exp")


@pytest.mark.parametrize("jti", [None, "", 7, ["x"], "x" * 257], ids=["missing", "empty", "number", "list", "long"])
def test_jti_is_needed(service, jti):
    refused(call(service, service.assertion(jti=jti)), "jti")


@pytest.mark.parametrize("typ", ["dpop+jwt", "at+jwt", "oauth-authz-req+jwt"])
def test_a_jwt_made_for_something_else_is_refused(service, typ):
    refused(call(service, service.assertion(header={"typ": typ})), "another kind")
    assert call(service, service.assertion(header={"typ": "client-authentication+jwt"})).status_code == 200


# -- Keys ---------------------------------------------------------------------------------


def test_a_signature_of_somebody_else_is_refused(service):
    stranger = ECKey.generate_key("P-256", {"kid": "service-1"})
    refused(call(service, service.assertion(key=stranger)), "none of the client")


@pytest.mark.parametrize("where", ["jwk", "jku", "x5u"])
def test_a_key_in_the_header_is_not_followed(service, where):
    stranger = ECKey.generate_key("P-256")
    said = stranger.as_dict(private=False) if where == "jwk" else "https://attacker.example.org/keys"
    refused(call(service, service.assertion(key=stranger, header={where: said})), "none of the client")


@pytest.mark.parametrize("kid", ['"', "\\", "é", "' OR 1=1", "x" * 3_000, 7, None, {}], ids=range(8))
@pytest.mark.parametrize("name", ["kid", "typ", "cty", "x5c"])
def test_an_odd_header_is_no_fault_of_ours(service, name, kid):
    payload = service.assertion().split(".")[1]
    response = call(service, unsigned({"alg": "ES256", name: kid}, payload) + ".AA")
    assert response.status_code == 401
    assert error_of(response) == "invalid_client"


@pytest.mark.parametrize(
    "assertion",
    [
        "x",
        "a.b",
        "a.b.c",
        "....",
        "e30.e30.",
        base64url(b'{"alg":"none"}') + ".eyJzdWIiOiJ4In0.",
        base64url(b'{"alg":["ES256"]}') + ".eyJzdWIiOiJ4In0.AA",
        base64url(b'{"alg":"ES256"}') + ".WzFd.AA",
        base64url(b"[" * 5_000) + ".e30.AA",
        base64url(b'{"alg":"ES256"}') + "." + base64url(b'{"sub":"\\ud800"}') + ".AA",
        "a." * 10_000,
        "é.é.é",
        '".".".',
    ],
    ids=range(13),
)
def test_nonsense_is_refused(service, assertion):
    response = call(service, assertion)
    assert response.status_code == 401
    assert error_of(response) == "invalid_client"


def test_alg_none_is_refused(service):
    signed = service.assertion().split(".")
    header = base64url(b'{"alg":"none"}')
    refused(call(service, f"{header}.{signed[1]}."), "is not signed")


def test_a_nested_jwt_is_refused(service):
    inner = service.assertion()
    outer = service.assertion(header={"cty": "JWT"}).split(".")
    response = call(service, f"{outer[0]}.{base64url(inner.encode())}.{outer[2]}")
    assert response.status_code == 401
    assert error_of(response) == "invalid_client"


def test_a_critical_header_is_refused(service):
    refused(call(service, service.assertion(header={"crit": ["b64"], "b64": True})), "critical")


def test_an_unknown_client_is_refused_like_any_other(service):
    refused(call(service, service.assertion(iss="nobody", sub="nobody")), "not known here")


def test_refusals_are_audited(service, db):
    call(service, service.assertion(aud="https://other.example.org"))
    event = db.scalars(select(AuditEvent).where(AuditEvent.event == "client:authentication:refuse")).one()
    assert event.details["reason"] == "wrong_assertion"


# -- jwks_uri -----------------------------------------------------------------------------


def publish(server, *keys, headers=()):
    """Serve a JWK Set; returns its address."""
    content = json.dumps({"keys": [key.as_dict(private=False) for key in keys]})
    return server.put("/keys", content, "application/json", headers=headers)


def test_keys_are_fetched_once_and_again_for_an_unknown_kid(relying_party, document_server, monkeypatch):
    uri = publish(document_server, KEY)
    rp = relying_party(key=KEY, jwks_uri=uri, token_endpoint_auth_method="private_key_jwt", **SERVICE)
    for _ in range(3):
        assert call(rp, rp.assertion()).status_code == 200
    assert document_server.asked == ["/keys"]
    fresh = ECKey.generate_key("P-256", {"kid": "service-2"})
    publish(document_server, KEY, fresh)
    refused(call(rp, rp.assertion(key=fresh)), "none of the client")  # it was asked a moment ago
    monkeypatch.setattr(client_keys, "REFETCH_AFTER", 0)
    assert call(rp, rp.assertion(key=fresh)).status_code == 200
    assert document_server.asked == ["/keys", "/keys"]


@pytest.mark.parametrize("other", [{"use": "enc"}, {"alg": "ES384"}, {"kid": "service-2"}], ids=str)
def test_a_key_for_something_else_signs_nothing(relying_party, other):
    jwks = {"keys": [{**KEY.as_dict(private=False), **other}]}
    rp = relying_party(key=KEY, jwks=jwks, token_endpoint_auth_method="private_key_jwt", **SERVICE)
    refused(call(rp, rp.assertion()), "none of the client")


def test_a_key_without_a_kid_is_followed_by_another(relying_party, document_server, monkeypatch):
    """Who publishes one key need not name it; that it was exchanged shows by its signature only."""
    first, second = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    uri = publish(document_server, first)
    rp = relying_party(key=first, jwks_uri=uri, token_endpoint_auth_method="private_key_jwt", **SERVICE)
    assert call(rp, rp.assertion()).status_code == 200
    publish(document_server, second)
    monkeypatch.setattr(client_keys, "REFETCH_AFTER", 0)
    assert call(rp, rp.assertion(key=second)).status_code == 200
    assert document_server.asked == ["/keys", "/keys"]
    refused(call(rp, rp.assertion(key=first)), "none of the client")


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        (("max-age=60",), 2),
        (("No-Store",), 2),
        (("Max-Age=600", "age: 590"), 2),  # it lay somewhere on the way
        (("max-age=600", "age: unknown"), 1),
        (("no-cache", "max-age=600"), 2),
        (("public", "max-age=86400"), 1),
        (("max-age=soon",), 1),
        ((), 1),
    ],
)
def test_an_app_says_for_how_long_its_keys_are_good(relying_party, document_server, monkeypatch, said, asked):
    """A key that it takes away is refused when they are asked for again."""
    headers = [("Age", each[5:]) if each.startswith("age: ") else ("Cache-Control", each) for each in said]
    uri = publish(document_server, KEY, headers=headers)
    rp = relying_party(key=KEY, jwks_uri=uri, token_endpoint_auth_method="private_key_jwt", **SERVICE)
    assert call(rp, rp.assertion()).status_code == 200
    publish(document_server, RSA_KEY)
    now = client_keys.clock.ticks()
    monkeypatch.setattr(client_keys.clock, "ticks", lambda: now + 61)
    response = call(rp, rp.assertion())
    assert document_server.asked == ["/keys"] * asked
    assert response.status_code == (200 if asked == 1 else 401)


def test_an_hour_is_the_most(relying_party, document_server, monkeypatch):
    uri = publish(document_server, KEY, headers=[("Cache-Control", "max-age=86400")])
    rp = relying_party(key=KEY, jwks_uri=uri, token_endpoint_auth_method="private_key_jwt", **SERVICE)
    assert call(rp, rp.assertion()).status_code == 200
    publish(document_server, RSA_KEY)
    now = client_keys.clock.ticks()
    monkeypatch.setattr(client_keys.clock, "ticks", lambda: now + client_keys.KEPT_FOR)
    refused(call(rp, rp.assertion()), "none of the client")


def test_keys_at_another_address_count_at_once(relying_party, document_server, db, settings):
    """Whoever has a key at the address before may be why the app has moved."""
    uri = publish(document_server, KEY)
    rp = relying_party(key=KEY, jwks_uri=uri, token_endpoint_auth_method="private_key_jwt", **SERVICE)
    assert call(rp, rp.assertion()).status_code == 200
    moved = document_server.put("/moved", json.dumps({"keys": [RSA_KEY.as_dict(private=False)]}), "application/json")
    before = get_client(db, rp.metadata.client_id)
    update_client(db, settings, OPERATOR, before, replace(before, jwks_uri=moved))
    db.commit()
    refused(call(rp, rp.assertion()), "none of the client")
    assert document_server.asked == ["/keys", "/moved"]


def test_keys_that_cannot_be_fetched_are_a_refusal(relying_party, document_server):
    uri = document_server.url("/nowhere")
    rp = relying_party(key=KEY, jwks_uri=uri, token_endpoint_auth_method="private_key_jwt", **SERVICE)
    refused(call(rp, rp.assertion()), "jwks_uri does not help")


# -- The secret ---------------------------------------------------------------------------


def test_a_secret_that_keys_a_mac_is_kept_encrypted(with_secret, db, settings):
    sealed = db.scalars(
        select(Client.client_secret_sealed).where(Client.client_id == with_secret.metadata.client_id)
    ).one()
    assert with_secret.secret not in sealed
    assert crypto.unseal(settings.secret_key, client_keys.SECRET_PURPOSE, sealed) == with_secret.secret


def test_a_new_secret_takes_over(with_secret, db, settings):
    old = with_secret.assertion()
    with_secret.secret = rotate_secret(db, settings, OPERATOR, with_secret.metadata.client_id)
    db.commit()
    refused(call(with_secret, old), "none of the client")
    assert call(with_secret, with_secret.assertion()).status_code == 200


def test_a_secret_that_only_authenticates_is_kept_as_a_digest(relying_party, db):
    rp = relying_party(**SERVICE)
    assert not db.scalars(select(Client.client_secret_sealed).where(Client.client_id == rp.metadata.client_id)).one()
