"""A file of text: whatever is no text, or too much of it, is told before anybody parses it."""

import contextlib
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from idp.errors import InvalidInputError

MOST_BYTES = 512 * 1024 * 1024  # of what is read whole, or copied
_CHUNK = 1 << 20


@contextlib.contextmanager
def rereadable(name: str, stream: BinaryIO) -> Iterator[BinaryIO]:
    """Give a stream that can be read more than once: what comes through a pipe is copied, to a file without a name.

    Args:
        name: what to call it in messages.
        stream: where to read.

    Raises:
        InvalidInputError: it is too large to be copied.
        OSError: there is no room for the copy.
    """
    if stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile() as copy:
        while chunk := stream.read(_CHUNK):
            copy.write(chunk)
            if copy.tell() > MOST_BYTES:
                raise _too_large(name, "What comes through the pipe", ": put it into a file, and name that")
        copy.seek(0)
        yield cast("BinaryIO", copy)  # Windows' is of a class of its own


def read_text(name: str, stream: BinaryIO) -> str:
    """Read a stream of UTF-8 text, with or without a byte order mark.

    Args:
        name: what to call it in messages.
        stream: where to read.

    Raises:
        InvalidInputError: it is too large or not UTF-8.
    """
    raw = stream.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise _too_large(name, "The file")
    return decode(name, raw)


def decode(name: str, raw: bytes, line: int = 1) -> str:
    """Return bytes as text.

    Args:
        name: what to call the file in messages.
        raw: some of it.
        line: the number of the first line.

    Raises:
        InvalidInputError: it is not UTF-8.
    """
    try:
        return raw.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line += raw.count(b"\n", 0, error.start)
        raise fault(name, line, "This is not UTF-8 text: save the file as UTF-8.") from None


def _too_large(name: str, what: str, advice: str = "") -> InvalidInputError:
    return fault(name, 0, f"{what} has more than {MOST_BYTES // 1024**2} MB{advice}.")


def fault(name: str, line: int, sentence: str) -> InvalidInputError:
    """Make the error for a fault in a file.

    Args:
        name: the file's.
        line: where, counted from 1; 0 when it is the whole file.
        sentence: what is wrong; it must quote no value, which may be a secret.
    """
    return InvalidInputError({name: [f"line {line}: {sentence}" if line else sentence]})
