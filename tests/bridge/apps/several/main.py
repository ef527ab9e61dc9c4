import streamlit as st

from streamlit_bridge import Authenticate

pages = [st.Page("home.py", default=True), st.Page("report.py"), st.Page(lambda: None, title="Extra", url_path="extra")]
page = st.navigation(pages)
Authenticate().account_menu()
page.run()
