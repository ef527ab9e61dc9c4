"""Candidates measured by today's rules: each becomes a row that the database takes, or a finding that says why not."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Boolean, Integer

from idp import clock, crypto, sentences
from idp.accounts import names, password_policy, profile, roles
from idp.models import User
from idp.sentences import Sentence
from idp.transfer.candidates import Candidate
from idp.transfer.report import Kind, Report

KEPT_COLUMNS = tuple(
    column.name
    for column in User.__table__.columns
    # Keys are made anew; a registration that waits for its confirmation is no account yet.
    if column.name
    not in ("username_key", "username_skeleton", "email_key", "is_registration_pending", "claimed_preauthorization")
)
MOST_SECONDS = 253_402_300_799  # the end of the year 9999: later times are none that can be shown
_COSTLIEST = 15  # bcrypt's cost; a hash of 31 would keep a sign-in busy for days
# The last letter of a salt has four values only: bcrypt refuses a hash with another.
_BCRYPT = re.compile(r"(sha256)?\$2[abxy]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_SOME_HASH = re.compile(
    r"\{[A-Za-z0-9-]{2,12}\}\S{16,}|(sha256)?\$[a-z0-9-]{1,20}\$\S{16,}|(scrypt|pbkdf2)[:_$]\S{16,}"
)
_BLANK = {column.name: False if isinstance(column.type, Boolean) else None for column in User.__table__.columns}


@dataclass(slots=True)
class Row:
    """An account that may be written.

    Attributes:
        columns: every column of the table.
        password: plain text that is still to be hashed; empty when there is none.
        roles: None when the file says nothing of roles.
        line: where in the file.
    """

    columns: dict[str, Any] = field(repr=False)
    password: str = field(repr=False)
    roles: tuple[str, ...] | None
    line: int


class Checker:
    """Checks candidates one after the other and remembers which names and addresses the file has used.

    Args:
        report: where findings go.
        email_domain: gives people without an address one of the form `name@email_domain`; empty for nobody.
        is_vouched_for: whether the operator vouches for every address.
    """

    def __init__(self, report: Report, *, email_domain: str = "", is_vouched_for: bool = False) -> None:
        self._report = report
        self._email_domain = email_domain
        self._is_vouched_for = is_vouched_for
        self._now = clock.now()
        self._usernames: set[str] = set()
        self._skeletons: set[str] = set()
        self.email_keys: set[str] = set()
        self._ids: set[str] = set()

    def check_all(self, candidates: Iterable[Candidate]) -> Iterator[Row]:
        """Yield a row for each candidate that may come in."""
        for candidate in candidates:
            row = self._check(candidate)
            if row is not None:
                yield row

    def _check(self, candidate: Candidate) -> Row | None:
        email = self._email(candidate)
        username = self._username(candidate, email) if email else ""
        if not email or not username or self._is_repeated(candidate, username, email):
            return None
        columns: dict[str, Any] = {
            **_BLANK,
            "id": crypto.new_id(),
            "username": username,
            "username_key": names.username_key(username),
            "username_skeleton": names.username_skeleton(username),
            "email": email,
            "email_key": names.email_key(email),
            "email_verified_at": self._now if self._is_vouched_for else None,
            "given_name": self._person_name(candidate, candidate.given_name, sentences.GIVEN_NAME()),
            "family_name": self._person_name(candidate, candidate.family_name, sentences.FAMILY_NAME()),
            "created_at": self._now,
            "updated_at": self._now,
        }
        if candidate.is_name_guessed:
            told = f"first name {columns['given_name']!r}, last name {columns['family_name']!r}"
            self._report.tell(Kind.NAME_SPLIT, candidate.username, told, candidate.line)
        columns |= self._details(candidate)
        if columns["id"] in self._ids:
            columns["id"] = crypto.new_id()
        self._ids.add(columns["id"])
        plain = self._password(candidate, columns)
        return Row(columns, plain, self._roles(candidate), candidate.line)

    def _email(self, candidate: Candidate) -> str:
        """Return the address; empty after telling what is wrong with it."""
        given = candidate.email.strip()
        if not given:
            email, faults = names.check_email(candidate.username)
            if faults and self._email_domain:
                email, faults = names.check_email(f"{mended_username(candidate.username)}@{self._email_domain}")
            if faults:
                self._report.leave_out(Kind.MISSING_ADDRESS, candidate.username, "", candidate.line)
                return ""
            self._report.tell(Kind.ADDRESS_MADE, candidate.username, email, candidate.line)
            return email
        email, faults = names.check_email(given)
        if faults:
            self._report.leave_out(Kind.BAD_ADDRESS, candidate.username, given[:80], candidate.line)
            return ""
        return email

    def _username(self, candidate: Candidate, email: str) -> str:
        """Return the user name, mended where it must be; empty after telling that this is not possible."""
        username = names.tidy_username(candidate.username)
        faults = names.check_username(username, email)
        if not faults:
            return username
        mended = mended_username(username)
        if names.check_username(mended, email):
            self._report.leave_out(Kind.BAD_USERNAME, candidate.username[:80], faults[0], candidate.line)
            return ""
        self._report.tell(Kind.RENAMED, candidate.username[:80], mended, candidate.line)
        return mended

    def _is_repeated(self, candidate: Candidate, username: str, email: str) -> bool:
        """Tell, and report, whether an earlier entry of the file has this name, a look-alike of it, or this address."""
        key, skeleton, email_key = (
            names.username_key(username),
            names.username_skeleton(username),
            names.email_key(email),
        )
        if key in self._usernames:
            kind = Kind.DUPLICATE_USERNAME
        elif email_key in self.email_keys:  # a user name that is an address is the account's own
            kind = Kind.DUPLICATE_ADDRESS
        elif skeleton in self._skeletons:
            kind = Kind.LOOK_ALIKE
        else:
            self._usernames.add(key)
            self.email_keys.add(email_key)
            self._skeletons.add(skeleton)
            return False
        self._report.leave_out(kind, candidate.username[:80], email, candidate.line)
        return True

    def _person_name(self, candidate: Candidate, name: str, what: Sentence) -> str | None:
        tidy, faults = names.check_person_name(name, what)
        if faults:
            self._report.tell(Kind.BAD_NAME, candidate.username, what, candidate.line)
        return tidy

    def _roles(self, candidate: Candidate) -> tuple[str, ...] | None:
        if candidate.roles is None:
            return None
        return permitted_roles(self._report, candidate.username, candidate.roles, candidate.line)

    def _details(self, candidate: Candidate) -> dict[str, Any]:
        """Return the further columns that are what the table takes; the others are told."""
        good: dict[str, Any] = {}
        for name, value in candidate.columns.items():
            if name in profile.FIELDS and isinstance(value, str):
                good[name], fault = profile.check_field(name, value)
                is_good = fault is None
            else:
                is_good = is_fitting(name, value)
                good[name] = value
            if not is_good:
                del good[name]
                self._report.tell(Kind.BAD_DETAIL, candidate.username, name, candidate.line)
        return good

    def _password(self, candidate: Candidate, columns: dict[str, Any]) -> str:
        """Put a hash into the columns, or return the plain text that is to be hashed."""
        given = candidate.password
        fault = fault_of_password(given)
        plain = ""
        if not given:
            self._report.tell(Kind.NO_PASSWORD, candidate.username, "", candidate.line)
        elif fault:
            self._report.tell(Kind.UNUSABLE_PASSWORD, candidate.username, fault, candidate.line)
        elif _BCRYPT.fullmatch(given):
            columns["password_hash"] = given
        else:
            plain = given
            self._report.tell(Kind.PLAIN_TEXT_PASSWORD, candidate.username, "", candidate.line)
        has_password = bool(plain or columns["password_hash"])
        columns["password_changed_at"] = (columns["password_changed_at"] or self._now) if has_password else None
        return plain


def mended_username(username: str) -> str:
    """Return the permitted user name that comes closest to one that is not; empty when nothing is left of it."""
    normal = unicodedata.normalize("NFKC", username[:320])
    kept = "".join(c if c.isalnum() or c in "._-" or unicodedata.category(c) in ("Mn", "Mc") else "." for c in normal)
    return re.sub(r"\.{2,}", ".", kept).lstrip("._-")[: names.USERNAME_MOST].rstrip("._-")


def permitted_roles(report: Report, subject: str, given: Iterable[str], line: int) -> tuple[str, ...]:
    """Return the roles whose names are permitted; the others are told."""
    good = []
    for role in dict.fromkeys(given):
        if roles.fault_of_role(role) is None:
            good.append(role)
        else:
            report.tell(Kind.BAD_ROLE, subject, role[:80], line)
    return tuple(good)


def fault_of_password(given: str) -> str:
    """Return why what a file has for a password cannot be used; empty when it can."""
    if found := _BCRYPT.fullmatch(given):
        return f"a hash of cost {found[2]}: checking it would take too long" if int(found[2]) > _COSTLIEST else ""
    if _SOME_HASH.fullmatch(given):
        return "a hash that is not bcrypt, or not a whole one"
    if len(given) > password_policy.MOST:
        return f"more than {password_policy.MOST} characters"
    return ""


def is_fitting(name: str, value: Any) -> bool:
    """Tell whether a column of the table takes a value that is no text of a profile."""
    column = User.__table__.columns[name]
    if value is None:
        return bool(column.nullable)
    if isinstance(column.type, Boolean):
        return isinstance(value, bool)
    if isinstance(column.type, BigInteger | Integer):
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_SECONDS
    return name == "id" and isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}", value) is not None
