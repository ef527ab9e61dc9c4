# The call style of the 0.2 generation; only the import line differs from what such an app contains.
import streamlit as st

import streamlit_bridge as stauth

config = {
    "credentials": {"usernames": {"ada": {"email": "ada@example.org", "name": "Ada", "password": "$2b$12$x"}}},
    "cookie": {"name": "tea", "key": "secret", "expiry_days": 30},
    "preauthorized": {"emails": ["grace@example.org"]},
}
authenticator = stauth.Authenticate(
    config["credentials"],
    config["cookie"]["name"],
    config["cookie"]["key"],
    config["cookie"]["expiry_days"],
    config["preauthorized"],
)
name, authentication_status, username = authenticator.login("Login", "main")
if authentication_status:
    authenticator.logout("Logout", "main", key="unique_key")
    st.write(f"Welcome *{name}* ({username})")
elif authentication_status is False:
    st.error("Username/password is incorrect")
elif authentication_status is None:
    st.warning("Please enter your username and password")
