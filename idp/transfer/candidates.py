"""What a file says about accounts, before anybody has judged it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Words that begin a family name when they stand in the middle of a name.
_PARTICLES = re.compile(
    "a[flpv]|ben|bin|bint|d[ae']|dal|del|della|de[nr]|d[iou]|dos|e|el|ibn|la|las|l[eo]|los|mac|san|st\\.?|te[nr]|"
    "van|vo[mn]|y|zu|zu[mr]"
)
_SUFFIXES = frozenset(("jr", "jr.", "sr", "sr.", "ii", "iii", "iv"))


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account as a file describes it.

    Attributes:
        roles: None when the file says nothing of roles.
        is_name_guessed: whether the family name was told from the given name by rules of thumb.
        columns: further columns of the table, not checked yet.
        line: where in the file.
    """

    username: str
    email: str = ""
    given_name: str = ""
    family_name: str = ""
    password: str = field(default="", repr=False)  # plain text, or a hash: `checking` tells
    roles: tuple[str, ...] | None = None
    is_name_guessed: bool = False
    columns: Mapping[str, Any] = field(default_factory=dict, repr=False)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Invitee:
    """A preauthorized address as a file describes it."""

    email: str
    roles: tuple[str, ...] = ()
    client_id: str = ""
    expires_at: int | None = None
    created_at: int | None = None  # None: now
    line: int = 0


@dataclass(frozen=True)
class Source:
    """Everything that a file holds.

    Attributes:
        candidates: to be taken once, and before the invitees.
        count: of the accounts that it describes, more or less.
    """

    layout: str
    candidates: Iterable[Candidate]
    invitees: Iterable[Invitee]
    count: int


def text_of(entry: Mapping[str, Any], key: str) -> str:
    """Return what an entry of a file says under a key; nothing where that is no text."""
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def split_name(name: str) -> tuple[str, str, bool]:
    """Split a whole name into given and family name.

    Returns:
        Given name, family name, and whether that was a guess that somebody should look at.
    """
    family, comma, given = name.partition(",")
    if comma and family.strip() and given.strip() and given.strip().casefold() not in _SUFFIXES:
        return " ".join(given.split()), " ".join(family.split()), True
    words = re.sub(r"\s*,\s*", " ", name).split()
    if len(words) < 2:
        return " ".join(words), "", False
    begin = len(words) - 1
    if words[begin].casefold() in _SUFFIXES and begin > 1:
        begin -= 1
    while begin > 1 and _PARTICLES.fullmatch(words[begin - 1].casefold()):
        begin -= 1
    return " ".join(words[:begin]), " ".join(words[begin:]), len(words) > 2
