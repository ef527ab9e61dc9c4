"""Forged JWTs at every door that takes one (RFC 8725, RFC 9700 sections 2.5 and 4.10, RFC 9101 section 10, RFC 9449).

Five doors: client assertions, request objects, ID tokens as hints, access tokens that are JWTs, and DPoP proofs. The
same forgeries are tried at each, and each is shown to open for the real thing.
"""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc.jwk import ECKey, Key, RSAKey

from idp import clock
from idp.errors import InvalidInputError
from idp.oidc import dpop_nonces, key_sets
from idp.oidc.authorization_checks import READ
from idp.oidc.client_rules import check_metadata
from idp.oidc.presented_jwts import is_time
from tests.oidc.hostile.attacking import assert_harmless
from tests.oidc.hostile.conftest import raw_server
from tests.oidc.hostile.forging import by_hand, compact, forgeries, part, signed_by
from tests.relying_party import ASSERTION_TYPE, decode, sign

RSA = RSAKey.generate_key(2048, {"kid": "of-the-app"})
EC = ECKey.generate_key("P-256", {"kid": "of-the-app"})
SERVICE = {"grant_types": ("client_credentials",), "redirect_uris": ()}
FORM = {"grant_type": "client_credentials"}
# Claims of every wrong type: JSON has more to say than the specification wants to hear.
WRONG = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        2**80,
        -(2**80),
        "",
        "x",
        "\x00",
        "\ud800",
        "x" * 5_000,
        [],
        ["x"],
        [None],
        [[]],
        {},
    ),
    *({"x": "y"}, [{}], float("inf"), float("-inf"), float("nan"), 10**400, "1e9", "99999999999", " "),
)


@dataclass
class Door:
    """Somewhere that takes a JWT.

    Attributes:
        real: makes one that is let in.
        public: the key that it is checked with.
        shows: shows one; tells whether it was let in.
        honours_jwk: whether the key that the header brings is the right one here, as with DPoP.
    """

    real: Callable[..., str]
    public: Key
    shows: Callable[[str], bool]
    honours_jwk: bool = False


@pytest.fixture
def assertions(relying_party):
    """Client assertions (RFC 7523)."""
    return _assertions(relying_party, RSA)


@pytest.fixture
def assertions_of_ec(relying_party):
    """Client assertions by an elliptic curve."""
    return _assertions(relying_party, EC)


