"""What the rooms below the pages say to people: each sentence in English, under a key for other languages.

A `Sentence` is the English text, so that the command line and the log take it as it is. Pages and API look its key up
in the pages' texts, under `said`; `tests/web/test_pages_texts.py` holds that no language lacks one.
"""

from collections.abc import Mapping
from dataclasses import dataclass


class Sentence(str):
    """An English sentence that can be said in another language.

    Attributes:
        key: of its wording.
        filling: what fills the gaps; may hold sentences in turn.
    """

    __slots__ = ("filling", "key")

    key: str
    filling: Mapping[str, object]

    def __new__(cls, english: str, key: str, filling: Mapping[str, object]) -> "Sentence":
        """Make the sentence of a wording whose gaps are filled."""
        made = super().__new__(cls, english.format(**filling))
        made.key, made.filling = key, dict(filling)
        return made


@dataclass(frozen=True)
class Wording:
    """How a sentence goes, with named gaps.

    Attributes:
        key: under which other languages have it.
        english: the text; a gap is written `{name}`.
    """

    key: str
    english: str

    def __call__(self, **filling: object) -> Sentence:
        """Say it.

        Args:
            filling: what goes into the gaps.
        """
        return Sentence(self.english, self.key, filling)


# -- Names and addresses -------------------------------------------------------------

USERNAME_MISSING = Wording("username_missing", "Enter a user name.")
USERNAME_TOO_LONG = Wording("username_too_long", "The user name has more than {most} characters.")
USERNAME_OTHER_ADDRESS = Wording("username_other_address", "A user name with an @ must be your own e-mail address.")
USERNAME_STRANGE = Wording(
    "username_strange",
    "The user name may hold letters, digits, dots, hyphens and underscores, but not: {characters}",
)
USERNAME_SPACED = Wording("username_spaced", "The user name may hold no spaces: put a dot or a hyphen in their place.")
USERNAME_LIKE_ID = Wording("username_like_id", "The user name looks like an account's id: choose another.")
USERNAME_ENDS = Wording("username_ends", "The user name must begin and end with a letter or a digit.")
USERNAME_MIXED = Wording("username_mixed", "The user name mixes alphabets whose letters look alike: use one alphabet.")
USERNAME_TAKEN = Wording("username_taken", "Username already taken: please choose another.")
EMAIL_MISSING = Wording("email_missing", "Enter an e-mail address.")
EMAIL_MALFORMED = Wording("email_malformed", "This is not an e-mail address: it should look like name@example.org.")
EMAIL_TOO_LONG = Wording("email_too_long", "The e-mail address has more than {most} characters.")

# -- Passwords -----------------------------------------------------------------------

PASSWORD_SHORT = Wording(
    "password_short", "Use at least {least} characters: a few words in a row are easy to remember."
)
PASSWORD_LONG = Wording("password_long", "Use at most {most} characters.")
PASSWORD_OWN = Wording("password_own", "Do not use your own name, user name or address as the password.")
PASSWORD_EASY = Wording("password_easy", "This password is easy to guess: add an unrelated word or two.")
PASSWORD_BREACHED = Wording(
    "password_breached", "This password is on a list of passwords that were stolen elsewhere: choose another."
)
PASSWORD_SAME = Wording("password_same", "New and current passwords are the same.")
PASSWORD_WRONG = Wording("password_wrong", "Password is incorrect.")
PASSWORD_FORMER = Wording(
    "password_former", "Password is incorrect. It was changed less than a minute ago: use the new one."
)
PASSWORD_NONE = Wording("password_none", "This account has no password.")

# -- Registration, sign-in, links ----------------------------------------------------

