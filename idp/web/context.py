"""What a view needs to know about its request: database, settings, who is asking, who is signed in."""

from dataclasses import dataclass
from typing import cast

from flask import Response, current_app, g, request
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as WerkzeugResponse

from idp import crypto
from idp.accounts import sessions
from idp.accounts.sessions import CurrentSession
from idp.accounts.visitor import Visitor
from idp.database import LeanSession
from idp.errors import SessionRequired
from idp.oidc.server import Provider
from idp.settings import Settings


class RequestSession(LeanSession, FlaskSession):
    """The database session of one request."""

    @property
    def engine(self) -> Engine:
        """The application's one engine."""
        return self._db.engine


# With no tables of its own: the models are plain SQLAlchemy, this carries engine and session for the web.
extension = SQLAlchemy(session_options={"expire_on_commit": False, "class_": RequestSession})

BROWSER_COOKIE_LIFETIME = 400 * 86_400  # seconds; what browsers keep at most
_UNREAD = object()


@dataclass(frozen=True)
class CookieNames:
    """Cookies are host-bound where the browser holds them to it: `__Host-` needs https (RFC 6265bis)."""

    session: str
    browser: str
    browser_state: str


def database() -> Session:
    """Return the request's database session."""
    return cast(Session, extension.session())


def discard_transaction() -> None:
    """Undo what this request has written; that the database is gone undoes it as well."""
    if not extension.session.registry.has():
        return
    try:
        database().rollback()
    except SQLAlchemyError:
        database().invalidate()


def settings() -> Settings:
    """Return the settings in force."""
    return cast(Settings, current_app.extensions["idp_settings"])


def provider() -> Provider:
    """Return the protocol's server."""
    return cast(Provider, current_app.extensions["idp_provider"])


def cookie_names(in_force: Settings) -> CookieNames:
    """Return the names of the cookies for this issuer."""
    prefix = "__Host-" if in_force.is_https else ""
    return CookieNames(f"{prefix}idp_session", f"{prefix}idp_browser", f"{prefix}idp_browser_state")


def visitor() -> Visitor:
    """Return who is asking."""
    return Visitor(
        address=request.remote_addr or "",
        user_agent=request.headers.get("User-Agent", "")[:300],
        browser_digest=crypto.digest(token) if (token := browser_token()) else "",
    )


# -- The browser session --------------------------------------------------------


def current_session() -> CurrentSession | None:
    """Return the living session of this browser, or None; asks the database once a request."""
    found = g.get("session", _UNREAD)
    if found is _UNREAD:
        token = request.cookies.get(cookie_names(settings()).session, "")
        found = sessions.find_session(database(), settings(), token) if token else None
        g.session = found
    return cast(CurrentSession | None, found)


def required_session() -> CurrentSession:
    """Return the living session of this browser.

    Raises:
        SessionRequired: nobody is signed in.
    """
    session = current_session()
    if session is None:
        raise SessionRequired("Please sign in to see this page.")
    return session


def set_session_cookie(response: WerkzeugResponse, token: str) -> None:
    """Hand the session's secret to the browser."""
    g.session_token = token
    _set_cookie(response, cookie_names(settings()).session, token, settings().session_lifetime)


def delete_session_cookie(response: WerkzeugResponse) -> None:
    """Take the session's secret back."""
    g.session_token = ""
    _set_cookie(response, cookie_names(settings()).session, "", 0)


# -- The browser itself -----------------------------------------------------------


def browser_token() -> str:
    """Return the secret that tells this browser from others, or nothing when it has none yet."""
    fresh = g.get("browser_token", "")
    return fresh or request.cookies.get(cookie_names(settings()).browser, "")


def ensure_browser_token() -> str:
    """Return the secret that tells this browser from others; makes one that the response then carries."""
    token = browser_token()
    if not token:
        token = g.browser_token = crypto.new_token()
    return token


def carry_browser_cookie(response: Response) -> Response:
    """Set the browser's cookie when this request made one."""
    if token := g.get("browser_token", ""):
        _set_cookie(response, cookie_names(settings()).browser, token, BROWSER_COOKIE_LIFETIME)
    return response


def _set_cookie(response: WerkzeugResponse, name: str, value: str, max_age: int) -> None:
    response.set_cookie(
        name, value, max_age=max_age, path="/", secure=settings().is_https, httponly=True, samesite="Lax"
    )