def _assertions(relying_party, key):
    rp = relying_party(key=key, token_endpoint_auth_method="private_key_jwt", **SERVICE)

    def shows(assertion):
        sent = {**FORM, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        response = rp.browser.post("/oauth/token", data=sent)
        assert_harmless(response, rp)
        return response.status_code == 200

    return Door(rp.assertion, key, shows)


@pytest.fixture
def request_objects(relying_party, ada):
    """Request objects (RFC 9101)."""
    rp = relying_party(key=RSA, require_signed_request_object=True)

    def real(**changes):
        claims = {
            "iss": rp.metadata.client_id,
            "aud": rp.issuer,
            **rp.authorization_parameters(prompt="none"),
            **changes,
        }
        return sign({"alg": "RS256", "kid": RSA.kid, "typ": "oauth-authz-req+jwt"}, claims, RSA)

    def shows(token):
        sent = {"client_id": rp.metadata.client_id, "response_type": "code", "scope": "openid", "request": token}
        response = rp.browser.get("/oauth/authorize", query_string=sent)
        assert_harmless(response, rp)
        return "error=login_required" in response.headers.get("Location", "")

    return Door(real, RSA, shows)


@pytest.fixture
def hints(target):
    """ID tokens that come back as hints (OIDC Core section 3.1.2.1, RP-Initiated Logout section 2)."""
    tokens = target.log_in()
    kid = json.loads(part_of(tokens.id_token, 0))["kid"]
    public = next(key for key in target.keys().keys if key.kid == kid)

    def shows(token):
        asked = target.send(method="POST", prompt="none", id_token_hint=token)
        left = target.browser.application.test_client().get("/oauth/end-session", query_string={"id_token_hint": token})
        for response in (asked, left):
            assert_harmless(response, target)
        is_hint = "code=" in asked.headers.get("Location", "")
        assert is_hint == (left.status_code == 303), "both endpoints are of one mind"
        return is_hint

    return Door(lambda: tokens.id_token, public, shows)


@pytest.fixture
def access_tokens(relying_party, ada):
    """Access tokens that are JWTs (RFC 9068)."""
    rp = relying_party(access_token_format="jwt")
    tokens = rp.log_in()
    kid = json.loads(part_of(tokens.access_token, 0))["kid"]
    public = next(key for key in rp.keys().keys if key.kid == kid)

    def shows(token):
        try:
            response = rp.request_userinfo(token)
        except (ValueError, UnicodeError):
            return False  # what no HTTP library can send in a header
        assert_harmless(response, rp)
        told = rp.post("introspection_endpoint", token=token)
        assert_harmless(told, rp)
        assert told.json.get("active", False) == (response.status_code == 200)
        return response.status_code == 200

    return Door(lambda: tokens.access_token, public, shows)


@pytest.fixture
def proofs(relying_party, settings):
    """DPoP proofs (RFC 9449)."""
    rp = relying_party(**SERVICE)
    rp.dpop_key, rp.dpop_nonce = EC, dpop_nonces.current_nonce(settings)

    def shows(proof):
        sent = {**FORM, "client_id": rp.metadata.client_id, "client_secret": rp.secret}
        try:
            response = rp.browser.post("/oauth/token", data=sent, headers={"DPoP": proof})
        except (ValueError, UnicodeError):
            return False
        assert_harmless(response, rp)
        return response.status_code == 200 and response.json["token_type"] == "DPoP"

    def real(**changes):
        return rp.proof("POST", rp.issuer + "/oauth/token", **changes)

    return Door(real, EC, shows, honours_jwk=True)


def part_of(token, index):
    """Return one part of a compact JWS, decoded."""
    return decode(token.split(".")[index])


@pytest.mark.parametrize(
    "kind", ["assertions", "assertions_of_ec", "request_objects", "hints", "access_tokens", "proofs"]
)
def test_forgeries(kind, request):
    """RFC 8725 section 2: `none`, keys confused, keys and addresses in the header, worthless signatures, odd `kid`s."""
    door = request.getfixturevalue(kind)
    assert door.shows(door.real()), "the real one is let in"
    with raw_server(lambda handler: handler.send_error(404)) as (url, asked):
        for name, forged in forgeries(door.real(), door.public, url):
            if door.honours_jwk and name.startswith("own key") and ", jwk" in name:
                continue
            assert not door.shows(forged), name
        assert asked == [], "an address in a header is not followed (RFC 8725 section 3.10)"
    assert door.shows(door.real()), "and it still is afterwards"


@pytest.mark.parametrize(
    ("kind", "needed"),
    [("assertions", ("iss", "sub", "aud", "exp", "jti")), ("proofs", ("htm", "htu", "iat", "jti", "nonce"))],
)
def test_claims_of_the_wrong_type(kind, needed, request):
    """RFC 8725 section 3.8, RFC 7523 section 3, RFC 9449 section 4.3: signed well, and still not what is due."""
    door = request.getfixturevalue(kind)
    for claim, value in itertools.product((*needed, "nbf", "iat", "x"), WRONG):
        is_let_in = door.shows(door.real(**{claim: value}))  # no fault of ours, whatever it is
        is_text = isinstance(value, str) and value and claim == "jti" and len(value) <= 256
        is_number = claim == "iat" and is_time(value)  # any will do: the nonce tells how old a proof is
        if claim in needed and not (is_text or is_number):
            assert not is_let_in, (claim, value)


def test_members_of_the_wrong_type_in_a_request_object(request_objects):
    """RFC 9101 section 6.3: each parameter inside a signed object spoiled; an answer of ours to each."""
    for claim, value in itertools.product((*READ, "iss", "aud", "exp", "nbf", "iat", "jti", "sub", "request"), WRONG):
        is_let_in = request_objects.shows(request_objects.real(**{claim: value}))
        if claim in ("iss", "aud", "client_id", "exp", "nbf") and not isinstance(value, int | float) and value:
            assert not is_let_in, (claim, value)


@pytest.mark.parametrize("kind", ["request_objects", "assertions"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), True, "9999999999"])
def test_a_time_that_never_comes_is_no_time(kind, value, request):
    """RFC 7519 section 2: with NaN or infinity as `exp` a JWT would never expire; neither is a number in JSON."""
    door = request.getfixturevalue(kind)
    assert not door.shows(door.real(exp=value))
    assert not door.shows(door.real(nbf=value))


