"""JSON objects that others send: in UTF-8, and such that no two readers could understand them differently."""

import json
from typing import Any

_LEVELS_MOST = 50  # of lists and objects within each other; honest documents have five
_NAME_MOST = 64  # characters of a stranger's member name that are repeated to them


class _Ambiguous(ValueError):
    """A name twice in one object (RFC 8259 section 4), or a number that JSON has not (section 6)."""


def read_object(raw: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        what: it is called where its fault is told.

    Raises:
        ValueError: it is none, in UTF-8, with each name once; the text says why.
    """
    try:
        read = json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(f"The {what} is nested too deeply.") from None
    except _Ambiguous:
        raise
    except ValueError:
        raise ValueError(f"The {what} is no JSON in UTF-8.") from None
    if is_deep(read):  # databases bear less than the reader
        raise ValueError(f"The {what} is nested too deeply.")
    if not isinstance(read, dict):
        raise ValueError(f"The {what} must be a JSON object.")  # noqa: TRY004 - one kind of fault for the caller
    return read


def shown(name: str) -> str:
    """Make a stranger's member name fit to be repeated."""
    return "".join(c if c.isprintable() else "?" for c in name[:_NAME_MOST])


def is_deep(read: Any) -> bool:
    """Tell whether JSON is nested more deeply than anything honest.

    How much a reader bears depends on Python's release, and on what has called it: the next one may fail at what this
    one has read.
    """
    level = [read]
    for _ in range(_LEVELS_MOST):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [each for values in inner for each in values]
    return any(isinstance(each, dict | list) for each in level)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise _Ambiguous(f"The member {shown(name)} occurs twice.")
        members[name] = value
    return members


def _refuse_constant(name: str) -> None:
    raise _Ambiguous(f"{name} is no JSON.")
