"""The keys by which clients prove that a JWT is theirs: registered, published by them, or the secret that both know.

One reading for all of them: client assertions (RFC 7523) and request objects (RFC 9101). The key is always one that was
registered for the client; what a header says of keys (`jwk`, `jku`, `x5u`, `x5c`) is never followed.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key, OctKey
from sqlalchemy.orm import Session

from idp import clock, crypto, turns
from idp.oidc.clients import ClientMetadata, make_room
from idp.oidc.key_sets import import_keys
from idp.oidc.outgoing import OutgoingError, fetch
from idp.oidc.presented_jwts import JwtRefused, read_claims, read_header
from idp.oidc.signatures import registry
from idp.settings import Settings
from idp.storage.lean_session import pause

PUBLIC_KEY_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519")
SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")
SECRET_PURPOSE = "client secrets"  # noqa: S105 - what the sealed secret is for
KEPT_FOR = 3_600  # seconds that fetched keys are used without asking again, unless their server asks for less
REFETCH_AFTER = 10  # seconds: an unknown `kid`, or keys that are away, make us ask anew, but not everyone who comes
FETCHED_WITHIN = 3  # seconds that others wait for keys that somebody is fetching already
ASKED_BEFORE = 60  # seconds that keys are used beyond that by who has asked for them before: a request takes no longer
_KIND_OF = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


@dataclass(frozen=True)
class _Fetched:
    """What came of asking a `jwks_uri`.

    Attributes:
        asked_at: when it was asked last, in `clock.ticks`.
        got_at: when the keys came.
        good_for: seconds that they are used without asking again.
        keys: as they were last seen; None when they never were.
        fault: why they did not come the last time.
    """

    uri: str
    asked_at: float
    got_at: float = 0.0
    good_for: int = KEPT_FOR
    keys: Sequence[Key] | None = None
    fault: str = ""

    def is_good(self, now: float, *, fetch_anew: bool, has_asked: bool) -> bool:
        """Tell whether this is to be used without asking again."""
        if has_asked and self.keys is not None and not fetch_anew:
            now -= ASKED_BEFORE
        if now - self.asked_at < REFETCH_AFTER:
            return True
        return self.keys is not None and not fetch_anew and now - self.got_at < self.good_for


@dataclass(frozen=True)
class VerifiedJwt:
    """A JWT whose signature is the client's. Its claims are as the client wrote them: check them."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


