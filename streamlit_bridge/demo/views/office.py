"""The page for administrators: signed-in users without the role are told so."""

import streamlit as st

from streamlit_bridge import Authenticate

Authenticate().require("admin")

st.title("Office")
st.markdown(
    "You hold the role `admin`, so this door opens. Take the role away at the provider and it closes in a minute."
)

guests, seats, pots = st.columns(3)
guests.metric("Guests this week", 42, 6, border=True)
seats.metric("Seats left", 18, -4, border=True)
pots.metric("Pots brewed", 97, 11, border=True)
st.bar_chart(
    {"Day": ["1 Mon", "2 Tue", "3 Wed", "4 Thu", "5 Fri"], "Guests": [5, 8, 7, 10, 12]},
    x="Day",
    y="Guests",
    x_label="",
)
