"""What a new password must be.

It follows NIST SP 800-63B section 3.1.1: length, no rules of composition, and lists of what attackers try first: those
of zxcvbn, with the person's own data and the provider's own name and address, and the operator's of breached passwords.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import prod
from urllib.parse import urlsplit

from idp import crypto, sentences
from idp.accounts.breached_passwords import is_breached
from idp.accounts.users import Person
from idp.errors import InvalidInputError, PasswordRefused, refuse_faults
from idp.models import User
from idp.settings import Settings

MOST = 1024  # characters
_ESTIMATED = 32  # zxcvbn takes time that grows faster than the length: the first characters say enough
_LATER_YEARS = [str(year) for year in range(2020, 2050)]  # zxcvbn's list of them ends before
# zxcvbn's lists are English; the pages are read in German, too, and this is what its readers begin passwords with.
_GERMAN = """
passwort hallo willkommen schatz sommer winter geheim kennwort herbst frühling fruehling berlin hamburg münchen muenchen
köln koeln frankfurt stuttgart düsseldorf duesseldorf dortmund leipzig dresden hannover nürnberg nuernberg bremen wien
zürich zuerich deutschland österreich oesterreich schweiz bayern fussball fußball schalke borussia januar februar märz
maerz april juni juli august september oktober november dezember montag dienstag mittwoch donnerstag freitag samstag
sonntag liebe ichliebedich mama papa mutter vater familie freund freundin kinder schatzi hase mausi engel prinzessin
sonne sonnenschein mond stern sterne blume schmetterling hund katze pferd arbeit büro buero firma anmeldung zugang
benutzer verwaltung sicherheit geburtstag weihnachten ostern urlaub schule glück glueck freiheit leben gutentag
gutenmorgen servus moin tschüss tschuess motorrad einfach scheisse scheiße arschloch neustart wechsel
wochenende feierabend schokolade regenbogen bundesliga zuhause kaffee
"""
_SPELLINGS_MOST = 32  # in which it looks for words: it takes the whole time for each, and made-up ones have hundreds


def check_new_password(
    settings: Settings, password: str, own_data: Iterable[str | None], field: str = "password"
) -> None:
    """Check a new password against the policy.

    Args:
        password: as typed.
        own_data: what an attacker knows of the person: names, addresses.
        field: the form field that the fault belongs to.

    Raises:
        PasswordRefused: names every unmet rule.
    """
    if len(password) > MOST:
        raise PasswordRefused([sentences.PASSWORD_LONG(most=MOST)], field)
    typed = len(password)  # one letter may be hashed as 18
    password = crypto.normal_form(password)  # what is hashed: wide letters open an account as plain ones do
    words = _words(own_data)
    unmet = []
    if min(typed, len(password)) < settings.password_min_length:
        unmet.append(sentences.PASSWORD_SHORT(least=settings.password_min_length))
    folded = password.casefold()
    if any(len(word) >= 4 and word in folded and len(word) * 2 > len(folded) for word in words) or folded in words:
        unmet.append(sentences.PASSWORD_OWN())
    elif password and _score(password, words + _words(_our_names(settings))) < settings.password_min_score:
        unmet.append(sentences.PASSWORD_EASY())
    elif settings.breached_passwords_file and is_breached(settings.breached_passwords_file, password):
        unmet.append(sentences.PASSWORD_BREACHED())
    if unmet:
        raise PasswordRefused(unmet, field)


def check_newcomer(settings: Settings, person: Person, password: str) -> Person:
    """Check all that was typed for a new account at once, so that nobody has to mend a form twice.

    Returns:
        The person in their normal form.

    Raises:
        InvalidInputError: names every field with a fault, the password's unmet rules among them.
        PasswordRefused: these alone.
    """
    faults: dict[str, Sequence[str]] = {}
    try:
        person = person.check()
    except InvalidInputError as refusal:
        faults |= refusal.faults
    try:
        check_new_password(settings, password, (person.username, person.email, person.given_name, person.family_name))
    except PasswordRefused as refusal:
        if not faults:
            raise
        faults |= refusal.faults
    refuse_faults(faults)
    return person


def own_data_of(user: User) -> tuple[str | None, ...]:
    """Return what an attacker knows of the person, for `check_new_password`."""
    return (user.username, user.email, user.given_name, user.family_name)


def _score(password: str, words: list[str]) -> int:
    """Return how hard a password is to guess, from 0 to 4.

    What counts is how hard its parts are. zxcvbn's own total grows ten thousandfold with each part after the first,
    whatever it is: any three would be strong then, as in `Admin@123456`, which attackers have rules for.

    Args:
        words: that attackers try first.
    """
    from zxcvbn import matching, scoring, time_estimates  # noqa: PLC0415 - 12 MB, which most processes never need

    words = [*words, *_LATER_YEARS, *_GERMAN.split()]
    known = matching.RANKED_DICTIONARIES | {"user_inputs": matching.build_ranked_dict(words)}

    def guesses(part: str) -> Decimal:
        found = matching.omnimatch(part, known)
        for each in found:
            if each["pattern"] == "repeat":  # of what is repeated zxcvbn gives its own total, which knows no such words
                each["base_guesses"] = guesses(each["base_token"])
        return Decimal(scoring.most_guessable_match_sequence(part, found, _exclude_additive=True)["guesses"])

    beginning = _estimated(password)
    rest = _estimated(password[len(beginning) : _ESTIMATED])  # where the beginning was cut
    return time_estimates.guesses_to_score(max(guesses(part) for part in (beginning, rest) if part))


def _estimated(password: str) -> str:
    """Return as much of a password as is estimated soon.

    Signs such as `4` and `@` are read as letters, in every combination: it is cut where there are too many of them.
    """
    from zxcvbn.matching import L33T_TABLE, relevant_l33t_subtable  # noqa: PLC0415 - as where it is called

    part = password[:_ESTIMATED]
    while prod(map(len, relevant_l33t_subtable(part, L33T_TABLE).values())) > _SPELLINGS_MOST:
        part = part[:-1]
    return part


def _our_names(settings: Settings) -> tuple[str | None, ...]:
    """What attackers know of the provider: words of this context (NIST SP 800-63B section 3.1.1.2)."""
    return settings.brand_name, urlsplit(settings.issuer).hostname


def _words(data: Iterable[str | None]) -> list[str]:
    """What data offer for guessing: each of them, and its parts."""
    words = []
    for datum in filter(None, data):
        folded = crypto.normal_form(datum[:MOST]).casefold()
        parts = folded.replace("@", " ").replace(".", " ").replace("-", " ").replace("_", " ").split()
        words += [folded, *(part for part in parts if len(part) >= 3)]
    return words
