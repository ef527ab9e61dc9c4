"""Accounts as an operator sees them."""

import pytest

from idp.accounts import users
from idp.accounts.audit import list_events
from idp.accounts.visitor import OPERATOR
from idp.errors import AlreadyExistsError, NotFoundError


@pytest.mark.parametrize("identifier", ["Ada", "ada", "ADA@example.org", " ada@EXAMPLE.org "])
def test_a_user_is_found_by_name_and_address_in_any_case(db, make_user, identifier):
    ada = make_user("Ada", email="Ada@example.org")
    assert users.get_user(db, identifier).id == ada.id


def test_a_user_is_found_by_id(db, make_user):
    ada = make_user()
    assert users.get_user(db, ada.id) is ada


@pytest.mark.parametrize("identifier", ["", "nobody", "ada2", "\ud800", "\x00", "x" * 100_000])
def test_whom_nobody_knows_is_not_found(db, make_user, identifier):
    make_user()
    assert users.find_user(db, identifier) is None
    with pytest.raises(NotFoundError):
        users.get_user(db, identifier)


def test_users_are_listed_by_name_in_pages(db, make_user):
    for name in ("eve", "Bob", "ada", "Dan", "carl"):
        make_user(name)
    first = users.list_users(db, limit=2)
    second = users.list_users(db, after=first[-1].username, limit=2)
    third = users.list_users(db, after=second[-1].username, limit=2)
    assert [user.username for user in (*first, *second, *third)] == ["ada", "Bob", "carl", "Dan", "eve"]


def test_of_two_who_take_a_name_at_once_one_is_refused(db, make_user, monkeypatch):
    make_user()
    for look in ("is_username_taken", "owner_of_address"):  # each looked before the other had written
        monkeypatch.setattr(users, look, lambda *_: None)
    with pytest.raises(AlreadyExistsError, match="Username or email already taken"):
        make_user()
    assert [user.username for user in users.list_users(db)] == ["ada"]


def test_disabling_ends_sessions_and_tokens_at_once(db, make_user, relying_party):
    ada = make_user()
    party = relying_party()
    tokens = party.log_in(scope="openid profile offline_access account")
    assert party.request_userinfo(tokens.access_token).status_code == 200
    users.disable_user(db, OPERATOR, ada.id)
    db.commit()
    assert party.request_userinfo(tokens.access_token).status_code == 401
    assert party.request_refresh(tokens.refresh_token).status_code == 400
    assert party.introspect(tokens.access_token) == {"active": False}
    assert party.ask(prompt="none").error == "login_required"


def test_enabling_brings_nothing_back(db, make_user, relying_party):
    ada = make_user()
    party = relying_party()
    tokens = party.log_in(scope="openid profile offline_access account")
    users.disable_user(db, OPERATOR, ada.id)
    users.enable_user(db, OPERATOR, ada.id)
    db.commit()
    assert party.request_userinfo(tokens.access_token).status_code == 401
    assert party.request_refresh(tokens.refresh_token).status_code == 400
    assert party.ask(prompt="none").error == "login_required"
    assert party.log_in()


def test_disabling_and_enabling_say_whether_anything_changed(db, make_user):
    ada = make_user()
    assert users.disable_user(db, OPERATOR, ada.id)
    assert not users.disable_user(db, OPERATOR, ada.id)
    assert users.enable_user(db, OPERATOR, ada.id)
    assert not users.enable_user(db, OPERATOR, ada.id)
    events = [event.event for event in list_events(db, event="account:user", user_id=ada.id)]
    assert events == ["account:user:enable", "account:user:disable", "account:user:create"]
