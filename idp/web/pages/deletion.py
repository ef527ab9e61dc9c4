"""Delete one's account: asked for with the password, done days later, and revoked by one button until then."""

from functools import partial

from flask import Response

from idp.accounts import deletion
from idp.accounts.sessions import CurrentSession
from idp.errors import InvalidInputError, Throttled
from idp.oidc import interaction
from idp.oidc.interaction import Interaction
from idp.web import context, forms, texts
from idp.web.pages.account import signed_in
from idp.web.pages.parked import need_parked, settled_session
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


def show_delete() -> Response:
    """Say what goes, and ask for the password."""
    return _form(signed_in())


def submit_delete() -> Response:
    """Ask for the deletion. The page says until when that can be revoked."""
    session = signed_in()
    password = forms.field("current_password")
    form = partial(_form, session)
    if faults := faults_of_token():
        return form(faults, 400)
    if faults := required(current_password=(password, "password.current_missing")):
        return form(faults, 422)
    try:
        deletion.request_deletion(
            context.database(), context.settings(), context.visitor(), session.user_id, password, texts.language()
        )
    except (InvalidInputError, Throttled) as refusal:
        return form_again(refusal, form)
    return see_other("show_delete")


def submit_keep() -> Response:
    """Keep the account."""
    session = signed_in()
    if faults := faults_of_token():
        return _form(session, faults, 400)
    deletion.revoke_deletion(context.database(), context.visitor(), session.user_id)
    return see_other("show_account", notice="account-kept")


# -- On the way to an app -------------------------------------------------------------


def show_keep_account() -> Response:
    """Offer to keep the account to somebody who signs in to an app while the deletion is due."""
    parked = need_parked()
    session = settled_session()
    return resume(parked) if session is None else _offer(parked, session)


def submit_keep_account() -> Response:
    """Note the answer and return to the dispatcher."""
    parked = need_parked()
    session = settled_session()
    if session is None:  # signed out meanwhile, in another tab
        return resume(parked)
    if faults := faults_of_token():
        return _offer(parked, session, faults, 400)
    action = forms.field("action")
    if action == "cancel":
        interaction.note_denial(context.database(), parked.id)
    elif action in ("keep", "continue"):
        if action == "keep":
            deletion.revoke_deletion(context.database(), context.visitor(), session.user_id)
        interaction.note_account_chosen(context.database(), parked.id)
    return resume(parked)


def _form(session: CurrentSession, faults: Faults = NO_FAULTS, status: int = 200) -> Response:
    return page("delete.html", status, session=session, tab="overview", faults=faults)


def _offer(parked: Interaction, session: CurrentSession, faults: Faults = NO_FAULTS, status: int = 200) -> Response:
    if session.deletion_due_at is None:  # kept meanwhile, or somebody else has signed in, in another tab
        return resume(parked)
    return page("keep_account.html", status, parked=parked, session=session, faults=faults)
