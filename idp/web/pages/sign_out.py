"""Leave."""

from flask import Response, make_response, redirect, url_for

from idp.web import context, forms, texts
from idp.web.pages.rendering import faults_of_token, page, see_other
from idp.web.signing_out import sign_out


def submit_sign_out() -> Response:
    """End the session of this browser. Who is not signed in any more needs no proof of wanting to be out.

    Where the page is of another session, as when somebody has signed in anew in another tab, they are asked once more.
    """
    if context.current_session() is not None and faults_of_token():
        return make_response(redirect(context.settings().url("/oauth/end-session"), 303))
    return sign_out(url_for("show_signed_out"))


def show_signed_out() -> Response:
    """Say that it worked, in the language that an app asked for, if one did."""
    if context.current_session() is not None:
        return see_other("show_account")
    texts.prefer(forms.given("ui_locales"))
    return page("signed_out.html")
