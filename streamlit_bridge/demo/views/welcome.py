"""The public page: anybody may read it."""

import streamlit as st

st.title("Welcome to the Tea House")
if st.session_state["authentication_status"]:
    st.markdown("Good to see you. You are signed in; your name in the sidebar opens your account menu.")
else:
    st.markdown("This small app shows single sign-on at work. This page is open to everybody, so look around first.")

public, members, office = st.columns(3)
with public.container(border=True, height="stretch"):
    st.markdown("##### :material/public: Welcome")
    st.caption("Open to everybody, and you are here.")
with members.container(border=True, height="stretch"):
    st.markdown("##### :material/groups: Tastings")
    st.caption("For every signed-in user.")
    st.page_link("views/tastings.py", label="Go to the tastings")
with office.container(border=True, height="stretch"):
    st.markdown("##### :material/lock: Office")
    st.caption("For users with the role `admin`.")
    st.page_link("views/office.py", label="Go to the office")

st.subheader("Things to try", anchor=False)
st.markdown(
    """
1. **Follow a deep link.** While signed out, open
   [tastings in Uji with four guests](/tastings?region=Uji&guests=4). You sign in once and arrive exactly there.
2. **Make an account, or change yours.** All of it works [inside this app](/account-widgets), in forms that are one
   call each, and on the provider's own pages.
3. **Knock at the office.** Without the role `admin` you are told so, instead of being asked to sign in again.
4. **Open a second app** that uses the same provider: there you are signed in already.
5. **Sign out.** The session ends at the provider, so every app notices: this one at once, the others within a minute.
"""
)
