"""Front-channel logout: the page after a sign-out loads what each app registered, and nothing else."""

import base64
import hashlib
import re

import pytest

from idp.errors import InvalidInputError
from tests.factories import REDIRECT_URI
from tests.oidc.frames import query_of_frame, read_signing_out
from tests.relying_party import RelyingParty, the_form

BACK = "https://app.example.org/bye"
LISTENS = "https://app.example.org/frontchannel-logout"


@pytest.fixture
def told(relying_party, ada) -> RelyingParty:
    """An app that can only be told in the browser."""
    return relying_party(frontchannel_logout_uri=LISTENS, post_logout_redirect_uris=(BACK,))


def press_sign_out(party):
    """Press our own button."""
    token = the_form(party.browser.get("/account/password").text)["fields"]["csrf_token"]
    return party.browser.post("/sign-out", data={"csrf_token": token})


def test_by_an_app_s_request_and_back_to_it(told):
    tokens = told.log_in()
    page = read_signing_out(
        told.request_logout(id_token_hint=tokens.id_token, post_logout_redirect_uri=BACK, state="a&b")
    )
    assert page.goes_on == BACK + "?state=a%26b"
    (frame,) = page.frames
    assert frame.startswith(LISTENS + "?")
    assert query_of_frame(frame) == {"iss": [told.issuer], "sid": [tokens.claims["sid"]]}
    assert told.ask(prompt="none").error == "login_required"


def test_by_our_own_button(told):
    tokens = told.log_in()
    page = read_signing_out(press_sign_out(told))
    assert page.goes_on == "/signed-out"
    assert [query_of_frame(frame)["sid"] for frame in page.frames] == [[tokens.claims["sid"]]]
    assert told.ask(prompt="none").error == "login_required"


def test_by_ending_one_s_own_session_in_the_list(told):
    tokens = told.log_in()
    token = the_form(told.browser.get("/account/sessions").text)["fields"]["csrf_token"]
    page = read_signing_out(
        told.browser.post("/account/sessions", data={"csrf_token": token, "end": tokens.claims["sid"]})
    )
    assert len(page.frames) == 1


def test_after_a_confirmation(told):
    tokens = told.log_in()
    asked = told.request_logout(client_id=told.metadata.client_id, post_logout_redirect_uri=BACK)
    page = read_signing_out(told.submit(asked, "logout-confirm"))
    assert page.goes_on == BACK
    assert query_of_frame(page.frames[0])["sid"] == [tokens.claims["sid"]]


def test_every_app_that_the_session_reached_and_no_other(told, relying_party):
    other = "https://other.example.org"
    second = relying_party(
        told.browser, redirect_uris=(f"{other}:8443/cb",), frontchannel_logout_uri=f"{other}:8443/out?tenant=a%20b"
    )
    third = relying_party(told.browser, frontchannel_logout_uri=LISTENS)  # the same address as the first
    without = relying_party(told.browser)
    relying_party(frontchannel_logout_uri=f"{REDIRECT_URI}/never-reached")
    tokens = told.log_in()
    for party in (second, third, without):
        party.log_in()
    page = read_signing_out(told.request_logout(id_token_hint=tokens.id_token))
    assert [frame.split("?")[0] for frame in page.frames] == [LISTENS, f"{other}:8443/out"]
    assert query_of_frame(page.frames[1]) == {
        "tenant": ["a b"],
        "iss": [told.issuer],
        "sid": [tokens.claims["sid"]],
    }
    assert page.policy["frame-src"] == f"https://app.example.org {other}:8443"


def test_the_policy_admits_these_frames_and_this_script_alone(told):
    tokens = told.log_in()
    response = told.request_logout(id_token_hint=tokens.id_token)
    policy = read_signing_out(response).policy
    (script,) = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "script-src": f"'sha256-{digest}'",
        "frame-src": "https://app.example.org",
    }
    assert not re.search(r"=>|\b(let|const|async|class)\b|`", script), "ES5 only"


def test_both_channels_at_once(relying_party, ada, listening_app, send_due):
    party = relying_party(frontchannel_logout_uri=LISTENS, backchannel_logout_uri=listening_app.url)
    tokens = party.log_in()
    assert len(read_signing_out(party.request_logout(id_token_hint=tokens.id_token)).frames) == 1
    assert send_due()["notice_sent"] == 1


def test_a_session_that_reached_nobody_who_listens_ends_with_a_redirect(rp):
    tokens = rp.log_in()
    assert rp.request_logout(id_token_hint=tokens.id_token).status_code == 303


def test_a_second_sign_out_finds_nobody_to_tell(told):
    tokens = told.log_in()
    told.request_logout(id_token_hint=tokens.id_token)
    again = told.request_logout(id_token_hint=tokens.id_token, post_logout_redirect_uri=BACK)
    assert (again.status_code, again.headers["Location"]) == (303, BACK)


def test_the_cookie_goes_with_the_page(told):
    tokens = told.log_in()
    response = told.request_logout(id_token_hint=tokens.id_token)
    assert any(cookie.startswith("idp_session=;") for cookie in response.headers.getlist("Set-Cookie"))


@pytest.mark.parametrize(
    "uri",
    [
        "https://elsewhere.example.org/out",
        "https://app.example.org:8443/out",
        "http://app.example.org/out",
        "https://app.example.org.evil.example/out",
        "https://app.example.org@evil.example/out",
        "https://app.example.org;script-src *//out",
        "javascript:alert(1)",
        "org.example.app:/out",
    ],
)
def test_the_address_belongs_to_the_app(uri, relying_party):
    """Of the origin of a redirect URI (section 2); what could break out of the page's policy is no URI at all."""
    with pytest.raises(InvalidInputError) as refused:
        relying_party(frontchannel_logout_uri=uri)
    assert list(refused.value.faults) == ["frontchannel_logout_uri"]


def test_what_apps_without_it_pay_for_a_sign_out(rp, relying_party, counted):
    """Who is to be told by either channel is one question; another is whether the hint's key is still ours."""
    tokens = rp.log_in()
    with counted() as traffic:
        rp.request_logout(id_token_hint=tokens.id_token)
    assert len(traffic.statements) == 7, "\n\n".join(traffic.statements)
    assert traffic.commits == 1
