"""The card for a signed-in user who lacks the role that a page asks for."""

from __future__ import annotations

import streamlit as st

from streamlit_bridge import texts
from streamlit_bridge.identity import Identity
from streamlit_bridge.wording import say


def show_forbidden_card(identity: Identity, roles: tuple[str, ...]) -> None:
    """Say kindly that the page is not for this user, and what would open it.

    Parameters:
        identity: the signed-in person.
        roles: the roles of which one is needed.
    """
    names = ", ".join(f"`{role}`" for role in roles)
    if len(roles) == 1:
        wanted = say(texts.FORBIDDEN_ONE_ROLE, role=names)
    else:
        wanted = say(texts.FORBIDDEN_SEVERAL_ROLES, roles=names)
    with st.container(border=True):
        st.subheader(f":material/lock: {say(texts.FORBIDDEN_TITLE)}", anchor=False)
        st.write(say(texts.FORBIDDEN_TEXT, name=escape_markdown(identity.name), roles=wanted))


def escape_markdown(text: str) -> str:
    """Make a name that a person chose harmless inside Markdown: no links, images, HTML or directives."""
    return "".join(f"\\{character}" if character in "\\`*_{}[]()<>#+-.!|:$~&" else character for character in text)
