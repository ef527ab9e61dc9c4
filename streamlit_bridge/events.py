"""What apps are told through ``callback=``: one dictionary for each event."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

Callback = Callable[[dict[str, object]], object]


def describe_event(widget: str, username: object, email: object, name: object, roles: object) -> dict[str, object]:
    """Build the dictionary that callbacks receive."""
    return {"widget": widget, "username": username, "email": email, "name": name, "roles": roles}


def describe_event_of_user(widget: str) -> dict[str, object]:
    """Build the dictionary for something that the signed-in user did; for a visitor the values are None."""
    state = st.session_state
    return describe_event(widget, state["username"], state["email"], state["name"], state["roles"])
