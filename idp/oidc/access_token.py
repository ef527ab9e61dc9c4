"""Access tokens: opaque to apps, short, and without a row of their own.

A token names its grant and says until when it is good, under a MAC that only this provider can make. Whether it is
still good is decided by the grant's row, which is read at each use anyway: ending the grant, the session or the account
ends it at once. What its client gives back early is noted by its id.
"""

import json
import struct
from collections.abc import Sequence
from typing import NamedTuple

from idp import clock, compact_json, crypto

PREFIX = "idp_at_"  # lets scanners for leaked secrets know one when they see it
_PURPOSE = "access tokens"
_HEAD = struct.Struct(">BII8s")  # format, issued at, expires at, random
_GRANT = 1  # format: 16 bytes of grant id, then a scope if it is narrower than the grant's
_CLIENT = 2  # format: client id, a space, scope: nobody's but the client's own
_GRANT_WITH_MORE = 3  # format: 16 bytes of grant id, then JSON with what is not usual
_CLIENT_WITH_MORE = 4  # format: JSON
_MAC_BYTES = 16


class AccessToken(NamedTuple):
    """What an access token says.

    Attributes:
        token_id: names it where it was given back early.
        grant_id: the grant that it hangs on; None for a client's own (client_credentials).
        client_id: whose it is; None where the grant tells.
        scope: what it permits; None where it is the grant's.
        resources: whom it is for (RFC 8707); empty where that is the grant's.
        dpop_jkt: thumbprint of the key that must be shown with it (RFC 9449 section 6); None for a bearer token.
        came_from: ids of the tokens that it was exchanged for (RFC 8693), the first one first; it ends with any.
    """

    token_id: str
    issued_at: int
    expires_at: int
    grant_id: str | None = None
    client_id: str | None = None
    scope: str | None = None
    resources: tuple[str, ...] = ()
    dpop_jkt: str | None = None
    came_from: tuple[str, ...] = ()


def mint_for_grant(
    secret_key: str,
    grant_id: str,
    expires_at: int,
    narrower_scope: str | None = None,
    *,
    resources: Sequence[str] = (),
    dpop_jkt: str | None = None,
    came_from: Sequence[str] = (),
    client_id: str | None = None,
) -> str:
    """Make an access token for what a person granted.

    Args:
        client_id: whose it is, where that is another client than the grant's.
    """
    named = bytes.fromhex(grant_id)
    if resources or dpop_jkt or came_from or client_id:
        more = _more(narrower_scope, resources, dpop_jkt, came_from, client_id)
        return _mint(secret_key, _GRANT_WITH_MORE, expires_at, named + more)
    return _mint(secret_key, _GRANT, expires_at, named + (narrower_scope or "").encode())


def mint_for_client(
    secret_key: str,
    client_id: str,
    scope: str,
    expires_at: int,
    *,
    resources: Sequence[str] = (),
    dpop_jkt: str | None = None,
    came_from: Sequence[str] = (),
) -> str:
    """Make an access token for a client's own use (RFC 6749 section 4.4)."""
    if resources or dpop_jkt or came_from:
        more = _more(scope, resources, dpop_jkt, came_from, client_id)
        return _mint(secret_key, _CLIENT_WITH_MORE, expires_at, more)
    return _mint(secret_key, _CLIENT, expires_at, f"{client_id} {scope}".encode())


def read(secret_key: str, token: str) -> AccessToken | None:
    """Return what a token says, or None when it is none of ours, was altered, or has expired."""
    if not token.startswith(PREFIX):
        return None
    raw = crypto.from_base64url(token.removeprefix(PREFIX))
    if raw is None:
        return None
    message, tag = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if len(message) < _HEAD.size or not crypto.is_mac_of(secret_key, _PURPOSE, message, tag):
        return None
    kind, issued_at, expires_at, _ = _HEAD.unpack_from(message)
    if expires_at <= clock.now():
        return None
    rest = message[_HEAD.size :]
    if kind == _GRANT:
        return AccessToken(tag.hex(), issued_at, expires_at, rest[:16].hex(), None, rest[16:].decode() or None)
    if kind == _CLIENT:
        client_id, _, scope = rest.decode().partition(" ")
        return AccessToken(tag.hex(), issued_at, expires_at, None, client_id, scope)
    grant_id, more = (rest[:16].hex(), rest[16:]) if kind == _GRANT_WITH_MORE else (None, rest)
    told = json.loads(more)
    return AccessToken(
        tag.hex(),
        issued_at,
        expires_at,
        grant_id,
        told.get("c"),
        told.get("s"),
        tuple(told.get("r", ())),
        told.get("j"),
        tuple(told.get("x", ())),
    )


def _more(
    scope: str | None, resources: Sequence[str], dpop_jkt: str | None, came_from: Sequence[str], client_id: str | None
) -> bytes:
    told = {"c": client_id, "s": scope, "r": list(resources), "j": dpop_jkt, "x": list(came_from)}
    return compact_json.encode({name: value for name, value in told.items() if value})


def _mint(secret_key: str, kind: int, expires_at: int, rest: bytes) -> str:
    message = _HEAD.pack(kind, clock.now(), expires_at, crypto.random_bytes(8)) + rest
    tagged = message + crypto.mac(secret_key, _PURPOSE, message)
    return PREFIX + crypto.base64url(tagged)
