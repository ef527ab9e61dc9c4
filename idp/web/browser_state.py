"""The cookie that session management reads in the browser: it says that something has changed, and nothing else.

It is the one cookie that scripts may read and that comes along into frames of other sites: the frame of ours in an
app's page compares it. It proves nothing: no request is ever answered by it.
"""

from flask import Response, g, request

from idp import clock
from idp.accounts import sessions
from idp.accounts.sessions import CurrentSession
from idp.oidc.session_state import browser_state_of
from idp.web import context


def carry_browser_state(response: Response) -> Response:
    """Let the cookie follow what this request has learned of the browser's session; where it learned nothing, nothing.

    It lasts as long as the session would if nobody came back, so that it goes when the session expires.
    """
    if context.settings().session_management == "off":
        return response
    token = g.get("session_token")
    if token:  # a new secret: the session has begun, or goes on under it
        session = sessions.find_session(context.database(), context.settings(), token)
    elif token == "":
        session = None
    elif "session" in g and request.cookies.get(context.cookie_names(context.settings()).session):
        session = g.session
    else:
        return response
    if session is not None:
        _set(response, browser_state_of(context.settings(), session), _lasts(session))
    elif context.cookie_names(context.settings()).browser_state in request.cookies:
        _set(response, "", 0)
    return response


def _lasts(session: CurrentSession) -> int:
    return max(0, min(session.expires_at - clock.now(), context.settings().session_idle_lifetime))


def _set(response: Response, value: str, max_age: int) -> None:
    """Frames of other sites see a cookie only with SameSite=None, which browsers take only with https.

    On loopback without it, apps on the same host name still see the cookie: sites know no ports.
    """
    is_https = context.settings().is_https
    response.set_cookie(
        context.cookie_names(context.settings()).browser_state,
        value,
        max_age=max_age,
        path="/",
        secure=is_https,
        httponly=False,
        samesite="None" if is_https else "Lax",
    )
