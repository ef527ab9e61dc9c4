"""Registering by an invitation: a mailed link that proves the address."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.accounts import preauthorization
from idp.accounts.roles import roles_of
from idp.accounts.visitor import OPERATOR
from idp.models import User
from idp.settings import Settings
from tests.web.mailbox import Mailbox
from tests.web.page_driver import location, press, sign_in, words

PERSON = {"username": "zoe", "email": "zoe@example.org", "given_name": "Zoë", "family_name": "O'Neil"}
PASSWORD = "kettle orbit mustard lantern"


@pytest.fixture
def invite(db: Session, settings: Settings, mailbox: Mailbox) -> Callable[..., str]:
    """Invite somebody; returns the path of the link."""

    def make(email: str = "zoe@example.org", **given: Any) -> str:
        preauthorization.invite(db, settings, OPERATOR, email, **given)
        db.commit()
        return mailbox.path("invitation")

    return make


def test_invitation_proves_the_address(
    settings: Settings,
    make_app: Callable[[Settings], Flask],
    db: Session,
    invite: Callable[..., str],
    mailbox: Mailbox,
) -> None:
    browser = make_app(replace(settings, registration="preauthorized")).test_client()
    link = invite(roles=("editor",))
    for _ in range(2):  # a scanner looks first
        page = browser.get(link)
        assert 'value="zoe@example.org"' in page.text
        assert "readonly" in page.text
        assert "You were invited at this address" in page.text
    weak = press(browser, page, "register-submit", **{**PERSON, "password": "zoe"})
    assert weak.status_code == 422
    assert 'name="token"' in weak.text, "the invitation is not lost"
    response = press(browser, weak, "register-submit", **PERSON, password=PASSWORD)
    assert location(response) == "/sign-in?notice=registered"
    assert "your account is ready" in browser.get(location(response)).text
    sign_in(browser, "zoe", PASSWORD)
    user = db.scalars(select(User)).one()
    assert user.email_verified_at
    assert roles_of(db, user.id) == ["editor"]
    assert [kind for kind, _ in mailbox.kinds()] == ["invitation"]
    assert browser.get(link).status_code == 400


def test_invitation_is_for_nobody_else(client: FlaskClient, invite: Callable[..., str], db: Session) -> None:
    page = client.get(invite())
    refused = press(client, page, "register-submit", **{**PERSON, "email": "mallory@example.org"}, password=PASSWORD)
    assert refused.status_code == 422
    assert 'value="zoe@example.org"' in refused.text
    assert db.scalar(select(func.count()).select_from(User)) == 0


def test_whose_address_has_an_account_is_told_so(
    client: FlaskClient, make_user: Callable[..., User], invite: Callable[..., str], db: Session, mailbox: Mailbox
) -> None:
    page = client.get(invite())
    make_user(email="zoe@example.org")
    for name in ("zoe", "zoe", "ada"):  # also who sends the form again, and who gives the name that they have
        refused = press(client, page, "register-submit", **{**PERSON, "username": name}, password=PASSWORD)
        assert refused.status_code == 409
        assert "There is an account with this address already." in words(refused)
    assert db.scalar(select(func.count()).select_from(User)) == 1
    assert mailbox.kinds() == [("invitation", "zoe@example.org")], "who reads it there needs no mail"


@pytest.mark.parametrize("token", ["x", "x" * 43, "", "%00", "%ff", "%C3%A4" * 500])
def test_invitation_that_is_none(client: FlaskClient, token: str) -> None:
    page = client.get(f"/register?token={token}")
    if token in ("", "%00"):
        assert page.status_code == 200
        return
    assert page.status_code == 400
    assert 'id="link-gone"' in page.text
    assert "ask whoever invited you" in page.text


def test_invitation_that_went_meanwhile(
    client: FlaskClient, invite: Callable[..., str], clock: Any, db: Session
) -> None:
    page = client.get(invite())
    preauthorization.withdraw(db, OPERATOR, "zoe@example.org")
    db.commit()
    refused = press(client, page, "register-submit", **PERSON, password=PASSWORD)
    assert refused.status_code == 400
    assert 'id="link-gone"' in refused.text
    link = invite()
    clock.advance(preauthorization.INVITATION_LIFETIME)
    assert client.get(link).status_code == 400
    assert db.scalar(select(func.count()).select_from(User)) == 0
