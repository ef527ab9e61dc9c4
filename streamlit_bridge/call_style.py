"""Tells the two generations of call style apart.

The 0.2 generation writes ``login("Login", "main")``, the 0.4 generation ``login("main")`` or
``login(location="main")``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypedDict

from streamlit_bridge import texts

LOCATIONS: Final = ("main", "sidebar", "unrendered")


class OldArguments(TypedDict, total=False):
    """Keywords that the older package's constructor took, from its first generation to its last."""

    names: object
    usernames: object
    passwords: object
    credentials: object
    cookie_name: object
    cookie_key: object
    key: object
    cookie_expiry_days: object
    preauthorized: object
    pre_authorized: object
    validator: object
    auto_hash: object
    api_key: object
    login_sleep_time: object
    password_instructions: object
    server_url: object


class CallStyle(NamedTuple):
    """How a widget was called.

    Attributes:
        form_name: the title that the app chose, None in the newer style.
        location: where the widget goes: ``main``, ``sidebar`` or ``unrendered``.
        is_classic: True for the 0.2 generation.
    """

    form_name: str | None
    location: str
    is_classic: bool


def read_call_style(first: object, second: object) -> CallStyle:
    """Apply the positional rule: a first value that names a location is the location, unless the second does too.

    Parameters:
        first: what came as the first argument or as ``form_name=``.
        second: what came as the second argument or as ``location=``.

    Returns:
        The title, the location and the generation.

    Raises:
        ValueError: the location is none of the three.
    """
    if first in LOCATIONS and second not in LOCATIONS:
        # Whatever stands second then is an argument of the newer signature, for example a number of users.
        return CallStyle(None, str(first), False)
    location = "main" if second is None else second
    if location not in LOCATIONS:
        raise ValueError(texts.BAD_LOCATION.format(location=location))
    if first is None:
        return CallStyle(None, str(location), False)
    return CallStyle(str(first), str(location), True)


def read_fields(fields: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the app's own labels.

    Parameters:
        fields: what came as ``fields=``, or in its place.

    Raises:
        TypeError: it is no mapping, as when positional arguments got out of step.
    """
    if fields is not None and not isinstance(fields, Mapping):
        raise TypeError(texts.BAD_FIELDS)
    return fields or {}


def as_names(names: str | Sequence[str]) -> Sequence[str]:
    """Read one name or several: a lone text would be as many names as it has letters."""
    return (names,) if isinstance(names, str) else names
