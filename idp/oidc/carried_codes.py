"""Codes that carry what was granted: nothing is written for them before they are redeemed.

Most codes are redeemed within a second, so a row each would be written twice. Such a code is the id that its grant will
have, with everything else encrypted behind it: apps, browsers and logs see neither who signed in nor what was asked.
"""

import json
from collections.abc import Mapping
from typing import Any

from idp import compact_json, crypto

_PURPOSE = "authorization codes, form 1"  # another form is another purpose: codes of it are unknown then, not misread
_ID_BYTES = 16
_FIELDS = (
    "user_id",
    "session_id",
    "code_epoch",
    "client_version",
    "scope",
    "claims",
    "nonce",
    "resources",
    "dpop_jkt",
    "redirect_uri",
    "code_challenge",
    "code_expires_at",
    "auth_time",
    "acr",
    "amr",
    "is_offline",
    "expires_at",
)
# Characters behind the prefix. A server of an app takes lines of 8,000, and there the `state` is as well; a code with
# much to carry is written down.
MOST = 2_000
_LEAST = 64  # a code that is a row's name is 43 characters


def write(secret_key: str, client_id: str, grant: Mapping[str, Any]) -> str | None:
    """Return a code for one client, without its prefix; None where there is too much to carry.

    Args:
        grant: the columns of the grant to be, the person's `code_epoch` and the client's version.
    """
    name = bytes.fromhex(grant["id"])
    told = compact_json.encode([grant[field] for field in _FIELDS])
    sealed = crypto.encrypt_once(secret_key, _PURPOSE, name, told, bound_to=client_id.encode())
    code = crypto.base64url(name + sealed)
    return code if len(code) <= MOST else None


def read(secret_key: str, client_id: str, code: str) -> dict[str, Any] | None:
    """Return what a code carries; None where it is none of ours, altered, of another client, or a row's name.

    Args:
        code: without its prefix.
    """
    raw = crypto.from_base64url(code) if _LEAST <= len(code) <= MOST else None
    if raw is None:
        return None
    name, sealed = raw[:_ID_BYTES], raw[_ID_BYTES:]
    told = crypto.decrypt_once(secret_key, _PURPOSE, name, sealed, bound_to=client_id.encode())
    if told is None:
        return None
    return dict(zip(_FIELDS, json.loads(told), strict=True), id=name.hex(), client_id=client_id)
