"""Session management: what the browser state is, when it changes, and who may see it."""

import re
from dataclasses import replace

import pytest

from idp.accounts import sessions
from idp.accounts.visitor import OPERATOR
from idp.oidc.client_uris import origin_of
from idp.web.inline_scripts import inline_script
from idp.web.security import HEADERS
from tests.factories import PASSWORD
from tests.oidc.checking_session import ask_frame, browser_state
from tests.relying_party import RelyingParty, the_form

FRAME = "/oauth/check-session"


@pytest.fixture
def settings(settings):
    """Session management is on."""
    return replace(settings, session_management="on")


def state_after(rp, **changes) -> str:
    """Return the session state of a silent answer."""
    return rp.ask(**changes).parameters["session_state"]


# -- When it changes -------------------------------------------------------------------------


def test_it_holds_while_nothing_happens(rp, clock):
    rp.log_in()
    first, before = state_after(rp), browser_state(rp)
    clock.advance(86_400)
    rp.browser.get("/account")
    rp.request_logout()  # the person is asked, and no more
    second = state_after(rp)
    assert browser_state(rp) == before
    assert first != second  # the salt is new each time
    assert ask_frame(rp, first) == ask_frame(rp, second) == "unchanged"


def test_it_is_another_for_each_app_and_origin(rp, relying_party):
    other = relying_party(rp.browser, redirect_uris=("https://other.example.org:8443/cb",))
    rp.log_in()
    states = state_after(rp), state_after(other)
    assert [ask_frame(rp, state) for state in states] == ["unchanged", "changed"]
    assert [ask_frame(other, state) for state in states] == ["changed", "unchanged"]
    assert ask_frame(rp, states[0], "https://evil.example.org/cb") == "changed"


def test_a_sign_out_at_our_own_page_changes_it(rp):
    rp.log_in()
    state = state_after(rp)
    token = the_form(rp.browser.get("/account/password").text)["fields"]["csrf_token"]
    rp.browser.post("/sign-out", data={"csrf_token": token})
    assert browser_state(rp) == ""
    assert ask_frame(rp, state) == "changed"


def test_a_sign_in_changes_it(rp, clock):
    rp.log_in()
    state = state_after(rp)
    clock.advance(5)
    renewed = rp.authorize(prompt="login").parameters["session_state"]
    assert (ask_frame(rp, state), ask_frame(rp, renewed)) == ("changed", "unchanged")


def test_somebody_else_s_sign_in_changes_it(rp, make_user):
    make_user("bob")
    rp.log_in()
    state = state_after(rp)
    rp.sign_in(rp.sign_in_page(prompt="login", login_hint="bob"), "bob")
    assert ask_frame(rp, state) == "changed"


def test_a_changed_password_leaves_this_browser_alone(rp):
    rp.log_in()
    state = state_after(rp)
    token = the_form(rp.browser.get("/account/password").text)["fields"]["csrf_token"]
    form = {"csrf_token": token, "current_password": PASSWORD, "new_password": "kettle orbit mustard lantern"}
    assert rp.browser.post("/account/password", data=form).status_code == 303
    assert ask_frame(rp, state) == "unchanged"


def test_the_cookie_lasts_as_long_as_an_idle_session(rp, settings, clock):
    rp.log_in()

    def lasts() -> str:
        (cookie,) = (
            each for each in rp.browser.get("/account").headers.getlist("Set-Cookie") if "browser_state" in each
        )
        return re.findall(r"Max-Age=(\d+)", cookie)[0]

    assert lasts() == str(settings.session_idle_lifetime)
    for _ in range(5):
        clock.advance(settings.session_idle_lifetime - 1)
        shown = lasts()
        if shown != str(settings.session_idle_lifetime):
            break
    assert int(shown) < settings.session_idle_lifetime  # its absolute age comes first


@pytest.mark.parametrize("how", ["idle", "from elsewhere"])
def test_who_comes_back_after_the_session_s_end_loses_it(how, rp, settings, clock, db):

    tokens = rp.log_in()
    state = state_after(rp)
    kept = browser_state(rp)
    if how == "idle":
        clock.advance(settings.session_idle_lifetime)
    else:
        sessions.end_session(db, OPERATOR, tokens.claims["sid"], reason="ended_by_operator")
        db.commit()
    rp.browser.set_cookie("idp_browser_state", kept)
    assert rp.browser.get("/account").status_code != 200
    assert browser_state(rp) == ""
    assert ask_frame(rp, state) == "changed"


def test_a_request_without_the_session_s_cookie_leaves_it_alone(rp):
    """Frames and forms of other sites come without it, and say nothing of the browser's session."""
    rp.log_in()
    rp.browser.delete_cookie("idp_session")
    response = rp.browser.get("/sign-in")
    assert not any("browser_state" in cookie for cookie in response.headers.getlist("Set-Cookie"))
    assert browser_state(rp)


