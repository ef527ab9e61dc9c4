# Run with the optional layer: `streamlit run layered.py`. The script itself is another file.
import streamlit as st

import streamlit_bridge

app = st.App("layered_pages.py", **streamlit_bridge.asgi())
