"""The sign-in page: every way through it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from idp import patience
from idp.accounts import users
from idp.accounts.visitor import OPERATOR
from idp.models import User
from idp.oidc import authorization_issuer
from idp.settings import Settings
from idp.web import direct
from idp.web.pages.destinations import DESTINATIONS
from tests.conftest import Clock
from tests.factories import PASSWORD
from tests.relying_party import RelyingParty
from tests.web.page_driver import form_with, location, press, sign_in, words


def test_form_says_what_each_field_is_for(client: FlaskClient) -> None:
    page = client.get("/sign-in")
    assert page.status_code == 200
    assert '<html lang="en">' in page.text
    assert "<title>Sign in · Streamlit IdP</title>" in page.text
    assert page.text.count("<h1") == 1
    assert 'for="username"' in page.text
    assert 'autocomplete="username"' in page.text
    assert 'autocomplete="current-password"' in page.text
    assert 'value="cancel"' not in page.text, "there is nothing to go back to"


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.org", "Ada@Example.ORG", " ada "])
def test_right_password_leads_to_the_account(client: FlaskClient, make_user: Callable[..., User], name: str) -> None:
    make_user()
    response = sign_in(client, name)
    assert location(response) == "/account"
    cookie = next(value for value in response.headers.getlist("Set-Cookie") if value.startswith("idp_session="))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert client.get("/account").status_code == 200


def test_a_browser_that_signs_in_goes_on_being_known(client: FlaskClient, make_user: Callable[..., User]) -> None:
    """The cookie by which accounts know it ends 400 days after it was set last, and no browser keeps one for longer."""
    make_user()
    sign_in(client)
    known = client.get_cookie("idp_browser")
    assert known is not None
    client.delete_cookie("idp_session")
    renewed = [cookie for cookie in sign_in(client).headers.getlist("Set-Cookie") if cookie.startswith("idp_browser=")]
    assert [cookie.split("; ")[0] for cookie in renewed] == [f"idp_browser={known.value}"]
    assert "Max-Age=34560000" in renewed[0]


def test_unknown_wrong_and_disabled_look_the_same(
    client: FlaskClient, make_user: Callable[..., User], db: Session
) -> None:
    make_user()
    users.disable_user(db, OPERATOR, make_user("grace").id)
    db.commit()
    pages = []
    for name, password in (("ada", "wrong"), ("grace", PASSWORD), ("nobody", "wrong")):
        page = press(client, client.get("/sign-in"), "login-submit", username=name, password=password)
        assert page.status_code == 422
        assert page.text.startswith("<!doctype html>")
        assert "<title>Error: Sign in" in page.text
        assert f'value="{name}"' in page.text, "the name is kept"
        pages.append(page.text.replace(f'value="{name}"', ""))
    assert len(set(pages)) == 1
    assert "do not match" in pages[0]
    assert 'role="alert"' in pages[0]
    assert 'aria-describedby="form-faults" autofocus' in pages[0], "the password has the focus and says why"
    assert "wrong" not in pages[0], "a password is never sent back"


def test_empty_fields_are_named(client: FlaskClient) -> None:
    page = press(client, client.get("/sign-in"), "login-submit")
    assert page.status_code == 422
    assert "Enter your user name or e-mail address." in page.text
    assert "Enter your password." in page.text
    assert 'href="#password"' in page.text
    assert 'aria-describedby="username-fault-1" autofocus' in page.text


def test_too_many_attempts_wait(
    settings: Settings, make_app: Callable[[Settings], Flask], make_user: Callable[..., User], clock: Any
) -> None:
    make_user()
    browser = make_app(replace(settings, throttle_account_burst=2)).test_client()
    for _ in range(2):
        page = press(browser, browser.get("/sign-in"), "login-submit", username="ada", password="wrong")
        assert page.status_code == 422
    page = press(browser, page, "login-submit", username="ada", password=PASSWORD)
    assert page.status_code == 429
    assert page.headers["Retry-After"] == "30"
    assert "Please wait 30 seconds" in page.text
    assert 'aria-describedby="form-faults" autofocus' in page.text, "it is read out first"
    assert 'value="ada"' in page.text
    clock.advance(30)
    assert location(press(browser, page, "login-submit", username="ada", password=PASSWORD)) == "/account"


def test_app_is_named_with_its_documents(client: FlaskClient, relying_party: Callable[..., RelyingParty]) -> None:
    app = relying_party(
        client,
        client_name="{Weather} & co",
        policy_uri="https://app.example.org/privacy",
        tos_uri="https://app.example.org/terms",
        logo_uri="https://app.example.org/logo.png",
    )
    page = app.follow(app.send(login_hint="grace@example.org"))
    assert "to continue to {Weather} & co" in words(page)
    assert 'href="https://app.example.org/privacy" rel="noreferrer"' in page.text
    assert 'href="https://app.example.org/terms" rel="noreferrer"' in page.text
    assert "logo.png" not in page.text, "nothing is loaded from another host"
    assert 'value="grace@example.org"' in page.text


def test_who_signed_in_is_led_to_the_app_at_once(
    client: FlaskClient, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty]
) -> None:
    make_user()
    app = relying_party(client)
    page = app.follow(app.send())
    refused = press(client, page, "login-submit", username="ada", password="wrong")
    response = press(client, refused, "login-submit", username="ada", password=PASSWORD)
    assert app.read_answer(response).code
    assert response.headers["Cache-Control"] == "no-store"
    assert [cookie for cookie in response.headers.getlist("Set-Cookie") if cookie.startswith("idp_session=")]
    assert app.read_answer(app.send(prompt="none")).code, "and is signed in"


@pytest.mark.parametrize("is_again", [False, True], ids=["for the first time", "once more"])
def test_who_signed_in_stays_so_where_the_answer_to_the_app_fails(
    client: FlaskClient,
    make_user: Callable[..., User],
    relying_party: Callable[..., RelyingParty],
    monkeypatch: pytest.MonkeyPatch,
    is_again: bool,
) -> None:
    make_user()
    app = relying_party(client)
    if is_again:
        app.log_in()
    page = app.follow(app.send(prompt="login"))
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(authorization_issuer, "issue_code", failing)
        response = press(client, page, "login-submit", username="ada", password=PASSWORD)
        assert location(response) == f"/oauth/authorize/{page.request.args['i']}"
        assert client.get(location(response)).status_code == 503
    assert client.get("/account").status_code == 200
    assert app.read_answer(client.get(location(response))).code


def failing(*_: object) -> str:
    """Fail as a database does that is locked for too long."""
    raise OperationalError("", {}, Exception("database is locked"))


def test_who_waited_long_for_the_hash_is_answered_by_a_request_of_its_own(
    client: FlaskClient,
    make_user: Callable[..., User],
    relying_party: Callable[..., RelyingParty],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_user()
    app = relying_party(client)
    page = app.follow(app.send())
    monkeypatch.setattr(patience, "WITHIN", direct.ENOUGH - 0.1)
    response = press(client, page, "login-submit", username="ada", password=PASSWORD)
    assert location(response).startswith("/oauth/authorize/")
    assert app.read_answer(app.follow(response)).code


def test_an_answer_by_form_post_follows_the_sign_in(
    client: FlaskClient, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty]
) -> None:
    make_user()
    app = relying_party(client)
    page = app.follow(app.send(response_mode="form_post"))
    response = app.follow(press(client, page, "login-submit", username="ada", password=PASSWORD))
    assert response.status_code == 200
    assert app.read_answer(response).code
    assert "script-src" in response.headers["Content-Security-Policy"]


def test_cancel_works_with_empty_fields(client: FlaskClient, relying_party: Callable[..., RelyingParty]) -> None:
    app = relying_party(client)
    page = app.follow(app.send())
    assert page.text.index('id="login-submit"') < page.text.index('value="cancel"'), "Enter must sign in"
    assert "novalidate" in page.text
    answer = app.read_answer(app.follow(press(client, page, "cancel")))
    assert answer.error == "access_denied"


def test_who_is_signed_in_needs_no_form(client: FlaskClient, make_user: Callable[..., User]) -> None:
    make_user()
    sign_in(client)
    assert location(client.get("/sign-in")) == "/account"
    assert location(client.get("/sign-in?next=/account/sessions")) == "/account/sessions"


@pytest.mark.parametrize("has_cookie", [False, True], ids=["before the answer", "after the answer"])
def test_who_presses_twice_comes_to_the_app(
    client: FlaskClient,
    make_user: Callable[..., User],
    relying_party: Callable[..., RelyingParty],
    clock: Clock,
    has_cookie: bool,
) -> None:
    make_user()
    app = relying_party(client)
    page = app.follow(app.send())
    codes = set()
    for _ in range(2):
        codes.add(app.read_answer(press(client, page, "login-submit", username="ada", password=PASSWORD)).code)
        if not has_cookie:
            client.delete_cookie("idp_session")
    assert len(codes) == 2, "of the first the browser has read nothing"
    clock.advance(60)
    gone = press(client, page, "login-submit", username="ada", password=PASSWORD)
    assert gone.status_code == 400


def test_an_answer_is_not_given_again_for_less_than_what_led_to_it(
    client: FlaskClient, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty], clock: Clock
) -> None:
    make_user()
    app = relying_party(client)
    page = app.follow(app.send(prompt="login"))
    assert app.read_answer(press(client, page, "login-submit", username="ada", password=PASSWORD)).code
    assert client.get(f"/oauth/authorize/{page.request.args['i']}").status_code == 400
    assert press(client, page, "cancel", username="ada").status_code == 400, "it was answered otherwise"
    clock.advance(40)
    assert app.read_answer(press(client, page, "login-submit", username="ada", password="")).code, "pressed once more"
    clock.advance(40)
    gone = app.follow(press(client, page, "login-submit", username="ada", password=""))
    assert gone.status_code == 400, "no password was proven lately"
    client.delete_cookie("idp_session")
    assert press(client, page, "login-submit", username="ada", password="wrong").status_code == 422


def test_cancelling_signs_nobody_in(
    client: FlaskClient, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty]
) -> None:
    make_user()
    app = relying_party(client)
    page = app.follow(app.send(login_hint="ada"))
    sign_in(client)  # in another tab
    assert press(client, page, "cancel").status_code == 400
    again = press(client, page, "cancel")
    assert app.read_answer(app.follow(press(client, again, "cancel"))).error == "access_denied"
    assert press(client, page, "login-submit", username="ada", password=PASSWORD).status_code == 400


@pytest.mark.parametrize("typed", ["ada", " ADA@example.org "])
def test_who_signed_in_in_another_tab_goes_on_in_this_one(
    client: FlaskClient, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty], typed: str
) -> None:
    make_user()
    app = relying_party(client)
    own, for_app = client.get("/sign-in?next=/account/apps"), app.follow(app.send())
    sign_in(client)
    assert location(press(client, own, "login-submit", username=typed, password="any")) == "/account/apps"
    assert app.read_answer(app.follow(press(client, for_app, "login-submit", username=typed, password="any"))).code


def test_who_wants_to_be_somebody_else_than_in_another_tab_presses_once_more(
    client: FlaskClient, make_user: Callable[..., User]
) -> None:
    make_user()
    make_user("grace", given_name="Grace", family_name="Hopper")
    page, other = client.get("/sign-in"), client.get("/sign-in?other=1")
    sign_in(client)
    assert press(client, other, "login-submit", username="ada", password=PASSWORD).status_code == 400
    again = press(client, page, "login-submit", username="grace", password=PASSWORD)
    assert again.status_code == 400
    assert "This page was open for too long" in words(again)
    assert press(client, again, "login-submit", password=PASSWORD).status_code == 303
    assert "Grace Hopper" in words(client.get("/account"))


def test_prompt_login_asks_the_same_person_again(
    client: FlaskClient, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty]
) -> None:
    make_user()
    sign_in(client)
    app = relying_party(client)
    page = app.follow(app.send(prompt="login"))
    assert "<h1>Confirm that it is you</h1>" in page.text
    assert 'value="ada"' in page.text
    assert "forgot-password" in page.text
    assert "forgot-username" not in page.text
    assert "/register" not in page.text, "who has an account and says so needs no other"
    before = client.get_cookie("idp_session")
    response = press(client, page, "login-submit", password=PASSWORD)
    after = client.get_cookie("idp_session")
    assert before is not None
    assert after is not None
    assert before.value != after.value, "a session is rotated at sign-in"
    assert app.read_answer(app.follow(response)).code


@pytest.mark.parametrize("path", [path for path in DESTINATIONS if path.startswith("/account")])
def test_account_pages_come_back_after_sign_in(client: FlaskClient, make_user: Callable[..., User], path: str) -> None:
    make_user()
    to_sign_in = location(client.get(path))
    assert to_sign_in == f"/sign-in?next={path}"
    page = client.get(to_sign_in)
    refused = press(client, page, "login-submit", username="ada", password="wrong")
    assert location(press(client, refused, "login-submit", username="ada", password=PASSWORD)) == path


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "/oauth/authorize", "/account/../x", ""]
)
def test_next_leads_nowhere_else(client: FlaskClient, make_user: Callable[..., User], target: str) -> None:
    make_user()
    page = client.get("/sign-in", query_string={"next": target})
    assert "evil" not in page.text
    action, fields = form_with(page, "login-submit")
    sent = {**fields, "username": "ada", "password": PASSWORD, "next": target}
    assert location(client.post(action, data=sent)) == "/account"


def test_register_is_offered_where_it_is_possible(
    client: FlaskClient, settings: Settings, make_app: Callable[[Settings], Flask]
) -> None:
    assert 'href="/register"' in client.get("/sign-in").text
    closed = make_app(replace(settings, registration="closed")).test_client()
    assert "/register" not in closed.get("/sign-in").text


def test_language_is_the_apps_then_the_browsers(
    client: FlaskClient, relying_party: Callable[..., RelyingParty]
) -> None:
    assert '<html lang="de">' in client.get("/sign-in", headers={"Accept-Language": "fr, de-AT;q=0.8, en;q=0.5"}).text
    assert '<html lang="en">' in client.get("/sign-in", headers={"Accept-Language": "fr, de;q=0"}).text
    app = relying_party(client)
    page = app.follow(app.send(ui_locales="fr-CA de-CH en"))
    assert '<html lang="de">' in page.text
    assert "weiter zu Weather app" in words(page)


def test_issuer_with_a_path_keeps_it(
    settings: Settings, make_app: Callable[[Settings], Flask], make_user: Callable[..., User]
) -> None:
    make_user()
    browser = make_app(replace(settings, issuer="http://localhost:8000/login")).test_client()
    page = browser.get("/login/sign-in")
    assert 'action="/login/sign-in"' in page.text
    assert 'href="/login/brand/pages.css' in page.text
    assert location(press(browser, page, "login-submit", username="ada", password=PASSWORD)) == "/login/account"
