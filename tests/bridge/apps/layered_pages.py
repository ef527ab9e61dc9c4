import streamlit as st

from streamlit_bridge import Authenticate

auth = Authenticate()


def home():
    st.session_state.setdefault("first page", "home")
    try:
        auth.login()
    except Exception as e:
        st.error(e)


def chart():
    st.session_state.setdefault("first page", "chart")
    auth.require()
    auth.watch(interval=0.5)
    st.write(f"chart of {st.query_params.get('year')} after {st.session_state['first page']}")


st.navigation([st.Page(home, default=True), st.Page(chart)]).run()
