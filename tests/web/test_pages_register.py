"""The registration page: every way through it."""

from collections.abc import Callable
from dataclasses import replace

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.models import User
from idp.settings import Settings
from tests.relying_party import RelyingParty
from tests.web.page_driver import form_with, location, press, sign_in, words

PERSON = {"username": "zoe", "email": "zoe@example.org", "given_name": "Zoë", "family_name": "O'Neil"}
PASSWORD = "kettle orbit mustard lantern"


def test_fields_have_their_autocomplete(client: FlaskClient) -> None:
    page = client.get("/register").text
    for token in ("given-name", "family-name", "email", "username", "new-password"):
        assert f'autocomplete="{token}"' in page
    assert "At least 10 characters." in page
    assert 'aria-describedby="password-hint"' in page


def test_new_account_signs_in(client: FlaskClient, db: Session) -> None:
    response = press(client, client.get("/register"), "register-submit", **PERSON, password=PASSWORD)
    assert location(response) == "/sign-in?notice=registered"
    page = client.get("/sign-in?notice=registered")
    assert 'role="status"' in page.text
    assert "your account is ready" in page.text
    sign_in(client, "zoe", PASSWORD)
    assert "Hello, Zoë O'Neil" in words(client.get("/account"))
    assert db.scalar(select(User.email_verified_at).where(User.username == "zoe")) is None


def test_known_address_gets_the_same_answer(client: FlaskClient, make_user: Callable[..., User], db: Session) -> None:
    make_user(email="zoe@example.org")
    response = press(client, client.get("/register"), "register-submit", **PERSON, password=PASSWORD)
    assert location(response) == "/sign-in?notice=registered"
    assert db.scalar(select(func.count()).select_from(User)) == 1


def test_faults_are_named_beside_their_fields_and_nothing_is_lost(
    client: FlaskClient, make_user: Callable[..., User]
) -> None:
    make_user("zoe", email="other@example.org")
    page = client.get("/register")
    wrong = {**PERSON, "username": "a b!", "email": "no address"}
    refused = press(client, page, "register-submit", **wrong, password="short")
    assert refused.status_code == 422
    assert "<title>Error: Create your account" in refused.text
    for value in ("a b!", "no address", "Zoë", "O&#39;Neil"):
        assert f'value="{value}"' in refused.text
    assert "short" not in refused.text, "a password is never sent back"
    assert 'aria-invalid="true" aria-describedby="email-fault-1"' in refused.text
    assert 'href="#username"' in refused.text

    weak = press(client, refused, "register-submit", **PERSON, password="zoe")
    assert weak.status_code == 422
    assert "at least 10 characters" in weak.text
    assert 'aria-describedby="password-hint password-fault-1' in weak.text

    taken = press(client, weak, "register-submit", **PERSON, password=PASSWORD)
    assert taken.status_code == 422
    assert "Username already taken" in taken.text


def test_app_is_kept_through_registration(client: FlaskClient, relying_party: Callable[..., RelyingParty]) -> None:
    app = relying_party(client)
    page = app.follow(app.send(prompt="create", login_hint="zoe@example.org"))
    assert "<h1>Create your account</h1>" in page.text
    assert "to continue to Weather app" in words(page)
    assert 'value="zoe@example.org"' in page.text
    to_sign_in = app.follow(press(client, page, "register-submit", **PERSON, password=PASSWORD))
    assert "your account is ready" in to_sign_in.text
    response = press(client, to_sign_in, "login-submit", username="zoe", password=PASSWORD)
    assert app.read_answer(app.follow(response)).code


def test_cancel_goes_back_to_the_app(client: FlaskClient, relying_party: Callable[..., RelyingParty]) -> None:
    app = relying_party(client)
    page = app.follow(app.send(prompt="create"))
    assert page.text.index('id="register-submit"') < page.text.index('value="cancel"')
    assert app.read_answer(app.follow(press(client, page, "cancel"))).error == "access_denied"


def test_closed_registration_says_so(settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    browser = make_app(replace(settings, registration="closed")).test_client()
    page = browser.get("/register")
    assert page.status_code == 403
    assert "<h1>Registration is not open</h1>" in page.text
    token = {"csrf_token": form_with(browser.get("/sign-in"), "login-submit")[1]["csrf_token"]}
    assert browser.post("/register", data={**PERSON, "password": PASSWORD, **token}).status_code == 403


def test_preauthorized_registration_says_whom_to_ask(settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    browser = make_app(replace(settings, registration="preauthorized")).test_client()
    refused = press(browser, browser.get("/register"), "register-submit", **PERSON, password=PASSWORD)
    assert refused.status_code == 403
    assert "not pre-authorized" in refused.text
    assert 'value="zoe"' in refused.text


def test_too_many_registrations_wait(settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    browser = make_app(replace(settings, throttle_address_burst=1)).test_client()
    page = browser.get("/register")
    first = press(browser, page, "register-submit", **PERSON, password=PASSWORD)
    assert first.status_code == 303
    again = {**PERSON, "username": "yan", "email": "yan@example.org"}
    refused = press(browser, page, "register-submit", **again, password=PASSWORD)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert 'value="yan"' in refused.text
