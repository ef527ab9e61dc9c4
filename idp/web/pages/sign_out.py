"""Leave."""

from flask import Response, request, url_for

from idp.web import context, forms, texts
from idp.web.pages.rendering import page, see_other
from idp.web.signing_out import sign_out


def submit_sign_out() -> Response:
    """End the session of this browser. Who is not signed in any more needs no proof of wanting to be out."""
    if context.current_session() is not None:
        forms.check_csrf()
    return sign_out(url_for("show_signed_out"))


def show_signed_out() -> Response:
    """Say that it worked, in the language that an app asked for, if one did."""
    if context.current_session() is not None:
        return see_other("show_account")
    texts.prefer(request.args.get("ui_locales"))
    return page("signed_out.html")
