"""Taking one's data along, and leaving for good, or not after all."""

import json
import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.accounts import deletion
from idp.models import User
from tests.factories import EVERY_CLAIM, PASSWORD
from tests.relying_party import RelyingParty
from tests.web.mailbox import Mailbox
from tests.web.page_driver import form_with, location, press, sign_in, words


def ask(browser: FlaskClient, password: str = PASSWORD) -> str:
    """Ask for the deletion of the account."""
    return location(press(browser, browser.get("/account/delete"), "delete-submit", current_password=password))


# -- Data -------------------------------------------------------------------------------------


def test_data_are_a_file(client: FlaskClient, make_user: Callable[..., User]) -> None:
    make_user(roles=("editor",), **EVERY_CLAIM)
    sign_in(client)
    assert 'href="/account/data"' in client.get("/account").text
    response = client.get("/account/data")
    assert response.mimetype == "application/json"
    assert response.headers["Content-Disposition"] == 'attachment; filename="account.json"'
    assert response.headers["Cache-Control"] == "no-store"
    data = json.loads(response.data)
    for value in ("ada@example.org", "editor", "Countess"):
        assert value in json.dumps(data)
    assert "sha256$2b$" not in response.text


def test_data_are_for_their_owner(client: FlaskClient) -> None:
    assert location(client.get("/account/data")).startswith("/sign-in")


# -- Leaving ------------------------------------------------------------------------------------


def test_deletion_is_asked_for_and_revoked(signed_in: FlaskClient, mailbox: Mailbox, db: Session) -> None:
    assert "deletion-due" not in signed_in.get("/account").text
    assert ask(signed_in) == "/account/delete"
    assert mailbox.kinds() == [("account_deletion", "ada@example.org")]
    for path in ("/account", "/account/profile", "/account/delete", "/account/sessions"):
        page = signed_in.get(path)
        assert re.search(r"Your account will be deleted in 7 days, on \d+ [A-Z][a-z]+ 20\d\d *\.", words(page))
    assert "<h1>Your account will be deleted</h1>" in signed_in.get("/account/delete").text
    in_german = signed_in.get("/account", headers={"Accept-Language": "de"})
    assert re.search(r"Ihr Konto wird in 7 Tagen \(am \d+\. \S+ 20\d\d *\) gelöscht\.", words(in_german))
    assert "delete-submit" not in signed_in.get("/account/delete").text
    kept = press(signed_in, page, "keep-account")
    assert location(kept) == "/account?notice=account-kept"
    page = signed_in.get(location(kept))
    assert "Your account will not be deleted." in page.text
    assert 'id="deletion-due"' not in page.text
    assert db.scalar(select(User.deletion_due_at)) is None
    assert location(signed_in.post("/account/delete/revoke", data=form_with(page, "sign-out")[1])) == location(kept)


@pytest.mark.parametrize(
    ("password", "sentence"), [("", "Enter your current password."), ("wrong", "Password is incorrect.")]
)
def test_deletion_needs_the_password(signed_in: FlaskClient, db: Session, password: str, sentence: str) -> None:
    refused = press(signed_in, signed_in.get("/account/delete"), "delete-submit", current_password=password)
    assert refused.status_code == 422
    assert sentence in refused.text
    assert 'id="current_password-fault-1"' in refused.text
    assert db.scalar(select(User.deletion_due_at)) is None


def test_guessing_the_password_slows_down(signed_in: FlaskClient) -> None:
    page = signed_in.get("/account/delete")
    for _ in range(10):
        page = press(signed_in, page, "delete-submit", current_password="wrong")
    refused = press(signed_in, page, "delete-submit", current_password=PASSWORD)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1


def test_last_day_is_called_so(signed_in: FlaskClient, clock: object, db: Session) -> None:
    ask(signed_in)
    clock.advance(deletion.REVOCABLE - 3_600)  # type: ignore[attr-defined]
    assert "Your account will be deleted within a day, by" in words(signed_in.get("/account"))
    clock.advance(3_600)  # type: ignore[attr-defined]
    deletion.delete_due(db, most=10)
    db.commit()
    assert db.scalar(select(func.count()).select_from(User)) == 0
    assert location(signed_in.get("/account")).startswith("/sign-in")


# -- On the way to an app ---------------------------------------------------------------------------


def test_signing_in_to_an_app_offers_to_keep_the_account(
    signed_in: FlaskClient, relying_party: Callable[..., RelyingParty], db: Session
) -> None:
    ask(signed_in)
    app = relying_party(signed_in)
    assert app.ask().code, "who is signed in knows, and is not asked at every turn"
    offer = app.follow(press_sign_in(app))
    assert "<h1>Do you want to keep your account?</h1>" in offer.text
    press(signed_in, offer, "cancel")  # and the way to the app is cut off
    assert app.read_answer(app.follow(press(signed_in, offer, "keep-account"))).code
    assert db.scalar(select(User.deletion_due_at)) is None


def test_offer_may_be_declined(signed_in: FlaskClient, relying_party: Callable[..., RelyingParty], db: Session) -> None:
    ask(signed_in)
    app = relying_party(signed_in)
    offer = app.follow(press_sign_in(app))
    assert app.read_answer(app.follow(press(signed_in, offer, "keep-account-continue"))).code
    offer = app.follow(press_sign_in(app))
    assert app.read_answer(app.follow(press(signed_in, offer, "cancel"))).error == "access_denied"
    assert db.scalar(select(User.deletion_due_at)) is not None


def test_forged_answer_counts_for_nothing(
    signed_in: FlaskClient, relying_party: Callable[..., RelyingParty], db: Session
) -> None:
    ask(signed_in)
    app = relying_party(signed_in)
    offer = app.follow(press_sign_in(app))
    refused = signed_in.post("/keep-account", data={"i": offer.request.args["i"], "action": "keep"})
    assert refused.status_code == 400
    assert db.scalar(select(User.deletion_due_at)) is not None
    assert signed_in.get("/keep-account").status_code == 400, "the page belongs to a request"
    kept = press(signed_in, refused, "keep-account")
    assert location(signed_in.get(f"/keep-account?i={offer.request.args['i']}")).startswith("/oauth/authorize/")
    assert app.read_answer(app.follow(kept)).code


def test_answer_to_an_offer_that_was_somebody_else_s_goes_on_as_who_is_signed_in_now(
    signed_in: FlaskClient, relying_party: Callable[..., RelyingParty], make_user: Callable[..., User]
) -> None:
    make_user("bob")
    ask(signed_in)
    app = relying_party(signed_in)
    offer = app.follow(press_sign_in(app))
    press(signed_in, signed_in.get("/sign-in?other=1"), "login-submit", username="bob", password=PASSWORD)
    answer = press(signed_in, offer, "keep-account-continue")
    assert 'id="login-submit"' in app.follow(answer).text, "the app wants to know who it is"


def press_sign_in(app: RelyingParty) -> object:
    """Be asked for the password by an app, and give it."""
    page = app.follow(app.send(prompt="login"))
    return press(app.browser, page, "login-submit", username="ada", password=PASSWORD)  # type: ignore[arg-type]
