"""Forged JWTs (RFC 8725 section 2): what an attacker makes of a real one, without the key that signed it."""

import base64
import hmac
import json
from collections.abc import Iterator
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from tests.relying_party import decode, sign

OWN = RSAKey.generate_key(2048, {"kid": "own"})
OWN_EC = ECKey.generate_key("P-256", {"kid": "own"})
OWN_ED = OKPKey.generate_key("Ed25519", {"kid": "own"})
KIDS: tuple[Any, ...] = (
    *('a"b\\c\r\n', "' OR '1'='1", "x' UNION SELECT 'AA'--", "../../../../../../dev/null", "/proc/sys/kernel/hostname"),
    *("|/usr/bin/id", "\x00", "\ud800", "x" * 3_000, "", None, 0, 1.5, True, [], ["a"], {}, {"a": "b"}),
)
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def part(value: Any) -> str:
    """Encode one part of a compact JWS."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(header: Any, claims: Any, signature: bytes = b"") -> str:
    """Put a JWS together by hand."""
    return f"{part(header)}.{part(claims)}.{part(signature)}"


def _with_another(members: dict[str, Any], name: str, value: str) -> bytes:
    """Write an object in which a name stands once more."""
    return (json.dumps(members)[:-1] + f", {json.dumps(name)}: {json.dumps(value)}}}").encode()


def by_hand(header: dict[str, Any], claims: Any, key: Key) -> str:
    """Sign what no decent library would."""
    return signed_by(compact(header, claims), header["alg"], key)


def signed_by(token: str, algorithm: str, key: Key) -> str:
    """Put a good signature in the place of whatever a JWS has."""
    signed = token.rpartition(".")[0]
    return f"{signed}.{part(jws.JWSRegistry.algorithms[algorithm].sign(signed.encode(), key))}"


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a JWS, unchecked."""
    header, claims, _ = token.split(".")
    return json.loads(decode(header)), json.loads(decode(claims))


def forgeries(token: str, public: Key, url: str) -> Iterator[tuple[str, str]]:
    """Make forgeries of a real JWT, each with the name of the attack.

    Args:
        token: a real one.
        public: the public key that it can be checked with.
        url: a host of the attacker's, which nobody must ask.
    """
    header, claims = parts_of(token)
    head, body, mac = token.split(".")
    signature = decode(mac)
    yield from _unsigned(header, claims, signature)
    yield from _keyed_with_the_public_key(header, claims, public)
    yield from _signed_by_the_attacker(header, claims, url)
    yield from _of_no_value(header, claims, signature)
    for kid in KIDS:
        yield f"kid {kid!r:.20}, real signature", compact({**header, "kid": kid}, claims, signature)
        yield f"kid {kid!r:.20}, HMAC with nothing", _hmac({**header, "alg": "HS256", "kid": kid}, claims, b"")
    for name, value in (
        ("crit", ["exp"]),
        ("crit", ["b64"]),
        ("crit", []),
        ("crit", None),
        ("crit", "b64"),
        ("b64", False),
    ):
        yield f"{name} {value!r}", compact({**header, name: value, "b64": False}, claims, signature)
        yield (
            f"{name} {value!r} by the attacker",
            by_hand({"alg": "ES256", **_named(header), name: value}, claims, OWN_EC),
        )
    yield "claims altered", f"{head}.{part({**claims, 'sub': 'admin', 'exp': 2**33})}.{mac}"
    yield "claims doubled", f"{head}.{part(_with_another(claims, 'sub', 'admin'))}.{mac}"
    yield "header doubled", f"{part(_with_another(header, 'alg', 'none'))}.{body}.{mac}"
    yield "nested in an unsigned one", compact({"alg": "none", "cty": "JWT"}, token.encode())
    yield (
        "nested in the attacker's",
        f"{sign({'alg': 'ES256', 'cty': 'JWT', **_named(header)}, {'jwt': token}, OWN_EC)}",
    )
    yield "JSON serialisation", json.dumps({"payload": body, "protected": head, "signature": mac})
    yield (
        "encrypted",
        ".".join([part({"alg": "dir", "enc": "A128GCM"}), "", part(b"x" * 12), part(b"x"), part(b"x" * 16)]),
    )
    slow = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2**31 - 1, "p2s": part(b"x" * 16)}
    yield (
        "encrypted, with a billion rounds",
        ".".join([part(slow), part(b"x" * 24), part(b"x" * 12), part(b"x"), part(b"x" * 16)]),
    )
    yield "oversized", compact(header, {**claims, "x": "x" * 20_000}, signature)
    yield "oversized signature", f"{head}.{body}.{part(b'x' * 20_000)}"
    yield "deep header", f"{part(b'[' * 9_000)}.{body}.{mac}"
    yield "deep claims", f"{head}.{part(b'[' * 9_000)}.{mac}"
    for name, odd in (
        ("list", []),
        ("text", "x"),
        ("number", 1),
        ("null", None),
        ("bytes", b"\xff\xfe"),
        ("empty", b""),
    ):
        yield f"header is {name}", f"{part(odd)}.{body}.{mac}"
        yield f"claims are {name}", f"{head}.{part(odd)}.{mac}"
    yield from (
        ("dots", ".."),
        ("one dot", "a.b"),
        ("four dots", f"{token}.."),
        ("no JWS", "x"),
        ("not ASCII", "é.é.é"),
    )
    yield "spaces", f"{head}. {body}.{mac}"
    yield "new line", f"{head}.{body}\n.{mac}"


