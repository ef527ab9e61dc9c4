"""Nonces for DPoP proofs (RFC 9449 section 8): no row is kept, each tells by itself until when it is good.

A nonce is the number of a time window under a MAC. It is good in its window and in the next one; a client that still
uses the one before is handed the newer one with the answer, and so never has to try twice.
"""

import struct

from idp import clock, crypto
from idp.settings import Settings

WINDOW = 150  # seconds; a nonce is good for at least that, and for less than twice that
_PURPOSE = "dpop nonces"
_NUMBER = struct.Struct(">Q")


def current_nonce(settings: Settings) -> str:
    """Return the nonce of this moment: all processes give the same one."""
    return _make(settings, _window())


def is_good(settings: Settings, nonce: str) -> bool:
    """Tell whether a nonce is ours and not too old."""
    raw = crypto.from_base64url(nonce) or b""
    message, tag = raw[: _NUMBER.size], raw[_NUMBER.size :]
    if len(message) < _NUMBER.size or not crypto.is_mac_of(settings.secret_key, _PURPOSE, message, tag):
        return False
    return _NUMBER.unpack(message)[0] in (_window(), _window() - 1)


def _window() -> int:
    return clock.now() // WINDOW


def _make(settings: Settings, window: int) -> str:
    message = _NUMBER.pack(window)
    tagged = message + crypto.mac(settings.secret_key, _PURPOSE, message)
    return crypto.base64url(tagged)
