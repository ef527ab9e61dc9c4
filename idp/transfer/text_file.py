"""A file of text, read whole: whatever is no text, or too much of it, is told before anybody parses it."""

from pathlib import Path
from typing import BinaryIO

from idp.errors import InvalidInputError

MOST_BYTES = 512 * 1024 * 1024


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
        raise fault(name, 0, f"The file has more than {MOST_BYTES // 1024**2} MB.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise fault(name, line, "This is not UTF-8 text: save the file as UTF-8.") from None


def read_file(path: Path) -> str:
    """Read a file of UTF-8 text.

    Raises:
        InvalidInputError: it is too large or not UTF-8.
        OSError: it cannot be opened.
    """
    with path.open("rb") as stream:
        return read_text(str(path), stream)


def fault(name: str, line: int, sentence: str) -> InvalidInputError:
    """Make the error for a fault in a file.

    Args:
        name: the file's.
        line: where, counted from 1; 0 when it is the whole file.
        sentence: what is wrong; it must quote no value, which may be a secret.
    """
    return InvalidInputError({name: [f"line {line}: {sentence}" if line else sentence]})
