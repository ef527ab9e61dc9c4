# The account widgets as apps of the 0.4 generation call them: keywords, tuples to unpack, callbacks.
import streamlit as st

import streamlit_bridge as stauth
from streamlit_bridge.utilities import ForgotError, LoginError, RegisterError, ResetError, UpdateError

config = {"pre-authorized": {"emails": ["grace@example.org", "alan@example.org"]}}
authenticator = stauth.Authenticate("config.yaml", cookie_name="tea", cookie_key="secret", cookie_expiry_days=30)


def note(event):
    st.session_state.setdefault("events", []).append(event)


try:
    authenticator.login(fields={"Form name": "Come in"}, callback=note)
except LoginError as e:
    st.error(e)

if st.session_state["authentication_status"]:
    authenticator.logout()
    try:
        if authenticator.reset_password(st.session_state["username"], callback=note):
            st.success("Password modified successfully")
    except ResetError as e:
        st.error(e)
    try:
        if authenticator.update_user_details(st.session_state["username"], location="sidebar", callback=note):
            st.success("Entries updated successfully")
    except UpdateError as e:
        st.error(e)
    st.write(f"Welcome *{st.session_state['name']}*")
else:
    try:
        email, username, name = authenticator.register_user(
            pre_authorized=config["pre-authorized"]["emails"],
            domains=["example.org"],
            fields={"Register": "Join", "Email": "E-mail"},
            roles=["viewer"],
            password_hint=True,
            callback=note,
        )
        if email:
            st.success("User registered successfully")
            st.session_state["registered"] = (email, username, name)
            st.session_state["left over"] = list(config["pre-authorized"]["emails"])
    except RegisterError as e:
        st.error(e)
    try:
        found = authenticator.forgot_password(captcha=True, two_factor_auth=True, callback=note)
        if found:
            st.success("New password to be sent securely")
        elif found.username is False:
            st.error("Username not found")
        st.session_state["password result"] = tuple(found)
    except ForgotError as e:
        st.error(e)
    try:
        username, email = authenticator.forgot_username(send_email=True, callback=note)
        if username:
            st.success("Username to be sent securely")
        elif username is False:
            st.error("Email not found")
    except ForgotError as e:
        st.error(e)
