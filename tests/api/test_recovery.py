"""Forgotten passwords and user names: mailed, or told to an app that the operator trusts with it."""

import pytest

from idp.models import User
from tests.api.conftest import refusal
from tests.factories import PASSWORD


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.org"])
def test_a_link_is_mailed(recoverer, ada, mailbox, name):
    response = recoverer.call("POST", "/recovery/password", {"username": name})
    assert (response.status_code, response.json) == (202, {})
    assert [(kind, to) for kind, to, _ in mailbox()] == [("reset_password", "ada@example.org")]


def test_the_user_name_is_mailed(recoverer, ada, mailbox):
    response = recoverer.call("POST", "/recovery/username", {"email": "Ada@example.org"})
    assert (response.status_code, response.json) == (202, {})
    assert [(kind, to) for kind, to, _ in mailbox()] == [("forgotten_usernames", "ada@example.org")]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/recovery/password", {"username": "nobody"}),
        ("/recovery/username", {"email": "nobody@example.org"}),
        ("/recovery/username", {"email": "ada"}),
        ("/recovery/password", {"username": ""}),
        ("/recovery/password", {"username": "?" * 320}),
    ],
)
def test_the_unknown_get_the_same_answer_and_no_mail(recoverer, ada, mailbox, path, body):
    response = recoverer.call("POST", path, body)
    assert (response.status_code, response.json) == (202, {})
    assert mailbox() == []


def test_a_one_time_password(trusted, ada, as_ada, db, mailbox):
    response = trusted.call("POST", "/recovery/password", {"username": "ada"})
    assert response.status_code == 200
    told = response.json
    issued = told.pop("password")
    assert told == {"username": "ada", "email": "ada@example.org"}
    assert len(issued) >= 16
    db.rollback()
    assert db.get(User, ada.id, populate_existing=True).is_password_temporary
    assert refusal(as_ada.call("GET", "/me")) == (401, "invalid_token")
    assert all(issued not in text for _, _, text in mailbox())


def test_user_names_are_told(trusted, ada):
    response = trusted.call("POST", "/recovery/username", {"email": "Ada@example.org"})
    assert (response.status_code, response.json) == (200, {"usernames": ["ada"], "email": "ada@example.org"})


def test_a_trusted_app_learns_that_there_is_nobody(trusted, ada):
    assert refusal(trusted.call("POST", "/recovery/password", {"username": "nobody"})) == (404, "not_found")
    assert refusal(trusted.call("POST", "/recovery/username", {"email": "x@example.org"})) == (404, "not_found")


def test_the_tokens_scope_decides_not_the_clients(recoverer, ada, tea_house):
    assert "recovery:password" in tea_house.metadata.scopes
    assert recoverer.call("POST", "/recovery/password", {"username": "ada"}).status_code == 202
    tea_house.log_in("ada", PASSWORD)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/recovery/password", {"username": "ada"}), ("/recovery/username", {"email": "ada@example.org"})],
)
def test_one_name_slows_down_whether_or_not_it_is_known(recoverer, ada, path, body):
    unknown = {key: value.replace("ada", "nobody") for key, value in body.items()}
    for person in (body, unknown):
        for _ in range(5):
            assert recoverer.call("POST", path, person).status_code == 202
        assert refusal(recoverer.call("POST", path, person)) == (429, "throttled")
    other = {key: value.replace("ada", "eve") for key, value in body.items()}
    assert recoverer.call("POST", path, other).status_code == 202
