"""What people tell about themselves: the standard claims (OIDC Core section 5.1), each with its form."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from idp import clock, sentences
from idp.accounts import audit, names
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.errors import InvalidInputError, NotFoundError
from idp.models import User
from idp.sentences import Sentence, Wording

Checked = tuple[str | None, Sentence | None]  # the value in its normal form, and what is wrong with it; or None

_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-[A-Za-z0-9]{5,8})?")  # RFC 5646
_BIRTHDATE = re.compile(r"(?P<year>[0-9]{4})(-(?P<month>[0-9]{2})-(?P<day>[0-9]{2}))?")
_DOTTED_DATE = re.compile(r"(?P<day>[0-9]{1,2})\. ?(?P<month>[0-9]{1,2})\. ?(?P<year>[0-9]{4})")
_PHONE = re.compile(r"\+?[0-9]([0-9 ().\-/]*[0-9])?( ?(ext\.?|x|;ext=) ?[0-9]{1,8})?")
_URL_MOST = 500
_READ_MOST = 2_000  # characters that are looked at at all
_LEAP_YEAR = 2000


@dataclass(frozen=True)
class Field:
    """One field.

    Attributes:
        what: what people call it, for sentences.
        most: characters that it may have.
        check: brings a tidy, filled value into its normal form and says what is wrong with it.
    """

    what: Wording
    most: int
    check: Callable[[str], Checked]


def read_profile(db: Session, user_id: str) -> dict[str, str | None]:
    """Return every field; None for what is not known.

    Raises:
        NotFoundError: there is no such account.
    """
    columns = [User.__table__.c[name] for name in FIELDS]
    row = db.execute(select(*columns).where(User.id == user_id)).first()
    if row is None:
        raise NotFoundError(sentences.ACCOUNT_NONE())
    return dict(row._mapping)


def update_profile(
    db: Session, visitor: Visitor, user_id: str, changes: Mapping[str, str | None]
) -> dict[str, str | None]:
    """Change fields; what is not named stays.

    Args:
        changes: field to its new value; None or nothing clears it.

    Returns:
        The whole profile as it is now.

    Raises:
        InvalidInputError: names every field with a fault, unknown ones too; then nothing is changed.
        NotFoundError: there is no such account.
    """
    before = read_profile(db, user_id)
    faults: dict[str, list[Sentence]] = {}
    values: dict[str, str | None] = {}
    for name, value in changes.items():
        tidy, fault = check_field(name, value)
        if fault:
            faults[name] = [fault]
        elif tidy != before[name]:
            values[name] = tidy
    if faults:
        raise InvalidInputError(faults)
    if values:
        verified = {"phone_number_verified_at": None} if "phone_number" in values else {}
        db.execute(update(User).where(User.id == user_id).values(**values, **verified, updated_at=clock.now()))
        audit.record(db, Event.PROFILE_CHANGED, visitor, user_id=user_id, fields=sorted(values))
    return before | values


def check_field(name: str, value: str | None) -> Checked:
    """Return a field's value in its normal form, and what is wrong with it."""
    field = FIELDS.get(name)
    if field is None:
        return None, sentences.FIELD_UNKNOWN()
    if value is not None and len(value) > _READ_MOST:
        return None, sentences.FIELD_TOO_LONG(what=field.what(), most=field.most)
    tidy = " ".join(unicodedata.normalize("NFC", value or "").split())
    if not tidy:
        return None, None
    if not names.is_showable(tidy):
        return None, sentences.FIELD_UNSHOWABLE(what=field.what())
    normal, fault = field.check(tidy)
    if fault is None and normal is not None and len(normal) > field.most:
        return None, sentences.FIELD_TOO_LONG(what=field.what(), most=field.most)
    return normal, fault


# -- One check for each form ---------------------------------------------------------


def _text(value: str) -> Checked:
    return value, None


def _url(value: str) -> Checked:
    try:
        url = urlsplit(value)
        host, _ = url.hostname, url.port
    except ValueError:
        host = None
    if not host or url.scheme not in ("http", "https") or url.username is not None or re.search(r"[\s\"\\]", value):
        return None, sentences.NO_URL()
    return value, None


def _birthdate(value: str) -> Checked:
    """A date, a year alone, or a day without its year, which is 0000 then (OIDC Core section 5.1).

    With dots, too, as much of Europe writes it: there is one way only to read that.
    """
    if dotted := _DOTTED_DATE.fullmatch(value):
        value = f"{dotted['year']}-{dotted['month']:0>2}-{dotted['day']:0>2}"
    found = _BIRTHDATE.fullmatch(value)
    if found is None or value == "0000":
        return None, sentences.NO_DATE()
    try:
        date(int(found["year"]) or _LEAP_YEAR, int(found["month"] or 1), int(found["day"] or 1))
    except ValueError:
        return None, sentences.NO_DATE()
    return value, None


def _zoneinfo(value: str) -> Checked:
    known = _zones().get(value.casefold())
    return (known, None) if known else (None, sentences.NO_TIME_ZONE())


@cache
def _zones() -> Mapping[str, str]:
    return {zone.casefold(): zone for zone in available_timezones()}


def _locale(value: str) -> Checked:
    tag = value.replace("_", "-")
    if not _LOCALE.fullmatch(tag):
        return None, sentences.NO_LANGUAGE()
    return tag, None


def _phone(value: str) -> Checked:
    if not _PHONE.fullmatch(value) or not 3 <= sum(c.isdigit() for c in value) <= 24:
        return None, sentences.NO_PHONE_NUMBER()
    return value, None


FIELDS: Mapping[str, Field] = {
    "given_name": Field(sentences.GIVEN_NAME, names.PERSON_NAME_MOST, _text),
    "family_name": Field(sentences.FAMILY_NAME, names.PERSON_NAME_MOST, _text),
    "middle_name": Field(sentences.MIDDLE_NAME, names.PERSON_NAME_MOST, _text),
    "nickname": Field(sentences.NICKNAME, names.PERSON_NAME_MOST, _text),
    "profile": Field(sentences.PROFILE_PAGE, _URL_MOST, _url),
    "picture": Field(sentences.PICTURE, _URL_MOST, _url),
    "website": Field(sentences.WEBSITE, _URL_MOST, _url),
    "gender": Field(sentences.GENDER, 50, _text),
    "birthdate": Field(sentences.BIRTHDATE, 10, _birthdate),
    "zoneinfo": Field(sentences.TIME_ZONE, 64, _zoneinfo),
    "locale": Field(sentences.LANGUAGE, 35, _locale),
    "phone_number": Field(sentences.PHONE_NUMBER, 40, _phone),
    "street_address": Field(sentences.STREET, 200, _text),
    "locality": Field(sentences.TOWN, 100, _text),
    "region": Field(sentences.REGION, 100, _text),
    "postal_code": Field(sentences.POSTAL_CODE, 20, _text),
    "country": Field(sentences.COUNTRY, 100, _text),
}
