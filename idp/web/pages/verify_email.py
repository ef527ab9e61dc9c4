"""Prove one's address: open the mailed link and press the button; or have the mail sent again."""

from functools import partial

from flask import Response

from idp.accounts import email_verification
from idp.errors import ExpiredError, Throttled
from idp.models import User
from idp.oidc.interaction import Interaction
from idp.web import context, forms, texts
from idp.web.pages import mail_sent, mailed_link
from idp.web.pages.parked import find_parked, id_of
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


def show_verify_email() -> Response:
    """Show one button: programs that scan mail open links, but send no forms."""
    return _button()


def submit_verify_email() -> Response:
    """Use the link. Nobody is signed in by it: who registered has a password."""
    if faults := faults_of_token():
        return _button(faults, 400)
    db, visitor = context.database(), context.visitor()
    try:
        user_id = email_verification.verify_address(db, visitor, mailed_link.token())
    except ExpiredError:
        return mailed_link.gone(remedy="verify")
    session = context.current_session()
    if session is not None and session.user_id == user_id:
        return see_other("show_account", notice="address-proven")
    return mailed_link.lead_to_sign_in("address-confirmed")


def show_resend() -> Response:
    """Show the form for who has no good link, nor the page that was shown after registration."""
    return _resend_form(find_parked())


def submit_resend() -> Response:
    """Send the mail again. The answer is the same whether or not there is anybody to get it."""
    parked = find_parked()
    letter = mail_sent.open_letter(forms.field("letter"))
    identifier = letter.typed or forms.field("identifier")
    form = partial(_resend_form, parked, identifier)
    if faults := faults_of_token():
        return form(faults, 400)
    if faults := required(identifier=(identifier.strip(), "sign_in.identifier_missing")):
        return form(faults, 422)
    db, visitor = context.database(), context.visitor()
    try:
        email_verification.resend(db, context.settings(), visitor, identifier, texts.language(), forms.name_of_sent())
    except Throttled as refusal:
        return form_again(refusal, form)
    kind = letter.kind or mail_sent.RESENT
    return mail_sent.lead_to_mailbox(kind, identifier, id_of(parked), notice="mail-sent")


def _button(faults: Faults = NO_FAULTS, status: int = 200) -> Response:
    db, token = context.database(), mailed_link.token()
    try:
        link = email_verification.peek_verification(db, token)
    except ExpiredError:
        return mailed_link.gone(remedy="verify")
    return page("verify_email.html", status, token=token, email=db.get_one(User, link.user_id).email, faults=faults)


def _resend_form(
    parked: Interaction | None, identifier: str = "", faults: Faults = NO_FAULTS, status: int = 200
) -> Response:
    return page(
        "resend.html",
        status,
        parked=parked,
        identifier=shown_again(identifier),
        faults=faults,
    )
