"""User codes (RFC 8628 section 6.1): short enough to be typed, and made of letters that nobody mistakes."""

from idp import crypto
from idp.settings import Settings

# No vowels, so that no words come of it, and no two that look alike (section 6.1): 34 bits in eight letters.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
_LETTERS = 8
_PURPOSE = "device user code"


def new_user_code() -> str:
    """Make a user code as devices show it."""
    letters = crypto.random_letters(ALPHABET, _LETTERS)
    return f"{letters[:4]}-{letters[4:]}"


def normal_user_code(typed: str) -> str | None:
    """Return a user code as devices show it, whatever case and punctuation it was typed in; None when it is none."""
    letters = "".join(character for character in typed if character.isalnum())
    if len(letters) != _LETTERS or not letters.isascii():
        return None
    letters = letters.upper()
    if any(letter not in ALPHABET for letter in letters):
        return None
    return f"{letters[:4]}-{letters[4:]}"


def user_code_digest(settings: Settings, user_code: str) -> str:
    """A user code is short enough to be found by trying: who has the database only must not be able to."""
    return crypto.mac(settings.secret_key, _PURPOSE, user_code.encode()).hex()
