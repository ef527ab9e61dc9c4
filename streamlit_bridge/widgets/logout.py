"""The sign-out button."""

from __future__ import annotations

from typing import Literal, TypeAlias

import streamlit as st
from streamlit.runtime.scriptrunner import RerunException

from streamlit_bridge import texts
from streamlit_bridge.call_style import LOCATIONS
from streamlit_bridge.errors import LogoutError
from streamlit_bridge.events import Callback, describe_event_of_user
from streamlit_bridge.hosted_pages import HostedPage, find_hosted_page
from streamlit_bridge.session import end_run, end_session, initialise_state
from streamlit_bridge.wording import say

Width: TypeAlias = Literal["content", "stretch"] | int


def show_logout(
    button_name: str,
    location: str,
    key: str | None,
    width: Width,
    callback: Callback | None,
) -> None:
    """Draw the button and sign out when it is pressed; ``unrendered`` signs out at once.

    The sign-in is not checked again here: it must not change between the app's own test and this call.

    Parameters:
        button_name: the button's label.
        location: ``main``, ``sidebar`` or ``unrendered``.
        key: the button's key.
        width: the button's width.
        callback: called with one dictionary before the sign-out.

    Raises:
        LogoutError: nobody is signed in.
        ValueError: the location is none of the three.
    """
    if location not in LOCATIONS:
        raise ValueError(texts.BAD_LOCATION.format(location=location))
    initialise_state()
    if not st.session_state["authentication_status"]:
        raise LogoutError(texts.NOBODY_TO_SIGN_OUT)
    if location == "unrendered":
        is_pressed = True
    else:
        place = st.sidebar if location == "sidebar" else st
        is_pressed = place.button(say(button_name), key=key, width=width, icon=":material/logout:")
    if is_pressed:
        sign_out(callback)


def sign_out(callback: Callback | None = None) -> None:
    """Sign the user out here and at the provider, and end this run.

    Ending the run matters: a ``st.login()`` later in the same run would reach the browser after the sign-out and win.

    Parameters:
        callback: called with one dictionary before the sign-out.
    """
    try:
        if callback is not None:
            callback(describe_event_of_user("Logout"))
    except RerunException:
        pass  # it went to another page: a run that began now might take back what sends the browser to sign out
    finally:
        end_session()  # also where the callback failed
    if st.context.is_embedded:
        # A frame stays where it is, and then nobody has told the provider.
        st.info(say(texts.EMBEDDED_SIGN_OUT), icon=":material/info:")
        if address := find_hosted_page(HostedPage.ACCOUNT):
            st.link_button(say(texts.ACCOUNT_LINK), address, icon=":material/manage_accounts:")
    end_run()