def test_an_assertion_for_ever_is_refused(assertions):
    """RFC 7523 section 3: an `exp` that lies far ahead would have us remember its `jti` for as long."""
    for ahead in (4_000, 10**6, 10**9, 2**60):
        assert not assertions.shows(assertions.real(exp=clock.now() + ahead))


@pytest.mark.parametrize("kind", ["assertions", "request_objects", "proofs"])
def test_what_one_reader_bears_and_the_next_does_not(kind, request):
    """Nested ever deeper, a JWT comes to where our reader is not at its end yet, and a library's a few calls on is."""
    door = request.getfixturevalue(kind)
    key = EC if kind == "proofs" else RSA

    def nested(index, depth):
        return part_of(door.real(), index)[:-1] + f', "x": {"[" * depth}{"]" * depth}}}'.encode()

    for depth in (10, 60, *range(700, 1_000, 2)):
        in_header = compact(nested(0, depth), part_of(door.real(), 1))
        in_claims = compact(part_of(door.real(), 0), nested(1, depth))
        for forged in (in_header, in_claims):
            assert door.shows(signed_by(forged, "ES256" if kind == "proofs" else "RS256", key)) == (depth == 10)


def test_doubled_claims_are_one_claim(assertions, relying_party):
    """RFC 7519 section 4: of a claim that stands there twice the last counts, for who looks it up and who checks it."""
    other = relying_party(**SERVICE)
    header = {"alg": "RS256", "kid": RSA.kid}
    claims = part_of(assertions.real(), 1).decode()
    assert assertions.shows(by_hand(header, claims.encode(), RSA))
    claims = part_of(assertions.real(), 1).decode()  # with a jti of its own
    doubled = claims[:-1] + f', "sub": "{other.metadata.client_id}"}}'
    assert not assertions.shows(by_hand(header, doubled.encode(), RSA))


def test_one_kind_of_jwt_is_not_another(assertions, request_objects, hints, access_tokens, proofs):
    """Cross-JWT confusion (RFC 8725 section 2.8): each door refuses what is real at the others."""
    doors = (assertions, request_objects, hints, access_tokens, proofs)
    for (shown, giver), (where, taker) in itertools.permutations(enumerate(doors), 2):
        assert not taker.shows(giver.real()), f"what is real at door {shown}, at door {where}"


