"""The demo's main script: lists the pages, shows the account menu, runs the page that was asked for.

The start page is public, so nothing is required here; each protected page asks for what it needs in its first lines.
"""

import streamlit as st

from streamlit_bridge import Authenticate

auth = Authenticate()
page = st.navigation(
    [
        st.Page("views/welcome.py", title="Welcome", icon=":material/waving_hand:", default=True),
        st.Page("views/tastings.py", title="Tastings", icon=":material/groups:", url_path="tastings"),
        st.Page("views/accounts.py", title="Account widgets", icon=":material/badge:", url_path="account-widgets"),
        st.Page("views/office.py", title="Office", icon=":material/admin_panel_settings:", url_path="office"),
    ]
)
st.set_page_config(page_title=f"{page.title} · Tea House", page_icon=":material/local_cafe:", layout="centered")
auth.account_menu()
auth.watch()
page.run()
