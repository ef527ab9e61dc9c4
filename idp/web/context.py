"""What a view needs to know about its request: database, settings, who is asking, who is signed in."""

from typing import Any

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from idp.accounts import sessions
from idp.accounts.sessions import CurrentSession
from idp.accounts.visitor import Visitor
from idp.oidc.server import Provider
from idp.settings import Settings
from idp.storage.lean_session import LeanSession
from idp.web.exchange import CookieNames, current


class RequestSession(LeanSession, FlaskSession):
    """The database session of one request."""

    def __init__(self, db: SQLAlchemy, *, on: Engine | None = None, **options: Any) -> None:
        super().__init__(db, **options)
        self._engine = on

    @property
    def engine(self) -> Engine:
        """The application's one engine; asking Flask for it at each request would cost more than a statement."""
        return self._engine or self._db.engine


# With no tables of its own: the models are plain SQLAlchemy, this carries engine and session for the web.
extension = SQLAlchemy(session_options={"expire_on_commit": False, "class_": RequestSession})


def database() -> Session:
    """Return the request's database session."""
    return current().database


def discard_transaction() -> None:
    """Undo what this request has written; that the database is gone undoes it as well."""
    current().discard_transaction()


def settings() -> Settings:
    """Return the settings in force."""
    return current().site.settings


def provider() -> Provider:
    """Return the protocol's server."""
    return current().site.provider


def cookies() -> CookieNames:
    """Return the names of the cookies for this issuer."""
    return current().site.cookies


def visitor() -> Visitor:
    """Return who is asking."""
    return current().visitor


# -- The browser session --------------------------------------------------------


def current_session() -> CurrentSession | None:
    """Return the living session of this browser, or None; asks the database once a request."""
    return current().session


def note_activity(session_id: str, last_seen_at: int) -> None:
    """Note that a session is in use. Committed at once: what follows may lock the account, which comes before."""
    if sessions.touch(database(), session_id, last_seen_at):
        database().commit()


def hand_over_session(token: str) -> None:
    """Give the session's secret to the browser, with the answer; unless that tells of a fault of ours."""
    current().session_token = token


def take_back_session() -> None:
    """Take the session's secret back from a browser that brought it, likewise.

    A form of another site brings no SameSite=Lax cookie, but may change one: it must not sign anybody out.
    """
    if current().brought_session_token:
        current().session_token = ""


# -- The browser itself -----------------------------------------------------------


def browser_token() -> str:
    """Return the secret that tells this browser from others, or nothing when it has none yet."""
    return current().browser_token


def ensure_browser_token() -> str:
    """Return the secret that tells this browser from others; makes one that the response then carries."""
    return current().ensure_browser_token()
