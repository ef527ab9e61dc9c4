"""The OpenID Foundation's Back-Channel Logout plan, row by row (`oidcc-backchannel-...` modules)."""

from tests.oidc.listening import read_logout_token
from tests.relying_party import query_of

SIGNED_OUT = "https://app.example.org/signed-out"


def test_oidcc_backchannel_logout_discovery_endpoint_verification(rp):
    assert rp.discovery["backchannel_logout_supported"] is True
    assert rp.discovery["backchannel_logout_session_supported"] is True
    assert rp.discovery["end_session_endpoint"].startswith(rp.issuer + "/")


def test_oidcc_backchannel_rp_initiated_logout(relying_party, ada, listening_app, send_due, clock):
    rp = relying_party(
        post_logout_redirect_uris=(SIGNED_OUT,),
        backchannel_logout_uri=listening_app.url,
        backchannel_logout_session_required=True,
    )
    tokens = rp.log_in()
    response = rp.request_logout(
        id_token_hint=tokens.id_token, post_logout_redirect_uri=SIGNED_OUT, state="state of the sign-out"
    )
    assert response.headers["Location"].split("?")[0] == SIGNED_OUT
    assert query_of(response) == {"state": ["state of the sign-out"]}
    assert send_due()["notice_sent"] == 1
    (token,) = listening_app.tokens
    claims = read_logout_token(token, rp)
    assert set(claims) == {"iss", "aud", "iat", "exp", "jti", "sub", "sid", "events"}
    assert claims["iat"] == int(clock.time)
    assert (claims["sub"], claims["sid"]) == (tokens.claims["sub"], tokens.claims["sid"])
    assert rp.ask(prompt="none").error == "login_required"
