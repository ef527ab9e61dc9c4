"""The account widgets: each is one call, and what it returns or raises is shown as apps usually do."""

import streamlit as st

from streamlit_bridge import Authenticate, BridgeError

auth = Authenticate()
is_signed_in = bool(st.session_state["authentication_status"])


def show_register() -> None:
    """Make an account: the address has to be proved through a mailed link."""
    st.caption("Choose a captcha or a mailed code to see how they look.")
    left, right = st.columns(2)
    captcha = left.toggle("Captcha", key="demo captcha")
    code = right.toggle("Mailed code", key="demo code")
    try:
        email, _, _ = auth.register_user(captcha=captcha, two_factor_auth=code)
        if email:
            st.success("Registered. The link is in the outbox.", icon=":material/check_circle:")
    except BridgeError as error:
        st.error(error)


def show_forgot_password() -> None:
    """Start again without the password."""
    try:
        username, _, password = auth.forgot_password()
        if password:
            st.success("This app may hand out one-time passwords, and has one for this user to deliver safely.")
        elif username:
            st.success("If that account exists, its mailbox has a link now.", icon=":material/check_circle:")
        elif username is False:
            st.error("Username not found")
    except BridgeError as error:
        st.error(error)


def show_forgot_username() -> None:
    """Find out the user name."""
    try:
        username, _ = auth.forgot_username()
        if username:
            st.success("If that address has an account, the name is in its mailbox.", icon=":material/check_circle:")
        elif username is False:
            st.error("Email not found")
    except BridgeError as error:
        st.error(error)


def show_reset_password() -> None:
    """Change the password; other sessions end, this one goes on."""
    try:
        if auth.reset_password(st.session_state["username"]):
            st.success("Password changed. Your other sessions have ended.", icon=":material/check_circle:")
    except BridgeError as error:
        st.error(error)


def show_update_details() -> None:
    """Change name or address; a new name shows in the sidebar with the next click."""
    try:
        if auth.update_user_details(st.session_state["username"]):
            st.success("Saved.", icon=":material/check_circle:")
    except BridgeError as error:
        st.error(error)


st.title("Account widgets")
if is_signed_in:
    st.markdown("You are signed in, so you can change your account here, beside the widgets for visitors.")
    widgets = {"Change my details": show_update_details, "Change my password": show_reset_password}
else:
    st.markdown(
        "For visitors there are three. Sign in and you find two more: one for your name, one for your password."
    )
    widgets = {}
widgets |= {
    "Register": show_register,
    "Forgot password": show_forgot_password,
    "Forgot user name": show_forgot_username,
}
for tab, show in zip(st.tabs(list(widgets)), widgets.values(), strict=True):
    with tab:
        show()
told = "Every form speaks to the provider's account API. No password is kept in this app."
if account_url := auth.account_url():
    told += f" What is mailed lies in its [outbox]({account_url.removesuffix('account')}outbox)."
st.caption(told)
