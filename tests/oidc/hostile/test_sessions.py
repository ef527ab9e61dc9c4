"""Other people's sessions (OWASP session management; RFC 9700 sections 4.7, 4.16): fixed, planted, kept, guessed."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from idp.models import BrowserSession
from tests.factories import PASSWORD
from tests.web.page_driver import form_with, location, press, sign_in

ISSUER = "https://login.example.org"


def cookie(browser, name="idp_session"):
    """Return the value of a cookie, or nothing."""
    found = browser.get_cookie(name)
    return found.value if found else ""


@pytest.fixture
def mallory(app, make_user, ada):
    """The attacker's browser, signed in."""
    make_user("mallory")
    browser = app.test_client()
    sign_in(browser, "mallory")
    return browser


@pytest.mark.parametrize("planted", ["own", "made up", "digest"])
def test_session_fixation(app, mallory, db, planted):
    """Session fixation: a cookie that the attacker planted before sign-in is worth nothing afterwards."""
    values = {
        "own": cookie(mallory),
        "made up": "x" * 43,
        "digest": db.scalars(select(BrowserSession.token_digest)).first(),
    }
    victim = app.test_client()
    victim.set_cookie("idp_session", values[planted])
    page = victim.get("/sign-in", query_string={"other": "1"})
    assert press(victim, page, "login-submit", username="ada", password=PASSWORD).status_code == 303
    assert cookie(victim) != values[planted]
    thief = app.test_client()
    thief.set_cookie("idp_session", values[planted])
    assert location(thief.get("/account")).startswith("/sign-in")
    assert "ada" in victim.get("/account").text


def test_a_planted_browser_cookie_opens_no_form_after_sign_in(app, ada, make_user, stranger):
    """Cookie tossing: who planted the browser's cookie knows a token for its forms, until somebody signs in there."""
    attacker, victim = app.test_client(), app.test_client()
    _, fields = form_with(attacker.get("/sign-in"), "login-submit")
    victim.set_cookie("idp_browser", cookie(attacker, "idp_browser"))
    sign_in(victim)
    for path in ("/account/profile", "/account/email", "/account/sessions", "/consent", "/sign-out", "/device"):
        refused = victim.post(path, data={"csrf_token": fields["csrf_token"], "end": "others", "action": "allow"})
        assert refused.status_code in (303, 400, 422), path
        assert "idp_session" not in str(refused.headers.getlist("Set-Cookie")), path
    assert victim.get("/account").status_code == 200


def test_over_https_no_neighbour_plants_a_cookie(settings, make_app, make_user):
    """Cookie tossing by a sibling domain (RFC 6265bis section 4.1.3): only `__Host-` names are read, to the letter."""
    make_user()
    app = make_app(replace(settings, issuer=ISSUER))
    browser = app.test_client()
    page = browser.get("/sign-in", base_url=ISSUER)
    _, fields = form_with(page, "login-submit")
    form = {**fields, "username": "ada", "password": PASSWORD}
    answer = browser.post("/sign-in", data=form, base_url=ISSUER)
    session = next(line for line in answer.headers.getlist("Set-Cookie") if line.startswith("__Host-idp_session="))
    value = session.split("=", 1)[1].split(";")[0]
    assert "Domain" not in session
    bare = app.test_client(use_cookies=False)
    for name, status in {
        "__Host-idp_session": 200,
        "idp_session": 303,
        "__host-idp_session": 303,
        "__Secure-idp_session": 303,
        "\xa0__Host-idp_session": 303,
        "\x85__Host-idp_session": 303,
    }.items():
        found = bare.get("/account", base_url=ISSUER, headers={"Cookie": f"{name}={value}"})
        assert found.status_code == status, name


def test_of_two_cookies_no_third_session_comes(app, mallory, ada):
    """Cookie tossing with two cookies of one name: one of the two counts, whichever, and nothing breaks."""
    victim = app.test_client()
    sign_in(victim)
    bare = app.test_client(use_cookies=False)
    for first, second in ((cookie(mallory), cookie(victim)), (cookie(victim), "x"), ("x", cookie(victim)), ("", "")):
        answer = bare.get("/account", headers={"Cookie": f"idp_session={first}; idp_session={second}; idp_session"})
        assert answer.status_code in (200, 303)


def test_no_old_cookie_lives_on(app, ada, make_user):
    """A copied cookie: dead after signing in again, after somebody else signed in there, and after sign-out."""
    make_user("zoe")
    browser = app.test_client()
    kept = []
    for username in ("ada", "ada", "zoe"):
        page = browser.get("/sign-in", query_string={"other": "1"})
        press(browser, page, "login-submit", username=username, password=PASSWORD)
        kept.append(cookie(browser))
    press(browser, browser.get("/account"), "sign-out")
    assert len(set(kept)) == 3
    for value in kept:
        thief = app.test_client()
        thief.set_cookie("idp_session", value)
        assert location(thief.get("/account")).startswith("/sign-in")


def test_what_is_public_about_a_session_opens_nothing(target, db):
    """The `sid` of an ID token, a session's row, an access token: none of them is its cookie."""
    tokens = target.log_in()
    row = db.execute(select(BrowserSession)).scalars().one()
    for value in (tokens.claims["sid"], row.id, row.token_digest, tokens.access_token, tokens.id_token, row.user_id):
        thief = target.browser.application.test_client()
        thief.set_cookie("idp_session", value)
        assert location(thief.get("/account")).startswith("/sign-in")


def test_who_signs_in_over_somebody_gets_nothing_of_theirs(target, make_user):
    """A shared computer: what one person allowed does not count for the next, nor does their parked request answer."""
    make_user("zoe")
    target.log_in()
    assert target.ask(prompt="none").code
    page = target.browser.get("/sign-in", query_string={"other": "1"})
    press(target.browser, page, "login-submit", username="zoe", password=PASSWORD)
    assert target.ask(prompt="none").error == "consent_required"


def test_a_request_is_answered_for_who_signed_in_for_it(target, app, make_user):
    """Session swapping (RFC 9700 section 4.7): another person who signs in meanwhile is asked anew."""
    make_user("zoe")
    page = target.sign_in_page()
    consent = target.sign_in(page)
    assert 'id="consent-allow"' in consent.text
    other = target.browser.get("/sign-in", query_string={"other": "1"})
    press(target.browser, other, "login-submit", username="zoe", password=PASSWORD)
    answer = target.submit(consent, "consent-allow")
    followed = target.follow(answer) if answer.status_code == 303 else answer
    assert "code=" not in followed.headers.get("Location", ""), "a form of Ada's session says nothing for Zoe"


def test_cookies_go_nowhere_they_should_not(app, ada):
    """Theft of the cookie: out of reach of scripts, not sent along from other sites, and never in an address."""
    browser = app.test_client()
    answer = sign_in(browser)
    lines = answer.headers.getlist("Set-Cookie")
    (session,) = [line for line in lines if line.startswith("idp_session=")]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in session.split(";")}
    assert cookie(browser) not in answer.headers["Location"] + browser.get("/account").text
