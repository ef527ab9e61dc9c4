"""Proving one's address: the mailbox page, the mailed link, the mail once more."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.accounts.email_verification import LINK_LIFETIME
from idp.models import OneTimeLink, User
from idp.settings import Settings
from tests.factories import PASSWORD
from tests.relying_party import RelyingParty
from tests.web.mailbox import Mailbox
from tests.web.page_driver import location, press, sign_in, words

ZOE = {"username": "zoe", "email": "zoe@example.org", "password": PASSWORD}


@pytest.fixture
def registered(client: FlaskClient) -> FlaskClient:
    """The browser of Zoe, who has not opened her mail yet."""
    press(client, client.get("/register"), "register-submit", **ZOE)
    return client


def test_looking_at_the_link_uses_nothing_up(registered: FlaskClient, mailbox: Mailbox, db: Session) -> None:
    link = mailbox.path("verify_address")
    assert "token=" in link
    for _ in range(3):
        page = registered.get(link)
        assert page.status_code == 200
        assert page.text.count("<button") == 1
    assert db.scalars(select(OneTimeLink.claimed_at)).all() == [None]
    response = press(registered, page, "verify-email-submit")
    assert "token" not in location(response), "the secret stays in no address"


def test_link_works_once(registered: FlaskClient, mailbox: Mailbox) -> None:
    link = mailbox.path("verify_address")
    page = registered.get(link)
    assert press(registered, page, "verify-email-submit").status_code == 303
    for again in (press(registered, page, "verify-email-submit"), registered.get(link)):
        assert again.status_code == 400
        assert "If you have confirmed your address before, just sign in." in again.text
        assert 'href="/verify-email/resend"' in again.text


def test_link_expires(registered: FlaskClient, mailbox: Mailbox, clock: Any) -> None:
    page = registered.get(mailbox.path("verify_address"))
    clock.advance(LINK_LIFETIME)
    refused = press(registered, page, "verify-email-submit")
    assert refused.status_code == 400
    assert 'id="link-gone"' in refused.text


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "%ff%fe", "%00", "x" * 5_000])
def test_links_that_are_none(client: FlaskClient, token: str) -> None:
    page = client.get(f"/verify-email?token={token}")
    assert page.status_code == 400
    assert 'id="link-gone"' in page.text


def test_link_for_something_else_is_none(client: FlaskClient, make_user: Callable[..., User], mailbox: Mailbox) -> None:
    make_user()
    press(client, client.get("/forgot-password"), "forgot-password-submit", username="ada")
    token = mailbox.path("reset_password").split("?")[1]
    for path in ("/verify-email", "/confirm-email", "/register"):
        assert client.get(f"{path}?{token}").status_code == 400


def test_forged_form_confirms_nothing(registered: FlaskClient, mailbox: Mailbox, db: Session) -> None:
    token = mailbox.path("verify_address").split("=")[1]
    refused = registered.post("/verify-email", data={"token": token})
    assert refused.status_code == 400
    assert "This page was open for too long" in refused.text
    assert db.scalar(select(User.email_verified_at)) is None
    assert press(registered, refused, "verify-email-submit").status_code == 303


def test_who_is_signed_in_stays_so(client: FlaskClient, make_user: Callable[..., User], mailbox: Mailbox) -> None:
    make_user(is_email_verified=False)
    sign_in(client)
    response = press(client, client.get("/account/email"), "resend-submit")
    assert "If the address of ada is not confirmed yet" in words(client.get(location(response)))
    response = press(client, client.get(mailbox.path("verify_address")), "verify-email-submit")
    assert location(response) == "/account?notice=address-proven"
    assert "ada@example.org Confirmed" in words(client.get("/account"))


def test_somebody_else_who_is_signed_in_does_not_get_in_the_way(
    registered: FlaskClient, make_user: Callable[..., User], mailbox: Mailbox
) -> None:
    make_user()
    sign_in(registered)
    response = press(registered, registered.get(mailbox.path("verify_address")), "verify-email-submit")
    page = registered.get(location(response))
    assert "your e-mail address is confirmed" in page.text
    press(registered, page, "login-submit", username="zoe", password=PASSWORD)
    assert "Hello, zoe" in words(registered.get("/account"))


# -- Before it is done ------------------------------------------------------------------------


def test_signing_in_too_early_says_what_is_missing(registered: FlaskClient, mailbox: Mailbox) -> None:
    response = press(registered, registered.get("/sign-in"), "login-submit", username="zoe", password=PASSWORD)
    assert registered.get_cookie("idp_session") is None
    page = registered.get(location(response))
    assert "<h1>Confirm your address first</h1>" in page.text
    sent = press(registered, page, "resend-submit")
    page = registered.get(location(sent))
    assert "The e-mail was sent again." in page.text
    assert "<h1>Confirm your address first</h1>" in page.text
    assert [kind for kind, _ in mailbox.kinds()] == ["verify_address", "verify_address"]


def test_wrong_password_does_not_tell_that_an_account_waits(registered: FlaskClient) -> None:
    page = press(registered, registered.get("/sign-in"), "login-submit", username="zoe", password="wrong")
    assert page.status_code == 422
    assert "do not match" in page.text


def test_app_is_not_lost_by_signing_in_too_early(
    registered: FlaskClient, relying_party: Callable[..., RelyingParty], mailbox: Mailbox
) -> None:
    app = relying_party(registered)
    page = app.follow(app.send())
    waiting = app.follow(press(registered, page, "login-submit", username="zoe", password=PASSWORD))
    assert "to continue to Weather app" in words(waiting)
    to_sign_in = app.follow(press(registered, registered.get(mailbox.path("verify_address")), "verify-email-submit"))
    response = press(registered, to_sign_in, "login-submit", username="zoe", password=PASSWORD)
    assert app.read_answer(app.follow(response)).code


# -- Once more ----------------------------------------------------------------------------------


def test_resend_asks_for_a_name(client: FlaskClient) -> None:
    refused = press(client, client.get("/verify-email/resend"), "resend-submit")
    assert refused.status_code == 422
    assert 'id="identifier-fault-1"' in refused.text


def test_resend_says_the_same_to_everybody(
    registered: FlaskClient, make_user: Callable[..., User], mailbox: Mailbox, counted: Callable[..., Any]
) -> None:
    make_user()
    pages, costs = [], []
    for name in ("zoe", "ada", "nobody", "zoe@example.org"):
        form = registered.get("/verify-email/resend")
        cost = []
        for _ in range(2):  # who presses the button twice gets one mail
            with counted() as work:
                response = press(registered, form, "resend-submit", identifier=name)
            cost.append((len(work.statements), work.hashes))
            pages.append(registered.get(location(response)).text.replace(f"<strong>{name}</strong>", ""))
        costs.append(tuple(cost))
    assert len(set(costs)) == 1, costs
    assert len({without_seal(page) for page in pages}) == 1
    assert [kind for kind, _ in mailbox.kinds()] == ["verify_address"] * 3


def test_resending_without_end_waits(settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    browser = make_app(replace(settings, throttle_address_burst=1)).test_client()
    page = browser.get("/verify-email/resend")
    assert press(browser, page, "resend-submit", identifier="zoe").status_code == 303
    refused = press(browser, page, "resend-submit", identifier="zoe")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert 'value="zoe"' in refused.text


def without_seal(page: str) -> str:
    """Return a page without what is sealed anew each time."""
    return "".join(line for line in page.splitlines() if 'name="letter"' not in line)


# -- The mailbox page -----------------------------------------------------------------------------


def test_mailbox_page_says_nothing_that_a_link_brought(registered: FlaskClient, app: Flask) -> None:
    response = press(registered, registered.get("/register"), "register-submit", **{**ZOE, "username": "zoe2"})
    own = location(response)
    assert "zoe@example.org" in registered.get(own).text
    assert "example.org" not in own
    stranger = app.test_client()
    stranger.get("/sign-in")
    for path in (own, "/mail-sent?letter=zoe@example.org", "/mail-sent?letter=%C3%A4", "/mail-sent?letter=%ff"):
        page = stranger.get(path)
        assert page.status_code == 200
        assert "zoe" not in page.text.replace(own, "")
        assert "If there is anything for you" in page.text
