"""Kinds of rules for a client's metadata: what many fields have in common."""

from collections.abc import Callable, Iterable
from typing import Any

from idp.accounts import names
from idp.oidc.clients import ClientMetadata

Faults = Iterable[str]
Rule = Callable[[ClientMetadata, Any], Faults]  # of a client and the value of one of its fields
TEXT_MOST = 200  # characters


def each(rule: Callable[[str], Faults]) -> Rule:
    """Make a rule for one value, or for each entry of a list; nothing needs no rule."""

    def check(_client: ClientMetadata, value: Any) -> Faults:
        entries = value if isinstance(value, tuple | list) else () if value is None else (value,)
        return [fault for entry in entries for fault in rule(entry)]

    return check


def one_of(what: str, known: Iterable[str]) -> Rule:
    """Make a rule for a choice, or for a list of choices."""
    choices = tuple(known)
    return each(
        lambda value: () if value in choices else [f"{value!r} is no {what}: choose from {', '.join(choices)}."]
    )


def between(least: int, most: int, message: str) -> Rule:
    """Make a rule for a closed range; None needs no rule."""
    return lambda _client, value: () if value is None or least <= value <= most else [message]


def text(value: str) -> Faults:
    """A text that people may be shown."""
    if not 0 < len(value.strip()) <= TEXT_MOST or len(value) > TEXT_MOST:
        yield f"A text of 1 to {TEXT_MOST} characters is needed."
    elif not names.is_showable(value):
        yield "The text holds a character that cannot be shown."
