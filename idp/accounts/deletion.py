"""The end of an account: asked for by its owner, revocable for a week; or by the operator, at once. All of it goes."""

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import audit, names, one_time_links, passwords, preauthorization, sessions
from idp.accounts.audit import Event
from idp.accounts.visitor import SYSTEM, Visitor
from idp.clock import DAY
from idp.mail import messages, outbox
from idp.models import User
from idp.settings import Settings

REVOCABLE = 7 * DAY  # seconds


def request_deletion(
    db: Session, settings: Settings, visitor: Visitor, user_id: str, password: str, language: str = "en"
) -> int:
    """Ask for the deletion of one's account, with the password. Until it is due everything works as before.

    Returns:
        When it is due; asking again does not put that off.

    Raises:
        InvalidInputError: the password is wrong; the field is `current_password`.
        NotFoundError: the account has no password.
        Throttled: too many wrong passwords.
    """
    user = passwords.require_password(db, settings, visitor, user_id, password, refused=Event.DELETION_REFUSED)
    due = db.execute(
        update(User)
        .where(User.id == user_id, User.deletion_due_at.is_(None))
        .values(deletion_due_at=clock.now() + REVOCABLE)
        .returning(User.deletion_due_at)
        .execution_options(synchronize_session=False)
    ).scalar()
    if due is None:
        return db.execute(select(User.deletion_due_at).where(User.id == user_id)).scalar() or clock.now()
    audit.record(db, Event.DELETION_REQUESTED, visitor, user_id=user_id)
    name = names.full_name(user.given_name, user.family_name)
    sign_in_url = settings.url(one_time_links.SIGN_IN_PAGE)
    message = messages.account_deletion(settings, language, name=name, due=due, sign_in_url=sign_in_url)
    outbox.post(db, settings, message, user.email)
    return due


def revoke_deletion(db: Session, visitor: Visitor, user_id: str) -> bool:
    """Keep the account after all. Returns whether its deletion was due."""
    kept = db.execute(
        update(User)
        .where(User.id == user_id, User.deletion_due_at.is_not(None))
        .values(deletion_due_at=None)
        .returning(User.id)
        .execution_options(synchronize_session=False)
    ).first()
    if kept is None:
        return False
    audit.record(db, Event.DELETION_REVOKED, visitor, user_id=user_id)
    return True


def delete_due(db: Session, *, most: int) -> int:
    """Delete accounts whose time has come; sessions, tokens, links, roles and consents go with them.

    Args:
        most: at most so many.

    Returns:
        How many went.
    """
    now = clock.now()
    oldest = select(User.id).where(User.deletion_due_at <= now).order_by(User.deletion_due_at).limit(most)
    if not (due := db.scalars(oldest.with_for_update(skip_locked=True)).all()):
        return 0
    return _delete(db, SYSTEM, User.id.in_(due), User.deletion_due_at <= now)


def delete_account(db: Session, visitor: Visitor, user_id: str) -> bool:
    """Delete an account at once, by the operator. What a registration that waits has claimed is listed again.

    Returns:
        Whether it was there.
    """
    return bool(_delete(db, visitor, User.id == user_id))


def _delete(db: Session, visitor: Visitor, *which: ColumnElement[bool]) -> int:
    # Disabled first: it holds the rows, so that nobody signs in or revokes between here and the end.
    gone = db.execute(
        update(User)
        .where(*which)
        .values(disabled_at=clock.now())
        .returning(User.id, User.claimed_preauthorization)
        .execution_options(synchronize_session=False)
    ).all()
    for each in gone:
        sessions.end_sessions(db, visitor, each.id, reason="account_deleted")
        db.execute(delete(User).where(User.id == each.id).execution_options(synchronize_session=False))
        preauthorization.restore(db, each.claimed_preauthorization or ())
        audit.record(db, Event.ACCOUNT_DELETED, visitor, user_id=each.id)
    return len(gone)
