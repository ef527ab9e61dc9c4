"""The frame that an app's page asks whether the browser state has changed (Session Management 1.0 section 3.2)."""

from flask import Response, render_template

from idp.errors import NotFoundError
from idp.web import context
from idp.web.inline_scripts import inline_script

_CACHE = "public, max-age=300"


def show_check_session() -> Response:
    """Serve the frame: the one page of ours that others may frame. It shows nothing and asks us nothing.

    Raises:
        NotFoundError: session management is off.
    """
    if context.settings().session_management == "off":
        raise NotFoundError("Session management is off.")
    script = inline_script("check_session.js")
    cookie = context.cookies().browser_state
    response = Response(render_template("check_session.html", script=script.content, cookie=cookie))
    response.headers["Content-Security-Policy"] = f"default-src 'none'; base-uri 'none'; script-src {script.source}"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Cache-Control"] = _CACHE
    return response
