"""A dictionary that cannot grow without end."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

CAPACITY: Final = 10_000

Value = TypeVar("Value")


class BoundedTable(Generic[Value]):
    """A dictionary that forgets its oldest entries, so visitors cannot fill the memory."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._rows: OrderedDict[str, Value] = OrderedDict()

    def get(self, key: str) -> Value | None:
        """Return the value, or None."""
        return self._rows.get(key)

    def put(self, key: str, value: Value) -> None:
        """Store the value as the newest entry."""
        self._rows[key] = value
        self._rows.move_to_end(key)
        while len(self._rows) > self._capacity:
            self._rows.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget the key, if it is known."""
        self._rows.pop(key, None)
