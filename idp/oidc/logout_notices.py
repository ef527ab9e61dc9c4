"""Who is to be told that a session has ended, written down in the transaction that ends it.

An app with a `backchannel_logout_uri` gets a notice, which the worker sends (`idp.oidc.backchannel`). One with a
`frontchannel_logout_uri` can only be told through the person's own browser: its id goes to whoever ended the session,
and if that was somebody at a page, the page visits it (`idp.oidc.frontchannel`).
"""

from collections.abc import Iterable

from sqlalchemy import exists, insert, or_, select
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts.ended_sessions import EndedSessions
from idp.models import AuthorizationGrant, BrowserSession, Client, LogoutNotice


def note_ended_sessions(db: Session, ended: EndedSessions) -> None:
    """See to it that each app that the sessions reached is told: a listener of `accounts.ended_sessions`."""
    if not ended.session_ids:
        return
    reached = db.execute(
        select(
            AuthorizationGrant.client_id,
            AuthorizationGrant.session_id,
            Client.backchannel_logout_uri,
            Client.frontchannel_logout_uri,
        )
        .join(Client, Client.client_id == AuthorizationGrant.client_id)
        .where(
            AuthorizationGrant.session_id.in_(ended.session_ids),
            or_(Client.backchannel_logout_uri.is_not(None), Client.frontchannel_logout_uri.is_not(None)),
        )
        .distinct()
    ).all()
    ended.to_visit.extend(sorted({row.client_id for row in reached if row.frontchannel_logout_uri}))
    _write(db, ended.user_id, ((row.client_id, row.session_id) for row in reached if row.backchannel_logout_uri))


def note_ended_grants(db: Session, user_id: str, client_id: str, session_ids: Iterable[str]) -> None:
    """Have one app told, because what it held of somebody in living sessions ended while the sessions go on.

    Args:
        user_id: whose.
        client_id: the app.
        session_ids: in which sessions. An app was told already of those that have ended.
    """
    wants_notices = exists().where(Client.client_id == client_id, Client.backchannel_logout_uri.is_not(None))
    living = db.scalars(
        select(BrowserSession.id)
        .where(BrowserSession.id.in_(set(session_ids)), BrowserSession.ended_at.is_(None), wants_notices)
        .order_by(BrowserSession.id)
    ).all()
    _write(db, user_id, ((client_id, session_id) for session_id in living))


def _write(db: Session, user_id: str, reached: Iterable[tuple[str, str]]) -> None:
    now = clock.now()
    rows = [
        {
            "id": crypto.new_row_id(now),
            "client_id": client_id,
            "user_id": user_id,
            "session_id": session_id,
            "state": "waiting",
            "attempts": 0,
            "created_at": now,
            "next_attempt_at": now,
        }
        for client_id, session_id in reached
    ]
    if rows:
        db.execute(insert(LogoutNotice), rows)
