"""JWTs as somebody presents them: their parts, read before anything in them is believed, and what all of them need."""

import json
import math
from collections.abc import Mapping
from typing import Any, TypeGuard

from idp import crypto, strict_json

_JWT_MOST = 16_384  # characters
_JTI_MOST = 256  # characters


class JwtRefused(Exception):
    """A JWT that is not what it should be; the text says why, and repeats nothing of it."""


def read_header(token: str) -> Mapping[str, Any]:
    """Return the header of a signed JWT, unchecked.

    Raises:
        JwtRefused: it is no signed JWT, too long, or demands what is not understood here (RFC 7515 section 4.1.11).
    """
    parts = token.split(".")
    if len(token) > _JWT_MOST or len(parts) != 3 or not token.isascii():
        raise JwtRefused("is no signed JWT")
    header = _read_object(_decoded(parts[0]))
    if header is None:
        raise JwtRefused("is no signed JWT")
    if "crit" in header:
        raise JwtRefused("has a critical header that is not understood here")
    return header


def read_unsigned(token: str) -> Mapping[str, Any]:
    """Return the claims of an unsecured JWT (RFC 7519 section 6): anybody may have written them.

    Raises:
        JwtRefused: it is none: malformed, of another algorithm, or with a signature after all.
    """
    parts = token.split(".")
    if read_header(token).get("alg") != "none" or parts[2]:
        raise JwtRefused("is no unsecured JWT")
    return read_claims(_decoded(parts[1]))


def _decoded(part: str) -> bytes:
    raw = crypto.from_base64url(part)
    if raw is None:
        raise JwtRefused("is no signed JWT")
    return raw


def read_claims(payload: bytes) -> Mapping[str, Any]:
    """Return the claims that a JWT's payload holds.

    Raises:
        JwtRefused: it holds none.
    """
    claims = _read_object(payload)
    if claims is None:
        raise JwtRefused("holds no claims")
    return claims


def _read_object(raw: bytes) -> Mapping[str, Any] | None:
    """Return a JSON object; None where there is none, or one that others would fail at: libraries read it again."""
    try:
        read = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) and not strict_json.is_deep(read) else None


def is_time(value: Any) -> TypeGuard[int | float]:
    """Tell whether this is a NumericDate (RFC 7519 section 2); Python's JSON knows NaN and Infinity besides."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole or (isinstance(value, float) and math.isfinite(value))


def jti_of(claims: Mapping[str, Any]) -> str:
    """Return what names a JWT that may be used once.

    Raises:
        JwtRefused: nothing does, or not in so few characters.
    """
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _JTI_MOST:
        raise JwtRefused(f"needs a jti of 1 to {_JTI_MOST} characters")
    return jti
