"""Notices in an idle browser tab that its session ended, or that the user's name or roles changed."""

from __future__ import annotations

import streamlit as st

from streamlit_bridge.session import find_identity


def watch_session(interval: float, check_interval: float) -> None:
    """Look at the session now and then, without drawing anything, and run the whole app again when it changed.

    Parameters:
        interval: seconds between two looks.
        check_interval: seconds between two questions to the account API, and within which the page is up to date.
    """
    before = find_identity(check_interval)
    if before is None:
        # A visitor can only become somebody through a new page load.
        return

    # A look just before the question is due would leave it to the next one, and the page behind for longer than that.
    due_after = check_interval - interval if interval < check_interval else check_interval

    @st.fragment(run_every=interval)
    def look() -> None:
        # session_state stays as the rest of the page saw it; the run that follows brings it up to date.
        if find_identity(due_after, is_passive=True) != before:
            st.rerun()

    look()
