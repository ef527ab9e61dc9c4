"""The widget with which signed-in users change their name or e-mail address."""

from __future__ import annotations

from typing import Final

import streamlit as st

from streamlit_bridge import texts
from streamlit_bridge.account_calls import call_as_user
from streamlit_bridge.errors import UpdateError
from streamlit_bridge.events import describe_event_of_user
from streamlit_bridge.hosted_pages import HostedPage
from streamlit_bridge.identity import Identity
from streamlit_bridge.refusals import refusals_raised_as
from streamlit_bridge.session import read_access_token, remember_profile
from streamlit_bridge.widgets.account_form import AccountForm, show_hosted_page
from streamlit_bridge.widgets.account_owner import check_owner, may_change_account_here
from streamlit_bridge.widgets.forbidden import escape_markdown
from streamlit_bridge.widgets.sent_form import note_sent, tell_once, was_just_sent
from streamlit_bridge.wording import say

# Label key: what events call the field, its name in the account API, and what browsers may fill in.
FIELDS: Final = {
    "First name": ("first_name", "given_name", "given-name"),
    "Last name": ("last_name", "family_name", "family-name"),
    "Email": ("email", "email", "email"),
}


def show_update_user_details(form: AccountForm, username: object) -> bool | None:
    """Draw the widget and change one detail of the signed-in user.

    A new name shows at once, here and in the user's other tabs. A new address takes the password, and counts once the
    link that is mailed to it was followed.

    Parameters:
        form: the widget's settings.
        username: whose details the app means; it must be the signed-in user.

    Returns:
        True once the provider has taken the change, else None.

    Raises:
        UpdateError: refused; the text says why.
    """
    check_owner(username, UpdateError)
    if not may_change_account_here(form.widget):
        show_hosted_page(form, HostedPage.ACCOUNT)
        return None
    place = form.place().container(border=True)
    with place:
        st.subheader(form.labels["Form name"], anchor=False)
        # Outside of the form, so that choosing the address makes room for the password at once.
        field = st.selectbox(
            form.labels["Field"], list(FIELDS), format_func=lambda name: form.labels[name], key=f"{form.key} Field"
        )
    with place.form(key=form.key, clear_on_submit=form.clears, border=False):
        typed = form.input("New value", name=f"New {field}", autocomplete=FIELDS[field][2])
        password = ""
        if field == "Email":
            st.caption(say(texts.EMAIL_HINT))
            password = form.input("Current password", autocomplete="current-password", is_secret=True)
        is_sent = form.submit("Update")
    if not is_sent:
        return None
    return _update(form, field, typed.strip(), password)


def _update(form: AccountForm, field: str, value: str, password: str) -> bool:
    event_field, claim, _ = FIELDS[field]
    if not value:
        raise UpdateError(say(texts.EMAIL_MISSING if field == "Email" else texts.VALUE_MISSING))
    if field == "Email" and not password:
        raise UpdateError(say(texts.CURRENT_IS_MISSING))
    sent = {"username": st.session_state["username"], claim: value, "current_password": password}
    if not was_just_sent(form.key, sent):  # else the value is the account's by now
        _change(claim, value, password)
        note_sent(form.key, sent)
    if field == "Email":
        form.place().info(say(texts.EMAIL_MAILED, email=escape_markdown(value)), icon=":material/mail:")
    tell_once(form, describe_event_of_user(form.widget) | {"field": event_field, "new_value": value})
    return True


def _change(claim: str, value: str, password: str) -> None:
    with refusals_raised_as(UpdateError):
        if call_as_user("GET", "/me").get(claim) == value:
            raise UpdateError(say(texts.VALUE_UNCHANGED))
        changes: dict[str, object] = {claim: value}
        if password:
            changes["current_password"] = password
        document = call_as_user("PATCH", "/me", changes)
    token = read_access_token()
    if token is not None and "sub" in document:
        remember_profile(token, Identity.from_claims(document))
