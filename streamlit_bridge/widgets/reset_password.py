"""The widget with which signed-in users change their password."""

from __future__ import annotations

from streamlit_bridge import texts
from streamlit_bridge.account_calls import call_as_user
from streamlit_bridge.errors import PasswordIncorrectError, ResetError
from streamlit_bridge.events import describe_event_of_user
from streamlit_bridge.hosted_pages import HostedPage
from streamlit_bridge.refusals import refusals_raised_as
from streamlit_bridge.widgets.account_form import AccountForm, show_hosted_page
from streamlit_bridge.widgets.account_owner import check_owner, may_change_account_here


def show_reset_password(form: AccountForm, username: object) -> bool | None:
    """Draw the widget and change the password of the signed-in user. Their other sessions end, this one goes on.

    Parameters:
        form: the widget's settings.
        username: whose password the app means; it must be the signed-in user.

    Returns:
        True once the password is changed, else None.

    Raises:
        ResetError: refused; the text says why. For a wrong current password it is a CredentialsError, too.
    """
    check_owner(username, ResetError)
    if not may_change_account_here(form.widget):
        show_hosted_page(form, HostedPage.ACCOUNT)
        return None
    with form.draw(form.place()):
        current = form.input("Current password", autocomplete="current-password", is_secret=True)
        new = form.input("New password", autocomplete="new-password", is_secret=True)
        repeated = form.input("Repeat password", autocomplete="new-password", is_secret=True)
        is_sent = form.submit("Reset")
    if not is_sent:
        return None
    if not new:
        raise ResetError(texts.NEW_IS_MISSING)
    if new != repeated:
        raise ResetError(texts.PASSWORDS_DIFFER)
    if not current:
        raise PasswordIncorrectError(texts.CURRENT_IS_WRONG)
    if new == current:
        raise ResetError(texts.NEW_IS_CURRENT)
    with refusals_raised_as(_error):
        call_as_user("POST", "/me/password", {"current_password": current, "new_password": new})
    form.tell(describe_event_of_user(form.widget))
    return True


def _error(sentence: str) -> ResetError:
    return (PasswordIncorrectError if sentence == texts.CURRENT_IS_WRONG else ResetError)(sentence)
