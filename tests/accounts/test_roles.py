"""Roles: names given to users."""

import pytest

from idp.accounts import deletion, roles, users
from idp.accounts.audit import list_events
from idp.accounts.visitor import OPERATOR
from idp.errors import InvalidInputError, NotFoundError
from tests.waiting import at_that_moment


def test_roles_are_given_and_taken_away(db, ada):
    assert roles.change_roles(db, OPERATOR, ada.id, add=["editor", "admin"]) == ["admin", "editor"]
    assert roles.change_roles(db, OPERATOR, ada.id, add=["viewer"], remove=["admin", "never-had"]) == [
        "editor",
        "viewer",
    ]
    assert roles.roles_of(db, ada.id) == ["editor", "viewer"]


def test_a_role_that_is_given_and_taken_at_once_is_not_given(db, ada):
    assert roles.change_roles(db, OPERATOR, ada.id, add=["admin"], remove=["admin"]) == []
    roles.change_roles(db, OPERATOR, ada.id, add=["admin"])
    assert roles.change_roles(db, OPERATOR, ada.id, add=["admin"], remove=["admin"]) == []


def test_two_may_give_the_same_role_at_once(db, ada, settings):
    def give(own):
        return roles.change_roles(own, OPERATOR, ada.id, add=["admin", "editor"])

    assert at_that_moment(settings, give, give) == ["admin", "editor"]
    assert roles.roles_of(db, ada.id) == ["admin", "editor"]


def test_who_is_deleted_meanwhile_gets_none(db, ada, settings):
    roles.change_roles(db, OPERATOR, ada.id, add=["admin"])
    db.commit()

    def change(own):
        with pytest.raises(NotFoundError):
            roles.change_roles(own, OPERATOR, ada.id, add=["editor"], remove=["admin"])
        return True

    assert at_that_moment(
        settings,
        lambda own: users.disable_user(own, OPERATOR, ada.id),
        change,
        then=lambda own: deletion.delete_account(own, OPERATOR, ada.id),
    )
    assert roles.roles_of(db, ada.id) == []


def test_a_change_is_audited_and_no_change_is_not(db, ada):
    roles.change_roles(db, OPERATOR, ada.id, add=["editor", "admin"])
    roles.change_roles(db, OPERATOR, ada.id, add=["viewer"], remove=["admin"])
    before = list_events(db)
    assert before[0].details == {"given": ["viewer"], "taken": ["admin"]}
    assert before[1].details == {"given": ["admin", "editor"], "taken": []}
    roles.change_roles(db, OPERATOR, ada.id, add=["viewer"], remove=["admin"])
    assert list_events(db) == before


def test_a_change_shows_in_updated_at(db, ada, clock):
    clock.advance(100)
    roles.change_roles(db, OPERATOR, ada.id, add=["admin"])
    db.refresh(ada)
    assert ada.updated_at == int(clock.time)


@pytest.mark.parametrize("role", ["admin", "a", "team:blue", "read-only", "v1.2", "Redaktørin", "r" * 64])
def test_role_names_are_words(db, ada, role):
    assert roles.change_roles(db, OPERATOR, ada.id, add=[role]) == [role]


@pytest.mark.parametrize(
    "role", ["", " ", "two words", "-admin", ".x", "a,b", "r" * 65, "admin\n", "<b>", "\x00", "\ud800"]
)
def test_what_is_no_role_name_is_refused_and_nothing_is_given(db, ada, role):
    with pytest.raises(InvalidInputError) as refusal:
        roles.change_roles(db, OPERATOR, ada.id, add=["fine", role])
    assert len(refusal.value.faults["role"]) == 1
    assert roles.roles_of(db, ada.id) == []


def test_every_faulty_role_is_named(db, ada):
    with pytest.raises(InvalidInputError) as refusal:
        roles.change_roles(db, OPERATOR, ada.id, add=["a b", "c d"])
    assert len(refusal.value.faults["role"]) == 2


def test_roles_of_many_are_read_in_one_statement(db, ada, make_user, work):
    bob = make_user("bob")
    roles.change_roles(db, OPERATOR, ada.id, add=["editor", "admin"])
    found = {}
    done = work(lambda: found.update(roles.roles_of_many(db, [ada.id, bob.id])))
    assert found == {ada.id: ["admin", "editor"], bob.id: []}
    assert len(done.statements) == 1
