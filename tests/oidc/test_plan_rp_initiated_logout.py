"""The OpenID Foundation's RP-Initiated Logout plan, row by row (`oidcc-rp-initiated-logout` modules)."""

import json

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.oidc.test_plan_basic import unsigned
from tests.relying_party import RelyingParty, decode, query_of, shown_error

SIGNED_OUT = "https://app.example.org/signed-out"


@pytest.fixture
def rp(relying_party, ada) -> RelyingParty:
    """An app with a place to return to after sign-out."""
    return relying_party(post_logout_redirect_uris=(SIGNED_OUT,))


def is_signed_in(rp: RelyingParty) -> bool:
    """Ask as an app does."""
    answer = rp.ask(prompt="none")
    assert answer.error in (None, "login_required")
    return answer.error is None


def assert_asks(rp: RelyingParty, response) -> None:
    """The person is asked, the browser goes nowhere, nobody is signed out yet."""
    assert response.status_code == 200
    assert 'id="logout-confirm"' in response.text
    assert is_signed_in(rp)


def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(rp):
    assert rp.discovery["end_session_endpoint"].startswith(rp.issuer + "/")


def test_oidcc_rp_initiated_logout(rp):
    tokens = rp.log_in()
    response = rp.request_logout(
        id_token_hint=tokens.id_token, post_logout_redirect_uri=SIGNED_OUT, state="state of the sign-out"
    )
    assert response.status_code == 303
    assert response.headers["Location"].startswith(SIGNED_OUT + "?")
    assert query_of(response) == {"state": ["state of the sign-out"]}
    assert not is_signed_in(rp)


def test_oidcc_rp_initiated_logout_no_state(rp):
    tokens = rp.log_in()
    response = rp.request_logout(id_token_hint=tokens.id_token, post_logout_redirect_uri=SIGNED_OUT)
    assert response.headers["Location"] == SIGNED_OUT
    assert not is_signed_in(rp)


def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(rp):
    tokens = rp.log_in()
    response = rp.request_logout(
        id_token_hint=tokens.id_token, post_logout_redirect_uri="https://evil.example.org/", state="s"
    )
    assert shown_error(response).parameter == "post_logout_redirect_uri"
    assert is_signed_in(rp)


def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(rp):
    tokens = rp.log_in()
    response = rp.request_logout(id_token_hint=tokens.id_token, post_logout_redirect_uri=SIGNED_OUT + "?foo=bar")
    assert shown_error(response).parameter == "post_logout_redirect_uri"
    assert is_signed_in(rp)


def test_oidcc_rp_initiated_logout_no_id_token_hint(rp):
    rp.log_in()
    response = rp.request_logout(post_logout_redirect_uri=SIGNED_OUT, state="s")
    assert shown_error(response).parameter == "id_token_hint"
    assert is_signed_in(rp)


def test_oidcc_rp_initiated_logout_modified_id_token_hint(rp):
    tokens = rp.log_in()
    claims = json.loads(decode(tokens.id_token.split(".")[1]))
    response = rp.request_logout(id_token_hint=unsigned(claims), post_logout_redirect_uri=SIGNED_OUT, state="s")
    assert shown_error(response).parameter == "id_token_hint"
    assert is_signed_in(rp)


def test_oidcc_rp_initiated_logout_bad_id_token_hint(rp):
    """A hint that the app has signed itself, under our own `kid`."""
    tokens = rp.log_in()
    header, claims = (json.loads(decode(part)) for part in tokens.id_token.split(".")[:2])
    forged = jwt.encode({"alg": "RS256", "kid": header["kid"]}, claims, RSAKey.generate_key(2048))
    response = rp.request_logout(id_token_hint=forged, post_logout_redirect_uri=SIGNED_OUT, state="s")
    assert shown_error(response).parameter == "id_token_hint"
    assert is_signed_in(rp)


def test_oidcc_rp_initiated_logout_no_params(rp):
    rp.log_in()
    page = rp.request_logout()
    assert_asks(rp, page)
    done = rp.follow(rp.submit(page, "logout-confirm"))
    assert done.status_code == 200
    assert done.request.path == "/signed-out"
    assert not is_signed_in(rp)


def test_oidcc_rp_initiated_logout_only_state(rp):
    rp.log_in()
    page = rp.request_logout(state="s")
    assert_asks(rp, page)
    done = rp.follow(rp.submit(page, "logout-confirm"))
    assert done.request.path == "/signed-out"
    assert done.request.query_string == b""
    assert not is_signed_in(rp)


def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(rp):
    tokens = rp.log_in()
    done = rp.follow(rp.request_logout(id_token_hint=tokens.id_token, state="s"))
    assert done.status_code == 200
    assert done.request.path == "/signed-out"
    assert not is_signed_in(rp)
