import streamlit as st

from streamlit_bridge import Authenticate

Authenticate().require()
st.write(f"report {st.query_params.get_all('tag')}")
