"""A menu in the sidebar: who is signed in, the way to the hosted account page, and the way out."""

from __future__ import annotations

import streamlit as st

from streamlit_bridge import texts
from streamlit_bridge.hosted_pages import HostedPage, find_hosted_page
from streamlit_bridge.identity import Identity
from streamlit_bridge.widgets.forbidden import escape_markdown
from streamlit_bridge.widgets.login import announce, read_notice, start_sign_in
from streamlit_bridge.widgets.logout import sign_out
from streamlit_bridge.wording import say


def show_account_menu(identity: Identity | None) -> None:
    """Draw the menu; for an anonymous visitor, a sign-in button.

    Parameters:
        identity: the signed-in person, or None.

    Raises:
        LoginError: the app has no usable ``[auth]`` section.
    """
    if identity is None:
        button = st.sidebar.button(
            say(texts.SIGN_IN_BUTTON), key="streamlit_bridge_menu_sign_in", icon=":material/login:", width="stretch"
        )
        notice = read_notice()
        if notice:
            st.sidebar.caption(notice)
        announce(notice)
        if button:
            with st.sidebar:
                start_sign_in()
        return
    with st.sidebar.popover(escape_markdown(identity.name), icon=":material/account_circle:", width="stretch"):
        if identity.email:
            st.text(identity.email)
        if identity.roles:
            st.caption(say(texts.ACCOUNT_ROLES, roles=escape_markdown(", ".join(identity.roles))))
        if account_url := find_hosted_page(HostedPage.ACCOUNT):
            st.link_button(say(texts.ACCOUNT_LINK), account_url, icon=":material/manage_accounts:", width="stretch")
        if st.button(
            say(texts.SIGN_OUT_BUTTON), key="streamlit_bridge_menu_sign_out", icon=":material/logout:", width="stretch"
        ):
            sign_out()
