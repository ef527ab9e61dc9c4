"""The cookie that session management reads in the browser: it says that something has changed, and nothing else.

It is the one cookie that scripts may read and that comes along into frames of other sites: the frame of ours in an
app's page compares it. It proves nothing: no request is ever answered by it.
"""

from werkzeug.http import dump_cookie

from idp import clock
from idp.accounts import sessions
from idp.accounts.sessions import CurrentSession
from idp.oidc.session_state import browser_state_of
from idp.web import context
from idp.web.exchange import current


def browser_state_cookie() -> list[tuple[str, str]]:
    """Return the header that lets the cookie follow what this request has learned of the browser's session.

    Where it learned nothing, there is none. The cookie lasts as long as the session would if nobody came back, so that
    it goes when the session expires.
    """
    exchange = current()
    settings, cookies = exchange.site.settings, exchange.site.cookies
    if settings.session_management == "off":
        return []
    if exchange.session_token:  # a new secret: the session has begun, or goes on under it
        session = sessions.find_session(context.database(), settings, exchange.session_token)
    elif exchange.session_token == "":
        session = None
    elif exchange.has_asked_for_session and exchange.cookie(cookies.session):
        session = exchange.session
    else:
        return []
    if session is not None:
        return [_cookie(browser_state_of(settings, session), _lasts(session))]
    return [_cookie("", 0)] if exchange.cookie(cookies.browser_state) else []


def _lasts(session: CurrentSession) -> int:
    return max(0, min(session.expires_at - clock.now(), context.settings().session_idle_lifetime))


def _cookie(value: str, max_age: int) -> tuple[str, str]:
    """Frames of other sites see a cookie only with SameSite=None, which browsers take only with https.

    On loopback without it, apps on the same host name still see the cookie: sites know no ports.
    """
    is_https = context.settings().is_https
    cookie = dump_cookie(
        context.cookies().browser_state,
        value,
        max_age=max_age,
        path="/",
        secure=is_https,
        httponly=False,
        samesite="None" if is_https else "Lax",
    )
    return "Set-Cookie", cookie
