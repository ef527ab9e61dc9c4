import streamlit as st

st.write("start")
st.page_link("admin.py")
