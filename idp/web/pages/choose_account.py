"""Go on as the person who is signed in, or as somebody else."""

from flask import Response

from idp.accounts.sessions import CurrentSession
from idp.oidc import interaction
from idp.oidc.interaction import Interaction
from idp.web import context, forms
from idp.web.pages.parked import need_parked
from idp.web.pages.rendering import NO_FAULTS, Faults, faults_of_token, page, resume, see_other


def show_choose_account() -> Response:
    """Show who is signed in, and the way to another account."""
    parked = need_parked()
    session = context.current_session()
    if session is None:
        return resume(parked)
    return _choice(parked, session)


def submit_choose_account() -> Response:
    """Note the choice and return to the dispatcher; another account signs in first."""
    action = forms.field("action")
    parked = need_parked(denied=action == "cancel")
    session = context.current_session()
    if session is None:  # signed out meanwhile, in another tab
        return resume(parked)
    if faults := faults_of_token():
        return _choice(parked, session, faults, 400)
    if action == "other":
        return see_other("show_sign_in", i=parked.id, other="1")
    if action == "cancel":
        interaction.note_denial(context.database(), parked.id)
    elif action == "continue":
        interaction.note_account_chosen(context.database(), parked.id)
    return resume(parked)


def _choice(parked: Interaction, session: CurrentSession, faults: Faults = NO_FAULTS, status: int = 200) -> Response:
    return page("choose_account.html", status, parked=parked, session=session, faults=faults)
