"""Passwords that were stolen elsewhere, in a file of the operator's (NIST SP 800-63B section 3.1.1.2).

It holds a SHA-1 digest a line, in hexadecimal and in their order, as Have I Been Pwned publishes them; what follows on
a line, such as a count, is passed over. All of them are 40 GB: the file is looked into by halves, and never read.
"""

import hashlib
import logging
import os
from typing import BinaryIO

_DIGEST = 40  # characters
_LINE_MOST = 100  # bytes; what has no lines is not read to its end

log = logging.getLogger(__name__)


def is_breached(path: str, password: str) -> bool:
    """Tell whether a password is listed. A file that is gone lists nothing, and the log says so.

    Args:
        path: of the file.
        password: in its normal form.
    """
    digest = hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest().upper()
    try:
        with open(path, "rb") as file:
            return _is_listed(file, digest.encode("ascii"))
    except OSError as fault:
        log.error("The file of breached passwords cannot be read: %s", fault.strerror)  # noqa: TRY400 - no fault of ours
        return False


def _is_listed(file: BinaryIO, digest: bytes) -> bool:
    """Find the first line that does not come before the digest: it begins at `low` or after it."""
    low, high = 0, os.fstat(file.fileno()).st_size
    while low < high:
        middle = (low + high) // 2
        found = _digest_after(file, middle)
        if found and found < digest:
            low = middle + 1
        else:
            high = middle
    return _digest_after(file, low) == digest


def _digest_after(file: BinaryIO, offset: int) -> bytes:
    """Return the digest of the first line that begins at an offset or after it; nothing, where none does."""
    file.seek(max(offset - 1, 0))
    if offset:
        file.readline(_LINE_MOST)
    return file.readline(_LINE_MOST)[:_DIGEST].upper()
