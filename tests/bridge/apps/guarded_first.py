import streamlit as st

from streamlit_bridge import Authenticate

Authenticate().require()


def home():
    st.write("home")


def chart():
    st.write(f"chart of {st.query_params.get('year')}")


st.navigation([st.Page(home, default=True), st.Page(chart)]).run()
