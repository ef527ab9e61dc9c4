"""Passwords: how one is checked, set and changed. What a new one must be is in `idp.accounts.password_policy`."""

from sqlalchemy import RowMapping, select, update
from sqlalchemy.orm import Session

from idp import clock, crypto, hashing, sentences
from idp.accounts import audit, names, one_time_links, sessions, throttle
from idp.accounts.audit import Event
from idp.accounts.password_policy import MOST, check_new_password, own_data_of
from idp.accounts.visitor import Visitor
from idp.errors import InvalidInputError, NotFoundError
from idp.hashing import Lane, Place
from idp.mail import messages, outbox
from idp.models import User
from idp.settings import Settings
from idp.storage.lean_session import pause
from idp.storage.statements import Prepared, value

_CHANGED_LATELY = 60  # seconds in which a button may be pressed twice


def change_password(
    db: Session,
    settings: Settings,
    visitor: Visitor,
    user_id: str,
    current: str,
    new: str,
    *,
    keep_session: str,
    language: str = "en",
) -> None:
    """Change a password by somebody who knows the current one. All other sessions of the account end.

    Args:
        keep_session: id of the session that goes on.
        language: of the mail that tells the owner.

    Raises:
        InvalidInputError: the current password is wrong, or was replaced meanwhile, or the new one is the same.
        PasswordRefused: the new one breaks the policy.
        Throttled: too many wrong guesses, or too many new passwords from this network.
    """
    user = require_password(db, settings, visitor, user_id, current, refused=Event.PASSWORD_CHANGE_REFUSED)
    if crypto.are_equal(current, new):
        raise InvalidInputError({"new_password": [sentences.PASSWORD_SAME()]})
    throttle.spend(db, settings, throttle.PASSWORD_ESTIMATE_ADDRESS, visitor.network)
    check_new_password(settings, new, own_data_of(user), "new_password")
    password_hash = hash_new(db, settings, new, place_of_owner(visitor, user_id))
    _require_unchanged(db, visitor, user, Event.PASSWORD_CHANGE_REFUSED)
    replace_password(
        db, settings, visitor, user_id, password_hash=password_hash, keep_session=keep_session, language=language
    )


def set_password(
    db: Session,
    settings: Settings,
    visitor: Visitor,
    user_id: str,
    new: str,
    *,
    is_temporary: bool = False,
    language: str = "en",
) -> None:
    """Set a password by an operator. All sessions of the account end.

    Args:
        is_temporary: its owner must change it at the next sign-in.
        language: of the mail that tells the owner.

    Raises:
        PasswordRefused: it breaks the policy.
    """
    user = db.get(User, user_id)
    if user is None:
        raise NotFoundError(sentences.ACCOUNT_NONE())
    check_new_password(settings, new, own_data_of(user))
    password_hash = crypto.hash_password(new, settings.bcrypt_cost)
    replace_password(
        db, settings, visitor, user_id, password_hash=password_hash, is_temporary=is_temporary, language=language
    )


def replace_password(
    db: Session,
    settings: Settings,
    visitor: Visitor,
    user_id: str,
    *,
    password_hash: str,
    event: Event = Event.PASSWORD_CHANGED,
    is_temporary: bool = False,
    keep_session: str = "",
    language: str = "en",
) -> RowMapping:
    """Store a password, end the account's sessions, and tell its owner. The caller knows that it may.

    Args:
        password_hash: of the new one, see `crypto.hash_password`.
        event: for the audit.
        is_temporary: its owner must change it at the next sign-in.
        keep_session: id of a session that goes on.
        language: of the mail.

    Returns:
        User name, address and names, as they are now: what was read before a hash may have changed since.

    Raises:
        NotFoundError: the account was deleted meanwhile.
    """
    now = clock.now()
    changed = (
        update(User)
        .where(User.id == user_id)
        .values(
            password_hash=password_hash,
            password_changed_at=now,
            is_password_temporary=is_temporary,
            updated_at=now,
        )
        .returning(User.username, User.email, User.given_name, User.family_name)
    )
    owner = db.execute(changed).mappings().first()
    if owner is None:
        raise NotFoundError(sentences.ACCOUNT_NONE())
    audit.record(db, event, visitor, user_id=user_id)
    sessions.end_sessions(db, visitor, user_id, reason="password_changed", except_session=keep_session)
    recovery_url = settings.url(one_time_links.RECOVERY_PAGE)
    name = names.full_name(owner["given_name"], owner["family_name"])
    message = messages.password_changed(settings, language, name=name, recovery_url=recovery_url)
    outbox.post(db, settings, message, owner["email"])
    return owner


