"""Change one's password; before anything else, where it was issued by somebody who knows it too."""

from functools import partial

from flask import Response

from idp.accounts import passwords, sessions
from idp.accounts.sessions import CurrentSession
from idp.errors import InvalidInputError, Throttled
from idp.oidc import interaction
from idp.oidc.interaction import Interaction
from idp.web import context, forms, texts
from idp.web.pages import destinations
from idp.web.pages.account import signed_in
from idp.web.pages.parked import find_parked
from idp.web.pages.rendering import (
    NO_FAULTS,
    Faults,
    faults_of_token,
    form_again,
    page,
    required,
    resume,
    see_other,
)


def lead_to_form() -> Response:
    """Lead to the form from the address where password managers look for it (W3C, a well-known URL for that)."""
    return see_other("show_password")


def show_password() -> Response:
    """Show the form."""
    return _form(signed_in(is_password_own=False), find_parked())


def submit_password() -> Response:
    """Change the password; all other sessions of the account end."""
    session, parked = signed_in(is_password_own=False), find_parked()
    current, new = forms.field("current_password"), forms.field("new_password")
    form = partial(_form, session, parked)
    if faults := faults_of_token():
        return form(faults, 400)
    if parked and forms.field("action") == "cancel":
        interaction.note_denial(context.database(), parked.id)
        return resume(parked)
    if faults := required(
        current_password=(current, "password.current_missing"), new_password=(new, "password.new_missing")
    ):
        return form(faults, 422)
    try:
        passwords.change_password(
            context.database(),
            context.settings(),
            context.visitor(),
            session.user_id,
            current,
            new,
            keep_session=session.id,
            language=texts.language(),
        )
    except (InvalidInputError, Throttled) as refusal:
        return form_again(refusal, form)
    goes_on = destinations.requested_view() if session.must_change_password else "show_password"
    context.hand_over_session(sessions.rotate_secret(context.database(), session.id))
    if parked:
        interaction.note_password_changed(context.database(), parked.id)
        return resume(parked)
    return see_other(goes_on, notice="password-changed", **destinations.goes_along())


def _form(
    session: CurrentSession, parked: Interaction | None, faults: Faults = NO_FAULTS, status: int = 200
) -> Response:
    return page(
        "password.html",
        status,
        session=session,
        parked=parked,
        next_path=destinations.requested_path(),
        goes_along=destinations.goes_along(),
        tab="password",
        faults=faults,
        password_min_length=context.settings().password_min_length,
    )
