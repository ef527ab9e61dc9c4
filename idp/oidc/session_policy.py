"""How many people may be in an app at once, and whether one person may be in it twice: the operator's rules for it."""

from sqlalchemy import and_, distinct, func, or_, select, update
from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import audit, sessions
from idp.accounts.audit import Event
from idp.accounts.sessions import CurrentSession
from idp.accounts.visitor import Visitor
from idp.models import AuthorizationGrant, BrowserSession, Client, User
from idp.oidc import logout_notices, token_status
from idp.oidc.clients import ClientMetadata
from idp.oidc.next_step import Refuse
from idp.settings import Settings

TOO_MANY_USERS = Refuse("access_denied", "Maximum number of concurrent users exceeded")  # the words that apps know


def admit(
    db: Session, settings: Settings, visitor: Visitor, client: ClientMetadata, session: CurrentSession
) -> Refuse | None:
    """Hold the client's rule of how many are in it against somebody who is about to get a code.

    Most clients have no rules: nothing is asked then. Where one has, the next who comes waits until this one is in.

    Returns:
        The refusal, or None when they may come in.
    """
    if client.max_concurrent_users is None and not client.is_single_session:
        return None
    # Its row is written to: of two who come at once, the second waits here until the first is counted, or can be ended.
    db.execute(update(Client).where(Client.client_id == client.client_id).values(updated_at=Client.updated_at))
    if (
        client.max_concurrent_users is not None
        and _others(db, settings, client, session) >= client.max_concurrent_users
    ):
        audit.record(db, Event.CONCURRENT_USER_REFUSED, visitor, user_id=session.user_id, client_id=client.client_id)
        return TOO_MANY_USERS
    return None


def _others(db: Session, settings: Settings, client: ClientMetadata, session: CurrentSession) -> int:
    """Count the other people in the app: with a living session, and a grant that carries tokens or soon will."""
    now = clock.now()
    is_in_use = or_(token_status.has_given_tokens(), AuthorizationGrant.code_expires_at > now)
    query = (
        select(func.count(distinct(AuthorizationGrant.user_id)))
        .join(BrowserSession, BrowserSession.id == AuthorizationGrant.session_id)
        .join(User, User.id == AuthorizationGrant.user_id)
        .where(
            AuthorizationGrant.client_id == client.client_id,
            AuthorizationGrant.user_id != session.user_id,
            AuthorizationGrant.revoked_at.is_(None),
            and_(is_in_use, sessions.is_alive(settings, now)),
        )
    )
    return db.scalar(query) or 0


def end_others(db: Session, visitor: Visitor, client: ClientMetadata, session: CurrentSession) -> None:
    """Apply the client's rule that takes each person once, to somebody who has come in.

    With `is_single_session`, what they hold of this app from other browser sessions ends, and the app is told. Not
    before they are in: whoever disables them locks the account first and then its grants, as their own grant does.
    """
    if not client.is_single_session:
        return
    ended = token_status.end_grants(
        db,
        AuthorizationGrant.client_id == client.client_id,
        AuthorizationGrant.user_id == session.user_id,
        AuthorizationGrant.session_id != session.id,
    )
    if ended:
        logout_notices.note_ended_grants(db, session.user_id, client.client_id, ended)
        audit.record(
            db,
            Event.SINGLE_SESSION_ENFORCED,
            visitor,
            user_id=session.user_id,
            client_id=client.client_id,
            ended=len(ended),
        )
