"""JSON as apps, codes and columns get it: UTF-8, without a space."""

import json
from typing import Any

import orjson


def encode(value: Any) -> bytes:
    """Return a value as JSON (RFC 8259).

    The library that does so in a tenth of the time takes no text with half of a surrogate pair, and no integer of more
    than 64 bits; what people and apps send may hold either, and the standard one escapes or writes them.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def text(value: Any) -> str:
    """Return a value as JSON, for what takes a text."""
    return encode(value).decode()
