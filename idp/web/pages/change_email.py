"""Another address for the account: asked for with the password, confirmed from the new mailbox."""

from functools import partial

from flask import Response
from sqlalchemy import select

from idp.accounts import email_change
from idp.accounts.sessions import CurrentSession
from idp.errors import ExpiredError, InvalidInputError, Throttled
from idp.models import User
from idp.web import context, forms, texts
from idp.web.pages import mailed_link
from idp.web.pages.account import signed_in
from idp.web.pages.rendering import (
    NO_FAULTS,
    Faults,
    faults_of_token,
    form_again,
    page,
    required,
    see_other,
    shown_again,
)


def show_email() -> Response:
    """Show the address, the one that waits if any, and the form."""
    return _form(signed_in())


def submit_email() -> Response:
    """Mail a link to the new address; the old one stands until it is used."""
    session = signed_in()
    new, password = forms.field("email"), forms.field("current_password")
    form = partial(_form, session, new)
    if faults := faults_of_token():
        return form(faults, 400)
    if faults := required(
        email=(new.strip(), "forgot_username.email_missing"), current_password=(password, "password.current_missing")
    ):
        return form(faults, 422)
    try:
        email_change.request_change(
            context.database(),
            context.settings(),
            context.visitor(),
            session.user_id,
            new,
            password,
            texts.language(),
            forms.name_of_sent(),
        )
    except (InvalidInputError, Throttled) as refusal:
        return form_again(refusal, form)
    return see_other("show_email", notice="address-requested")


def submit_call_off() -> Response:
    """Keep the old address: the mailed link is dead."""
    session = signed_in()
    if faults := faults_of_token():
        return _form(session, faults=faults, status=400)
    email_change.call_off_change(context.database(), context.visitor(), session.user_id)
    return see_other("show_email", notice="address-kept")


def show_confirm_email() -> Response:
    """Show one button: programs that scan mail open links, but send no forms."""
    return _button()


def submit_confirm_email() -> Response:
    """Use the link: from now on the new address is the account's."""
    if faults := faults_of_token():
        return _button(faults, 400)
    db, visitor = context.database(), context.visitor()
    try:
        user_id = email_change.confirm_change(db, context.settings(), visitor, mailed_link.token(), texts.language())
    except ExpiredError:
        return mailed_link.gone(remedy="change")
    session = context.current_session()
    if session is not None and session.user_id == user_id:
        return see_other("show_email", notice="address-changed")
    return mailed_link.lead_to_sign_in("address-changed")


def _button(faults: Faults = NO_FAULTS, status: int = 200) -> Response:
    token = mailed_link.token()
    try:
        link = email_change.peek_change(context.database(), token)
    except ExpiredError:
        return mailed_link.gone(remedy="change")
    return page("confirm_email.html", status, token=token, email=link.data["email"], faults=faults)


def _form(session: CurrentSession, new: str = "", faults: Faults = NO_FAULTS, status: int = 200) -> Response:
    db = context.database()
    verified_at = db.scalar(select(User.email_verified_at).where(User.id == session.user_id))
    return page(
        "change_email.html",
        status,
        session=session,
        tab="overview",
        email=shown_again(new),
        pending=email_change.pending_change(db, session.user_id),
        is_verified=verified_at is not None,
        faults=faults,
    )
