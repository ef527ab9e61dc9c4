"""The members' page: any signed-in user. Its filters live in the query string, so they survive a sign-in."""

import streamlit as st

from streamlit_bridge import Authenticate

auth = Authenticate()
auth.require()

TASTINGS = [
    {"Region": "Uji", "Tea": "Gyokuro, shaded for three weeks", "Seats": 6, "Minutes": 50},
    {"Region": "Uji", "Tea": "First-harvest matcha, whisked", "Seats": 4, "Minutes": 40},
    {"Region": "Darjeeling", "Tea": "Second flush with muscatel notes", "Seats": 8, "Minutes": 60},
    {"Region": "Wuyi", "Tea": "Rock oolong over six infusions", "Seats": 5, "Minutes": 90},
    {"Region": "Wuyi", "Tea": "Smoked black tea beside the fire", "Seats": 3, "Minutes": 45},
]
REGIONS = ["All regions", "Darjeeling", "Uji", "Wuyi"]


def read_guests() -> int:
    """Read the number of guests from the query string, whatever somebody typed there."""
    text = st.query_params.get("guests", "2")
    return min(max(int(text), 1), 8) if text.isascii() and text.isdigit() and len(text) < 3 else 2


st.title("Tastings")
st.markdown(
    "Pick a region and the size of your party. The address bar follows, so a link to this page keeps your choice."
)

asked_region = st.query_params.get("region", REGIONS[0])
left, right = st.columns(2)
region = left.selectbox("Region", REGIONS, index=REGIONS.index(asked_region) if asked_region in REGIONS else 0)
guests = right.number_input("Guests", min_value=1, max_value=8, value=read_guests())
st.query_params.from_dict({"region": region, "guests": str(guests)})

fitting = [row for row in TASTINGS if region in (REGIONS[0], row["Region"]) and int(str(row["Seats"])) >= guests]
if fitting:
    st.dataframe(fitting, hide_index=True)
else:
    st.info("No tasting has that many seats. Try a smaller party or another region.", icon=":material/search_off:")

st.subheader("What this app knows about you", anchor=False)
st.markdown(
    "All of it comes from the provider and is refreshed while you work. Your password never passes through here."
)
st.dataframe(
    {
        "Detail": ["Name", "User name", "E-mail", "Roles"],
        "Value": [
            st.session_state["name"],
            st.session_state["username"],
            st.session_state["email"] or "not shared",
            ", ".join(st.session_state["roles"]) or "none",
        ],
    },
    hide_index=True,
)
account_url = auth.account_url()
if account_url is not None:
    st.link_button("Change your details at the account page", account_url, icon=":material/manage_accounts:")
