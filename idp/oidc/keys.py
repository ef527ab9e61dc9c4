"""Signing keys: made, published, used, rotated.

Each key goes through three states: `next` is published but does not sign yet, so that clients have fetched it before
it does; `active` signs; `retired` is still published while tokens that it signed are alive. A process imports the
keys once (importing an RSA key costs a hundred signatures) and looks at the table again after `RELOAD_EVERY` seconds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.errors import NotReadyError
from idp.models import SigningKey
from idp.settings import Settings

ALGORITHMS = ("RS256", "ES256")
RELOAD_EVERY = 60  # seconds after which a running process looks for rotated keys
PURPOSE = "signing keys"

Key = RSAKey | ECKey


@dataclass(frozen=True)
class KeyRing:
    """The keys of a provider, imported.

    Attributes:
        active: the key that signs, by algorithm.
        public: what the JWKS shows: next, active and retired keys.
    """

    active: Mapping[str, Key]
    public: tuple[Mapping[str, Any], ...]
    loaded_at: int = field(default_factory=clock.now)

    @cached_property
    def jwks(self) -> bytes:
        """The JWK Set (RFC 7517 section 5) as it is served."""
        return json.dumps({"keys": list(self.public)}, separators=(",", ":")).encode()

    @cached_property
    def verifying(self) -> Mapping[str, Key]:
        """Public keys by `kid`: what checks an ID token that comes back as a hint."""
        kinds: dict[str, type[RSAKey] | type[ECKey]] = {"RSA": RSAKey, "EC": ECKey}
        return {jwk["kid"]: kinds[jwk["kty"]].import_key(dict(jwk)) for jwk in self.public}

    def signing_key(self, algorithm: str) -> Key:
        """Return the active key for an algorithm.

        Raises:
            NotReadyError: there is none.
        """
        try:
            return self.active[algorithm]
        except KeyError:
            raise NotReadyError(f"There is no active {algorithm} signing key: run `idp init`.") from None


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
        ).order_by(SigningKey.algorithm.desc(), SigningKey.created_at)
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


def ensure_keys(db: Session, settings: Settings, visitor: Visitor) -> list[str]:
    """Make an active key for every algorithm that has none. Safe to repeat; returns the new keys' ids."""
    have = set(db.scalars(select(SigningKey.algorithm).where(SigningKey.state == "active")))
    made = []
    for algorithm in ALGORITHMS:
        if algorithm in have:
            continue
        try:
            with db.begin_nested():
                made.append(_create_key(db, settings, visitor, algorithm, "active"))
        except IntegrityError:  # another process was quicker
            continue
    return made


def rotate_keys(db: Session, settings: Settings, visitor: Visitor) -> dict[str, str]:
    """Move every algorithm one step on.

    Where a `next` key stands ready it becomes active, and the active one retires; then a new `next` key is made and
    published. Where none stands ready, only that is done: run it again once clients have had time to fetch it.

    Returns:
        What happened, by algorithm, for people.
    """
    told = {}
    now = clock.now()
    for algorithm in ALGORITHMS:
        waiting = db.scalars(
            select(SigningKey.kid)
            .where(SigningKey.algorithm == algorithm, SigningKey.state == "next")
            .order_by(SigningKey.created_at)
            .limit(1)
        ).first()
        if waiting:
            db.execute(
                update(SigningKey)
                .where(SigningKey.algorithm == algorithm, SigningKey.state == "active")
                .values(state="retired", retired_at=now)
            )
            db.execute(update(SigningKey).where(SigningKey.kid == waiting).values(state="active", activated_at=now))
            audit.record(db, Event.KEY_ROTATED, visitor, kid=waiting, algorithm=algorithm)
        published = _create_key(db, settings, visitor, algorithm, "next")
        told[algorithm] = (
            f"{waiting} signs now, {published} is published as the next one"
            if waiting
            else f"{published} is published as the next one; rotate again when clients have had time to fetch it"
        )
    return told


def list_keys(db: Session) -> list[SigningKey]:
    """Return all keys, newest first."""
    return list(db.scalars(select(SigningKey).order_by(SigningKey.algorithm, SigningKey.created_at.desc())))


def _create_key(db: Session, settings: Settings, visitor: Visitor, algorithm: str, state: str) -> str:
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if algorithm == "RS256":
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    kid = crypto.new_id()
    public_jwk = _import_private(kid, algorithm, pem).as_dict(private=False)
    now = clock.now()
    db.execute(
        insert(SigningKey).values(
            kid=kid,
            algorithm=algorithm,
            state=state,
            public_jwk=public_jwk,
            private_sealed=crypto.seal(settings.secret_key, PURPOSE, pem),
            created_at=now,
            activated_at=now if state == "active" else None,
        )
    )
    audit.record(db, Event.KEY_CREATED, visitor, kid=kid, algorithm=algorithm, state=state)
    return kid


def _import_private(kid: str, algorithm: str, pem: str) -> Key:
    """Import one of our own keys; the slow check of foreign RSA keys is not needed for it."""
    private = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    parameters = {"kid": kid, "use": "sig", "alg": algorithm}
    if isinstance(private, rsa.RSAPrivateKey):
        return RSAKey.import_key(private, parameters)  # type: ignore[arg-type]
    return ECKey.import_key(private, parameters)  # type: ignore[arg-type]
