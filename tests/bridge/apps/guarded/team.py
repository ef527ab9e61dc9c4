import streamlit as st

st.write(f"team {st.query_params.get('id')}")
