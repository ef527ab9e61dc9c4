"""Forgot the password, forgot the user name, and the mailed link that sets a new one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.accounts import throttle, users
from idp.accounts.visitor import OPERATOR
from idp.models import OneTimeLink, User
from idp.settings import Settings
from tests.factories import PASSWORD
from tests.relying_party import RelyingParty
from tests.web.mailbox import Mailbox
from tests.web.page_driver import form_with, location, press, sign_in, words

NEW_PASSWORD = "kettle orbit mustard lantern"


@pytest.fixture
def link(client: FlaskClient, make_user: Callable[..., User], mailbox: Mailbox) -> str:
    """The link that Ada got."""
    make_user()
    press(client, client.get("/forgot-password"), "forgot-password-submit", username="ada")
    return mailbox.path("reset_password")


# -- Asking -----------------------------------------------------------------------------------


def test_sign_in_page_leads_there(client: FlaskClient, relying_party: Callable[..., RelyingParty]) -> None:
    app = relying_party(client)
    page = app.follow(app.send(login_hint="ada@example.org"))
    request_id = page.request.args["i"]
    for name, field in (("forgot-password", "username"), ("forgot-username", "email")):
        assert f'id="{name}" href="/{name}?i={request_id}"' in page.text
        form = client.get(f"/{name}?i={request_id}")
        assert "to continue to Weather app" in words(form)
        assert 'value="ada@example.org"' in form.text
        sent = client.get(location(press(client, form, f"{name}-submit", **{field: "ada@example.org"})))
        assert f'href="/sign-in?i={request_id}"' in sent.text


@pytest.mark.parametrize(
    ("path", "field", "known", "kind"),
    [
        ("forgot-password", "username", "ada", "reset_password"),
        ("forgot-password", "username", "ADA@example.org", "reset_password"),
        ("forgot-username", "email", "Ada@Example.org", "forgotten_usernames"),
    ],
)
def test_known_and_unknown_look_and_cost_the_same(
    client: FlaskClient,
    make_user: Callable[..., User],
    mailbox: Mailbox,
    db: Session,
    settings: Settings,
    clock: Any,
    counted: Callable[..., Any],
    path: str,
    field: str,
    known: str,
    kind: str,
) -> None:
    make_user()
    users.disable_user(db, OPERATOR, make_user("grace").id)
    db.commit()
    seen = []
    for name in (known, "nobody@example.org", "grace@example.org", "no address at all", "ä" * 300, known):
        form = client.get(f"/{path}")
        told = []
        for _ in range(2):  # who presses the button twice gets one mail
            with counted() as work:
                response = press(client, form, f"{path}-submit", **{field: name})
            shown = client.get(location(response))
            page = shown.text.replace(f"<strong>{name[:254]}</strong>", "")
            headers = sorted(name for name, _ in response.headers)
            told.append((response.status_code, headers, page, work.statements, work.hashes))
        seen.append(told)
        clock.advance(throttle.AGAIN_WITHIN)
        for _ in range(throttle.MAIL_BURST + throttle.MAIL_KEPT):  # the second time there is no room for a mail
            throttle.admits_mail(db, settings, "ada@example.org", is_awaited=True)
        db.commit()
    for each in seen[1:]:
        assert each == seen[0]
    first, again = seen[0]
    assert again[:3] == first[:3]
    assert mailbox.kinds() == [(kind, "ada@example.org")]


@pytest.mark.parametrize(("path", "field"), [("forgot-password", "username"), ("forgot-username", "email")])
def test_who_waits_for_a_mail_that_does_not_come_asks_again(
    client: FlaskClient, make_user: Callable[..., User], mailbox: Mailbox, clock: Any, path: str, field: str
) -> None:
    make_user()
    form = client.get(f"/{path}")
    for mails in (1, 1, 2):
        press(client, form, f"{path}-submit", **{field: "ada@example.org"})
        assert len(mailbox.kinds()) == mails
        clock.advance(throttle.AGAIN_WITHIN // 2)


@pytest.mark.parametrize(("path", "field"), [("forgot-password", "username"), ("forgot-username", "email")])
@pytest.mark.parametrize("typed", ["", "   "])
def test_nothing_is_asked_for(client: FlaskClient, path: str, field: str, typed: str) -> None:
    refused = press(client, client.get(f"/{path}"), f"{path}-submit", **{field: typed})
    assert refused.status_code == 422
    assert f'id="{field}-fault-1"' in refused.text
    assert "<title>Error:" in refused.text


@pytest.mark.parametrize(("path", "field"), [("forgot-password", "username"), ("forgot-username", "email")])
def test_asking_without_end_waits(
    settings: Settings, make_app: Callable[[Settings], Flask], path: str, field: str
) -> None:
    browser = make_app(replace(settings, throttle_address_burst=1)).test_client()
    page = browser.get(f"/{path}")
    assert press(browser, page, f"{path}-submit", **{field: "ada@example.org"}).status_code == 303
    refused = press(browser, page, f"{path}-submit", **{field: "ada@example.org"})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert 'value="ada@example.org"' in refused.text
    assert 'aria-describedby="form-faults" autofocus' in refused.text, "it is read out first"


def test_user_name_is_mailed(client: FlaskClient, make_user: Callable[..., User], mailbox: Mailbox) -> None:
    make_user()
    press(client, client.get("/forgot-username"), "forgot-username-submit", email="ada@example.org")
    assert "ada" in mailbox.text("forgotten_usernames").split()


# -- The link -----------------------------------------------------------------------------------


def test_new_password_is_set_and_everything_else_ends(
    client: FlaskClient, make_user: Callable[..., User], link: str, mailbox: Mailbox, app: Flask
) -> None:
    elsewhere = app.test_client()
    sign_in(elsewhere)
    for _ in range(2):
        page = client.get(link)
        assert 'autocomplete="new-password"' in page.text
        assert "of the account ada." in words(page).replace(" .", ".")
    response = press(client, page, "reset-password-submit", new_password=NEW_PASSWORD)
    assert location(response) == "/sign-in?notice=password-reset"
    assert "Your new password is set." in client.get(location(response)).text
    assert location(elsewhere.get("/account")).startswith("/sign-in")
    assert location(client.get("/account")).startswith("/sign-in"), "the link signs nobody in"
    sign_in(client, "ada", NEW_PASSWORD)
    assert mailbox.kinds()[-1] == ("password_changed", "ada@example.org")


def test_link_is_good_once(client: FlaskClient, link: str) -> None:
    page = client.get(link)
    press(client, page, "reset-password-submit", new_password=NEW_PASSWORD)
    for again in (press(client, page, "reset-password-submit", new_password=PASSWORD), client.get(link)):
        assert again.status_code == 400
        assert 'id="link-gone"' in again.text
        assert 'href="/forgot-password"' in again.text
        assert "If you have just set a new password with this one, sign in with it" in words(again)
        assert 'href="/sign-in"' in again.text, "who pressed the button twice has a password that is good"
    sign_in(client, "ada", NEW_PASSWORD)


def test_link_is_good_for_half_an_hour(client: FlaskClient, link: str, clock: Any) -> None:
    clock.advance(30 * 60 - 60)
    page = client.get(link)
    assert page.status_code == 200
    clock.advance(120)
    assert press(client, page, "reset-password-submit", new_password=NEW_PASSWORD).status_code == 400
    sign_in(client)


def test_link_dies_when_the_password_changes(client: FlaskClient, link: str) -> None:
    sign_in(client)
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    press(client, client.get("/account/password"), "password-submit", **change)
    assert client.get(link).status_code == 400


def test_faults_leave_the_link_good(client: FlaskClient, link: str) -> None:
    page = client.get(link)
    for password, sentence in (("", "Enter a new password."), ("ada", "at least 10 characters")):
        page = press(client, page, "reset-password-submit", new_password=password)
        assert page.status_code == 422
        assert sentence in page.text
        assert 'id="new_password-fault-1"' in page.text
    assert press(client, page, "reset-password-submit", new_password=NEW_PASSWORD).status_code == 303


def test_forged_form_sets_nothing(client: FlaskClient, link: str, db: Session) -> None:
    token = link.split("=")[1]
    refused = client.post("/reset-password", data={"token": token, "new_password": NEW_PASSWORD})
    assert refused.status_code == 400
    assert NEW_PASSWORD not in refused.text
    assert db.scalars(select(OneTimeLink.claimed_at)).all() == [None]
    assert press(client, refused, "reset-password-submit", new_password=NEW_PASSWORD).status_code == 303


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "%ff", "%00"])
def test_links_that_are_none(client: FlaskClient, token: str) -> None:
    page = client.get(f"/reset-password?token={token}")
    assert page.status_code == 400
    assert 'id="link-gone"' in page.text
    fields = form_with(client.get("/forgot-password"), "forgot-password-submit")[1]
    posted = client.post(f"/reset-password?token={token}", data={**fields, "new_password": NEW_PASSWORD})
    assert posted.status_code == 400


def test_link_leads_back_to_the_app(
    client: FlaskClient,
    make_user: Callable[..., User],
    relying_party: Callable[..., RelyingParty],
    mailbox: Mailbox,
    app: Flask,
) -> None:
    make_user()
    weather = relying_party(client)
    page = weather.follow(weather.send())
    form = client.get(f"/forgot-password?i={page.request.args['i']}")
    press(client, form, "forgot-password-submit", username="ada")
    link = mailbox.path("reset_password")
    assert page.request.args["i"] not in link
    to_sign_in = weather.follow(press(client, client.get(link), "reset-password-submit", new_password=NEW_PASSWORD))
    assert "to continue to Weather app" in words(to_sign_in)
    response = press(client, to_sign_in, "login-submit", username="ada", password=NEW_PASSWORD)
    assert weather.read_answer(weather.follow(response)).code


def test_link_leads_to_no_request_that_was_answered_meanwhile(
    client: FlaskClient, relying_party: Callable[..., RelyingParty], link: str
) -> None:
    weather = relying_party(client)
    cancelled = press(client, weather.follow(weather.send()), "cancel")
    assert weather.read_answer(weather.follow(cancelled)).error == "access_denied"
    to_sign_in = weather.follow(press(client, client.get(link), "reset-password-submit", new_password=NEW_PASSWORD))
    assert to_sign_in.status_code == 200
    assert "to continue to Weather app" not in words(to_sign_in)


def test_somebody_else_who_is_signed_in_does_not_get_in_the_way(
    client: FlaskClient, make_user: Callable[..., User], link: str
) -> None:
    make_user("grace")
    sign_in(client, "grace")
    response = press(client, client.get(link), "reset-password-submit", new_password=NEW_PASSWORD)
    page = client.get(location(response))
    assert "Your new password is set." in page.text
    press(client, page, "login-submit", username="ada", password=NEW_PASSWORD)
    assert "User name ada" in words(client.get("/account"))