REGISTRATION_CLOSED = Wording("registration_closed", "Accounts here are made by the operator. Please ask them for one.")
NOT_PREAUTHORIZED = Wording(
    "not_preauthorized", "User not pre-authorized to register. Please ask the operator to list your address."
)
DOMAIN_NOT_ALLOWED = Wording("domain_not_allowed", "Email domain is not allowed to register.")
INVITATION_OTHER_ADDRESS = Wording("invitation_other_address", "This invitation is for another address.")
ADDRESS_HAS_ACCOUNT = Wording(
    "address_has_account", "There is an account with this address already. Sign in with it, or ask for a new password."
)
ROLE_BEYOND_APP = Wording("role_beyond_app", "This app may not give the role {role}.")
ROLE_MALFORMED = Wording("role_malformed", "{role} is no role name: use letters, digits and . : _ - (64 at most).")
SIGN_IN_REFUSED = Wording("sign_in_refused", "This user name and password do not match. Check both and try again.")
ADDRESS_UNVERIFIED = Wording(
    "address_unverified",
    "Your e-mail address is not confirmed yet. Open the link in the e-mail that we sent you, then sign in.",
)
CODE_WRONG = Wording("code_wrong", "The code is wrong or no longer valid.")
ADDRESS_SAME = Wording("address_same", "New and current values are the same.")
ADDRESS_GONE = Wording("address_gone", "This address belongs to another account by now.")
LINK_GONE = Wording(
    "link_gone", "This link was used already, has expired, or was replaced by a newer one. Please ask for a new one."
)
REQUEST_GONE = Wording(
    "request_gone",
    "This sign-in was started in another browser, is completed, or has waited too long; or cookies are switched off. "
    "Go back to the app and start again.",
)
CHANGED_JUST_NOW = Wording("changed_just_now", "Something that this depends on has changed just now. Please try again.")
REQUEST_OVER = Wording(
    "request_over",
    "This sign-in is completed, or has waited too long. Go back to {app}; if you are not signed in there, start again.",
)

# -- The profile ---------------------------------------------------------------------

FIELD_UNKNOWN = Wording("field_unknown", "There is no such field.")
FIELD_TOO_LONG = Wording("field_too_long", "The {what} has more than {most} characters.")
FIELD_UNSHOWABLE = Wording("field_unshowable", "The {what} holds a character that cannot be shown.")
NO_URL = Wording("no_url", "This is not a web address: it should look like https://example.org/me.")
NO_DATE = Wording("no_date", "This is not a date: it should look like 1990-12-31.")
NO_TIME_ZONE = Wording("no_time_zone", "This is not a time zone: it should look like Europe/Berlin.")
NO_LANGUAGE = Wording("no_language", "This is not a language: it should look like en or de-AT.")
NO_PHONE_NUMBER = Wording("no_phone_number", "This is not a phone number: it should look like +49 30 1234567.")

# What fills the gap `what`.
GIVEN_NAME = Wording("given_name", "first name")
FAMILY_NAME = Wording("family_name", "last name")
MIDDLE_NAME = Wording("middle_name", "middle name")
NICKNAME = Wording("nickname", "nickname")
PROFILE_PAGE = Wording("profile_page", "profile page")
PICTURE = Wording("picture", "picture")
WEBSITE = Wording("website", "web site")
GENDER = Wording("gender", "gender")
BIRTHDATE = Wording("birthdate", "date of birth")
TIME_ZONE = Wording("time_zone", "time zone")
LANGUAGE = Wording("language", "language")
PHONE_NUMBER = Wording("phone_number", "phone number")
STREET = Wording("street", "street")
TOWN = Wording("town", "town")
REGION = Wording("region", "region")
POSTAL_CODE = Wording("postal_code", "postal code")
COUNTRY = Wording("country", "country")

# -- Accounts that are there, or not -------------------------------------------------

ACCOUNT_NONE = Wording("account_none", "There is no such account.")
USER_NONE = Wording("user_none", "There is no user {name}: see `idp user list`.")
USER_EXISTS = Wording(
    "user_exists", "Username already taken: another account has this user name, or one that looks like it."
)
ADDRESS_EXISTS = Wording("address_exists", "Email already taken: another account has this address.")
EITHER_EXISTS = Wording("either_exists", "Username or email already taken.")

ALL: Mapping[str, Wording] = {each.key: each for each in tuple(globals().values()) if isinstance(each, Wording)}
