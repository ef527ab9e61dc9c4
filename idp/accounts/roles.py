"""Roles: names given to users. What a role permits is decided by each app."""

import re
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, insert, literal, select, update
from sqlalchemy.orm import Session

from idp import clock, sentences
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.errors import InvalidInputError, NotFoundError
from idp.models import User, UserRole
from idp.sentences import Sentence
from idp.storage.changes import count_changed
from idp.storage.database import insert_into

_ROLE = re.compile(r"[\w][\w.:-]{0,63}")


def fault_of_role(role: str) -> Sentence | None:
    """Say what is wrong with a role's name, or None."""
    return None if _ROLE.fullmatch(role) else sentences.ROLE_MALFORMED(role=repr(role))


def roles_of(db: Session, user_id: str) -> list[str]:
    """Return a user's roles in alphabetical order."""
    return list(db.scalars(select(UserRole.role).where(UserRole.user_id == user_id).order_by(UserRole.role)))


def roles_of_many(db: Session, user_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the roles of several users, for lists."""
    found: dict[str, list[str]] = {user_id: [] for user_id in user_ids}
    for user_id, role in db.execute(
        select(UserRole.user_id, UserRole.role).where(UserRole.user_id.in_(user_ids)).order_by(UserRole.role)
    ):
        found[user_id].append(role)
    return found


def change_roles(
    db: Session, visitor: Visitor, user_id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()
) -> list[str]:
    """Give roles to a user and take roles away.

    Returns:
        The roles that they have now.

    Raises:
        InvalidInputError: a role's name is none.
        NotFoundError: there is no such account.
    """
    add, remove = set(add), set(remove)
    if faults := [fault for role in sorted(add) if (fault := fault_of_role(role))]:
        raise InvalidInputError({"role": faults})
    before = set(roles_of(db, user_id))
    given, taken = add - before - remove, remove & before
    if not (given or taken):
        return sorted(before)
    hold = update(User).where(User.id == user_id).values(updated_at=clock.now())  # first, as by who deletes the account
    if not count_changed(db, hold):
        raise NotFoundError(sentences.ACCOUNT_NONE())
    if taken:
        db.execute(delete(UserRole).where(UserRole.user_id == user_id, UserRole.role.in_(taken)))
    if given:
        held = [{"user_id": user_id, "role": role} for role in sorted(given)]
        db.execute(insert_into(db, UserRole).on_conflict_do_nothing(), held)  # others may give the same at this moment
    audit.record(db, Event.ROLES_CHANGED, visitor, user_id=user_id, given=sorted(given), taken=sorted(taken))
    return sorted((before | given) - taken)


def begin_with_roles(db: Session, user_id: str, given: Iterable[str]) -> None:
    """Give an account that begins these roles and no others.

    Args:
        user_id: whose; one that nobody has costs the same work, and nothing comes of it.
        given: names that were checked where they came from.
    """
    db.execute(delete(UserRole).where(UserRole.user_id == user_id))
    for role in sorted(set(given)):
        held = select(User.id, literal(role)).where(User.id == user_id)
        db.execute(insert(UserRole).from_select(["user_id", "role"], held))
