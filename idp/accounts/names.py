"""User names, addresses and people's names: what is allowed, and under which key each is found.

Keys ignore case and Unicode's spellings of the same letters (NFKC, RFC 8265). A skeleton maps look-alike letters to
one (UTS #39 section 4), so that nobody can pass for somebody else with a Cyrillic "а".
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files

import email_validator
import idna
from email_validator import EmailNotValidError, validate_email

from idp import sentences
from idp.sentences import Sentence

USERNAME_MOST = 64
EMAIL_MOST = 254
PERSON_NAME_MOST = 100
_READ_MOST = 320  # characters that are looked at: normalising takes time that grows with the square of the length
_JOINERS = "._-"
_ID = re.compile(r"[0-9a-f]{32}")
# Letters and marks that show nothing (UAX #44, Default_Ignorable_Code_Point), and a dot above what has one already.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]|(?<=[ijıȷіј])\u0307"
)
_BLANK = "\u2800"  # Braille without a dot, a symbol to Unicode
_UNSHOWABLE = frozenset("<>\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # the latter turn text around
_WRITTEN_TOGETHER = (  # Japanese, Korean and Chinese
    {"LATIN", "HAN", "HIRAGANA", "KATAKANA"},
    {"LATIN", "HAN", "HANGUL"},
    {"LATIN", "HAN", "BOPOMOFO"},
)

# Company networks do use .local, whatever RFC 6762 reserved it for.
if "local" in email_validator.SPECIAL_USE_DOMAIN_NAMES:
    email_validator.SPECIAL_USE_DOMAIN_NAMES.remove("local")


def username_key(username: str) -> str:
    """Return the key under which a user name is found; one that is an address has the address's key."""
    return email_key(username) if "@" in unicodedata.normalize("NFKC", _storable(username)) else _folded(username)


def email_key(email: str) -> str:
    """Return the key under which an address is found.

    Mailboxes that differ by case only do not exist in practice. Nothing else is folded: two addresses that mail goes to
    by different ways must never share a key, or who has the one would be taken for who has the other. So ß stays ß,
    and the domain is what DNS is asked for (IDNA 2008).
    """
    stored = _storable(email).strip()
    local, at, domain = (stored if "@" in stored else unicodedata.normalize("NFKC", stored)).rpartition("@")
    if not at:
        return _folded(email)
    return f"{_lowered(local)}@{domain_key(domain)}"[:_READ_MOST]


def domain_key(domain: str) -> str:
    """Return the key under which domains are compared: as DNS has it, without an @ or a dot around it."""
    lowered = _lowered(_storable(domain))
    while (inner := lowered.strip().strip("@.")) != lowered:  # whatever stands around it, and in whichever order
        lowered = inner
    return _as_in_dns(lowered)


@lru_cache(maxsize=256)
def _as_in_dns(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return domain


def tidy_username(username: str) -> str:
    """Return a user name as it is stored and shown: in one spelling, without spaces around it."""
    tidy = username.strip()
    return unicodedata.normalize("NFKC", tidy) if len(tidy) <= _READ_MOST else tidy


def username_skeleton(username: str) -> str:
    """Return what a user name looks like: names that people confuse have the same skeleton."""
    # As written, and then in small letters: a capital I looks like an l, a small i does not.
    if "@" in (key := username_key(username)):
        return key[:255]  # an address is proven, not looked at
    seen = _with_look_alikes(unicodedata.normalize("NFKC", _storable(username)).strip())
    return _with_look_alikes(username_key(seen))[:255]


def check_username(username: str, email: str) -> list[Sentence]:
    """Return what is wrong with a user name, as a sentence; nothing when it is fine.

    Args:
        email: the account's address, which may serve as its user name too.
    """
    key = username_key(username)
    if not key:
        return [sentences.USERNAME_MISSING()]
    if len(key) > USERNAME_MOST or len(username) > USERNAME_MOST:
        return [sentences.USERNAME_TOO_LONG(most=USERNAME_MOST)]
    if "@" in key:
        return [] if key == email_key(email) else [sentences.USERNAME_OTHER_ADDRESS()]
    if unseen := sorted(set(_UNSEEN.findall(unicodedata.normalize("NFKC", username)))):
        return [sentences.USERNAME_STRANGE(characters=" ".join(f"U+{ord(c):04X}" for c in unseen[:5]))]
    strange = sorted({c for c in key if not (c.isalnum() or c in _JOINERS or unicodedata.category(c) in ("Mn", "Mc"))})
    if strange:
        others = [c for c in strange if not c.isspace()]
        shown = " ".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in others[:5])
        is_spaced = len(others) < len(strange)
        return [
            *([sentences.USERNAME_SPACED()] if is_spaced else []),
            *([sentences.USERNAME_STRANGE(characters=shown)] if others else []),
        ]
    if _ID.fullmatch(key):
        return [sentences.USERNAME_LIKE_ID()]
    if not key[0].isalnum() or key[-1] in _JOINERS:
        return [sentences.USERNAME_ENDS()]
    if _mixes_scripts(unicodedata.normalize("NFKC", username)):
        return [sentences.USERNAME_MIXED()]
    return []


