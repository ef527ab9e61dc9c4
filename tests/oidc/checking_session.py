"""What the frame of session management says, done anew in Python: from the specification, not from our own code."""

import hashlib
from urllib.parse import urlsplit

from tests.relying_party import RelyingParty


def browser_state(rp: RelyingParty) -> str:
    """Return what a script of the provider reads from the cookie in this browser."""
    cookie = rp.browser.get_cookie("idp_browser_state")
    return cookie.value if cookie else ""


def ask_frame(rp: RelyingParty, session_state: str, redirect_uri: str = "") -> str:
    """Say whether a session state still holds (OpenID Connect Session Management 1.0 section 3.2)."""
    digest, _, salt = session_state.partition(".")
    url = urlsplit(redirect_uri or rp.redirect_uri)
    text = f"{rp.metadata.client_id} {url.scheme}://{url.netloc} {browser_state(rp)} {salt}"
    return "unchanged" if hashlib.sha256(text.encode()).hexdigest() == digest else "changed"
