"""The account's own pages: home, password, sessions, sign-out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from idp import clock as provider_clock
from idp.accounts.sessions import start_session
from idp.accounts.visitor import Visitor
from idp.models import BrowserSession, User
from idp.oidc.reached_apps import ReachedApp
from idp.settings import Settings
from idp.web import context
from idp.web.pages import moments, sessions
from idp.web.pages.devices import describe_device
from tests.conftest import Clock
from tests.factories import PASSWORD
from tests.relying_party import RelyingParty
from tests.web.page_driver import asked_in, form_with, location, press, sign_in, words

NEW_PASSWORD = "kettle orbit mustard lantern"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def ada(client: FlaskClient, make_user: Callable[..., User]) -> FlaskClient:
    """Ada's browser."""
    make_user(roles=("editor",))
    sign_in(client)
    return client


@pytest.fixture
def phone(ada: FlaskClient) -> FlaskClient:
    """Ada's telephone, signed in too."""
    browser = ada.application.test_client()
    browser.environ_base["HTTP_USER_AGENT"] = IPHONE
    sign_in(browser)
    return browser


# -- Home -------------------------------------------------------------------------


def test_front_door_leads_to_the_account(client: FlaskClient) -> None:
    assert location(client.get("/")) == "/account"


def test_home_says_who_one_is(ada: FlaskClient) -> None:
    shown = words(ada.get("/account"))
    for value in ("Hello, Ada Lovelace", "User name ada", "ada@example.org Confirmed", "Roles editor"):
        assert value in shown


def test_whose_account_is_deleted_while_its_page_is_made_may_look_again(
    ada: FlaskClient, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(*_: Any) -> None:
        db.execute(delete(User))
        db.commit()

    monkeypatch.setattr(context, "note_activity", meanwhile)
    response = ada.get("/account")
    assert (response.status_code, response.headers.get("Retry-After")) == (503, "5")
    assert ada.get("/account").status_code == 303


def test_home_of_somebody_with_little_to_say(client: FlaskClient, make_user: Callable[..., User]) -> None:
    make_user("grace", given_name="", family_name="", is_email_verified=False)
    sign_in(client, "grace")
    shown = words(client.get("/account"))
    for value in ("Hello, grace", "grace@example.org Not confirmed", "Roles None"):
        assert value in shown


def test_names_that_run_from_right_to_left_are_set_apart(
    client: FlaskClient, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty]
) -> None:
    """Else their parts, and what stands beside them, change places; `strong` is set apart by the style sheet."""
    name = "רבקה (Rivka) כהן"
    make_user("رفقة", given_name="רבקה (Rivka)", family_name="כהן", email="rivka@example.org")
    sign_in(client, "رفقة")
    home = client.get("/account").text
    for shown in (f"<strong>{name}</strong>", f"<bdi>{name}</bdi>", "<bdi>رفقة</bdi>"):
        assert shown in home
    app = relying_party(client, is_trusted=False)
    consent = app.follow(app.send(scope="openid profile")).text
    for shown in (f"<strong>{name}</strong> <bdi>(رفقة)</bdi>", f"<bdi>{name}</bdi>"):
        assert shown in consent


def test_account_pages_mark_where_one_is(ada: FlaskClient) -> None:
    for path in ("/account", "/account/profile", "/account/password", "/account/apps", "/account/sessions"):
        page = ada.get(path).text
        assert f'href="{path}" aria-current="page"' in page
        assert page.count("aria-current") == 1


def test_visits_are_noted(ada: FlaskClient, db: Session, clock: Any) -> None:
    clock.advance(600)
    assert ada.get("/account").status_code == 200
    assert db.scalar(select(BrowserSession.last_seen_at)) == int(clock.time)


# -- Password -----------------------------------------------------------------------


def test_password_is_changed_and_other_sessions_end(ada: FlaskClient, phone: FlaskClient) -> None:
    page = ada.get("/account/password")
    assert 'autocomplete="current-password"' in page.text
    assert 'autocomplete="new-password"' in page.text
    response = press(ada, page, "password-submit", current_password=PASSWORD, new_password=NEW_PASSWORD)
    assert location(response) == "/account/password?notice=password-changed"
    done = ada.get(location(response)).text
    assert "Your password is changed." in done
    assert 'id="notice" tabindex="-1" autofocus' in done, "it is read out first"
    assert location(phone.get("/account")).startswith("/sign-in")
    other = ada.application.test_client()
    assert press(other, other.get("/sign-in"), "login-submit", username="ada", password=PASSWORD).status_code == 422
    sign_in(other, "ada", NEW_PASSWORD)


def test_password_managers_find_the_form(ada: FlaskClient) -> None:
    """W3C, A Well-Known URL for Changing Passwords: they first look whether the answer for what is not there tells."""
    assert location(ada.get("/.well-known/change-password")) == "/account/password"
    nothing = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
    assert ada.get(nothing).status_code == 404


