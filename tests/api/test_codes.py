"""Mailed codes: sent, checked without being used up, used up once by what they are for."""

import re

import pytest
from sqlalchemy import update

from idp.accounts import one_time_codes, passwords
from idp.accounts.audit import list_events
from idp.models import User
from idp.storage import database
from tests.api.conftest import PASSPHRASE, refusal

EVE = {"email": "eve@example.org", "username": "eve", "password": PASSPHRASE}


@pytest.fixture
def ask(mailbox):
    """Have a code mailed; returns its id and the digits, if any were mailed."""

    def ask(caller, purpose, **whom):
        before = len(mailbox())
        response = caller.call("POST", "/codes", {"purpose": purpose, **whom})
        assert response.status_code == 202
        assert set(response.json) == {"id"}
        mails = [text for kind, _, text in mailbox()[before:] if kind == "one_time_code"]
        digits = re.search(r"\b\d{6}\b", mails[0]).group() if mails else ""
        return {"code_id": response.json["id"], "code": digits}

    return ask


def wrong(code):
    """The same code with other digits."""
    return {**code, "code": f"{(int(code['code']) + 1) % 1_000_000:06}"}


def test_a_code_proves_the_address_of_who_registers(registrar, ask, db, mailbox):
    code = ask(registrar, "registration", email="eve@example.org")
    response = registrar.call("POST", f"/codes/{code['code_id']}", {"code": code["code"]})
    assert (response.status_code, response.data) == (204, b"")
    response = registrar.call("POST", "/users", {**EVE, **code})
    assert (response.status_code, response.json["status"]) == (202, "account_ready")
    eve = db.query(User).filter_by(username_key="eve").one()
    assert eve.email_verified_at
    assert not eve.is_registration_pending
    again = {**EVE, "email": "eve@example.org", "username": "eve2", **code}
    assert refusal(registrar.call("POST", "/users", again)) == (422, "wrong_code")


def test_a_refused_registration_leaves_the_code_good(registrar, ask, ada):
    code = ask(registrar, "registration", email="eve@example.org")
    assert refusal(registrar.call("POST", "/users", {**EVE, "username": "ada", **code})) == (409, "already_exists")
    assert refusal(registrar.call("POST", "/users", {**EVE, "password": "short", **code}))[1] == "password_refused"
    assert registrar.call("POST", "/users", {**EVE, **code}).status_code == 202


def test_a_code_for_another_address_or_purpose_does_nothing(registrar, recoverer, ask, ada, db, mailbox):
    code = ask(registrar, "registration", email="ada@example.org")
    assert refusal(registrar.call("POST", "/users", {**EVE, **code})) == (422, "wrong_code")
    assert db.query(User).filter_by(username_key="eve").first() is None
    assert refusal(recoverer.call("POST", "/recovery/password", {"username": "ada", **code})) == (422, "wrong_code")
    assert [kind for kind, _, _ in mailbox()] == ["one_time_code"]
    assert len(list_events(db, event="account:code:refuse")) == 2


def test_a_code_of_another_app_is_none(registrar, api_as, relying_party, ask):
    code = ask(registrar, "registration", email="eve@example.org")
    other = relying_party(grant_types=("client_credentials",), redirect_uris=(), scopes=("registration",))
    response = api_as(other, "registration").call("POST", f"/codes/{code['code_id']}", {"code": code["code"]})
    assert refusal(response) == (422, "wrong_code")


def test_guesses_run_out_wherever_they_are_made(registrar, ask, db):
    code = ask(registrar, "registration", email="eve@example.org")
    for number in range(one_time_codes.GUESSES):
        if number % 2:
            response = registrar.call("POST", f"/codes/{code['code_id']}", {"code": wrong(code)["code"]})
        else:
            response = registrar.call("POST", "/users", {**EVE, **wrong(code)})
        assert refusal(response) == (422, "wrong_code")
    assert refusal(registrar.call("POST", "/users", {**EVE, **code})) == (422, "wrong_code")
    assert db.query(User).filter_by(username_key="eve").first() is None


def test_who_typed_wrong_digits_is_told_in_their_language(registrar):
    response = registrar.call("POST", "/codes/nothing", {"code": "000000"}, Accept_Language="de-AT")
    assert refusal(response) == (422, "wrong_code")
    assert response.json["detail"] == "Der Code ist falsch oder gilt nicht mehr."


def test_an_app_that_guesses_all_day_slows_down(registrar, ask, settings):
    for number in range(settings.throttle_address_burst):
        assert refusal(registrar.call("POST", f"/codes/{number}", {"code": "000000"})) == (422, "wrong_code")
    assert refusal(registrar.call("POST", "/codes/nothing", {"code": "000000"})) == (429, "throttled")
    ask(registrar, "registration", email="eve@example.org")


def test_right_digits_cost_nothing(registrar, ask, settings):
    code = ask(registrar, "registration", email="eve@example.org")
    for _ in range(settings.throttle_address_burst + 1):
        assert registrar.call("POST", f"/codes/{code['code_id']}", {"code": code["code"]}).status_code == 204


