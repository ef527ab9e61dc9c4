"""User names, addresses and people's names: what is allowed, and under which key each is found.

Keys ignore case and Unicode's spellings of the same letters (NFKC, RFC 8265). A skeleton maps look-alike letters to
one (UTS #39 section 4), so that nobody can pass for somebody else with a Cyrillic "а".
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import email_validator
from email_validator import EmailNotValidError, validate_email

from idp.errors import InvalidInputError

USERNAME_MOST = 64
PERSON_NAME_MOST = 100
_JOINERS = "._-"

# Company networks do use .local, whatever RFC 6762 reserved it for.
if "local" in email_validator.SPECIAL_USE_DOMAIN_NAMES:
    email_validator.SPECIAL_USE_DOMAIN_NAMES.remove("local")


def username_key(username: str) -> str:
    """Return the key under which a user name is found."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).casefold()).strip()


def email_key(email: str) -> str:
    """Return the key under which an address is found. Mailboxes that differ by case only do not exist in practice."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).casefold()).strip()


def username_skeleton(username: str) -> str:
    """Return what a user name looks like: names that people confuse have the same skeleton."""
    look_alikes = _look_alikes()
    decomposed = unicodedata.normalize("NFD", username_key(username))
    mapped = "".join(look_alikes.get(character, character) for character in decomposed)
    return unicodedata.normalize("NFD", mapped)[:255]


def check_username(username: str, email: str) -> list[str]:
    """Return what is wrong with a user name, as sentences; nothing when it is fine.

    Args:
        email: the account's address, which may serve as its user name too.
    """
    key = username_key(username)
    if not key:
        return ["Enter a user name."]
    faults = []
    if len(key) > USERNAME_MOST:
        faults.append(f"The user name has more than {USERNAME_MOST} characters.")
    if "@" in key:
        if key != email_key(email):
            faults.append("A user name with an @ must be your own e-mail address.")
        return faults
    strange = sorted({c for c in key if not (c.isalnum() or c in _JOINERS or unicodedata.category(c) in ("Mn", "Mc"))})
    if strange:
        shown = " ".join(c if c.isprintable() and not c.isspace() else f"U+{ord(c):04X}" for c in strange[:5])
        faults.append(f"The user name may hold letters, digits, dots, hyphens and underscores, but not: {shown}")
    elif not key[0].isalnum() or not re.search(r"\w$", key):
        faults.append("The user name must begin and end with a letter or a digit.")
    elif _mixes_scripts(key):
        faults.append("The user name mixes alphabets whose letters look alike: use one alphabet.")
    return faults


def check_email(email: str) -> tuple[str, list[str]]:
    """Return the address in its normal form and what is wrong with it."""
    if not email.strip():
        return "", ["Enter an e-mail address."]
    try:
        checked = validate_email(email.strip(), check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        return email.strip(), ["This is not an e-mail address: it should look like name@example.org."]
    return checked.normalized, []


def check_person_name(name: str, what: str) -> tuple[str | None, list[str]]:
    """Return a person's name, tidied, and what is wrong with it. People's names have no rules but a length."""
    tidy = " ".join(unicodedata.normalize("NFC", name).split())
    if len(tidy) > PERSON_NAME_MOST:
        return None, [f"The {what} has more than {PERSON_NAME_MOST} characters."]
    if any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") or c in "<>" for c in tidy):
        return None, [f"The {what} holds a character that cannot be shown."]
    return tidy or None, []


def refuse(faults: Mapping[str, list[str]]) -> None:
    """Raise one error for all fields with faults.

    Raises:
        InvalidInputError: when any field has one.
    """
    if found := {name: sentences for name, sentences in faults.items() if sentences}:
        raise InvalidInputError(found)


def _mixes_scripts(key: str) -> bool:
    """Tell whether a name mixes alphabets in a way that deceives (UTS #39 section 5.1)."""
    from confusable_homoglyphs.confusables import is_dangerous  # noqa: PLC0415 - loads two tables; only names need it

    return bool(is_dangerous(key))


@cache
def _look_alikes() -> Mapping[str, str]:
    """Map each character with look-alikes to the first of them; made once, from the library's copy of the table."""
    table = json.loads((files("confusable_homoglyphs") / "confusables.json").read_text("utf-8"))
    first: dict[str, str] = {}
    for character, others in table.items():
        if len(character) == 1:
            singles = [character, *(other["c"] for other in others if len(other["c"]) == 1)]
            first[character] = min(singles)
    return first