@pytest.mark.parametrize(
    ("response_type", "response_mode"), [("code", "form_post"), ("code id_token", None), ("id_token", "form_post")]
)
def test_it_comes_with_every_kind_of_answer(settings, make_app, make_client, ada, response_type, response_mode):
    app = make_app(replace(settings, response_types="all"))
    metadata = {
        "grant_types": ("authorization_code", "implicit"),
        "response_types": ("code", "id_token", "code id_token"),
    }
    rp = RelyingParty(app.test_client(), settings.issuer, *make_client(**metadata))
    answer = rp.authorize(response_type=response_type, response_mode=response_mode)
    assert ask_frame(rp, answer.parameters["session_state"]) == "unchanged"


# -- Who gets it -------------------------------------------------------------------------------


def test_errors_and_refusals_tell_none(rp):
    assert "session_state" not in rp.ask(prompt="none").parameters
    rp.log_in()
    assert "session_state" not in rp.ask(prompt="none", max_age="junk").parameters


def test_an_app_with_a_private_scheme_gets_none(public_rp):
    public_rp.log_in()
    public_rp.redirect_uri = "org.example.app:/callback"
    response = public_rp.send()
    assert "code=" in response.headers["Location"]
    assert "session_state" not in response.headers["Location"]


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("https://App.Example.ORG/cb?x=1", "https://app.example.org"),
        ("https://app.example.org:443/", "https://app.example.org"),
        ("http://localhost:80/", "http://localhost"),
        ("http://127.0.0.1:8501/cb", "http://127.0.0.1:8501"),
        ("http://[0:0::1]:8501/cb", "http://[::1]:8501"),
        ("https://app.example.org:80/", "https://app.example.org:80"),
        ("org.example.app:/cb", None),
        ("org.example.app://host/cb", None),
    ],
)
def test_origins_are_written_as_browsers_do(uri, origin):
    assert origin_of(uri) == origin


def test_it_is_off_unless_the_operator_wants_it(settings, make_app, make_client, ada):
    app = make_app(replace(settings, session_management="off"))
    rp = RelyingParty(app.test_client(), settings.issuer, *make_client())
    assert "check_session_iframe" not in rp.discovery
    assert "session_state" not in rp.authorize().parameters
    assert browser_state(rp) == ""
    page = rp.browser.get(FRAME)
    assert page.status_code == 404
    assert page.headers["X-Frame-Options"] == "DENY"


# -- The cookie and the frame --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("issuer", "name", "expected"),
    [
        ("http://localhost:8000", "idp_browser_state", {"SameSite=Lax"}),
        ("https://login.example.org", "__Host-idp_browser_state", {"SameSite=None", "Secure"}),
    ],
)
def test_scripts_and_frames_may_read_the_cookie(settings, make_app, ada, issuer, name, expected):
    browser = make_app(replace(settings, issuer=issuer)).test_client()
    token = the_form(browser.get("/sign-in", base_url=issuer).text)["fields"]["csrf_token"]
    form = {"username": "ada", "password": PASSWORD, "csrf_token": token}
    answer = browser.post("/sign-in", base_url=issuer, data=form)
    (cookie,) = (each for each in answer.headers.getlist("Set-Cookie") if "browser_state" in each)
    attributes = {part.strip() for part in cookie.split(";")[1:]}
    assert re.fullmatch(f"{name}=[0-9a-f]{{32}}", cookie.split(";")[0])
    assert {each for each in attributes if each.startswith(("SameSite", "Secure", "HttpOnly", "Domain"))} == expected
    assert "Path=/" in attributes


def test_it_tells_nothing_of_session_or_person(rp, settings, ada):
    tokens = rp.log_in()
    shown = browser_state(rp)
    for secret in (rp.browser.get_cookie("idp_session").value, tokens.claims["sid"], ada.id):
        assert secret not in shown
    assert rp.browser.get_cookie("idp_session").http_only


def test_the_cookie_opens_nothing(rp, app):
    rp.log_in()
    thief = app.test_client()
    thief.set_cookie("idp_browser_state", browser_state(rp))
    thief.set_cookie("idp_session", browser_state(rp))
    assert thief.get("/account").status_code == 303


def test_any_page_may_frame_it_and_no_other_page_of_ours(rp):
    page = rp.browser.get(FRAME)
    assert "X-Frame-Options" not in page.headers
    policy = page.headers["Content-Security-Policy"]
    assert policy == f"default-src 'none'; base-uri 'none'; script-src {inline_script('check_session.js').source}"
    assert page.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Set-Cookie" not in page.headers
    for path in ("/sign-in", "/oauth/end-session", "/signed-out", FRAME + "/"):
        answer = rp.browser.get(path)
        assert answer.headers["X-Frame-Options"] == HEADERS["X-Frame-Options"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_it_costs_no_statement(rp, counted):
    rp.log_in()
    with counted() as traffic:
        assert rp.browser.get(FRAME).status_code == 200
    assert traffic.statements == []


def test_its_script_is_for_any_browser(rp):
    script = re.sub(r"/\*.*?\*/", "", inline_script("check_session.js").content, flags=re.DOTALL)
    assert not re.search(r"=>|\b(let|const|async|class|subtle)\b|`", script)
    assert "</" not in script