def test_a_code_dies_of_age(registrar, api_as, tea_house, ask, clock):
    code = ask(registrar, "registration", email="eve@example.org")
    clock.advance(one_time_codes.LIFETIME + 1)
    registrar = api_as(tea_house, "registration")  # the token has died as well
    assert refusal(registrar.call("POST", "/users", {**EVE, **code})) == (422, "wrong_code")


@pytest.mark.parametrize("name", ["ada", "ada@example.org"])
def test_a_code_before_a_link(recoverer, ask, ada, mailbox, name):
    code = ask(recoverer, "password", username=name)
    assert refusal(recoverer.call("POST", "/recovery/password", {"username": "ada", **wrong(code)}))[1] == "wrong_code"
    assert recoverer.call("POST", "/recovery/password", {"username": "ada", **code}).status_code == 202
    assert [kind for kind, _, _ in mailbox()] == ["one_time_code", "reset_password"]
    assert refusal(recoverer.call("POST", "/recovery/password", {"username": "ada", **code}))[1] == "wrong_code"


def test_a_code_before_a_one_time_password_or_a_name(trusted, ask, ada):
    whose = {"email": "ada@example.org", **ask(trusted, "username", email="ada@example.org")}
    assert trusted.call("POST", "/recovery/username", whose).json["usernames"] == ["ada"]
    assert refusal(trusted.call("POST", "/recovery/username", whose))[1] == "wrong_code", "it is good once"
    whose = {"username": "ada", **ask(trusted, "password", username="ada")}
    assert trusted.call("POST", "/recovery/password", whose).json["password"]
    assert refusal(trusted.call("POST", "/recovery/password", whose))[1] == "wrong_code"


def test_a_code_opens_nothing_that_moved_to_another_address_while_the_password_was_made(
    trusted, ask, ada, settings, mailbox, monkeypatch
):
    """Whoever reads the old mailbox must not get into the account by it."""
    whose = {"username": "ada", **ask(trusted, "password", username="ada")}
    genuine = passwords.hash_new

    def move_meanwhile(*given):
        with database.open_session(settings) as own:
            own.execute(update(User).values(email="ada@example.net", email_key="ada@example.net"))
        return genuine(*given)

    monkeypatch.setattr(passwords, "hash_new", move_meanwhile)
    assert refusal(trusted.call("POST", "/recovery/password", whose))[1] == "wrong_code"
    assert [kind for kind, _, _ in mailbox()] == ["one_time_code"]
    issued = trusted.call("POST", "/recovery/password", {"username": "ada"}).json
    assert issued["email"] == "ada@example.net"


def test_a_code_before_a_reminder(recoverer, ask, ada, mailbox):
    whose = {"email": "ada@example.org", **ask(recoverer, "username", email="ada@example.org")}
    assert recoverer.call("POST", "/recovery/username", whose).status_code == 202
    assert refusal(recoverer.call("POST", "/recovery/username", whose))[1] == "wrong_code"
    assert [kind for kind, _, _ in mailbox()] == ["one_time_code", "forgotten_usernames"]


def test_a_name_that_is_nobodys_gets_an_id_and_no_mail(recoverer, ask, ada):
    for whom in ({"purpose": "password", "username": "nobody"}, {"purpose": "username", "email": "x@example.org"}):
        code = ask(recoverer, **whom)
        assert code["code"] == ""
        response = recoverer.call("POST", f"/codes/{code['code_id']}", {"code": "000000"})
        assert refusal(response) == (422, "wrong_code")


def test_names_that_are_nobodys_share_no_throttle(recoverer, ada):
    for name in [f"nobody{number}" for number in range(7)]:
        response = recoverer.call("POST", "/codes", {"purpose": "password", "username": name})
        assert response.status_code == 202
    for name in ("nobody", "ada"):
        for _ in range(5):
            recoverer.call("POST", "/codes", {"purpose": "password", "username": name})
        response = recoverer.call("POST", "/codes", {"purpose": "password", "username": name})
        assert refusal(response) == (429, "throttled")


def test_each_purpose_needs_its_scope(registrar, recoverer, trusted):
    for caller in (recoverer, trusted):
        body = {"purpose": "registration", "email": "eve@example.org"}
        response = caller.call("POST", "/codes", body)
        assert refusal(response) == (403, "insufficient_scope")
        assert 'scope="registration"' in response.headers["WWW-Authenticate"]
    for body in ({"purpose": "password", "username": "ada"}, {"purpose": "username", "email": "ada@example.org"}):
        assert refusal(registrar.call("POST", "/codes", body)) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    ("body", "members"),
    [
        ({"purpose": "registration"}, {"email"}),
        ({"purpose": "registration", "email": ""}, {"email"}),
        ({"purpose": "registration", "email": "nonsense"}, {"email"}),
        ({"purpose": "registration", "username": "eve"}, {"email", "username"}),
        ({"purpose": "registration", "email": "eve@example.org", "username": "eve"}, {"username"}),
        ({}, {"purpose"}),
    ],
)
def test_faults(registrar, body, members):
    response = registrar.call("POST", "/codes", body)
    assert refusal(response) == (422, "invalid_input")
    assert set(response.json["faults"]) == members
