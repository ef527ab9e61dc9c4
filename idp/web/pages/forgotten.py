"""Forgot the password, forgot the user name: the answer is the same whoever asks, the rest comes by mail."""

from functools import partial

from flask import Response

from idp.accounts import recovery
from idp.errors import InvalidInputError, Throttled
from idp.oidc.interaction import Interaction
from idp.web import context, forms, texts
from idp.web.pages import mail_sent
from idp.web.pages.parked import find_parked, id_of
from idp.web.pages.rendering import NO_FAULTS, Faults, faults_of_token, form_again, page, required, shown_again


def show_forgot_password() -> Response:
    """Ask for the account."""
    parked = find_parked()
    return _password_form(parked, (parked.request.login_hint or "") if parked else "")


def submit_forgot_password() -> Response:
    """Mail a link, if there is an account."""
    parked, identifier = find_parked(), forms.field("username")
    form = partial(_password_form, parked, identifier)
    if faults := faults_of_token():
        return form(faults, 400)
    if faults := required(username=(identifier.strip(), "sign_in.identifier_missing")):
        return form(faults, 422)
    db, visitor = context.database(), context.visitor()
    try:
        recovery.request_password_reset(
            db, context.settings(), visitor, identifier, texts.language(), forms.name_of_sent()
        )
    except Throttled as refusal:
        return form_again(refusal, form)
    return mail_sent.lead_to_mailbox(mail_sent.RESET, identifier, id_of(parked))


def show_forgot_username() -> Response:
    """Ask for the address."""
    parked = find_parked()
    hint = (parked.request.login_hint or "") if parked else ""
    return _username_form(parked, hint if "@" in hint else "")


def submit_forgot_username() -> Response:
    """Mail the user name, if there is an account."""
    parked, email = find_parked(), forms.field("email")
    form = partial(_username_form, parked, email)
    if faults := faults_of_token():
        return form(faults, 400)
    if faults := required(email=(email.strip(), "forgot_username.email_missing")):
        return form(faults, 422)
    db, visitor = context.database(), context.visitor()
    try:
        recovery.remind_usernames(db, context.settings(), visitor, email, texts.language(), forms.name_of_sent())
    except (InvalidInputError, Throttled) as refusal:
        return form_again(refusal, form)
    return mail_sent.lead_to_mailbox(mail_sent.REMINDER, email, id_of(parked))


def _password_form(
    parked: Interaction | None, username: str = "", faults: Faults = NO_FAULTS, status: int = 200
) -> Response:
    return _form("forgot_password.html", parked, faults, status, username=shown_again(username))


def _username_form(
    parked: Interaction | None, email: str = "", faults: Faults = NO_FAULTS, status: int = 200
) -> Response:
    return _form("forgot_username.html", parked, faults, status, email=shown_again(email))


def _form(template: str, parked: Interaction | None, faults: Faults, status: int, **typed: str) -> Response:
    return page(template, status, parked=parked, faults=faults, **typed)
