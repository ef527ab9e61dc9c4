"""The widget with which signed-in users change their password."""

from __future__ import annotations

import streamlit as st

from streamlit_bridge import texts
from streamlit_bridge.account_calls import call_as_user
from streamlit_bridge.errors import CallRefused, PasswordIncorrectError, ResetError
from streamlit_bridge.events import describe_event_of_user
from streamlit_bridge.hosted_pages import HostedPage
from streamlit_bridge.refusals import describe_refusal, refusals_raised_as
from streamlit_bridge.widgets.account_form import AccountForm, show_hosted_page
from streamlit_bridge.widgets.account_owner import check_owner, may_change_account_here
from streamlit_bridge.widgets.sent_form import note_sent, tell_once, was_just_sent
from streamlit_bridge.wording import say


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
        raise ResetError(say(texts.NEW_IS_MISSING))
    if new != repeated:
        raise ResetError(say(texts.PASSWORDS_DIFFER))
    if not current:
        raise PasswordIncorrectError(say(texts.CURRENT_IS_WRONG))
    if new == current:
        raise ResetError(say(texts.NEW_IS_CURRENT))
    sent = {"username": st.session_state["username"], "current_password": current, "new_password": new}
    if not was_just_sent(form.key, sent):  # else the current password is another one by now
        _change(current, new)
        note_sent(form.key, sent)
    tell_once(form, describe_event_of_user(form.widget))
    return True


def _change(current: str, new: str) -> None:
    with refusals_raised_as(ResetError):
        try:
            call_as_user("POST", "/me/password", {"current_password": current, "new_password": new})
        except CallRefused as refusal:
            if "current_password" in refusal.faults:
                raise PasswordIncorrectError(describe_refusal(refusal)) from refusal
            raise
