import streamlit as st

from streamlit_bridge import Authenticate

Authenticate(check_interval=0).require("admin")
st.write("the secret room")
