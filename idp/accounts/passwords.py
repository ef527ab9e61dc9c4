"""Passwords: what a new one must be, and how one is checked, set and changed.

The policy follows NIST SP 800-63B section 3.1.1: length, no rules of composition, and a list of what attackers try
first (zxcvbn), the person's own data among it.
"""

from collections.abc import Iterable

from sqlalchemy import update
from sqlalchemy.orm import Session
from zxcvbn import zxcvbn

from idp import clock, crypto
from idp.accounts import audit, sessions, throttle
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.errors import InvalidInputError, NotFoundError, PasswordRefused
from idp.models import User
from idp.settings import Settings

MOST = 1024
_ESTIMATED = 72  # zxcvbn takes time that grows with the square of the length: the first 72 characters say enough


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
    words = [part for datum in own_data if datum for part in _words(datum)]
    unmet = []
    if len(password) < settings.password_min_length:
        unmet.append(
            f"Use at least {settings.password_min_length} characters: a few words in a row are easy to remember."
        )
    if len(password) > MOST:
        unmet.append(f"Use at most {MOST} characters.")
        raise PasswordRefused(unmet, field)
    folded = password.casefold()
    if any(len(word) >= 4 and word in folded and len(word) * 2 > len(folded) for word in words) or folded in words:
        unmet.append("Do not use your own name, user name or address as the password.")
    elif password and zxcvbn(password[:_ESTIMATED], user_inputs=words)["score"] < settings.password_min_score:
        unmet.append("This password is easy to guess: add another word or two that do not belong together.")
    if unmet:
        raise PasswordRefused(unmet, field)


def change_password(
    db: Session, settings: Settings, visitor: Visitor, user_id: str, current: str, new: str, *, keep_session: str
) -> None:
    """Change a password by somebody who knows the current one. All other sessions of the account end.

    Args:
        keep_session: id of the session that goes on.

    Raises:
        InvalidInputError: the current password is wrong, or the new one is the same.
        PasswordRefused: the new one breaks the policy.
        Throttled: too many wrong guesses.
    """
    user = db.get(User, user_id)
    if user is None or user.password_hash is None:
        raise NotFoundError("This account has no password.")
    attempt = throttle.spend(db, settings, throttle.PASSWORD_CHANGE, user_id)
    if not is_right(settings, current, user.password_hash):
        audit.record(db, Event.PASSWORD_CHANGE_REFUSED, visitor, user_id=user_id)
        raise InvalidInputError({"current_password": ["Password is incorrect."]})
    attempt.refund(db)
    if crypto.are_equal(current, new):
        raise InvalidInputError({"new_password": ["New and current passwords are the same."]})
    own = (user.username, user.email, user.given_name, user.family_name)
    check_new_password(settings, new, own, "new_password")
    _store(db, settings, user_id, new)
    audit.record(db, Event.PASSWORD_CHANGED, visitor, user_id=user_id)
    sessions.end_sessions(db, visitor, user_id, reason="password_changed", except_session=keep_session)


def set_password(db: Session, settings: Settings, visitor: Visitor, user_id: str, new: str) -> None:
    """Set a password by an operator. All sessions of the account end.

    Raises:
        PasswordRefused: it breaks the policy.
    """
    user = db.get(User, user_id)
    if user is None:
        raise NotFoundError("There is no such user.")
    check_new_password(settings, new, (user.username, user.email, user.given_name, user.family_name))
    _store(db, settings, user_id, new)
    audit.record(db, Event.PASSWORD_CHANGED, visitor, user_id=user_id)
    sessions.end_sessions(db, visitor, user_id, reason="password_changed")


def is_right(settings: Settings, password: str, stored: str | None) -> bool:
    """Check a password at sign-in, at the same cost whether the account exists or not.

    Args:
        stored: the account's hash; None when there is no account, or no password.
    """
    right = crypto.verify_password(password[:MOST], stored or crypto.dummy_password_hash(settings.bcrypt_cost))
    return right and stored is not None and len(password) <= MOST


def confirm(db: Session, settings: Settings, user_id: str, password: str, stored: str) -> bool:
    """Hold on to an account whose password was right, and tell whether it still is what it was before the hashing.

    Until the transaction ends nobody can change its password or disable it: whoever does so afterwards finds the
    session that was started here, and ends it. A hash made at another cost, or brought from elsewhere, is replaced.
    """
    is_outdated = crypto.is_password_hash_outdated(stored, settings.bcrypt_cost)
    fresh = crypto.hash_password(password, settings.bcrypt_cost) if is_outdated else stored
    held = db.execute(
        update(User)
        .where(User.id == user_id, User.password_hash == stored, User.disabled_at.is_(None))
        .values(password_hash=fresh)
    )
    return bool(held.rowcount)  # type: ignore[attr-defined]


def _store(db: Session, settings: Settings, user_id: str, password: str) -> None:
    now = clock.now()
    db.execute(
        update(User)
        .where(User.id == user_id)
        .values(
            password_hash=crypto.hash_password(password, settings.bcrypt_cost),
            password_changed_at=now,
            updated_at=now,
        )
    )


def _words(datum: str) -> list[str]:
    """What somebody's datum offers for guessing: itself and its parts."""
    folded = datum.casefold()
    parts = folded.replace("@", " ").replace(".", " ").replace("-", " ").replace("_", " ").split()
    return [folded, *(part for part in parts if len(part) >= 3)]