class ClientKeys:
    """The keys of clients, kept in memory: imported once, fetched now and then.

    Args:
        settings: the provider's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._fetched: dict[str, _Fetched] = {}
        self._fetching: dict[str, threading.Lock] = {}
        self._registered: dict[str, tuple[int, Sequence[Key]]] = {}

    def verify(self, db: Session, client: ClientMetadata, token: str, algorithms: Sequence[str]) -> VerifiedJwt:
        """Check a JWT's signature.

        Args:
            db: what was written so far is committed where keys have to be fetched.
            algorithms: which ones are accepted here; `none` never is.

        Raises:
            JwtRefused: not a JWT, another algorithm, no such key, or a signature that does not fit.
        """
        header = read_header(token)
        algorithm = header.get("alg")
        if algorithm not in algorithms or algorithm == "none":
            raise JwtRefused(f"is not signed with one of {', '.join(algorithms)}")
        kid = header.get("kid")
        for key in self._candidates(db, client, str(algorithm), kid if isinstance(kid, str) else None):
            try:
                signed = jws.deserialize_compact(token, key, registry=registry([str(algorithm)]))
            except (JoseError, ValueError, TypeError):
                continue
            return VerifiedJwt(header, read_claims(signed.payload))
        raise JwtRefused("has a signature that none of the client's keys made")

    def public_keys(self, db: Session | None, client: ClientMetadata, *, fetch_anew: bool = False) -> Sequence[Key]:
        """Return a client's public keys: those registered, or those at its `jwks_uri`.

        Args:
            db: keeps no connection while keys are fetched; None for who has none, or has asked a moment ago: what was
                good then still is, since now something may be written that others wait for.
            fetch_anew: ask again although some are kept, unless that was done a moment ago.

        Raises:
            JwtRefused: it has none, they cannot be fetched, or are of a kind that was accepted once.
        """
        if client.jwks is not None:
            kept = self._registered.get(client.client_id)
            if kept is None or kept[0] != client.version:
                make_room(self._registered)
                try:
                    kept = self._registered[client.client_id] = (client.version, import_keys(client.jwks))
                except ValueError:
                    raise JwtRefused("cannot be checked: the client's keys are not accepted any more") from None
            return kept[1]
        if client.jwks_uri is None:
            raise JwtRefused("cannot be checked: the client has registered no keys")
        return self._fetch(db, client.client_id, client.jwks_uri, fetch_anew=fetch_anew)

    def _fetch(self, db: Session | None, client_id: str, uri: str, *, fetch_anew: bool) -> Sequence[Key]:
        """Return the keys at an address: one request at a time asks there, and not more often than it does good."""
        kept, how = self._kept(client_id, uri), {"fetch_anew": fetch_anew, "has_asked": db is None}
        if kept is None or not kept.is_good(clock.ticks(), **how):
            if db is not None:
                pause(db)
            make_room(self._fetching)
            fetching = self._fetching.setdefault(client_id, threading.Lock())
            with turns.aside():
                is_mine = fetching.acquire(timeout=0 if kept and kept.keys and not fetch_anew else FETCHED_WITHIN)
            if is_mine:
                try:
                    kept = self._kept(client_id, uri)  # perhaps somebody asked while we waited
                    now = clock.ticks()
                    if kept is None or not kept.is_good(now, **how):
                        make_room(self._fetched)
                        kept = self._fetched[client_id] = _ask(self._settings, uri, now, kept)
                finally:
                    fetching.release()
        if kept is None or kept.keys is None:
            fault = kept.fault if kept else "it takes too long"
            raise JwtRefused(f"cannot be checked: the client's jwks_uri does not help ({fault})")
        return kept.keys

    def _kept(self, client_id: str, uri: str) -> _Fetched | None:
        kept = self._fetched.get(client_id)
        return kept if kept is not None and kept.uri == uri else None

    def _candidates(self, db: Session, client: ClientMetadata, algorithm: str, kid: str | None) -> Iterator[Key]:
        """Give the keys that may have made a signature; the client's are fetched anew where those known are of no use.

        A new key has a new `kid` (OIDC Core section 10.1.1), but who publishes just one need not name it.
        """
        if algorithm in SECRET_ALGORITHMS:
            if client.client_secret_sealed is None:
                raise JwtRefused("cannot be checked: the client is not registered to sign with its secret")
            secret = crypto.unseal(self._settings.secret_key, SECRET_PURPOSE, client.client_secret_sealed)
            yield OctKey.import_key(secret)
            return
        fitting = fitting_keys(self.public_keys(db, client), algorithm, kid)
        yield from fitting
        if client.jwks is None and (kid is None or not fitting):
            yield from fitting_keys(self.public_keys(db, client, fetch_anew=True), algorithm, kid)


def _ask(settings: Settings, uri: str, now: float, before: _Fetched | None) -> _Fetched:
    """Ask for keys; where none come, those that came before are good enough."""
    try:
        answer = fetch(settings, uri, "application/jwk-set+json, application/json")
        good_for = KEPT_FOR if answer.good_for is None else min(answer.good_for, KEPT_FOR)
        return _Fetched(uri, now, now, good_for, import_keys(json.loads(answer.body), is_published=True))
    except (OutgoingError, ValueError, RecursionError) as fault:
        reason = str(fault) if isinstance(fault, OutgoingError) else "it is no JWK Set"
        return replace(before or _Fetched(uri, now), asked_at=clock.ticks(), fault=reason)


def fitting_keys(keys: Sequence[Key], algorithm: str, kid: str | None) -> Sequence[Key]:
    """Return the keys that may have made a signature.

    Args:
        algorithm: of the signature.
        kid: the key's id, where the signature names one.
    """
    return [
        key
        for key in keys
        if key.key_type == _KIND_OF[algorithm[:2]]
        and (kid is None or key.get("kid") == kid)
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
    ]
