import streamlit as st

from streamlit_bridge import Authenticate

auth = Authenticate(check_interval=0)
page = auth.pages(
    [
        st.Page("team.py", title="Team"),
        st.Page("start.py", title="Start", default=True),
        st.Page("admin.py", title="Admin"),
    ],
    roles={"admin": ["admin", "owner"]},
    public=[""],
)
auth.account_menu()
page.run()
