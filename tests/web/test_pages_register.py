"""The registration page: every way through it."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.accounts import preauthorization, throttle
from idp.accounts.visitor import OPERATOR
from idp.models import Preauthorization, User
from idp.settings import Settings
from tests.conftest import Clock
from tests.relying_party import RelyingParty
from tests.web.mailbox import Mailbox
from tests.web.page_driver import form_with, location, press, sign_in, words

PERSON = {"username": "zoe", "email": "zoe@example.org", "given_name": "Zoë", "family_name": "O'Neil"}
PASSWORD = "kettle orbit mustard lantern"


def test_fields_have_their_autocomplete(client: FlaskClient) -> None:
    page = client.get("/register").text
    for token in ("given-name", "family-name", "email", "username", "new-password"):
        assert f'autocomplete="{token}"' in page
    assert "At least 10 characters." in page
    assert 'aria-describedby="password-hint"' in page


def test_new_account_is_confirmed_and_signs_in(client: FlaskClient, mailbox: Mailbox) -> None:
    response = press(client, client.get("/register"), "register-submit", **PERSON, password=PASSWORD)
    page = client.get(location(response))
    assert "Check your mailbox" in page.text
    assert "An e-mail is on its way to zoe@example.org" in words(page)
    assert mailbox.kinds() == [("verify_address", "zoe@example.org")]
    proof = client.get(mailbox.path("verify_address"))
    assert "Press the button to confirm that zoe@example.org is your e-mail address." in words(proof)
    confirmed = press(client, proof, "verify-email-submit")
    assert location(confirmed) == "/sign-in?notice=address-confirmed"
    told = client.get(location(confirmed)).text
    assert "your e-mail address is confirmed" in told
    assert re.search(r'<input id="username" [^>]* aria-describedby="notice" autofocus>', told), "it is read out first"
    sign_in(client, "zoe", PASSWORD)
    assert "Hello, Zoë O'Neil" in words(client.get("/account"))


def test_a_button_pressed_twice_mails_one_link(client: FlaskClient, mailbox: Mailbox, clock: Clock) -> None:
    form = client.get("/register")
    first = press(client, form, "register-submit", **PERSON, password=PASSWORD)
    again = press(client, form, "register-submit", **PERSON, password=PASSWORD)
    assert words(client.get(location(again))) == words(client.get(location(first)))
    assert mailbox.kinds() == [("verify_address", "zoe@example.org")]
    press(client, form, "register-submit", **PERSON, password=PASSWORD + "s")
    assert len(mailbox.kinds()) == 2, "something else was typed"
    clock.advance(throttle.AGAIN_WITHIN)
    press(client, form, "register-submit", **PERSON, password=PASSWORD + "s")
    assert len(mailbox.kinds()) == 3, "somebody waits for a mail that did not come"


def test_known_address_gets_the_same_answer(
    client: FlaskClient, make_user: Callable[..., User], db: Session, mailbox: Mailbox
) -> None:
    make_user(email="zoe@example.org")
    response = press(client, client.get("/register"), "register-submit", **PERSON, password=PASSWORD)
    assert location(response).startswith("/mail-sent?letter=")
    assert "An e-mail is on its way to zoe@example.org" in words(client.get(location(response)))
    assert db.scalar(select(func.count()).select_from(User)) == 1
    assert mailbox.kinds() == [("address_already_registered", "zoe@example.org")]


def test_known_and_unknown_look_and_cost_the_same(
    client: FlaskClient, make_user: Callable[..., User], counted: Callable[..., Any]
) -> None:
    make_user("known")
    seen = []
    for number, email in enumerate(("new@example.org", "known@example.org", "new@example.org", "other@example.org")):
        form = client.get("/register")
        person = {**PERSON, "username": f"zoe{number}", "email": email}
        with counted() as work:
            response = press(client, form, "register-submit", **person, password=PASSWORD)
        headers = sorted(name for name, _ in response.headers)
        page = client.get(location(response)).text.replace(email, "")
        shown = [line for line in page.splitlines() if 'name="letter"' not in line]
        seen.append((response.status_code, headers, shown, len(work.statements), work.hashes))
    for each in seen[1:]:
        assert each == seen[0]


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


# -- From an app ------------------------------------------------------------------------


def test_app_is_kept_through_registration(
    client: FlaskClient, relying_party: Callable[..., RelyingParty], mailbox: Mailbox
) -> None:
    app = relying_party(client)
    page = app.follow(app.send(prompt="create", login_hint="zoe@example.org"))
    assert "<h1>Create your account</h1>" in page.text
    assert "to continue to Weather app" in words(page)
    assert 'value="zoe@example.org"' in page.text
    waiting = app.follow(press(client, page, "register-submit", **PERSON, password=PASSWORD))
    assert "to continue to Weather app" in words(waiting)
    link = mailbox.path("verify_address")
    assert page.request.args["i"] not in link, "the request's id never leaves this browser"
    to_sign_in = app.follow(press(client, client.get(link), "verify-email-submit"))
    assert "your e-mail address is confirmed" in to_sign_in.text
    response = press(client, to_sign_in, "login-submit", username="zoe", password=PASSWORD)
    assert app.read_answer(app.follow(response)).code


def test_link_opened_in_another_browser_knows_nothing_of_the_app(
    app: Flask, client: FlaskClient, relying_party: Callable[..., RelyingParty], mailbox: Mailbox
) -> None:
    weather = relying_party(client)
    page = weather.follow(weather.send(prompt="create"))
    waiting = weather.follow(press(client, page, "register-submit", **PERSON, password=PASSWORD))
    phone = app.test_client()
    confirmed = press(phone, phone.get(mailbox.path("verify_address")), "verify-email-submit")
    assert location(confirmed) == "/sign-in?notice=address-confirmed"
    back = client.get(f"/sign-in?i={waiting.request.args['i']}")
    response = press(client, back, "login-submit", username="zoe", password=PASSWORD)
    assert weather.read_answer(weather.follow(response)).code


def test_cancel_goes_back_to_the_app(client: FlaskClient, relying_party: Callable[..., RelyingParty]) -> None:
    app = relying_party(client)
    page = app.follow(app.send(prompt="create"))
    assert page.text.index('id="register-submit"') < page.text.index('value="cancel"')
    assert app.read_answer(app.follow(press(client, page, "cancel"))).error == "access_denied"


def test_app_narrows_who_may_register(client: FlaskClient, relying_party: Callable[..., RelyingParty]) -> None:
    closed = relying_party(client, registration_policy="closed")
    page = closed.follow(closed.send(prompt="create"))
    assert page.status_code == 403
    assert "<h1>Registration is not open</h1>" in page.text
    sign_in_page = closed.follow(closed.send())
    assert "/register" not in sign_in_page.text
    assert client.get("/register").status_code == 200, "by itself the provider is open"
    token = {"csrf_token": form_with(sign_in_page, "login-submit")[1]["csrf_token"], "i": page.request.args["i"]}
    assert client.post("/register", data={**PERSON, "password": PASSWORD, **token}).status_code == 403


def test_app_admits_domains(client: FlaskClient, relying_party: Callable[..., RelyingParty]) -> None:
    app = relying_party(client, registration_domains=("example.com", "example.net"))
    page = app.follow(app.send(prompt="create"))
    assert "Here you can only register with an address of these domains: example.com, example.net" in page.text
    refused = press(client, page, "register-submit", **PERSON, password=PASSWORD)
    assert refused.status_code == 403
    assert "Email domain is not allowed to register" in refused.text
    assert 'value="zoe@example.org"' in refused.text
    fine = press(client, refused, "register-submit", **{**PERSON, "email": "zoe@example.net"}, password=PASSWORD)
    assert location(fine).startswith("/mail-sent?")


# -- Policies -----------------------------------------------------------------------------


def test_closed_registration_says_so(settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    browser = make_app(replace(settings, registration="closed")).test_client()
    page = browser.get("/register")
    assert page.status_code == 403
    assert "<h1>Registration is not open</h1>" in page.text
    token = {"csrf_token": form_with(browser.get("/sign-in"), "login-submit")[1]["csrf_token"]}
    assert browser.post("/register", data={**PERSON, "password": PASSWORD, **token}).status_code == 403


def test_listed_addresses_register_once_where_only_they_may(
    settings: Settings, make_app: Callable[[Settings], Flask], db: Session, mailbox: Mailbox
) -> None:
    browser = make_app(replace(settings, registration="preauthorized")).test_client()
    page = browser.get("/register")
    assert "You can only register with an address that was listed beforehand." in page.text
    refused = press(browser, page, "register-submit", **PERSON, password=PASSWORD)
    assert refused.status_code == 403
    assert "not pre-authorized" in refused.text
    assert 'value="zoe"' in refused.text
    preauthorization.preauthorize(db, OPERATOR, "Zoe@example.org", roles=("editor",))
    db.commit()
    press(browser, refused, "register-submit", **PERSON, password=PASSWORD)
    assert db.scalar(select(func.count()).select_from(Preauthorization)) == 0
    press(browser, browser.get(mailbox.path("verify_address")), "verify-email-submit")
    sign_in(browser, "zoe", PASSWORD)
    assert "Roles editor" in words(browser.get("/account"))


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


def test_faults_are_told_in_the_pages_language(client: FlaskClient) -> None:
    german = {"Accept-Language": "de"}
    person = {**PERSON, "username": "z oe", "email": "zoe", "family_name": "o" * 101}
    action, fields = form_with(client.get("/register", headers=german), "register-submit")
    page = client.post(action, data={**fields, **person, "password": "zoe"}, headers=german)
    for sentence in (
        "Ein Benutzername enthält keine Leerzeichen.",
        "Das ist keine E-Mail-Adresse.",
        "Zu lang für „Nachname“: Erlaubt sind 100 Zeichen.",
        "Nehmen Sie mindestens 10 Zeichen.",
    ):
        assert sentence in words(page)
    assert 'lang="en"' not in page.text
    page = client.post(action, data={**fields, **PERSON, "password": "zoe"}, headers=german)
    assert "Nehmen Sie mindestens 10 Zeichen." in words(page)
    assert "Ihr eigener Name, Benutzername oder Ihre Adresse taugt nicht als Passwort." in words(page)
    assert 'lang="en"' not in page.text
