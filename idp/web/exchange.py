"""One request: what is read of it, at most once each, and what its answer carries along.

Every layer of the web application sees the same exchange, whether Flask stands around it or not.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.datastructures import Accept
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_accept_header
from werkzeug.wsgi import get_content_length, get_input_stream

from idp import crypto, patience
from idp.accounts import sessions
from idp.accounts.sessions import CurrentSession
from idp.accounts.visitor import Visitor
from idp.oidc.requests import FIELDS_MOST, FORM
from idp.oidc.server import Provider
from idp.settings import Settings
from idp.storage.lean_session import LeanSession, SessionPool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BODY_MOST = 64 * 1024  # bytes; the longest honest form is far shorter
ACCEPTED_MOST = 1_000  # characters that are read of what a browser accepts

_Accepted = TypeVar("_Accepted", bound=Accept)


@dataclass(frozen=True)
class CookieNames:
    """Cookies are host-bound where the browser holds them to it: `__Host-` needs https (RFC 6265bis)."""

    session: str
    browser: str
    browser_state: str


def cookie_names(settings: Settings) -> CookieNames:
    """Return the names of the cookies for an issuer."""
    prefix = "__Host-" if settings.is_https else ""
    return CookieNames(f"{prefix}idp_session", f"{prefix}idp_browser", f"{prefix}idp_browser_state")


@dataclass(frozen=True)
class Site:
    """What all exchanges of one application share."""

    settings: Settings
    provider: Provider
    databases: SessionPool
    cookies: CookieNames


class Exchange:
    """One request, and what is known about who sent it."""

    __slots__ = (
        "_body",
        "_browser_token",
        "_cookies",
        "_database",
        "_form",
        "_query",
        "_session",
        "_visitor",
        "environ",
        "has_asked_for_session",
        "has_new_browser",
        "language",
        "session_token",
        "site",
    )

    def __init__(self, site: Site, environ: "WSGIEnvironment") -> None:
        self.site = site
        self.environ = environ
        self.session_token: str | None = None  # the session's new secret; empty when it was taken back
        self.has_new_browser = False
        self.language: str | None = None  # of its pages, once it is chosen (`idp.web.texts`)
        self._body: bytes | None = None
        self._browser_token: str | None = None
        self._cookies: dict[str, str] | None = None
        self._database: LeanSession | None = None
        self._form: Mapping[str, str] | None = None
        self._query: Mapping[str, str] | None = None
        self.has_asked_for_session = False
        self._session: CurrentSession | None = None
        self._visitor: Visitor | None = None

    # -- What came --------------------------------------------------------------------

    @property
    def method(self) -> str:
        """The request's method."""
        return str(self.environ["REQUEST_METHOD"])

    @property
    def path(self) -> str:
        """Its path, below the issuer's."""
        return str(self.environ["PATH_INFO"])

    def header(self, name: str) -> str:
        """Return a header, or nothing.

        Args:
            name: as CGI has it, such as `USER_AGENT`.
        """
        return str(self.environ.get(f"HTTP_{name}", ""))

    def accepted(self, name: str, kind: type[_Accepted]) -> _Accepted:
        """Return what a header such as `ACCEPT_LANGUAGE` accepts, by preference; of a very long one the beginning.

        Reading it takes far longer than answering, if it holds thousands of entries.
        """
        return parse_accept_header(self.header(name)[:ACCEPTED_MOST], kind)

    @property
    def content_type(self) -> str:
        """The media type of the body, without parameters."""
        return str(self.environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()

    def body(self) -> bytes:
        """Return the body.

        Raises:
            RequestEntityTooLarge: it is longer than any honest one.
        """
        if self._body is None:
            length = get_content_length(self.environ)
            if length is not None and length <= BODY_MOST:
                self._body = bytes(self.environ["wsgi.input"].read(length))
            else:
                self._body = get_input_stream(self.environ, max_content_length=BODY_MOST).read()
        return self._body

    @property
    def query(self) -> Mapping[str, str]:
        """The fields of the query: of several by one name the first.

        Raises:
            RequestEntityTooLarge: there are more than any honest one has.
        """
        if self._query is None:
            self._query = _fields(self.environ.get("QUERY_STRING", ""))
        return self._query

    @property
    def form(self) -> Mapping[str, str]:
        """The fields of the form that was posted, likewise; none where no form was.

        Raises:
            RequestEntityTooLarge: it is longer, or there are more, than any honest one has.
        """
        if self._form is None:
            is_posted = self.method == "POST" and self.content_type == FORM
            self._form = _fields(self.body().decode("utf-8", "replace")) if is_posted else {}
        return self._form

    def cookie(self, name: str) -> str:
        """Return a cookie of ours, or nothing: their values are base64url, so nothing in them is quoted.

        Only spaces as browsers write them stand around a name: `\xa0__Host-...` is another one, which a neighbour may
        plant, for to browsers it has no prefix.
        """
        if self._cookies is None:
            self._cookies = {}
            for pair in self.environ.get("HTTP_COOKIE", "").split(";"):
                key, _, value = pair.strip(" \t").partition("=")
                self._cookies.setdefault(key, value)
        return self._cookies.get(name, "")

    # -- Who sent it ------------------------------------------------------------------

    @property
    def visitor(self) -> Visitor:
        """Who is asking; anew once the browser has got its cookie."""
        if self._visitor is None:
            token = self.browser_token
            self._visitor = Visitor(
                address=self.environ.get("REMOTE_ADDR", ""),
                user_agent=self.header("USER_AGENT")[:300],
                browser_digest=crypto.digest(token) if token else "",
            )
        return self._visitor

    @property
    def browser_token(self) -> str:
        """The secret that tells this browser from others, or nothing when it has none yet."""
        if self._browser_token is None:
            self._browser_token = self.cookie(self.site.cookies.browser)
        return self._browser_token

    def ensure_browser_token(self) -> str:
        """Return the secret that tells this browser from others; makes one that the answer then carries."""
        if not self.browser_token:
            self._browser_token, self.has_new_browser, self._visitor = crypto.new_token(), True, None
        return self.browser_token

    @property
    def session(self) -> CurrentSession | None:
        """The living session of this browser, or None; asks the database once."""
        if not self.has_asked_for_session:
            token = self.brought_session_token
            self.session = sessions.find_session(self.database, self.site.settings, token) if token else None
        return self._session

    @session.setter
    def session(self, found: CurrentSession | None) -> None:
        self._session, self.has_asked_for_session = found, True

    @property
    def brought_session_token(self) -> str:
        """The secret of a session that the browser brought or has just got, good or not; nothing when it has none."""
        return self.cookie(self.site.cookies.session) if self.session_token is None else self.session_token

    # -- What is written for it -------------------------------------------------------

    @property
    def database(self) -> Session:
        """The database session; opened at first use."""
        if self._database is None:
            self._database = self.site.databases.take()
        return self._database

    def end_transaction(self, status: int) -> None:
        """Commit for every status below 500, so that refusals keep their evidence; otherwise undo what was not."""
        if self._database is None:
            return
        if status < 500:
            self._database.commit()
        else:
            self.discard_transaction()

    def discard_transaction(self) -> None:
        """Undo what was written; that the database is gone undoes it as well."""
        if self._database is None:
            return
        try:
            self._database.rollback()
        except SQLAlchemyError:
            self._database.invalidate()

    def close(self) -> None:
        """Give the database back; what was not committed is undone."""
        if self._database is not None:
            self.site.databases.give_back(self._database)
            self._database = None


def _fields(encoded: str) -> dict[str, str]:
    """Return the first value of each field, with nothing left out for its being empty.

    Args:
        encoded: as a form or a query has them; what is not UTF-8 is shown as such.
    """
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=FIELDS_MOST)
    except ValueError:
        raise RequestEntityTooLarge from None
    return dict(reversed(pairs))


_current: ContextVar[Exchange] = ContextVar("exchange")
current: Callable[[], Exchange] = _current.get  # the exchange that is going on


class Exchanges:
    """Begins an exchange for each request, and ends it.

    Args:
        application: what to call.
        site: what all exchanges share.
    """

    def __init__(self, application: "WSGIApplication", site: Site) -> None:
        self._application = application
        self._site = site

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        """Pass the request on."""
        exchange = Exchange(self._site, environ)
        before, begun = _current.set(exchange), patience.begin()
        try:
            return self._application(environ, start_response)
        finally:
            patience.end(begun)
            _current.reset(before)
            exchange.close()
