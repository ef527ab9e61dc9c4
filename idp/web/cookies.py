"""The cookies that an answer sets: the browser's own, that of its session, and what session management reads.

The last one says that something has changed, and nothing else. It is the one cookie that scripts may read and that
comes along into frames of other sites: the frame of ours in an app's page compares it. It proves nothing: no request is
ever answered by it.
"""

from werkzeug.http import dump_cookie

from idp import clock
from idp.accounts import sessions
from idp.accounts.sessions import CurrentSession
from idp.clock import DAY
from idp.oidc.session_state import browser_state_of
from idp.settings import Settings
from idp.web.exchange import Exchange, current

BROWSER_COOKIE_LIFETIME = 400 * DAY  # seconds; what browsers keep at most
_Header = tuple[str, str]


def cookies_to_set(status: int) -> list[_Header]:
    """Return the headers that set cookies with an answer.

    Args:
        status: the answer's. Where it tells of a fault of ours, what was done of the session is undone
            (`Exchange.end_transaction`).
    """
    exchange = current()
    settings, names = exchange.site.settings, exchange.site.cookies
    headers = []
    is_new = exchange.has_new_browser and not _is_form_of_another_site(exchange)
    if is_new or exchange.session_token:  # anew at each sign-in: else it would end some day in use as well
        headers.append(_http_only(settings, names.browser, exchange.browser_token, BROWSER_COOKIE_LIFETIME))
    if status >= 500:
        return headers
    if exchange.session_token is not None:
        lasts = settings.session_lifetime if exchange.session_token else 0
        headers.append(_http_only(settings, names.session, exchange.session_token, lasts))
    if settings.session_management != "off":
        headers += _browser_state(exchange)
    return headers


def _is_form_of_another_site(exchange: Exchange) -> bool:
    """Tell whether the browser kept back the cookie that it may well have.

    Another one would make it a stranger to its own accounts, and end what apps wait for in it.
    """
    return exchange.method == "POST" and exchange.header("SEC_FETCH_SITE") == "cross-site"


def _http_only(settings: Settings, name: str, value: str, max_age: int) -> _Header:
    cookie = dump_cookie(
        name, value, max_age=max_age, path="/", secure=settings.is_https, httponly=True, samesite="Lax"
    )
    return "Set-Cookie", cookie


def _browser_state(exchange: Exchange) -> list[_Header]:
    """Return the header that lets the cookie follow what this request has learned of the browser's session.

    Where it learned nothing, there is none. The cookie lasts as long as the session would if nobody came back, so that
    it goes when the session expires.
    """
    settings, names = exchange.site.settings, exchange.site.cookies
    if exchange.session_token:  # a new secret: the session has begun, or goes on under it
        session = sessions.find_session(exchange.database, settings, exchange.session_token)
    elif exchange.session_token == "":
        session = None
    elif exchange.has_asked_for_session and exchange.cookie(names.session):
        session = exchange.session
    else:
        return []
    if session is not None:
        state = browser_state_of(settings, session)
        return [_for_scripts(settings, names.browser_state, state, _lasts(settings, session))]
    return [_for_scripts(settings, names.browser_state, "", 0)] if exchange.cookie(names.browser_state) else []


def _lasts(settings: Settings, session: CurrentSession) -> int:
    return max(0, min(session.expires_at - clock.now(), settings.session_idle_lifetime))


def _for_scripts(settings: Settings, name: str, value: str, max_age: int) -> _Header:
    """Frames of other sites see a cookie only with SameSite=None, which browsers take only with https.

    On loopback without it, apps on the same host name still see the cookie: sites know no ports.
    """
    same_site = "None" if settings.is_https else "Lax"
    cookie = dump_cookie(
        name, value, max_age=max_age, path="/", secure=settings.is_https, httponly=False, samesite=same_site
    )
    return "Set-Cookie", cookie
