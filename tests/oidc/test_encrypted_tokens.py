"""ID tokens and userinfo that are signed, encrypted, or both (OIDC Core sections 5.3.2 and 16.14, RFC 7516)."""

import json
import sqlite3
from contextlib import closing

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from sqlalchemy import select, update

from idp.models import Client, LogoutNotice
from idp.oidc import client_keys
from idp.oidc.encryption import CONTENT_ALGORITHMS, KEY_ALGORITHMS
from idp.oidc.outgoing import Answer
from idp.oidc.signatures import registry
from tests.oidc.listening import read_logout_token
from tests.relying_party import base64url, decode, error_of

RSA_KEY = RSAKey.generate_key(2048, {"kid": "enc-rsa", "use": "enc"})
EC_KEY = ECKey.generate_key("P-256", {"kid": "enc-ec", "use": "enc"})
X_KEY = OKPKey.generate_key("X25519", {"kid": "enc-x", "use": "enc"})
SIGNING_KEY = ECKey.generate_key("P-256", {"kid": "sig-ec", "use": "sig"})


def jwks(*keys):
    """Return a JWK Set of public keys."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


@pytest.fixture
def encrypted(relying_party, ada):
    """Register an app that wants things encrypted."""

    def make(what, algorithm, enc="A128CBC-HS256", key=None, **metadata):
        key = key or (RSA_KEY if algorithm.startswith("RSA") else EC_KEY)
        wanted = {f"{what}_encrypted_response_alg": algorithm, f"{what}_encrypted_response_enc": enc}
        if "jwks_uri" not in metadata:
            metadata.setdefault("jwks", jwks(SIGNING_KEY, key))
        rp = relying_party(**wanted, **metadata)
        rp.encryption_key = key
        return rp

    return make


def signed_userinfo(rp, token, algorithm):
    """Check the signature of a userinfo JWT; returns its claims."""
    header = json.loads(decode(token.split(".")[0]))
    assert header["alg"] == algorithm
    key = next(each for each in rp.keys().keys if each.kid == header["kid"])
    claims = json.loads(jws.deserialize_compact(token, key, registry=registry([algorithm])).payload)
    assert claims["iss"] == rp.issuer
    assert claims["aud"] == rp.metadata.client_id
    return claims


def userinfo_jwt(rp, tokens):
    """Fetch userinfo that must come as a JWT."""
    response = rp.request_userinfo(tokens.access_token)
    assert response.status_code == 200, response.text
    assert response.mimetype == "application/jwt"
    assert response.headers["Cache-Control"] == "no-store"
    return response.text


# -- ID tokens ----------------------------------------------------------------------------


@pytest.mark.parametrize("enc", CONTENT_ALGORITHMS)
@pytest.mark.parametrize("algorithm", KEY_ALGORITHMS)
def test_an_id_token_is_signed_and_then_encrypted(encrypted, algorithm, enc):
    rp = encrypted("id_token", algorithm, enc)
    tokens = rp.log_in()  # which decrypts, and then checks the signature and all the rest
    assert tokens.id_token.count(".") == 4
    assert rp.userinfo(tokens)
    assert algorithm in rp.discovery["id_token_encryption_alg_values_supported"]
    assert enc in rp.discovery["id_token_encryption_enc_values_supported"]


def test_a_key_agreement_may_be_on_x25519(encrypted):
    assert encrypted("id_token", "ECDH-ES+A128KW", key=X_KEY).log_in()


def test_a_refreshed_id_token_is_encrypted_too(encrypted):
    rp = encrypted("id_token", "ECDH-ES")
    assert rp.refresh(rp.log_in(scope="openid offline_access").refresh_token).id_token.count(".") == 4


def test_claims_in_it_are_for_the_app_alone(encrypted):
    rp = encrypted("id_token", "RSA-OAEP-256", has_id_token_claims=True)
    tokens = rp.log_in(scope="openid email")
    assert tokens.claims["email"] == "ada@example.org"
    assert not any(b"ada@example.org" in decode(part) for part in tokens.id_token.split("."))


def test_what_was_decrypted_is_a_hint(encrypted):
    rp = encrypted("id_token", "ECDH-ES")
    whole = rp.log_in().id_token
    inner = rp.decrypt(whole, "id_token")
    assert rp.ask(prompt="none", id_token_hint=inner).code
    assert "is encrypted" in rp.ask(prompt="none", id_token_hint=whole).parameters["error_description"]
    rp.log_out(inner)


@pytest.mark.parametrize("is_published", [False, True])
def test_a_logout_token_is_encrypted_as_id_tokens_are(
    encrypted, listening_app, send_due, document_server, is_published
):
    """Back-Channel Logout 1.0 section 2.6: such an app refuses one that is not. The worker finds the key by itself."""
    uri = document_server.put("/jwks", json.dumps(jwks(SIGNING_KEY, EC_KEY)), "application/json")
    published = {"jwks_uri": uri} if is_published else {}
    rp = encrypted("id_token", "ECDH-ES", "A256GCM", backchannel_logout_uri=listening_app.url, **published)
    tokens = rp.log_in()
    rp.log_out(rp.decrypt(tokens.id_token, "id_token"))
    assert send_due()["notice_sent"] == 1
    told = read_logout_token(rp.decrypt(*listening_app.tokens, "id_token"), rp)
    assert told["sid"] == tokens.claims["sid"]


def test_an_app_without_a_key_is_told_of_no_sign_out_in_clear(encrypted, listening_app, send_due, document_server, db):
    uri = document_server.put("/jwks", json.dumps(jwks(EC_KEY)), "application/json")
    rp = encrypted("id_token", "ECDH-ES", jwks_uri=uri, backchannel_logout_uri=listening_app.url)
    inner = rp.decrypt(rp.log_in().id_token, "id_token")
    document_server.put("/jwks", json.dumps(jwks(SIGNING_KEY)), "application/json")
    rp.log_out(inner)
    assert send_due()["notice_put_off"] == 1
    assert "has no key" in db.scalars(select(LogoutNotice.last_error)).one()
    assert listening_app.requests == 0


def test_a_key_for_signatures_is_not_encrypted_to(encrypted):
    plain = ECKey.generate_key("P-256", {"kid": "any"})
    assert encrypted("id_token", "ECDH-ES", key=plain, jwks=jwks(SIGNING_KEY, plain)).log_in()


@pytest.mark.parametrize(
    ("algorithm", "operations"),
    [
        ("RSA-OAEP-256", ["encrypt"]),
        ("RSA-OAEP-256", ["wrapKey"]),
        ("ECDH-ES", []),
        ("ECDH-ES+A128KW", ["deriveBits"]),
    ],
)
def test_keys_may_say_what_they_are_for_as_browsers_write_it(encrypted, algorithm, operations):
    """RFC 7517 section 4.3: `key_ops` in place of `use`. A key that verifies signatures is none to encrypt to."""
    kind, like = (RSAKey, RSA_KEY) if algorithm.startswith("RSA") else (ECKey, EC_KEY)
    plain = {name: value for name, value in like.as_dict(private=False).items() if name != "use"}
    verifying = kind.generate_key(2048 if kind is RSAKey else "P-256").as_dict(private=False) | {"key_ops": ["verify"]}
    published = {"keys": [verifying, {**plain, "key_ops": operations}]}
    assert encrypted("id_token", algorithm, key=like, jwks=published).log_in()
    refused = encrypted("id_token", algorithm, jwks={"keys": [verifying]})
    assert "no key for" in refused.request_tokens(refused.authorize().code).json["error_description"]


def test_a_key_meant_for_encryption_goes_before_one_for_anything(encrypted):
    plain = ECKey.generate_key("P-256", {"kid": "any"})
    assert encrypted("id_token", "ECDH-ES", jwks=jwks(plain, EC_KEY)).log_in()


def test_a_key_for_another_algorithm_is_passed_over(encrypted):
    other = ECKey.generate_key("P-256", {"kid": "other", "use": "enc", "alg": "ECDH-ES"})
    assert encrypted("id_token", "ECDH-ES+A256KW", jwks=jwks(other, EC_KEY)).log_in()


def test_front_channel_id_tokens_are_encrypted_too(relying_party_of_every_type, ada):
    rp = relying_party_of_every_type(
        id_token_encrypted_response_alg="ECDH-ES", id_token_encrypted_response_enc="A256GCM", jwks=jwks(EC_KEY)
    )
    rp.encryption_key = EC_KEY
    assert rp.authorize(response_type="code id_token").parameters["id_token"].count(".") == 4


# -- Keys that are not to be had ----------------------------------------------------------


def test_a_new_key_is_fetched(encrypted, document_server, monkeypatch):
    monkeypatch.setattr(client_keys, "REFETCH_AFTER", 0)
    uri = document_server.put("/keys", json.dumps(jwks(SIGNING_KEY)), "application/json")
    rp = encrypted("id_token", "ECDH-ES", jwks_uri=uri)
    code = rp.authorize().code
    response = rp.request_tokens(code)
    assert response.status_code == 400
    assert error_of(response) == "invalid_request"
    document_server.put("/keys", json.dumps(jwks(SIGNING_KEY, EC_KEY)), "application/json")
    assert rp.redeem(code)  # nothing was claimed for what could not be encrypted


def test_a_key_that_was_accepted_once_is_no_fault_of_ours(encrypted, db):
    rp = encrypted("id_token", "RSA-OAEP-256", key=RSA_KEY)
    number = base64url(b"\xff" * 512)  # a modulus and an exponent of 4,096 bits
    absurd = {"kty": "RSA", "n": number, "e": base64url(b"\x7f" * 512), "use": "enc"}
    db.execute(update(Client).values(jwks={"keys": [absurd]}, version=Client.version + 1))
    db.commit()
    response = rp.request_tokens(rp.authorize().code)
    assert response.status_code == 400
    assert error_of(response) == "invalid_request"


def test_keys_that_cannot_be_fetched_mean_no_tokens(encrypted, document_server):
    rp = encrypted("id_token", "ECDH-ES", jwks_uri=document_server.url("/nowhere"))
    assert error_of(rp.request_tokens(rp.authorize().code)) == "invalid_request"


def test_the_front_channel_says_so_too(relying_party_of_every_type, document_server, ada):
    rp = relying_party_of_every_type(
        id_token_encrypted_response_alg="ECDH-ES",
        id_token_encrypted_response_enc="A256GCM",
        jwks_uri=document_server.url("/nowhere"),
    )
    assert rp.authorize(response_type="code id_token").error == "invalid_request"


# -- Userinfo -----------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_userinfo_is_signed(relying_party, ada, algorithm):
    rp = relying_party(userinfo_signed_response_alg=algorithm)
    assert algorithm in rp.discovery["userinfo_signing_alg_values_supported"]
    tokens = rp.log_in(scope="openid email")
    claims = signed_userinfo(rp, userinfo_jwt(rp, tokens), algorithm)
    assert claims["sub"] == tokens.claims["sub"]
    assert claims["email"] == "ada@example.org"


@pytest.mark.parametrize("enc", CONTENT_ALGORITHMS)
@pytest.mark.parametrize("algorithm", ["RSA-OAEP-256", "ECDH-ES"])
def test_userinfo_is_signed_and_then_encrypted(encrypted, algorithm, enc):
    rp = encrypted("userinfo", algorithm, enc, userinfo_signed_response_alg="ES256")
    inner = rp.decrypt(userinfo_jwt(rp, rp.log_in(scope="openid email")), "userinfo")
    assert signed_userinfo(rp, inner, "ES256")["email"] == "ada@example.org"


def test_userinfo_may_be_encrypted_alone(encrypted):
    rp = encrypted("userinfo", "ECDH-ES+A128KW")
    tokens = rp.log_in(scope="openid email")
    claims = json.loads(rp.decrypt(userinfo_jwt(rp, tokens), "userinfo", content_type=None))
    assert claims["email"] == "ada@example.org"
    assert claims["sub"] == tokens.claims["sub"]
    assert claims["iss"] == rp.issuer


def test_userinfo_that_cannot_be_encrypted_is_not_sent(encrypted, document_server):
    rp = encrypted("userinfo", "ECDH-ES", jwks_uri=document_server.url("/nowhere"))
    response = rp.request_userinfo(rp.log_in().access_token)
    assert response.status_code == 400
    assert error_of(response) == "invalid_request"


def test_signed_userinfo_opens_nothing(relying_party, ada):
    rp = relying_party(userinfo_signed_response_alg="RS256")
    told = userinfo_jwt(rp, rp.log_in())
    assert rp.request_userinfo(told).status_code == 401
    assert rp.introspect(told) == {"active": False}


def test_nobody_waits_to_write_while_keys_are_fetched(encrypted, settings, monkeypatch):
    """Proof of the client and of its key are noted by then; a `jwks_uri` may take seconds to answer."""
    method = {"token_endpoint_auth_method": "private_key_jwt", "is_trusted": True}
    rp = encrypted("id_token", "ECDH-ES", jwks_uri="https://slow.example.org/keys", **method)
    rp.key = rp.dpop_key = SIGNING_KEY
    code = rp.authorize().code
    may_write = watch_fetches(monkeypatch, settings)
    assert rp.request_tokens(code).status_code == 400  # there is no key to encrypt to
    assert len(may_write) == 2


def test_nobody_waits_to_write_while_keys_for_an_answer_are_fetched(
    relying_party_of_every_type, ada, settings, monkeypatch
):
    rp = relying_party_of_every_type(
        response_types=("id_token",),
        grant_types=("implicit",),
        jwks_uri="https://slow.example.org/keys",
        id_token_encrypted_response_alg="ECDH-ES",
        id_token_encrypted_response_enc="A128GCM",
    )
    may_write = watch_fetches(monkeypatch, settings)
    assert rp.authorize(response_type="id_token").error == "invalid_request"
    assert may_write


def watch_fetches(monkeypatch, settings):
    """Have keys fetched that are of no use; the list that comes back tells whether others might write meanwhile."""
    may_write = []

    def fetch(*_args, **_named):
        with closing(sqlite3.connect(settings.instance / "idp.sqlite3", timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            may_write.append(True)
        return Answer(200, "application/json", json.dumps(jwks(SIGNING_KEY)).encode())

    monkeypatch.setattr(client_keys, "fetch", fetch)
    monkeypatch.setattr(client_keys, "REFETCH_AFTER", 0)
    return may_write
