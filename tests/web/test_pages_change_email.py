"""Another address: asked for, confirmed, told."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.accounts import throttle
from idp.accounts.email_change import LINK_LIFETIME
from idp.models import User
from tests.factories import PASSWORD
from tests.web.mailbox import Mailbox
from tests.web.page_driver import location, press, sign_in, words

NEW = "countess@example.org"


def ask(browser: FlaskClient, email: str = NEW, password: str = PASSWORD) -> Any:
    """Ask for another address."""
    page = browser.get("/account/email")
    return press(browser, page, "email-submit", email=email, current_password=password)


def test_old_address_stands_until_the_new_one_is_confirmed(
    signed_in: FlaskClient, mailbox: Mailbox, db: Session
) -> None:
    assert location(ask(signed_in)) == "/account/email?notice=address-requested"
    page = words(signed_in.get("/account/email?notice=address-requested"))
    assert "We have sent an e-mail to the new address." in page
    assert f"Current address ada@example.org Confirmed New address {NEW} Waiting for confirmation" in page
    assert sorted(mailbox.kinds()) == [
        ("address_change_requested", "ada@example.org"),
        ("confirm_new_address", NEW),
    ]
    assert mailbox.path("address_change_requested") == "/account/password", "who did not ask acts at once"
    link = mailbox.path("confirm_new_address")
    for _ in range(2):
        proof = signed_in.get(link)
        assert NEW in proof.text
    assert db.scalar(select(User.email)) == "ada@example.org"
    db.rollback()
    done = press(signed_in, proof, "confirm-email-submit")
    assert location(done) == "/account/email?notice=address-changed"
    assert f"Current address {NEW} Confirmed" in words(signed_in.get(location(done)))
    assert "email-pending" not in signed_in.get("/account/email").text
    assert mailbox.kinds()[-1] == ("address_changed", "ada@example.org")
    assert mailbox.path("address_changed") == "/account/password"
    again = press(signed_in, proof, "confirm-email-submit")
    assert again.status_code == 400
    assert 'id="link-gone"' in again.text


def test_change_is_called_off_by_one_button(signed_in: FlaskClient, mailbox: Mailbox) -> None:
    ask(signed_in)
    done = press(signed_in, signed_in.get("/account/email"), "email-call-off")
    assert location(done) == "/account/email?notice=address-kept"
    page = signed_in.get(location(done))
    assert "Your e-mail address stays as it is." in words(page)
    assert "email-pending" not in page.text
    assert "email-call-off" not in page.text
    assert signed_in.get(mailbox.path("confirm_new_address")).status_code == 400


def test_button_pressed_twice_leaves_the_link_good(signed_in: FlaskClient, mailbox: Mailbox, clock: Any) -> None:
    page = signed_in.get("/account/email")

    def send(email: str = NEW) -> int:
        done = press(signed_in, page, "email-submit", email=email, current_password=PASSWORD)
        assert location(done) == "/account/email?notice=address-requested"
        return len(mailbox.kinds())

    assert send() == 2
    link = mailbox.path("confirm_new_address")
    assert send() == 2
    assert signed_in.get(link).status_code == 200
    press(signed_in, signed_in.get("/account/email"), "email-call-off")
    assert send() == 4, "who has called it off meanwhile means it"
    assert send("duchess@example.org") == 6
    assert send() == 8, "and so does who has asked for yet another address"
    clock.advance(throttle.MAIL_INTERVAL)
    assert send() == 10, "somebody waits for a mail that did not come"


def test_link_works_where_nobody_is_signed_in(signed_in: FlaskClient, mailbox: Mailbox, app: Flask) -> None:
    ask(signed_in)
    phone = app.test_client()
    done = press(phone, phone.get(mailbox.path("confirm_new_address")), "confirm-email-submit")
    assert location(done) == "/sign-in?notice=address-changed"
    sign_in(phone, NEW)


@pytest.mark.parametrize(
    ("email", "password", "field", "sentence"),
    [
        ("", "", "email", "Enter an e-mail address."),
        (NEW, "", "current_password", "Enter your current password."),
        ("no address", PASSWORD, "email", "This is not an e-mail address"),
        ("Ada@example.org", PASSWORD, "email", "New and current values are the same."),
        (NEW, "wrong", "current_password", "Password is incorrect."),
    ],
)
def test_faults_are_named(
    signed_in: FlaskClient, mailbox: Mailbox, email: str, password: str, field: str, sentence: str
) -> None:
    refused = ask(signed_in, email, password)
    assert refused.status_code == 422
    assert sentence in refused.text
    assert f'id="{field}-fault-1"' in refused.text
    assert f'value="{email}"' in refused.text
    assert mailbox.kinds() == []


def test_address_of_somebody_else_gets_the_same_answer(
    signed_in: FlaskClient, make_user: Callable[..., User], mailbox: Mailbox
) -> None:
    make_user("grace")
    assert location(ask(signed_in, "grace@example.org")) == "/account/email?notice=address-requested"
    assert ("address_already_registered", "grace@example.org") in mailbox.kinds()
    assert "confirm_new_address" not in [kind for kind, _ in mailbox.kinds()]


def test_whether_the_new_address_is_known_shows_nowhere(
    signed_in: FlaskClient, make_user: Callable[..., User], counted: Callable[..., Any]
) -> None:
    make_user("grace")
    seen = []
    for email in ("grace@example.org", "nobody@example.org"):
        page = signed_in.get("/account/email")
        with counted() as work:
            press(signed_in, page, "email-submit", email=email, current_password=PASSWORD)
        shown = signed_in.get("/account/email").text.replace(email, "")
        seen.append((work.statements, work.hashes, "email-pending" in shown))
    assert seen[0][:2] == seen[1][:2]
    assert seen[0][2] == seen[1][2], "the page lists the address as waiting for one of them only"


def test_guessing_the_password_slows_down(signed_in: FlaskClient) -> None:
    for _ in range(10):
        assert ask(signed_in, password="wrong").status_code == 422
    refused = ask(signed_in, password="wrong")
    assert refused.status_code == 429
    assert f'value="{NEW}"' in refused.text
    assert int(refused.headers["Retry-After"]) >= 1


def test_link_expires_and_dies_with_the_password(signed_in: FlaskClient, mailbox: Mailbox, clock: Any) -> None:
    ask(signed_in)
    first = mailbox.path("confirm_new_address")
    change = {"current_password": PASSWORD, "new_password": "kettle orbit mustard lantern"}
    press(signed_in, signed_in.get("/account/password"), "password-submit", **change)
    assert signed_in.get(first).status_code == 400
    ask(signed_in, password=change["new_password"])
    second = mailbox.path("confirm_new_address")
    assert signed_in.get(second).status_code == 200
    clock.advance(LINK_LIFETIME)
    assert signed_in.get(second).status_code == 400


def test_forged_form_confirms_nothing(signed_in: FlaskClient, mailbox: Mailbox, db: Session) -> None:
    ask(signed_in)
    token = mailbox.path("confirm_new_address").split("=")[1]
    refused = signed_in.post("/confirm-email", data={"token": token})
    assert refused.status_code == 400
    assert db.scalar(select(User.email)) == "ada@example.org"
    assert press(signed_in, refused, "confirm-email-submit").status_code == 303


@pytest.mark.parametrize("token", ["", "x", "%ff", "%00"])
def test_links_that_are_none(client: FlaskClient, token: str) -> None:
    assert client.get(f"/confirm-email?token={token}").status_code == 400
