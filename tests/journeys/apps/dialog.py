"""A widget of two steps in a dialog."""

import streamlit as st

from streamlit_bridge import Authenticate

auth = Authenticate()


@st.dialog("Join us")
def join() -> None:
    """Register, with a code by mail."""
    if auth.register_user(captcha=False, two_factor_auth=True):
        st.success("Welcome aboard")


if st.button("Join"):
    join()
