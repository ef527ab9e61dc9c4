"""A second app behind the same provider; it asks often whether the session lives, so that tests need not wait."""

import streamlit as st

from streamlit_bridge import Authenticate

auth = Authenticate(check_interval=1)
auth.require(automatic=True)
st.header("Second app")
st.write(f"Hello {st.session_state['name']}")
st.write("Roles: " + ", ".join(st.session_state["roles"] or []))
st.button("Look again")
auth.logout("Leave", key="leave")
