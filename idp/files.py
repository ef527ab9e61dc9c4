"""Files for their owner only, and locks that the system drops when the process that has them ends."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    _AS_IT_IS = os.O_BINARY
else:
    import fcntl

    _AS_IT_IS = 0

PRIVATE_FILE = 0o600
_BEYOND = 1 << 30  # Windows lets nobody read the bytes that are locked: none is there


def private(path: str | Path, flags: int) -> int:
    """Open a file that is its owner's only; also an `opener` for `open`. On Windows its folder says who may read it."""
    return os.open(path, flags | _AS_IT_IS, PRIVATE_FILE)


@contextlib.contextmanager
def locked(folder: Path, *, is_shared: bool = False) -> Iterator[None]:
    """Work on a folder alone.

    Args:
        folder: it exists.
        is_shared: with others who say so too, where the system knows such locks.
    """
    if sys.platform == "win32":  # which opens no folders
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    else:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(handle, is_shared=is_shared)
        yield
    finally:
        os.close(handle)


def hold(handle: int) -> None:
    """Hold an open file until it is closed, or this process ends."""
    _lock(handle)


def is_held(path: Path) -> bool:
    """Tell whether somebody holds a file."""
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        _lock(handle, is_shared=True, waits=False)
    except OSError:  # Windows has no kind of its own for it
        return True
    finally:
        os.close(handle)
    return False


def _lock(handle: int, *, is_shared: bool = False, waits: bool = True) -> None:
    if sys.platform == "win32":
        os.lseek(handle, _BEYOND, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_LOCK if waits else msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(handle, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | (0 if waits else fcntl.LOCK_NB))
