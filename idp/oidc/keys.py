"""Signing keys: made, published, used. `key_rotation` says when one follows another.

Each key goes through three states: `next` is published but does not sign yet, so that clients have fetched it before
it does; `active` signs; `retired` is still published while what it signed may be shown, and its private half is
destroyed. A process imports the keys once (importing an RSA key costs a hundred signatures) and looks at the table
again after `RELOAD_EVERY` seconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from joserfc.jwk import ECKey, OKPKey, RSAKey
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp import clock, compact_json, crypto
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.errors import NotReadyError
from idp.models import SigningKey
from idp.settings import Settings
from idp.storage.statements import Prepared, value

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")  # there is a key for each at any time: any client may choose any
RELOAD_EVERY = 60  # seconds after which a running process looks for rotated keys
PURPOSE = "signing keys"
_RSA_BITS = 2_048

Key = RSAKey | ECKey | OKPKey
_KINDS: Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_KID = re.compile(r"[0-9a-f]{32}")
_IS_PUBLISHED = Prepared(select(SigningKey.kid).where(SigningKey.kid == value("kid")))


@dataclass(frozen=True)
class KeyRing:
    """The keys of a provider, imported.

    Attributes:
        active: the key that signs, by algorithm.
        public: what the JWKS shows: next, active and retired keys.
    """

    active: Mapping[str, Key]
    public: tuple[Mapping[str, Any], ...]

    @cached_property
    def jwks(self) -> bytes:
        """The JWK Set (RFC 7517 section 5) as it is served."""
        return compact_json.encode({"keys": self.public})

    @cached_property
    def verifying(self) -> Mapping[str, Key]:
        """Public keys by `kid`: what checks an ID token that comes back as a hint."""
        return {jwk["kid"]: _KINDS[jwk["kty"]].import_key(dict(jwk)) for jwk in self.public}

    def signing_key(self, algorithm: str) -> Key:
        """Return the active key for an algorithm.

        Raises:
            NotReadyError: there is none.
        """
        try:
            return self.active[algorithm]
        except KeyError:
            raise NotReadyError(f"There is no active {algorithm} signing key: run `idp init`.") from None


@dataclass(frozen=True)
class KeyPair:
    """A key pair that was made and is not stored yet: making one takes a while, and no lock should be held for it."""

    kid: str
    algorithm: str
    pem: str = field(repr=False)


def load_keys(db: Session, settings: Settings, known: KeyRing | None = None) -> KeyRing:
    """Read and import the keys.

    Args:
        known: keys imported before: they are not imported again.

    Raises:
        NotReadyError: there are none, or the secret key does not fit.
    """
    active: dict[str, Key] = {}
    public = []
    rows = db.execute(
        select(
            SigningKey.kid, SigningKey.algorithm, SigningKey.state, SigningKey.public_jwk, SigningKey.private_sealed
        ).order_by(SigningKey.algorithm.desc(), SigningKey.created_at, SigningKey.kid)
    ).all()
    for kid, algorithm, state, public_jwk, sealed in rows:
        public.append(public_jwk)
        before = known.active.get(algorithm) if known else None
        if state == "active" and before is not None and before.kid == kid:
            active[algorithm] = before
        elif state == "active":
            pem = crypto.unseal(settings.secret_key, PURPOSE, sealed)
            active[algorithm] = _import_private(kid, algorithm, pem)
    if not active:
        raise NotReadyError("This instance has no signing keys yet: run `idp init`.")
    return KeyRing(active, tuple(public))


def is_published(db: Session, kid: str) -> bool:
    """Tell whether a key is one of ours at this moment.

    Args:
        kid: whatever somebody sent as its id.
    """
    return _KID.fullmatch(kid) is not None and _IS_PUBLISHED.scalar(db, kid=kid) is not None


def is_gone(db: Session, kid: str) -> bool:
    """Tell whether an id may be that of a key of ours which is published no more.

    Args:
        kid: whatever somebody sent as its id.
    """
    return _KID.fullmatch(kid) is not None and _IS_PUBLISHED.scalar(db, kid=kid) is None


def ensure_keys(db: Session, settings: Settings, visitor: Visitor) -> list[str]:
    """Make an active key for every algorithm that has none. Safe to repeat; returns the new keys' ids."""
    have = set(db.scalars(select(SigningKey.algorithm).where(SigningKey.state == "active")))
    made = [generate_key(algorithm) for algorithm in ALGORITHMS if algorithm not in have]
    return [pair.kid for pair in made if store_key(db, settings, visitor, pair, "active")]


def generate_key(algorithm: str) -> KeyPair:
    """Make a key pair for an algorithm."""
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if algorithm in ("RS256", "PS256"):
        private = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    elif algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    else:
        private = ed25519.Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    return KeyPair(crypto.new_id(), algorithm, pem)


def store_key(db: Session, settings: Settings, visitor: Visitor, pair: KeyPair, state: str) -> bool:
    """Write a key down; its private half encrypted.

    Args:
        state: `next` or `active`.

    Returns:
        Whether it was written: not when another process was quicker and the algorithm has its active key.
    """
    now = clock.now()
    try:
        with db.begin_nested():
            db.execute(
                insert(SigningKey).values(
                    kid=pair.kid,
                    algorithm=pair.algorithm,
                    state=state,
                    public_jwk=_import_private(pair.kid, pair.algorithm, pair.pem).as_dict(private=False),
                    private_sealed=crypto.seal(settings.secret_key, PURPOSE, pair.pem),
                    created_at=now,
                    activated_at=now if state == "active" else None,
                )
            )
    except IntegrityError:
        return False
    audit.record(db, Event.KEY_CREATED, visitor, kid=pair.kid, algorithm=pair.algorithm, state=state)
    return True


def list_keys(db: Session) -> list[SigningKey]:
    """Return all keys, newest first."""
    return list(
        db.scalars(select(SigningKey).order_by(SigningKey.algorithm, SigningKey.created_at.desc(), SigningKey.kid))
    )


def _import_private(kid: str, algorithm: str, pem: str) -> Key:
    """Import one of our own keys; the slow check of foreign RSA keys is not needed for it."""
    private: Any = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    parameters: Any = {"kid": kid, "use": "sig", "alg": algorithm}
    if isinstance(private, rsa.RSAPrivateKey):
        return RSAKey.import_key(private, parameters)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return OKPKey.import_key(private, parameters)
    return ECKey.import_key(private, parameters)
