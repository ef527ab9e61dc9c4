# The call style of the 0.4 generation; only the import line differs from what such an app contains.
import streamlit as st

import streamlit_bridge as stauth
from streamlit_bridge.utilities import LoginError

authenticator = stauth.Authenticate("config.yaml", cookie_name="tea", cookie_key="secret", auto_hash=False)


def note(event):
    st.session_state.setdefault("events", []).append(event)


try:
    authenticator.login(location="main", max_login_attempts=3, fields={"Form name": "Come in"}, callback=note)
except LoginError as e:
    st.error(e)

if st.session_state.get("authentication_status"):
    authenticator.logout(callback=note)
    st.write(f"Welcome *{st.session_state.get('name')}*")
elif st.session_state.get("authentication_status") is None:
    st.warning("Please sign in")
