"""Set a new password by a mailed link."""

from flask import Response

from idp.accounts import recovery
from idp.errors import ExpiredError, InvalidInputError, Throttled
from idp.models import User
from idp.web import context, forms, texts
from idp.web.pages import mailed_link
from idp.web.pages.rendering import NO_FAULTS, Faults, faults_of_token, form_again, page, required


def show_reset_password() -> Response:
    """Show the form, if the link is good; that uses nothing up."""
    return _form()


def submit_reset_password() -> Response:
    """Set the password. Every session of the account ends, so the person signs in anew."""
    new = forms.field("new_password")
    if faults := faults_of_token():
        return _form(faults, 400)
    if faults := required(new_password=(new, "password.new_missing")):
        return _form(faults, 422)
    try:
        recovery.reset_password(
            context.database(),
            context.settings(),
            context.visitor(),
            mailed_link.token(),
            new,
            language=texts.language(),
        )
    except ExpiredError:
        return mailed_link.gone(remedy="reset")
    except (InvalidInputError, Throttled) as refusal:
        return form_again(refusal, _form)
    return mailed_link.lead_to_sign_in("password-reset")


def _form(faults: Faults = NO_FAULTS, status: int = 200) -> Response:
    token = mailed_link.token()
    try:
        link = recovery.peek_reset(context.database(), token)
    except ExpiredError:
        return mailed_link.gone(remedy="reset")
    user = context.database().get_one(User, link.user_id)
    return page(
        "reset_password.html",
        status,
        token=token,
        username=user.username,
        faults=faults,
        password_min_length=context.settings().password_min_length,
    )
