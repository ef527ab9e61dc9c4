"""A session as the provider sees it, by its id: itself asks by the cookie's secret, or by what stands for it."""

from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import sessions
from idp.models import BrowserSession
from idp.settings import Settings


def find_session_by_id(db: Session, settings: Settings, session_id: str) -> sessions.CurrentSession | None:
    """Return a living session, or None."""
    is_it = BrowserSession.id == session_id, sessions.is_alive(settings, clock.now())
    row = db.execute(sessions.CURRENT.where(*is_it)).mappings().first()
    return None if row is None else sessions.session_of(row)
