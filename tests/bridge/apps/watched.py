import streamlit as st

from streamlit_bridge import Authenticate

auth = Authenticate(check_interval=0)
auth.require()
auth.watch(interval=0.5)
st.write(f"Hello {st.session_state['name']}")
st.write(f"Roles: {', '.join(st.session_state['roles'])}")
