import streamlit as st

from streamlit_bridge import Authenticate

auth = Authenticate()
auth.require()
st.write(f"Hello {st.session_state['name']}")
