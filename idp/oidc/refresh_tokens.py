"""How refresh tokens look, and under what they are stored."""

import re

from idp import crypto

PREFIX = "idp_rt_"  # lets scanners for leaked secrets know one when they see it
_TIME = 8  # hexadecimal digits
_FORM = re.compile(rf"{PREFIX}[0-9a-f]{{{_TIME}}}[A-Za-z0-9_-]{{43}}").fullmatch


def new(now: int, *, has_time: bool = True) -> str:
    """Return a new one: when it was made, and 256 random bits.

    Args:
        now: seconds since the epoch.
        has_time: not in one that servers of an earlier version have to find as well.
    """
    time = f"{now & 0xFFFFFFFF:08x}" if has_time else ""
    return f"{PREFIX}{time}{crypto.new_token()}"


def digest(token: str) -> str:
    """Return under what a token is stored: its time, and 224 bits of its SHA-256 digest.

    Those of one time lie together in the index, where they are looked for, written and swept among millions; by their
    digests alone each would lie on a page of its own. One without a time, of an earlier version, has its digest alone.
    """
    hashed = crypto.digest(token)
    if not _FORM(token):
        return hashed
    return f"{token[len(PREFIX) : len(PREFIX) + _TIME]}{hashed[_TIME:]}"
