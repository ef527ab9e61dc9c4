"""Files that only their owner can read, and that appear whole or not at all: also when the power fails."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from idp import crypto, files


@contextlib.contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside its place, and put it there once all of it has reached the disk.

    Args:
        path: where to; what is there is replaced.

    Raises:
        OSError: the disk does not take it; nothing is left of it then, and what was at `path` is there still.
    """
    draft = path.with_name(f".{path.name}.{crypto.new_id()}")
    try:
        with created(draft) as stream:
            yield stream
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def created(path: Path) -> Iterator[BinaryIO]:
    """Write a file that must not exist yet, until all of it has reached the disk.

    Raises:
        FileExistsError: it does.
        OSError: the disk does not take it; nothing is left of it then.
    """
    stream = open(path, "xb", opener=files.private)  # noqa: SIM115 - what exists is not ours to take away
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Have a file reach the disk."""
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Have a folder's list of files reach the disk, where the file system knows how to."""
    with contextlib.suppress(OSError):
        sync(folder)
