"""Change one's password."""

from flask import Response

from idp.accounts import passwords
from idp.accounts.sessions import CurrentSession
from idp.errors import InvalidInputError, Throttled
from idp.web import context, forms
from idp.web.pages.account import signed_in
from idp.web.pages.rendering import NO_FAULTS, Faults, faults_of_token, page, see_other
from idp.web.texts import text, wait


def show_password() -> Response:
    """Show the form."""
    return _form(signed_in())


def submit_password() -> Response:
    """Change the password; all other sessions of the account end."""
    session = signed_in()
    if faults := faults_of_token():
        return _form(session, faults, 400)
    current, new = forms.field("current_password"), forms.field("new_password")
    if faults := _missing(current, new):
        return _form(session, faults, 422)
    try:
        passwords.change_password(
            context.database(),
            context.settings(),
            context.visitor(),
            session.user_id,
            current,
            new,
            keep_session=session.id,
        )
    except InvalidInputError as refusal:
        return _form(session, Faults.of(refusal), refusal.status)
    except Throttled as refusal:
        sentence = text("sign_in.throttled", wait=wait(refusal.retry_after))
        response = _form(session, Faults(general=[sentence]), refusal.status)
        response.headers["Retry-After"] = str(refusal.retry_after)
        return response
    return see_other("show_password", notice="password-changed")


def _form(session: CurrentSession, faults: Faults = NO_FAULTS, status: int = 200) -> Response:
    return page(
        "password.html",
        status,
        session=session,
        tab="password",
        faults=faults,
        password_min_length=context.settings().password_min_length,
    )


def _missing(current: str, new: str) -> Faults:
    fields = {}
    if not current:
        fields["current_password"] = [text("password.current_missing")]
    if not new:
        fields["new_password"] = [text("password.new_missing")]
    return Faults(fields)
