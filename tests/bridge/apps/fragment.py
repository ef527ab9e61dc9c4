import streamlit as st

from streamlit_bridge import Authenticate

auth = Authenticate(check_interval=0)
auth.require()
auth.watch(interval=0.5)


@st.fragment
def count() -> None:
    auth.require()
    st.session_state["count"] = st.session_state.get("count", 0) + st.button("One more")
    st.write(f"That makes {st.session_state['count']}")


count()
st.session_state["runs"] = st.session_state.get("runs", 0) + 1
st.write(f"Run {st.session_state['runs']}")