def check_email(email: str) -> tuple[str, list[Sentence]]:
    """Return the address in its normal form and what is wrong with it."""
    if not email.strip():
        return "", [sentences.EMAIL_MISSING()]
    try:
        checked = validate_email(email.strip()[:_READ_MOST], check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        return email.strip(), [sentences.EMAIL_MALFORMED()]
    if "=?" in checked.normalized:  # an encoded word, which programs take for another address (RFC 2047 section 5)
        return email.strip(), [sentences.EMAIL_MALFORMED()]
    if len(email_key(checked.normalized)) > EMAIL_MOST:
        return email.strip(), [sentences.EMAIL_TOO_LONG(most=EMAIL_MOST)]
    return checked.normalized, []


def check_person_name(name: str, what: Sentence) -> tuple[str | None, list[Sentence]]:
    """Return a person's name, tidied, and what is wrong with it. People's names have no rules but a length."""
    tidy = " ".join(unicodedata.normalize("NFC", name[:_READ_MOST]).split())
    if len(tidy) > PERSON_NAME_MOST or len(name) > _READ_MOST:
        return None, [sentences.FIELD_TOO_LONG(what=what, most=PERSON_NAME_MOST)]
    if not is_showable(tidy):
        return None, [sentences.FIELD_UNSHOWABLE(what=what)]
    return tidy or None, []


def is_showable(text: str) -> bool:
    """Tell whether a text holds nothing but characters that can be seen, and none that turns others around.

    What joins letters or gives them room may be among them, but is no text of its own. An empty text is for callers.
    """
    if any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") or c in _UNSHOWABLE for c in text):
        return False
    seen = (c for c in _UNSEEN.sub("", text) if not c.isspace() and unicodedata.category(c) != "Cf" and c != _BLANK)
    return not text.strip() or any(seen)


def full_name(given_name: str | None, family_name: str | None) -> str:
    """Return what a mail calls a person; empty for who gave no name."""
    return " ".join(filter(None, (given_name, family_name)))


def _lowered(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def _folded(text: str) -> str:
    once = unicodedata.normalize("NFKC", _storable(text))
    return unicodedata.normalize("NFKC", once.casefold())[:_READ_MOST].strip()


def _storable(text: str) -> str:
    """Put a question mark for what no database takes; no name holds one, so such a name is nobody's."""
    return text[:_READ_MOST].encode("utf-8", "replace").decode().replace("\x00", "?")


def _with_look_alikes(text: str) -> str:
    """Put the first of its look-alikes for each character."""
    look_alikes = _look_alikes()
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFD", "".join(look_alikes.get(each, each) for each in decomposed))


def _mixes_scripts(username: str) -> bool:
    """Tell whether a name mixes alphabets in a way that deceives (UTS #39 section 5.2, highly restrictive)."""
    from confusable_homoglyphs.categories import unique_aliases  # noqa: PLC0415 - loads a table; only names need it
    from confusable_homoglyphs.confusables import is_dangerous  # noqa: PLC0415 - and another

    scripts = unique_aliases(username) - {"COMMON", "INHERITED"}
    return not any(scripts <= together for together in _WRITTEN_TOGETHER) and bool(is_dangerous(username))


@cache
def _look_alikes() -> Mapping[str, str]:
    """Map each character with look-alikes to the first of them; made once, from the library's copy of the table."""
    table = json.loads((files("confusable_homoglyphs") / "confusables.json").read_text("utf-8"))
    alike: dict[str, set[str]] = {}
    for character, others in table.items():
        singles = [each for each in (character, *(other["c"] for other in others)) if len(each) == 1]
        group = set(singles).union(*(alike.get(each, ()) for each in singles))
        alike.update(dict.fromkeys(group, group))
    return {character: min(group) for character, group in alike.items()}
