"""Proofs of possession (RFC 9449): whoever shows a token shows too that they hold the key that it is bound to."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.base import OAuth2Error
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.oidc import dpop_nonces
from idp.oidc.client_keys import PUBLIC_KEY_ALGORITHMS, fitting_keys
from idp.oidc.key_sets import import_keys
from idp.oidc.presented_jwts import JwtRefused, is_time, jti_of, read_claims, read_header
from idp.oidc.requests import ProtocolRequest, safe
from idp.oidc.seen_assertions import is_first_time
from idp.oidc.signatures import registry
from idp.settings import Settings

ALGORITHMS = PUBLIC_KEY_ALGORITHMS
AGE_MOST = 2 * dpop_nonces.WINDOW  # seconds that a proof is good for: since `iat`, where no nonce tells its age
LEEWAY = 60  # seconds that the clock of a client without a nonce may be fast
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


class InvalidDpopProof(OAuth2Error):
    """A proof that proves nothing (section 5)."""

    error = "invalid_dpop_proof"


class DpopNonceNeeded(OAuth2Error):
    """The proof carries no nonce of ours, or an old one; the answer carries a good one (sections 8 and 9)."""

    error = "use_dpop_nonce"

    def __init__(self, nonce: str) -> None:
        super().__init__("The DPoP proof needs the nonce that comes with this answer in DPoP-Nonce.")
        self.nonce = nonce

    def get_headers(self) -> list[tuple[str, str]]:
        """Return the usual headers and the nonce."""
        return [*super().get_headers(), ("DPoP-Nonce", self.nonce)]


@dataclass(frozen=True)
class Proof:
    """A proof that holds, if it was not shown before.

    Attributes:
        jkt: SHA-256 thumbprint of its key (RFC 7638).
        jti: names it, among those of its key.
        next_nonce: to be handed to the client, whose own will soon be too old; None while there is no need.
    """

    jkt: str
    jti: str
    next_nonce: str | None = None

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What the answer carries for it (section 8.2)."""
        return [("DPoP-Nonce", self.next_nonce)] if self.next_nonce else []


def proof_beside(settings: Settings, request: ProtocolRequest) -> Proof | None:
    """Check the proof that a request brings to an endpoint that clients authenticate at; None where it brings none.

    To be done before the client authenticates: that uses an assertion up, and a client that hears of the nonce sends
    the same one again.

    Raises:
        InvalidDpopProof: as `check_proof`.
        DpopNonceNeeded: as `check_proof`.
    """
    if request.dpop_proof is None:
        return None
    return check_proof(settings, request.dpop_proof, method=request.method, url=request.uri)


def check_proof(settings: Settings, proof: str, *, method: str, url: str, access_token: str | None = None) -> Proof:
    """Check a proof as section 4.3 says, but for whether it was shown before: `note_proof` tells.

    Args:
        proof: the value of the header `DPoP`.
        method: of the request that it came with.
        url: of the endpoint, made from the issuer.
        access_token: that it came with; None at the token endpoint.

    Raises:
        InvalidDpopProof: it proves nothing; the description says why.
        DpopNonceNeeded: it lacks a fresh nonce.
    """
    try:
        return _check(settings, proof, method, url, access_token)
    except JwtRefused as fault:
        raise InvalidDpopProof(safe(f"The DPoP proof {fault}.", most=300)) from None


def note_proof(db: Session, proof: Proof) -> None:
    """Note that a proof was shown, and commit that: before anything is given for it.

    Not before it is known that something might be: proofs cost strangers nothing, and each leaves a row.

    Raises:
        InvalidDpopProof: it was shown before.
    """
    if not is_first_time(db, "dpop proof", proof.jkt, proof.jti, clock.now() + AGE_MOST + LEEWAY):
        raise InvalidDpopProof("The DPoP proof was used before: each needs a jti of its own.")


def _check(settings: Settings, proof: str, method: str, url: str, access_token: str | None) -> Proof:
    claims, key = _read(proof)
    _check_claims(claims, method, url)
    if access_token is not None and not _is_hash_of(claims.get("ath"), access_token):
        raise JwtRefused("is for another access token: ath is its SHA-256")
    return Proof(key.thumbprint(), claims["jti"], _check_age(settings, claims))


def _check_age(settings: Settings, claims: Mapping[str, Any]) -> str | None:
    """Check how old the proof is, and return the next nonce where it is time for it.

    A nonce tells that by our own clock. Only where there is none, `iat` has to: the client's clock may be wrong by
    hours (section 11.1).
    """
    nonce = claims.get("nonce")
    if nonce is None and settings.dpop_nonce == "optional":
        now = clock.now()
        if not now - AGE_MOST < claims["iat"] <= now + LEEWAY:
            raise JwtRefused("is too old or from the future, as its iat says")
        return None
    newest = dpop_nonces.current_nonce(settings)
    if not isinstance(nonce, str) or not dpop_nonces.is_good(settings, nonce):
        raise DpopNonceNeeded(newest)
    return None if crypto.are_equal(nonce, newest) else newest


def _read(proof: str) -> tuple[Mapping[str, Any], Key]:
    """Check kind and signature; the key is the one that the proof brings along."""
    header = read_header(proof)
    if header.get("typ") != "dpop+jwt":
        raise JwtRefused("is no JWT of the type dpop+jwt")
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise JwtRefused(f"is not signed with one of {', '.join(ALGORITHMS)}")
    key = _public_key(header.get("jwk"), str(algorithm))
    try:
        signed = jws.deserialize_compact(proof, key, registry=registry([str(algorithm)]))
    except (JoseError, ValueError, TypeError):
        raise JwtRefused("has a signature that its own key did not make") from None
    return read_claims(signed.payload), key


def _public_key(jwk: Any, algorithm: str) -> Key:
    if not isinstance(jwk, Mapping):
        raise JwtRefused("brings no key: jwk is missing")
    try:
        keys = fitting_keys(import_keys({"keys": [jwk]}), algorithm, None)
    except ValueError as fault:
        raise JwtRefused(f"brings {fault}") from None
    if not keys:
        raise JwtRefused("brings a key that is not for its alg")
    return keys[0]


def _check_claims(claims: Mapping[str, Any], method: str, url: str) -> None:
    """Check what the proof is for, and that nothing is missing in it."""
    if claims.get("htm") != method:
        raise JwtRefused("is for another method, as its htm says")
    htu = claims.get("htu")
    if not isinstance(htu, str) or _normal(htu) != _normal(url):
        raise JwtRefused("is for another address, as its htu says")
    if not is_time(claims.get("iat")):
        raise JwtRefused("has no time of issue: iat")
    jti_of(claims)


def _is_hash_of(ath: Any, access_token: str) -> bool:
    digest = hashlib.sha256(access_token.encode("utf-8", "surrogatepass")).digest()
    expected = crypto.base64url(digest)
    return isinstance(ath, str) and crypto.are_equal(ath, expected)


def _normal(uri: str) -> tuple[str, str, int | None, str] | None:
    """Return what two spellings of a URI have in common (RFC 3986 section 6.2.2 and 6.2.3), without query and fragment.

    None for what is no web address, which equals no endpoint of ours.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        return None
    return parts.scheme, host, port or {"http": 80, "https": 443}[parts.scheme], _ESCAPED.sub(_plain, parts.path) or "/"


def _plain(escaped: re.Match[str]) -> str:
    character = chr(int(escaped[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else escaped[0].upper()
