"""A password that somebody else knows too: it is changed before anything else, whatever one came for."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.accounts import recovery
from idp.accounts.visitor import OPERATOR
from idp.models import User
from idp.settings import Settings
from tests.factories import PASSWORD
from tests.relying_party import RelyingParty
from tests.web.page_driver import form_with, location, press, sign_in, words

NEW_PASSWORD = "kettle orbit mustard lantern"


@pytest.fixture
def issued(db: Session, settings: Settings, make_user: Callable[..., User]) -> str:
    """A password that was issued to Ada."""
    make_user()
    given = recovery.issue_temporary_password(db, settings, OPERATOR, "ada")
    assert given
    db.commit()
    return given[2]


@pytest.mark.parametrize("path", ["/account", "/account/profile", "/account/apps", "/account/sessions"])
def test_issued_password_is_changed_first(client: FlaskClient, issued: str, path: str) -> None:
    to_change = location(sign_in(client, "ada", issued))
    assert to_change == "/account"
    assert location(client.get(path)) == f"/account/password?next={path}"
    page = client.get(f"/account/password?next={path}")
    assert "<h1>Choose your own password</h1>" in page.text
    assert "<nav" not in page.text, "there is nowhere else to go"
    wrong = press(client, page, "password-submit", current_password=issued, new_password="short")
    assert wrong.status_code == 422
    done = press(client, wrong, "password-submit", current_password=issued, new_password=NEW_PASSWORD)
    assert location(done).split("?")[0] == path
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/account/data", "/account/delete", "/account/email"])
def test_session_with_an_issued_password_is_good_for_nothing_else(
    client: FlaskClient, issued: str, db: Session, path: str
) -> None:
    sign_in(client, "ada", issued)
    assert location(client.get(path)).startswith("/account/password")
    token = form_with(client.get("/account/password"), "sign-out")[1]
    forms: dict[str, dict[str, str]] = {
        "/account/profile": {"nickname": "Mallory"},
        "/account/email": {"email": "mallory@example.org", "current_password": issued},
        "/account/email/revoke": {},
        "/account/delete": {"current_password": issued},
        "/account/sessions": {"end": "others"},
        "/account/apps": {"withdraw": "x"},
    }
    for form, fields in forms.items():
        assert location(client.post(form, data={**token, **fields})).startswith("/account/password")
    assert db.execute(select(User.nickname, User.deletion_due_at)).one() == (None, None)
    assert location(press(client, client.get("/account/password"), "sign-out")) == "/signed-out"


def test_app_waits_until_an_issued_password_is_changed(
    client: FlaskClient, issued: str, relying_party: Callable[..., RelyingParty]
) -> None:
    app = relying_party(client, is_trusted=False)
    page = app.follow(app.send(prompt="login"))
    to_change = app.follow(press(client, page, "login-submit", username="ada", password=issued))
    assert to_change.request.path == "/account/password"
    assert "to continue to Weather app" in words(to_change)
    assert app.ask(prompt="none").error == "interaction_required"
    to_change = app.follow(app.send())
    assert location(client.get(f"/consent?i={to_change.request.args['i']}")).startswith("/oauth/authorize/")
    press(client, to_change, "cancel")  # and the way to the app is cut off
    change = {"current_password": issued, "new_password": NEW_PASSWORD}
    consent = app.follow(press(client, to_change, "password-submit", **change))
    assert app.read_answer(app.follow(press(client, consent, "consent-allow"))).code


def test_changing_an_issued_password_may_be_cancelled(
    client: FlaskClient, issued: str, relying_party: Callable[..., RelyingParty]
) -> None:
    app = relying_party(client)
    page = app.follow(app.send())
    to_change = app.follow(press(client, page, "login-submit", username="ada", password=issued))
    assert app.read_answer(app.follow(press(client, to_change, "cancel"))).error == "access_denied"


def test_issued_password_does_not_keep_others_from_signing_in(
    client: FlaskClient, issued: str, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty]
) -> None:
    make_user("grace")
    sign_in(client, "ada", issued)
    app = relying_party(client)
    choice = app.follow(app.send(prompt="select_account"))
    other = app.follow(press(client, choice, "account-other"))
    response = press(client, other, "login-submit", username="grace", password=PASSWORD)
    assert app.read_answer(app.follow(response)).code
