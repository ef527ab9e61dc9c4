"""Signed JWTs (RFC 7515, RFC 7519): what joserfc is to accept, and the one way in which we sign."""

import copy
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from joserfc import jws

from idp import compact_json, crypto
from idp.oidc.keys import Key


class _Registry(jws.JWSRegistry):
    # joserfc warns of the name EdDSA, since RFC 9864 gives each curve a name of its own; but EdDSA is what clients know
    # (RFC 8037 section 3.1), and what their registrations say.
    algorithms = dict(jws.JWSRegistry.algorithms)  # noqa: RUF012 - declared so by its base class
    max_header_length = 4_096  # an RSA key in the header of a DPoP proof is longer than joserfc's 512


_Registry.algorithms["EdDSA"] = copy.copy(jws.JWSRegistry.algorithms["EdDSA"])
_Registry.algorithms["EdDSA"].security_warning = None


def registry(algorithms: Sequence[str]) -> jws.JWSRegistry:
    """Return what joserfc is to accept: these algorithms, and headers with more in them than it knows."""
    return _Registry(algorithms=list(algorithms), strict_check_header=False)


def sign(key: Key, claims: Mapping[str, Any], typ: str = "JWT") -> str:
    """Make a signed JWT: with one explicit key, the algorithm that it is for, and its `kid`.

    Args:
        typ: what kind of JWT it is (RFC 8725 section 3.11).
    """
    algorithm = str(key.get("alg"))
    payload = crypto.base64url(compact_json.encode(claims))
    content = f"{_header(algorithm, str(key.kid), typ)}.{payload}"
    signature = _Registry.algorithms[algorithm].sign(content.encode("ascii"), key)
    return f"{content}.{crypto.base64url(signature)}"


@lru_cache(maxsize=64)
def _header(algorithm: str, kid: str, typ: str) -> str:
    """Return the header of all JWTs of one kind that one key signs."""
    return crypto.base64url(compact_json.encode({"alg": algorithm, "kid": kid, "typ": typ}))
