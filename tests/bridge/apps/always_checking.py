import streamlit as st

from streamlit_bridge import Authenticate

Authenticate(check_interval=0).require()
st.write(f"Hello {st.session_state['name']}")
