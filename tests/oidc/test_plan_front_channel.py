"""The OpenID Foundation's Front-Channel Logout plan, row by row (`oidcc-frontchannel-...` modules)."""

from tests.oidc.frames import query_of_frame, read_signing_out
from tests.relying_party import query_of

SIGNED_OUT = "https://app.example.org/signed-out"
LISTENS = "https://app.example.org/frontchannel-logout"


def test_oidcc_frontchannel_logout_discovery_endpoint_verification(rp):
    assert rp.discovery["frontchannel_logout_supported"] is True
    assert rp.discovery["frontchannel_logout_session_supported"] is True
    assert rp.discovery["end_session_endpoint"].startswith(rp.issuer + "/")


def test_oidcc_frontchannel_rp_initiated_logout(relying_party, ada):
    """A frame with exactly `iss` and `sid`, then the redirect with the state."""
    rp = relying_party(
        post_logout_redirect_uris=(SIGNED_OUT,),
        frontchannel_logout_uri=LISTENS,
        frontchannel_logout_session_required=True,
    )
    tokens = rp.log_in()
    response = rp.request_logout(
        id_token_hint=tokens.id_token, post_logout_redirect_uri=SIGNED_OUT, state="state of the sign-out"
    )
    page = read_signing_out(response)
    (frame,) = page.frames
    assert frame.split("?")[0] == LISTENS
    assert query_of_frame(frame) == {"iss": [rp.issuer], "sid": [tokens.claims["sid"]]}
    response.headers["Location"] = page.goes_on
    assert page.goes_on.split("?")[0] == SIGNED_OUT
    assert query_of(response) == {"state": ["state of the sign-out"]}
    assert rp.ask(prompt="none").error == "login_required"