def _unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes) -> Iterator[tuple[str, str]]:
    for alg in (
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        "",
        None,
        0,
        True,
        [],
        ["RS256"],
        {},
        "RS256 ",
        "rs256",
        "RSA1_5",
    ):
        yield f"alg {alg!r}, no signature", compact({**header, "alg": alg}, claims)
        yield f"alg {alg!r}, real signature", compact({**header, "alg": alg}, claims, signature)
    without = {name: value for name, value in header.items() if name != "alg"}
    yield "no alg", compact(without, claims, signature)


def _hmac(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    signed = compact(header, claims).rpartition(".")[0]
    return f"{signed}.{part(hmac.digest(secret, signed.encode(), 'sha' + header['alg'][2:]))}"


def _keyed_with_the_public_key(
    header: dict[str, Any], claims: dict[str, Any], public: Key
) -> Iterator[tuple[str, str]]:
    pem, jwk = public.as_pem(private=False), public.as_dict(private=False)
    secrets = {
        "PEM": pem,
        "PEM without its last line": pem.rstrip(),
        "DER": public.as_der(private=False),
        "JWK": json.dumps(jwk).encode(),
        "thumbprint": public.thumbprint().encode(),
        "modulus": decode(str(jwk.get("n") or jwk.get("x"))),
        "kid": str(jwk.get("kid")).encode(),
        "nothing": b"",
    }
    for alg in ("HS256", "HS384", "HS512"):
        for name, secret in secrets.items():
            yield f"{alg} with the public key's {name}", _hmac({**header, "alg": alg}, claims, secret)


def _named(header: dict[str, Any]) -> dict[str, Any]:
    """What of a header says which key and what kind of JWT."""
    return {name: header[name] for name in ("kid", "typ") if name in header}


def _signed_by_the_attacker(header: dict[str, Any], claims: dict[str, Any], url: str) -> Iterator[tuple[str, str]]:
    public = OWN.as_dict(private=False)
    certificate = base64.b64encode(OWN.as_der(private=False)).decode()
    for name, extra in {
        "nothing": {},
        "jwk": {"jwk": public},
        "jku": {"jku": f"{url}/jku"},
        "x5u": {"x5u": f"{url}/x5u"},
        "x5c": {"x5c": [certificate], "x5t": "x", "x5t#S256": "x"},
    }.items():
        yield f"own key, {name} in the header", sign({"alg": "RS256", **_named(header), **extra}, claims, OWN)
        yield (
            f"own key under its own name, {name}",
            sign({"alg": "RS256", **_named(header), **extra, "kid": "own"}, claims, OWN),
        )
    yield "own EC key", sign({"alg": "ES256", **_named(header)}, claims, OWN_EC)
    yield "own Ed25519 key", sign({"alg": "EdDSA", **_named(header)}, claims, OWN_ED)


def _of_no_value(header: dict[str, Any], claims: dict[str, Any], signature: bytes) -> Iterator[tuple[str, str]]:
    """Signatures of zeros ("psychic", CVE-2022-21449), cut, lengthened, and of other algorithms and curves."""
    order = P256_ORDER.to_bytes(32, "big")
    worthless = {
        "none": b"",
        "zeros": b"\x00" * 64,
        "zeros of RSA": b"\x00" * 256,
        "one": b"\x00" * 255 + b"\x01",
        "the order": order + order,
        "r alone": b"\x00" * 31 + b"\x01" + b"\x00" * 32,
        "zeros in DER": bytes.fromhex("3006020100020100"),
        "cut": signature[:-1],
        "half": signature[: len(signature) // 2],
        "lengthened": signature + b"\x00",
        "led by zeros": b"\x00" + signature,
    }
    for alg in ("RS256", "PS256", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448"):
        for name, value in worthless.items():
            yield f"{alg}, signature {name}", compact({**header, "alg": alg}, claims, value)
        if alg != header["alg"]:
            yield f"{alg}, real signature", compact({**header, "alg": alg}, claims, signature)
