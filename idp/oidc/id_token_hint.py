"""An ID token that comes back as a hint: ours, unaltered, perhaps long expired (OIDC Core section 3.1.2.1)."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key
from sqlalchemy.orm import Session

from idp.oidc import keys
from idp.oidc.signatures import registry

if TYPE_CHECKING:
    from idp.oidc.server import Provider

_MOST = 16_384  # characters


@dataclass(frozen=True)
class IdTokenHint:
    """What an ID token of ours says."""

    subject: str
    client_id: str
    session_id: str | None


def read_hint(provider: "Provider", db: Session, token: str) -> IdTokenHint | None:
    """Read a hint, or return None when it is no ID token that this provider signed.

    The key is chosen by `kid` among our own asymmetric keys as they are at this moment, and the algorithm is that
    key's: `none` and HMAC with a public key as the secret cannot come in.
    """
    if len(token) > _MOST:
        return None
    try:
        header = jws.extract_compact(token.encode("ascii")).headers()
        key: Key | None = provider.verifying_key(db, str(header.get("kid")))
        if key is None or header.get("alg") != key.get("alg"):
            return None
        if header.get("typ", "JWT") != "JWT":  # ours too, but no ID token (RFC 8725 section 3.11)
            return None
        payload = jws.deserialize_compact(token, key, registry=registry([header["alg"]])).payload
        claims = json.loads(payload)
        if claims["iss"] != provider.settings.issuer or "exp" not in claims:
            return None  # without an end it is a signed answer of userinfo, whose type is JWT as well
        return IdTokenHint(str(claims["sub"]), str(claims["aud"]), claims.get("sid"))
    except (JoseError, ValueError, KeyError, TypeError):
        return None


def is_of_gone_key(db: Session, token: str) -> bool:
    """Tell whether a hint names a key that is gone: it may be ours, but nobody can tell any more."""
    try:
        header = jws.extract_compact(token[:_MOST].encode("ascii")).headers()
        return keys.is_gone(db, str(header.get("kid")))
    except (JoseError, ValueError, KeyError, TypeError):
        return False
