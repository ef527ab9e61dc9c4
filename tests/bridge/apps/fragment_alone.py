import streamlit as st

from streamlit_bridge import Authenticate

auth = Authenticate(check_interval=0)
auth.require("editor")
st.write("The whole payroll")


@st.fragment
def count() -> None:
    auth.login("unrendered")  # finds out first, as other fragments may
    auth.require("editor")
    st.session_state["count"] = st.session_state.get("count", 0) + st.button("One more")
    st.write(f"That makes {st.session_state['count']}")


count()
