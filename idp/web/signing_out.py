"""What a browser gets whose session ends: its cookie goes, its apps are told through it, and it goes on."""

from collections.abc import Sequence

from flask import Response, render_template

from idp.accounts import sessions
from idp.accounts.ended_sessions import EndedSessions
from idp.oidc import frontchannel
from idp.web import context
from idp.web.inline_scripts import inline_script
from idp.web.security import CONTENT_SECURITY_POLICY

WITHOUT_SCRIPT = 5  # seconds until a browser without script goes on


def sign_out(destination: str) -> Response:
    """End the session of this browser, if there is one.

    Args:
        destination: where the browser goes: one of our own pages, or what an app registered.

    Returns:
        A redirect; or, where apps can be told through the browser only, a page that loads their frames and goes on.
    """
    session = context.current_session()
    ended = None
    if session is not None:
        ended = sessions.end_session(context.database(), context.visitor(), session.id, reason="signed_out")
    return leave(ended, destination)


def leave(ended: EndedSessions | None, destination: str) -> Response:
    """Answer after the end of this browser's session.

    Args:
        ended: its end, as listeners have left it; None when it had ended before.
        destination: as for `sign_out`.
    """
    frames = frontchannel.frames_of(context.database(), context.provider(), ended) if ended and ended.to_visit else ()
    response = _tell_apps(frames, destination) if frames else Response(status=303, headers={"Location": destination})
    context.take_back_session()
    return response


def _tell_apps(frames: Sequence[str], destination: str) -> Response:
    script = inline_script("signing_out.js")
    page = render_template(
        "signing_out.html",
        frames=frames,
        destination=destination,
        script=script.content,
        without_script=WITHOUT_SCRIPT,
    )
    response = Response(page)
    response.headers["Content-Security-Policy"] = (
        f"{CONTENT_SECURITY_POLICY}; script-src {script.source}; frame-src {' '.join(frontchannel.origins_of(frames))}"
    )
    return response