def require_password(
    db: Session, settings: Settings, visitor: Visitor, user_id: str, current: str, *, refused: Event
) -> User:
    """Have somebody who is signed in prove by their password that it is they, before what cannot be undone by others.

    Until the transaction ends nobody can replace that password; `throttle.spend` ends it.

    Args:
        refused: the event that is written when it is wrong.

    Returns:
        The account.

    Raises:
        NotFoundError: the account has no password.
        InvalidInputError: the password is wrong; the field is `current_password`.
        Throttled: too many wrong guesses.
        Busy: too many passwords wait to be checked.
    """
    user = db.get(User, user_id)
    if user is None or user.password_hash is None:
        raise NotFoundError(sentences.PASSWORD_NONE())
    place = place_of_owner(visitor, user_id)
    hashing.check_room(place)
    attempt = throttle.spend(db, settings, throttle.PASSWORD_CHANGE, user_id)
    with throttle.free_when_busy(db, attempt):
        is_theirs = is_right(db, settings, current, user.password_hash, place)
    if not is_theirs:
        raise _wrong(db, visitor, user_id, refused)
    _require_unchanged(db, visitor, user, refused)
    attempt.refund(db)
    return user


def place_of_owner(visitor: Visitor, user_id: str) -> Place:
    """Return where the password waits of somebody who has proven to own the account, now or in this browser before."""
    return Place(Lane.SURE, (user_id, visitor.network))


def place_of_stranger(visitor: Visitor, lane: Lane = Lane.NEW) -> Place:
    """Return where the password waits of somebody who has proven nothing: by their network alone."""
    return Place(lane, (visitor.network,))


def hash_new(db: Session, settings: Settings, password: str, place: Place) -> str:
    """Hash a password that somebody chose, without a connection meanwhile: what was done until now is committed.

    Args:
        place: where it waits when there is much to hash.

    Raises:
        Busy: too much waits there.
    """
    pause(db)
    return crypto.hash_password(password, settings.bcrypt_cost, place)


def is_right(db: Session, settings: Settings, password: str, stored: str | None, place: Place) -> bool:
    """Check a password at the same cost whether the account exists or not, without a connection, as `hash_new`.

    Args:
        stored: the account's hash; None when there is no account, or no password.
        place: where it waits when there is much to hash.

    Raises:
        Busy: too much waits there.
    """
    pause(db)
    right = crypto.verify_password(password[:MOST], stored or crypto.dummy_password_hash(settings.bcrypt_cost), place)
    return right and stored is not None and len(password) <= MOST


_HOLD = Prepared(
    update(User)
    .where(User.id == value("holds"), User.password_hash == value("checked"), User.disabled_at.is_(None))
    .values(password_hash=value("fresh"))
)


def confirm(db: Session, settings: Settings, visitor: Visitor, user_id: str, password: str, stored: str) -> bool:
    """Hold on to an account whose password was right, and tell whether it still is what it was before the hashing.

    Until the transaction ends nobody can change its password or disable it: whoever does so afterwards finds the
    session that was started here, and ends it. A hash made at another cost, or brought from elsewhere, is replaced.

    Raises:
        Busy: too many passwords wait to be hashed.
    """
    place = place_of_owner(visitor, user_id)
    is_outdated = crypto.is_password_hash_outdated(stored, settings.bcrypt_cost)
    fresh = hash_new(db, settings, password, place) if is_outdated else stored
    if _HOLD.run(db, holds=user_id, checked=stored, fresh=fresh) == 1:
        return True
    # A button that was pressed twice: the first one may have made that hash anew, and of the same password.
    anew = db.scalar(select(User.password_hash).where(User.id == user_id)) if is_outdated else None
    return (
        anew is not None
        and is_right(db, settings, password, anew, place)
        and _HOLD.run(db, holds=user_id, checked=anew, fresh=anew) == 1
    )


def _require_unchanged(db: Session, visitor: Visitor, user: User, refused: Event) -> None:
    """Hold on to an account, as `confirm`, unless its password was replaced during a hash: the one typed is wrong then.

    Else who knows the old one could still undo what its owner, or the operator, has just done against them.
    """
    if _HOLD.run(db, holds=user.id, checked=user.password_hash, fresh=user.password_hash) == 0:
        raise _wrong(db, visitor, user.id, refused)


def _wrong(db: Session, visitor: Visitor, user_id: str, refused: Event) -> InvalidInputError:
    audit.record(db, refused, visitor, user_id=user_id)
    lately = select(User.id).where(
        User.id == user_id,
        User.password_changed_at > clock.now() - _CHANGED_LATELY,
        User.password_changed_at > User.created_at,
    )
    # Who presses the button twice must not take the first change, which worked, for refused.
    is_changed = db.scalar(lately) is not None
    sentence = sentences.PASSWORD_FORMER() if is_changed else sentences.PASSWORD_WRONG()
    return InvalidInputError({"current_password": [sentence]})