def test_a_copy_of_the_cookie_is_worthless_after_a_password_change(ada: FlaskClient) -> None:
    cookie = ada.get_cookie("idp_session")
    assert cookie is not None
    thief = ada.application.test_client()
    thief.set_cookie("idp_session", cookie.value)
    assert thief.get("/account").status_code == 200
    press(ada, ada.get("/account/password"), "password-submit", current_password=PASSWORD, new_password=NEW_PASSWORD)
    assert ada.get("/account").status_code == 200
    assert thief.get("/account").status_code == 303


@pytest.mark.parametrize(
    ("current", "new", "sentence", "field"),
    [
        ("", "", "Enter your current password.", "current_password"),
        (PASSWORD, "", "Enter a new password.", "new_password"),
        ("wrong", NEW_PASSWORD, "Password is incorrect.", "current_password"),
        (PASSWORD, PASSWORD, "New and current passwords are the same.", "new_password"),
        (PASSWORD, "short", "at least 10 characters", "new_password"),
    ],
)
def test_password_faults_are_named(ada: FlaskClient, current: str, new: str, sentence: str, field: str) -> None:
    page = ada.get("/account/password")
    refused = press(ada, page, "password-submit", current_password=current, new_password=new)
    assert refused.status_code == 422
    assert "<title>Error: Change password" in refused.text
    assert sentence in refused.text
    assert f'id="{field}-fault-1"' in refused.text
    assert f'href="#{field}"' in refused.text


def test_who_presses_twice_hears_that_the_password_was_changed(
    clock: Clock, client: FlaskClient, make_user: Callable[..., User]
) -> None:
    make_user()
    clock.advance(60)
    sign_in(client)
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    page = client.get("/account/password")
    wrong = press(client, page, "password-submit", **{**change, "current_password": "wrong"})
    assert "changed less than a minute ago" not in words(wrong), "making the account was no change"
    assert press(client, page, "password-submit", **change).status_code == 303
    again = press(client, page, "password-submit", **change)
    assert again.status_code == 422
    assert "It was changed less than a minute ago: use the new one." in words(again)
    clock.advance(60)
    assert "changed less than a minute ago" not in words(press(client, page, "password-submit", **change))


def test_guessing_the_current_password_slows_down(
    settings: Settings, make_app: Callable[[Settings], Flask], make_user: Callable[..., User]
) -> None:
    make_user()
    browser = make_app(replace(settings, throttle_account_burst=1)).test_client()
    sign_in(browser)
    page = browser.get("/account/password")
    guess = {"current_password": "wrong", "new_password": NEW_PASSWORD}
    assert press(browser, page, "password-submit", **guess).status_code == 422
    refused = press(browser, page, "password-submit", **guess)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert "too many attempts" in refused.text


# -- Sessions -------------------------------------------------------------------------


def test_sessions_are_told_apart(ada: FlaskClient, phone: FlaskClient) -> None:
    page = phone.get("/account/sessions")
    shown = words(page)
    assert "Safari on iPhone This browser 127.0.0.1 Signed in just now" in shown
    assert "Unknown browser 127.0.0.1" in shown
    assert page.text.count('value="others"') == 1
    assert page.text.index("Safari on iPhone") < page.text.index("Unknown browser"), "one's own comes first"


def test_of_very_many_sessions_the_latest_are_shown(
    ada: FlaskClient, phone: FlaskClient, monkeypatch: pytest.MonkeyPatch, db: Session
) -> None:
    assert "There are more" not in ada.get("/account/sessions").text
    monkeypatch.setattr(sessions, "LISTED", 1)
    own = db.scalars(select(BrowserSession).where(BrowserSession.user_agent != IPHONE)).one()
    own.last_seen_at -= 60  # the telephone was used later
    db.commit()
    page = ada.get("/account/sessions")
    assert "This browser" in words(page), "one's own is always there"
    assert "Safari on iPhone" in words(page)
    assert "There are more than these 1: only the latest are shown." in words(page)


