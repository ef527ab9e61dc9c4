"""Leave."""

from flask import Response

from idp.accounts import sessions
from idp.web import context, forms
from idp.web.pages.rendering import page, see_other


def submit_sign_out() -> Response:
    """End the session of this browser. Who is not signed in any more needs no proof of wanting to be out."""
    session = context.current_session()
    if session is not None:
        forms.check_csrf()
        sessions.end_session(context.database(), context.visitor(), session.id, reason="signed_out")
    response = see_other("show_signed_out")
    context.delete_session_cookie(response)
    return response


def show_signed_out() -> Response:
    """Say that it worked."""
    if context.current_session() is not None:
        return see_other("show_account")
    return page("signed_out.html")
