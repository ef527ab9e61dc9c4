"""The OpenID Foundation's Session Management plan, row by row (`oidcc-session-management-...` modules).

What our frame's script says in a real browser is in `tests/browser/test_logout_in_browser.py`; here its sum is done
anew.
"""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from tests.oidc.checking_session import ask_frame
from tests.relying_party import RelyingParty

SIGNED_OUT = "https://app.example.org/signed-out"


@pytest.fixture
def settings(settings):
    """Session management is on."""
    return replace(settings, session_management="on")


def test_oidcc_session_management_discovery_endpoint_verification(settings, make_app, make_client):
    issuer = "https://login.example.org"
    app = make_app(replace(settings, issuer=issuer))
    metadata, secret = make_client()
    rp = RelyingParty(app.test_client(), issuer, metadata, secret)
    assert rp.discovery["check_session_iframe"] == f"{issuer}/oauth/check-session"
    assert rp.discovery["end_session_endpoint"].startswith("https://")
    page = rp.browser.get(urlsplit(rp.discovery["check_session_iframe"]).path, base_url=issuer)
    assert (page.status_code, page.mimetype) == (200, "text/html")


def test_oidcc_session_management_rp_initiated_logout(relying_party, ada):
    rp = relying_party(post_logout_redirect_uris=(SIGNED_OUT,))
    answer = rp.authorize()
    session_state = answer.parameters["session_state"]
    tokens = rp.redeem(answer.code)
    assert ask_frame(rp, session_state) == "unchanged"
    response = rp.request_logout(id_token_hint=tokens.id_token, post_logout_redirect_uri=SIGNED_OUT, state="s")
    assert response.headers["Location"] == SIGNED_OUT + "?state=s"
    assert ask_frame(rp, session_state) == "changed"
    assert rp.ask(prompt="none").error == "login_required"
