"""Registration: who may, what is said, and what is not."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp import database
from idp.accounts import registration, users
from idp.accounts.audit import list_events
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR, Visitor
from idp.errors import AlreadyExistsError, InvalidInputError, PasswordRefused, RegistrationRefused, Throttled
from idp.models import User
from tests.factories import PASSWORD

GRACE = Person("grace", "grace@example.org", "Grace", "Hopper")


def register(db, settings, visitor, person=GRACE, password=PASSWORD):
    outcome = registration.register(db, settings, visitor, person, password)
    db.commit()
    return outcome


def count(db):
    return db.scalar(select(func.count()).select_from(User))


# -- The policy -------------------------------------------------------------------


def test_where_registration_is_open_anybody_gets_an_account(db, settings, visitor):
    assert register(db, settings, visitor) is None
    user = users.get_user(db, "grace")
    assert (user.username, user.email, user.given_name, user.family_name) == tuple(vars(GRACE).values())
    assert user.email_verified_at is None  # nobody vouched for it
    assert user.disabled_at is None
    assert user.password_hash.startswith("sha256$2b$04$")
    event = list_events(db)[0]
    assert (event.event, event.user_id, event.actor) == ("account:user:create", user.id, "user")


@pytest.mark.parametrize("policy", ["closed", "preauthorized"])
def test_where_registration_is_not_open_nobody_gets_an_account(db, settings, visitor, policy, work):
    settings = replace(settings, registration=policy)
    with pytest.raises(RegistrationRefused):
        register(db, settings, visitor)
    assert count(db) == 0
    assert work(lambda: register(db, settings, visitor)).hashes == 0


def test_only_a_closed_door_is_said_before_the_form():
    from idp.settings import Settings

    registration.check_policy(Settings(registration="open"))
    registration.check_policy(Settings(registration="preauthorized"))
    with pytest.raises(RegistrationRefused):
        registration.check_policy(Settings(registration="closed"))


def test_a_refusal_by_the_list_is_audited(db, settings, visitor):
    with pytest.raises(RegistrationRefused):
        register(db, replace(settings, registration="preauthorized"), visitor)
    db.commit()
    assert list_events(db)[0].details == {"reason": "not_preauthorized"}


# -- A taken address is not told ------------------------------------------------------------


@pytest.mark.parametrize("email", ["ada@example.org", "ADA@EXAMPLE.ORG", "ａda@example.org"])
def test_a_taken_address_looks_like_a_fresh_one_and_changes_nothing(db, settings, visitor, make_user, email):
    before = make_user().password_hash
    assert register(db, settings, visitor, replace(GRACE, email=email)) is None
    assert count(db) == 1
    assert db.get(User, users.get_user(db, "ada").id, populate_existing=True).password_hash == before
    assert list_events(db)[0].event == "account:registration:refuse"
    assert list_events(db)[0].details == {"reason": "address_taken"}


def test_a_taken_address_costs_the_same_work_as_a_fresh_one(db, settings, visitor, make_user, work):
    make_user()
    fresh = work(lambda: register(db, settings, visitor))
    taken = work(lambda: register(db, settings, visitor, Person("edsger", "ada@example.org", "Edsger", "Dijkstra")))
    assert users.find_user(db, "grace")
    assert users.find_user(db, "edsger") is None
    assert (fresh.hashes, fresh.checks) == (1, 0)
    assert len(fresh.statements) == 5
    assert taken == fresh


def test_a_taken_address_as_user_name_is_not_told_either(db, settings, visitor, make_user, work):
    make_user("ada@example.org", email="ada@example.org")
    fresh = work(lambda: register(db, settings, visitor, Person("new@example.org", "new@example.org")))
    taken = work(lambda: register(db, settings, visitor, Person("ada@example.org", "ada@example.org")))
    assert fresh == taken
    assert count(db) == 2


def test_an_address_that_serves_as_somebodys_user_name_is_taken(db, settings, visitor, make_user):
    ada = make_user("ada@example.org", email="ada@example.org")
    ada.email, ada.email_key = "moved@example.org", "moved@example.org"
    db.commit()
    register(db, settings, visitor, replace(GRACE, email="ada@example.org"))
    assert count(db) == 1


# -- A taken user name must be told ----------------------------------------------------------


@pytest.mark.parametrize("username", ["paypal", "PayPal", " paypal ", "paypaI", "paypa1", "раура1", "ｐａｙｐａｌ"])
def test_a_user_name_that_is_taken_or_looks_like_it_is_refused(db, settings, visitor, make_user, username):
    make_user("paypal")
    with pytest.raises(InvalidInputError) as refusal:
        register(db, settings, visitor, replace(GRACE, username=username))
    assert list(refusal.value.faults) == ["username"]
    assert "taken" in refusal.value.message
    assert count(db) == 1


def test_every_faulty_field_is_named_at_once(db, settings, visitor):
    with pytest.raises(InvalidInputError) as refusal:
        register(db, settings, visitor, Person("a b", "nowhere", "x" * 101, "<>"))
    assert set(refusal.value.faults) == {"username", "email", "given_name", "family_name"}


def test_the_password_obeys_the_policy_and_is_not_ones_own_data(db, settings, visitor):
    for password in ("short", "gracehopper", "grace@example.org"):
        with pytest.raises(PasswordRefused):
            register(db, settings, visitor, password=password)
    assert count(db) == 0


# -- Many at once ------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["username", "email"])
def test_of_many_at_once_with_one_name_or_address_one_gets_it(db, settings, what):
    told = []

    def come(number):
        person = Person("grace", f"grace{number}@example.org")
        if what == "email":
            person = Person(f"{'abcdefgh'[number]}race", "grace@example.org")
        engine = database.open_engine(settings)
        with Session(engine) as own:
            try:
                told.append(registration.register(own, settings, Visitor(f"192.0.2.{number}"), person, PASSWORD))
            except InvalidInputError as refusal:
                told.append(list(refusal.faults))
            own.commit()
        engine.dispose()

    threads = [threading.Thread(target=come, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(db) == 1
    assert len(told) == 8
    assert told.count(None) == (1 if what == "username" else 8)
    assert all(each in (None, ["username"]) for each in told)


def test_a_name_taken_while_the_password_was_hashed_is_told(db, settings, visitor, monkeypatch):
    monkeypatch.setattr(users, "is_username_taken", lambda *_: False)  # it was free a moment ago
    register(db, settings, visitor)
    with pytest.raises(InvalidInputError) as refusal:
        register(db, settings, visitor, replace(GRACE, email="other@example.org"))
    assert list(refusal.value.faults) == ["username"]


def test_registrations_from_one_network_slow_down(db, settings, clock):
    settings = replace(settings, throttle_address_burst=2)
    for number in range(2):
        register(db, settings, Visitor(f"2001:db8::{number}"), Person(f"user{'ab'[number]}", f"u{number}@example.org"))
    with pytest.raises(Throttled):
        register(db, settings, Visitor("2001:db8::ff"))
    clock.advance(settings.throttle_address_interval)
    register(db, settings, Visitor("2001:db8::ff"))
    assert count(db) == 3


# -- By the operator ----------------------------------------------------------------------------


def test_the_operator_adds_users_whatever_the_policy_and_vouches_for_the_address(db, settings):
    settings = replace(settings, registration="closed")
    user = registration.add_user(db, settings, OPERATOR, GRACE, PASSWORD, role_names=("editor", "admin"))
    db.commit()
    assert user.email_verified_at is not None
    assert {event.event for event in list_events(db)} >= {"account:user:create", "account:roles:change"}
    assert {event.actor for event in list_events(db, user_id=user.id)} == {"operator"}


@pytest.mark.parametrize("person", [replace(GRACE, username="ADA"), replace(GRACE, email="ada@EXAMPLE.org")])
def test_the_operator_is_told_what_is_taken(db, settings, make_user, person):
    make_user()
    with pytest.raises(AlreadyExistsError):
        registration.add_user(db, settings, OPERATOR, person, PASSWORD)


def test_the_loser_of_a_race_between_operators_is_told(db, settings, monkeypatch, make_user):
    make_user()
    monkeypatch.setattr(users, "is_username_taken", lambda *_: False)
    with Session(db.get_bind()) as own, pytest.raises(AlreadyExistsError):
        registration.add_user(own, settings, OPERATOR, Person("ada", "other@example.org"), PASSWORD)