@pytest.mark.parametrize(("bits", "exponent"), [(512, 16), (1_024, 16), (4_096, 4_000), (60_000, 16), (60_000, 59_000)])
def test_keys_that_are_too_weak_or_too_large(proofs, bits, exponent):
    """RFC 8725 section 3.5: a proof brings its own key: one that is too short, or so large that checking takes long."""
    modulus, public = (1 << bits) - 1, (1 << exponent) + 1
    jwk = {
        "kty": "RSA",
        "n": part(modulus.to_bytes(bits // 8, "big")),
        "e": part(public.to_bytes(exponent // 8 + 1, "big")),
    }
    claims = json.loads(part_of(proofs.real(), 1))
    began = time.process_time()
    assert not proofs.shows(compact({"typ": "dpop+jwt", "alg": "RS256", "jwk": jwk}, claims, b"\x01" * (bits // 8)))
    assert time.process_time() - began < 1


def test_keys_that_are_no_keys(proofs):
    """Invalid curve points and odd members (RFC 8725 section 3.4): refused before anything is computed with them."""
    claims = json.loads(part_of(proofs.real(), 1))
    good = EC.as_dict(private=False)
    for jwk in (
        *(
            {**good, "x": part(b"\x00" * 32)},
            {**good, "x": part(b"\x00" * 32), "y": part(b"\x00" * 32)},
            {**good, "crv": "P-384"},
        ),
        *(
            {**good, "crv": "secp256k1"},
            {**good, "crv": ["P-256"]},
            {**good, "x": 1},
            {**good, "kty": "oct", "k": "AA"},
        ),
        *(
            {**good, "d": "AA"},
            {**good, "use": "enc"},
            {**good, "key_ops": ["sign"]},
            {**good, "alg": "ES384"},
            [good],
            "x",
            None,
        ),
        *(
            {"kty": "OKP", "crv": "Ed25519", "x": part(b"\x00" * 32)},
            {"kty": "OKP", "crv": "X25519", "x": part(b"\x09" + b"\x00" * 31)},
        ),
    ):
        for signature in (b"\x00" * 64, b""):
            for alg in ("ES256", "EdDSA", "RS256"):
                assert not proofs.shows(compact({"typ": "dpop+jwt", "alg": alg, "jwk": jwk}, claims, signature)), jwk


def _written(point):
    """Write a point of Ed25519 as RFC 8032 section 5.1.2 does."""
    return point.to_bytes(32, "little")


def test_keys_that_anybody_can_sign_for(metadata):
    """Keys of small order (Ed25519): a signature of zeros fits now and then, so none of them is taken for a key."""
    for point in key_sets._WORTHLESS_POINTS:
        fits = 0
        for sign_bit, number in itertools.product((0, 1), range(64)):
            try:
                key = Ed25519PublicKey.from_public_bytes(_written(point | sign_bit << 255))
                key.verify(_written(1) + bytes(32), f"message {number}".encode())
                fits += 1
            except (InvalidSignature, ValueError):
                continue
        assert fits or point >= key_sets._P, "the attack is real, but for spellings that OpenSSL does not read"
        for sign_bit in (0, 1):
            jwk = {"kty": "OKP", "crv": "Ed25519", "x": part(_written(point | sign_bit << 255))}
            with pytest.raises(ValueError, match="anybody can sign"):
                key_sets.import_keys({"keys": [jwk]})
            with pytest.raises(InvalidInputError):
                check_metadata(metadata(jwks={"keys": [jwk]}))


@pytest.mark.parametrize("bits", [16, 512, 1_024, 2_040, 9_000, 60_000])
def test_rsa_keys_that_are_too_short_or_too_long_are_no_keys(metadata, bits):
    """RFC 7518 section 3.3: whoever registers or publishes one; zeros in front make it no longer."""
    modulus = (1 << bits) - 1
    for length in {bits // 8, max(bits // 8, 300)}:
        jwk = {"kty": "RSA", "n": part(modulus.to_bytes(length, "big")), "e": "AQAB"}
        with pytest.raises(InvalidInputError) as caught:
            check_metadata(metadata(jwks={"keys": [jwk]}))
        assert "another size" in str(caught.value.faults["jwks"])


def test_rsa_keys_whose_exponent_makes_checks_slow_are_no_keys(metadata):
    """RFC 8725 section 3.5: a check with an exponent as long as the modulus takes a hundred times as long."""
    modulus = part(((1 << 2_048) - 1).to_bytes(256, "big"))
    for exponent in (1 << 64 | 1, 1 << 2_047 | 1):
        jwk = {"kty": "RSA", "n": modulus, "e": part(exponent.to_bytes(256, "big"))}
        with pytest.raises(InvalidInputError) as caught:
            check_metadata(metadata(jwks={"keys": [jwk]}))
        assert "an exponent of more than 64 bits" in str(caught.value.faults["jwks"])
