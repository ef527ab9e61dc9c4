"""Public keys as others publish them (RFC 7517): what is weak, secret or no key at all does not come in."""

from collections.abc import Mapping, Sequence
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from idp import crypto

RSA_LEAST, RSA_MOST = 2_048, 8_192  # bits: shorter ones can be broken (RFC 7518 section 3.3), longer ones cost much
_EXPONENT_MOST = 64  # bits, as OpenSSL has it for long keys: a check takes time that grows with it, and 17 are usual
_KEYS_MOST = 20
_KINDS: Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
# Those that can be read here; of a set, a key on another curve says nothing against the rest (section 5).
_CURVES = (None, "P-256", "P-384", "P-521", "secp256k1", "Ed25519", "Ed448", "X25519", "X448")
# The points of Ed25519 whose order is 8 or less, without their sign, and in every way to write them: with such a "key",
# anybody makes signatures that fit (RFC 8032 section 5.1.7 lets checks pass there).
_P = 2**255 - 19
_EIGHTH = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
_WORTHLESS_POINTS = (0, 1, _EIGHTH, _P - _EIGHTH, _P - 1, _P, _P + 1)


def import_keys(document: Any, *, is_published: bool = False) -> Sequence[Key]:
    """Import the public keys of a JWK Set (section 5); kinds and curves that are not known here are passed over.

    Args:
        is_published: for others as well: a key that cannot be read or protects nothing is passed over where others are
            left. Whoever registers keys hears of each that is none.

    Raises:
        ValueError: it is no JWK Set, holds too many keys, a private or symmetric one, or one that protects nothing.
    """
    listed = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise ValueError("no JWK Set: an object with a list `keys`")
    if len(listed) > _KEYS_MOST:
        raise ValueError(f"more than {_KEYS_MOST} keys")
    if any(each.get("kty") == "oct" or "d" in each for each in listed):
        raise ValueError("a private or symmetric key, which nobody but its owner should have")
    keys: list[Key] = []
    faults: list[ValueError] = []
    for each in listed:
        kind = _KINDS.get(str(each.get("kty")))
        if kind is None or each.get("crv") not in _CURVES:
            continue
        try:
            keys.append(_import(kind, each))
        except ValueError as fault:
            faults.append(fault)
    if faults and not (is_published and keys):
        raise faults[0]
    return keys


def _import(kind: type[RSAKey] | type[ECKey] | type[OKPKey], jwk: Mapping[str, Any]) -> Key:
    _check_strength(jwk)
    try:
        return kind.import_key(dict(jwk))
    except (JoseError, ValueError, TypeError, KeyError):
        raise ValueError("a key that cannot be read") from None


def _check_strength(jwk: Mapping[str, Any]) -> None:
    if jwk.get("kty") == "RSA":
        if not RSA_LEAST <= int.from_bytes(_decoded(jwk.get("n"))).bit_length() <= RSA_MOST:
            raise ValueError(f"an RSA key of another size than {RSA_LEAST} to {RSA_MOST} bits")
        if int.from_bytes(_decoded(jwk.get("e"))).bit_length() > _EXPONENT_MOST:
            raise ValueError(f"an RSA key with an exponent of more than {_EXPONENT_MOST} bits")
    if jwk.get("crv") == "Ed25519":
        point = int.from_bytes(_decoded(jwk.get("x")), "little") & (2**255 - 1)
        if point in _WORTHLESS_POINTS:
            raise ValueError("a key for which anybody can sign")


def _decoded(member: Any) -> bytes:
    return (crypto.from_base64url(member) if isinstance(member, str) else None) or b""
