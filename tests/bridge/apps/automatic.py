import streamlit as st

from streamlit_bridge import Authenticate

Authenticate().require(automatic=True)
st.write("inside")
