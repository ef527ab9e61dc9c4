"""Request objects as clients write them, well and badly."""

import base64
import json
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from idp.oidc.signatures import registry

KEY = RSAKey.generate_key(2048, {"kid": "of-the-app", "use": "sig"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "of-the-app", "use": "sig"})
_KINDS = {"RS": KEY, "PS": KEY, "Ed": OKPKey.generate_key("Ed25519", {"kid": "ed"})}
_CURVES = {"ES256": ECKey.generate_key("P-256", {"kid": "p256"}), "ES384": ECKey.generate_key("P-384", {"kid": "p384"})}


def key_for(algorithm: str) -> Key:
    """Return a key of the app's that signs with an algorithm."""
    return _CURVES[algorithm] if algorithm in _CURVES else _KINDS[algorithm[:2]]


def public_jwks(*keys: Key) -> dict[str, Any]:
    """Return the JWK Set that an app registers; by default with a key for each algorithm."""
    shown = keys or (KEY, _KINDS["Ed"], *_CURVES.values())
    return {"keys": [key.as_dict(private=False) for key in shown]}


def signed(claims: Any, algorithm: str = "RS256", key: Key | None = None, **header: Any) -> str:
    """Return a signed request object; the header may be spoiled."""
    key = key or key_for(algorithm)
    whole = {"alg": algorithm, "kid": key.kid, "typ": "oauth-authz-req+jwt", **header}
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact(
        {name: value for name, value in whole.items() if value is not None},
        payload,
        key,
        registry=registry([algorithm]),
    )


def keyed_hash(claims: Any, secret: str | bytes, algorithm: str = "HS256", **header: Any) -> str:
    """Return a request object under an HMAC."""
    return signed(claims, algorithm, OctKey.import_key(secret), **header)


def unsigned(claims: Any, signature: str = "") -> str:
    """Return a request object with `alg: none`."""
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + (
        "." + signature
    )