def test_a_page_of_very_many_sessions_stays_light(
    ada: FlaskClient, db: Session, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = db.scalar(select(User.id))
    assert user_id
    for number in range(100):
        start_session(db, settings, Visitor(f"2001:db8:1234:5678:90ab:cdef:1234:{number:x}", IPHONE), user_id)
    db.commit()
    apps = [ReachedApp(f"app-{number}", f"An app with quite a name {number}", 0, 0, True) for number in range(3)]
    monkeypatch.setattr(sessions, "list_reached_apps", lambda _db, ids: dict.fromkeys(ids, apps))
    page = ada.get("/account/sessions")
    assert page.text.count("An app with quite a name 2") >= sessions.LISTED
    files = [ada.get(path) for path in ("/brand/pages.css", "/brand/theme.css", "/brand/icon.svg")]
    assert len(page.data) + sum(len(file.data) for file in files) < 50_000


def test_one_session_is_ended(ada: FlaskClient, phone: FlaskClient, db: Session) -> None:
    session_id = db.scalar(select(BrowserSession.id).where(BrowserSession.user_agent == IPHONE))
    assert session_id
    response = press(ada, ada.get("/account/sessions"), session_id)
    assert location(response) == "/account/sessions?notice=session-ended"
    assert "The session was ended." in ada.get("/account/sessions?notice=session-ended").text
    assert location(phone.get("/account")).startswith("/sign-in")
    assert ada.get("/account").status_code == 200


def test_all_others_are_ended(ada: FlaskClient, phone: FlaskClient) -> None:
    response = press(ada, ada.get("/account/sessions"), "end-others")
    assert location(response) == "/account/sessions?notice=sessions-ended"
    assert location(phone.get("/account")).startswith("/sign-in")
    page = ada.get("/account/sessions")
    assert 'name="end"' not in page.text, "there is nothing left to end"


def test_sessions_of_others_are_out_of_reach(
    ada: FlaskClient, phone: FlaskClient, make_user: Callable[..., User], db: Session
) -> None:
    make_user("mallory")
    mallory = ada.application.test_client()
    sign_in(mallory, "mallory")
    sign_in(mallory.application.test_client(), "mallory")
    action, fields = form_with(mallory.get("/account/sessions"), "end-others")
    for session_id in db.scalars(select(BrowserSession.id).join(User).where(User.username == "ada")).all():
        mallory.post(action, data={**fields, "end": session_id})
    assert ada.get("/account").status_code == 200
    assert phone.get("/account").status_code == 200


def test_ending_this_very_session_signs_out(ada: FlaskClient, phone: FlaskClient, db: Session) -> None:
    action, fields = form_with(ada.get("/account/sessions"), "end-others")
    own = db.scalar(select(BrowserSession.id).where(BrowserSession.user_agent != IPHONE))
    assert location(ada.post(action, data={**fields, "end": own or ""})) == "/signed-out"
    assert ada.get_cookie("idp_session") is None
    assert phone.get("/account").status_code == 200


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        (30, "just now"),
        (90, "1 minute ago"),
        (59 * 60, "59 minutes ago"),
        (3_600, "1 hour ago"),
        (7_200, "2 hours ago"),
        (86_400, "1 day ago"),
        (3 * 86_400, "3 days ago"),
    ],
)
def test_times_are_said_in_words(ada: FlaskClient, clock: Any, seconds: int, sentence: str) -> None:
    clock.advance(seconds)
    assert f">{sentence}</time>" in ada.get("/account/sessions").text


def test_of_long_ago_the_day_is_said() -> None:
    for language, sentence in (("en", "on 18 May 2033"), ("de", "am 18. Mai 2033")):
        with provider_clock.stopped_at(lambda: 2_000_000_000.0 + 60 * 86_400), asked_in(language):
            assert f">{sentence}</time>" in moments.moment(2_000_000_000)


@pytest.mark.parametrize(
    ("seconds", "span"), [(60, "1 minute"), (3_600, "60 minutes"), (7_200, "2 hours"), (30 * 86_400, "30 days")]
)
def test_spans_are_said_in_words(seconds: int, span: str) -> None:
    with asked_in("en"):
        assert moments.span(seconds) == span


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (IPHONE, "Safari on iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 "
            "Safari/537.36 Edg/128.0.0.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/128.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.5 Safari/605.1.15", "Safari on macOS"),
        ("curl/8.9", "curl on unknown system"),
        ("something (Windows)", "Unknown browser on Windows"),
        ("<b>", "Unknown browser"),
        ("", "Unknown browser"),
    ],
)
def test_devices_are_named(user_agent: str, device: str) -> None:
    with asked_in("en"):
        assert str(describe_device(user_agent)) == device


# -- Leaving --------------------------------------------------------------------------


def test_sign_out(ada: FlaskClient) -> None:
    response = press(ada, ada.get("/account"), "sign-out")
    assert location(response) == "/signed-out"
    assert ada.get_cookie("idp_session") is None
    assert "You are signed out" in ada.get("/signed-out").text
    assert location(ada.get("/account")).startswith("/sign-in")


def test_signing_out_twice_is_fine(ada: FlaskClient) -> None:
    action, fields = form_with(ada.get("/account"), "sign-out")
    for _ in range(2):
        assert location(ada.post(action, data=fields)) == "/signed-out"


def test_signed_out_is_not_said_to_who_is_signed_in(ada: FlaskClient) -> None:
    assert location(ada.get("/signed-out")) == "/account"


def test_app_that_asks_to_sign_out_is_named(ada: FlaskClient, relying_party: Callable[..., RelyingParty]) -> None:
    weather = relying_party(ada)
    page = weather.request_logout(client_id=weather.metadata.client_id)
    assert "Weather app asks to sign you out. You are signed in as Ada Lovelace" in words(page)
    assert 'href="/account">Stay signed in</a>' in page.text
    assert location(press(ada, page, "logout-confirm")) == "/signed-out"
    assert ada.get_cookie("idp_session") is None


# -- Notices ----------------------------------------------------------------------------


@pytest.mark.parametrize("notice", ["", "unknown", "<script>", "%ff"])
def test_unknown_notices_are_ignored(ada: FlaskClient, notice: str) -> None:
    page = ada.get("/account/password?notice=" + notice)
    assert page.status_code == 200
    assert 'role="status"' not in page.text
    assert "<script" not in page.text
