"""Accounts as an operator sees them: find, list, create, disable, enable."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, RowMapping, and_, delete, exists, literal, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from idp import clock, crypto, sentences
from idp.accounts import audit, names, sessions
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.errors import AlreadyExistsError, NotFoundError, refuse_faults
from idp.models import User
from idp.storage.changes import count_changed
from idp.storage.database import insert_into
from idp.storage.statements import Prepared, Row, value


@dataclass(frozen=True)
class Person:
    """What is known of somebody before there is an account; `check` returns it tidied."""

    username: str
    email: str
    given_name: str = ""
    family_name: str = ""

    def check(self) -> "Person":
        """Return the data in their normal form.

        Raises:
            InvalidInputError: names every field with a fault.
        """
        email, email_faults = names.check_email(self.email)
        given_name, given_name_faults = names.check_person_name(self.given_name, sentences.GIVEN_NAME())
        family_name, family_name_faults = names.check_person_name(self.family_name, sentences.FAMILY_NAME())
        username = names.tidy_username(self.username)
        refuse_faults(
            {
                "given_name": given_name_faults,
                "family_name": family_name_faults,
                "email": email_faults,
                "username": names.check_username(username, email),
            }
        )
        return Person(username, email, given_name or "", family_name or "")


def find_user(db: Session, identifier: str) -> User | None:
    """Return the user with this user name, address or id, or None. Case does not matter."""
    # The id first: nobody may catch what is meant for somebody else by a user name that is their id.
    by_name = select(User).where(has_sign_in_name(identifier)).limit(1)
    return db.get(User, names.username_key(identifier)) or db.scalars(by_name).first()


def _is_named(key: str | BindParameter[Any]) -> ColumnElement[bool]:
    return or_(User.username_key == key, User.email_key == key)


_SIGNING_IN = Prepared(
    select(
        User.id,
        User.password_hash,
        User.password_changed_at,
        User.is_password_temporary,
        User.is_registration_pending,
        User.disabled_at,
    )
    .where(_is_named(value("name")))
    .limit(1)
)


def find_signing_in(db: Session, identifier: str) -> Row | None:
    """Return what a sign-in has to know of the account with this user name or address, or None."""
    return _SIGNING_IN.first(db, name=names.username_key(identifier))


def has_sign_in_name(identifier: str) -> ColumnElement[bool]:
    """The condition for the account with this user name or address."""
    return _is_named(names.username_key(identifier))


def get_user(db: Session, identifier: str) -> User:
    """Return the user with this user name, address or id.

    Raises:
        NotFoundError: there is none.
    """
    user = find_user(db, identifier)
    if user is None:
        raise NotFoundError(sentences.USER_NONE(name=repr(identifier)))
    return user


def list_users(db: Session, *, after: str = "", limit: int = 100) -> Sequence[User]:
    """Return users in the order of their names, from behind the name `after`."""
    rows: Sequence[User] = db.scalars(
        select(User).where(User.username_key > names.username_key(after)).order_by(User.username_key).limit(limit)
    ).all()
    return rows


def is_username_taken(db: Session, username: str, *, unless_pending_at: str = "") -> bool:
    """Tell whether a user name, or one that looks like it, belongs to somebody.

    Args:
        unless_pending_at: an address whose registration, not confirmed yet, may be made again with the same name.
    """
    is_same = and_(User.is_registration_pending, User.email_key == names.email_key(unless_pending_at))
    return db.execute(select(User.id).where(_looks_like(User, username), ~is_same).limit(1)).first() is not None


def owner_of_address(db: Session, email: str) -> RowMapping | None:
    """Return id, address, names and whether it is pending, of the account that an address belongs to; or None."""
    columns = (User.id, User.email, User.given_name, User.family_name, User.is_registration_pending)
    row = db.execute(select(*columns).where(_has_address(email)).limit(1)).first()
    return None if row is None else row._mapping


def create_user(
    db: Session,
    visitor: Visitor,
    person: Person,
    *,
    password_hash: str | None,
    is_email_verified: bool = False,
) -> User:
    """Create an account. The caller has checked person, password and policy.

    Raises:
        AlreadyExistsError: the name or the address was taken, perhaps a moment ago.
    """
    # Nobody has proven an address that is only waiting for confirmation: it is free for whom the operator vouches for.
    db.execute(delete(User).where(User.email_key == names.email_key(person.email), User.is_registration_pending))
    if is_username_taken(db, person.username):
        raise AlreadyExistsError(sentences.USER_EXISTS())
    if owner_of_address(db, person.email) is not None:
        raise AlreadyExistsError(sentences.ADDRESS_EXISTS())
    user = User(**_columns(person, password_hash, is_email_verified))
    try:
        with db.begin_nested():
            db.add(user)
    except IntegrityError as error:
        raise AlreadyExistsError(sentences.EITHER_EXISTS(), detail=str(error.orig)) from None
    audit.record(db, Event.ACCOUNT_CREATED, visitor, user_id=user.id, username=user.username)
    return user


def create_user_unless_taken(
    db: Session,
    person: Person,
    password_hash: str,
    *,
    is_email_verified: bool = False,
    claimed: list[dict[str, Any]] | None = None,
) -> str | None:
    """Create an account unless its name or address is taken: two statements, the same whether it is.

    An account of the same address that was never confirmed is made over: whoever reads that mailbox will tell which
    registration was theirs.

    Args:
        is_email_verified: otherwise the account waits until its address is confirmed.
        claimed: the preauthorizations that it holds meanwhile.

    Returns:
        The id of the user, or None.
    """
    columns = _columns(person, password_hash, is_email_verified)
    columns["is_registration_pending"] = not is_email_verified
    columns["claimed_preauthorization"] = None if is_email_verified else claimed
    values = select(*(literal(value, User.__table__.c[name].type) for name, value in columns.items()))
    unless_taken = values.where(~exists().where(_has_address(person.email)))
    statement = (
        insert_into(db, User).from_select(list(columns), unless_taken).on_conflict_do_nothing().returning(User.id)
    )
    created = db.execute(statement).scalar()
    # Second, so that it finds a registration of the same address that was being written while this one waited.
    other = aliased(User)
    is_name_held = exists().where(other.id != User.id, _looks_like(other, person.username)).correlate(User)
    made_over = db.execute(
        update(User)
        .where(
            User.email_key == columns["email_key"],
            User.is_registration_pending,
            User.id != columns["id"],
            ~is_name_held,
        )
        .values({name: value for name, value in columns.items() if name != "id"})
        .returning(User.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    return created or made_over


def disable_user(db: Session, visitor: Visitor, user_id: str) -> bool:
    """Disable an account: all its sessions and tokens end at once. Returns whether it was enabled."""
    now = clock.now()
    change = update(User).where(User.id == user_id, User.disabled_at.is_(None)).values(disabled_at=now, updated_at=now)
    if not count_changed(db, change):
        return False
    audit.record(db, Event.ACCOUNT_DISABLED, visitor, user_id=user_id)
    sessions.end_sessions(db, visitor, user_id, reason="user_disabled")
    return True


def enable_user(db: Session, visitor: Visitor, user_id: str) -> bool:
    """Enable an account again; its owner signs in anew. Returns whether it was disabled."""
    is_disabled = User.id == user_id, User.disabled_at.is_not(None)
    change = update(User).where(*is_disabled).values(disabled_at=None, updated_at=clock.now())
    if not count_changed(db, change):
        return False
    audit.record(db, Event.ACCOUNT_ENABLED, visitor, user_id=user_id)
    return True


def _looks_like(user: type[User], username: str) -> ColumnElement[bool]:
    return or_(
        user.username_key == names.username_key(username),
        user.username_skeleton == names.username_skeleton(username),
    )


def _has_address(email: str) -> ColumnElement[bool]:
    key = names.email_key(email)
    return or_(User.email_key == key, User.username_key == key)


def _columns(person: Person, password_hash: str | None, is_email_verified: bool) -> dict[str, Any]:
    now = clock.now()
    return {
        "id": crypto.new_id(),
        "username": person.username,
        "username_key": names.username_key(person.username),
        "username_skeleton": names.username_skeleton(person.username),
        "email": person.email,
        "email_key": names.email_key(person.email),
        "email_verified_at": now if is_email_verified else None,
        "given_name": person.given_name or None,
        "family_name": person.family_name or None,
        "password_hash": password_hash,
        "password_changed_at": now if password_hash else None,
        "is_password_temporary": False,  # also where a registration is made over that an operator gave one
        "created_at": now,
        "updated_at": now,
    }
