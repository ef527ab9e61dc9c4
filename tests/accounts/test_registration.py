"""Registering by oneself: what it asks, what it makes, and what its reply does not tell."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from idp import crypto
from idp.accounts import email_verification, passwords, preauthorization, registration, roles, sign_in, throttle, users
from idp.accounts.audit import list_events
from idp.accounts.registration import RegistrationRules, effective_policy
from idp.accounts.throttle import MAIL_BURST
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR, Visitor
from idp.errors import (
    AddressUnverified,
    AlreadyExistsError,
    ExpiredError,
    InvalidInputError,
    PasswordRefused,
    RegistrationRefused,
    SignInRefused,
    Throttled,
)
from idp.models import Throttle, User
from idp.storage import database
from tests.accounts.conftest import outline
from tests.at_once import transactions_at_once
from tests.factories import PASSWORD

ZOE = Person("zoe", "zoe@example.org", "Zoë", "O'Neil")
OTHER = "seven purple elephants dancing"


def register(db, settings, visitor, person=ZOE, password=PASSWORD, **how):
    registration.register(db, settings, visitor, person, password, **how)
    db.commit()


def verify(db, visitor, mailbox):
    user_id = email_verification.verify_address(db, visitor, mailbox.last("verify_address").token)
    db.commit()
    return user_id


# -- A new account ---------------------------------------------------------------------


def test_it_waits_until_the_address_is_confirmed(db, settings, visitor, mailbox):
    register(db, settings, visitor)
    mail = mailbox.last("verify_address")
    assert mail.recipient == "zoe@example.org"
    assert "Zoë" in mail.text
    with pytest.raises(AddressUnverified):
        sign_in.sign_in(db, settings, visitor, "zoe", PASSWORD)
    db.commit()
    user_id = verify(db, visitor, mailbox)
    assert sign_in.sign_in(db, settings, visitor, "zoe", PASSWORD)
    user = db.get_one(User, user_id, populate_existing=True)
    assert user.email_verified_at is not None
    assert (user.username, user.given_name, user.family_name) == ("zoe", "Zoë", "O'Neil")


def test_only_who_knows_the_password_learns_that_it_waits(db, settings, visitor, make_user, work):
    register(db, settings, visitor)
    with pytest.raises(SignInRefused):
        sign_in.sign_in(db, settings, visitor, "zoe", "not it")
    wrong = work(lambda: sign_in.sign_in(db, settings, visitor, "zoe", "not it"))
    assert wrong == work(lambda: sign_in.sign_in(db, settings, visitor, "nobody", "not it"))
    with pytest.raises(AddressUnverified) as refusal:
        sign_in.sign_in(db, settings, visitor, "ZOE@example.org", PASSWORD)
    assert (refusal.value.code, refusal.value.status) == ("address_unverified", 403)
    db.commit()
    assert list_events(db)[0].details == {"reason": "address_unverified"}


def test_with_a_proven_address_it_is_ready_at_once(db, settings, visitor, mailbox):
    register(db, settings, visitor, is_address_proven=True)
    assert sign_in.sign_in(db, settings, visitor, "zoe", PASSWORD)
    assert mailbox.kinds() == []


def test_the_mail_is_in_the_readers_language(db, settings, visitor, mailbox):
    register(db, settings, visitor, language="de")
    english = email_verification.prepare_message(
        db, settings, user_id=None, email="x@example.org", password_hash=None, name=""
    )
    assert mailbox.last("verify_address").subject != english.subject


# -- An address that has an account ------------------------------------------------------


def test_a_taken_address_gets_the_same_reply_and_its_owner_a_mail(db, settings, visitor, make_user, mailbox):
    make_user("ada", email="zoe@example.org")
    register(db, settings, visitor)
    assert db.scalar(select(func.count()).select_from(User)) == 1
    assert mailbox.kinds() == ["address_already_registered"]
    assert mailbox.all()[0].recipient == "zoe@example.org"
    assert list_events(db)[0].details == {"reason": "address_taken"}


@pytest.mark.parametrize("with_listing", [False, True])
def test_a_taken_address_costs_the_same_work(db, settings, visitor, make_user, work, with_listing):
    make_user("ada", email="taken@example.org")
    rules = RegistrationRules(roles=("reader", "writer"), client_id="wiki")
    if with_listing:
        for email in ("taken@example.org", "free@example.org"):
            preauthorization.preauthorize(db, OPERATOR, email, roles=("editor",))
        db.commit()

    def attempt(username, email):
        register(db, settings, visitor, Person(username, email), rules=rules, roles=("reader",))

    free = work(lambda: attempt("zoe", "free@example.org"))
    taken = work(lambda: attempt("yan", "taken@example.org"))
    pending = work(lambda: attempt("xia", "free@example.org"))
    assert (free.hashes, free.checks) == (taken.hashes, taken.checks) == (pending.hashes, pending.checks) == (1, 0)
    assert outline(free) == outline(taken)
    # What an earlier registration held is listed again first: nobody's account is told by that.
    extra = [each for each in outline(pending) if each.startswith("INSERT INTO preauthorization")]
    assert len(extra) == with_listing
    assert [each for each in outline(pending) if each not in extra] == outline(free)


def test_a_listing_for_a_taken_address_stays_and_gives_nothing(db, settings, visitor, make_user):
    ada = make_user("ada", email="zoe@example.org")
    preauthorization.preauthorize(db, OPERATOR, "zoe@example.org", roles=("admin",))
    register(db, settings, visitor)
    assert roles.roles_of(db, ada.id) == []
    assert len(list(preauthorization.each_preauthorization(db))) == 1


def test_a_taken_user_name_is_told(db, settings, visitor, make_user):
    make_user("zoe", email="other@example.org")
    for username in ("zoe", "ZOE", "ｚｏｅ"):
        with pytest.raises(InvalidInputError, match="Username already taken"):
            register(db, settings, visitor, replace(ZOE, username=username))
    assert register(db, settings, visitor, replace(ZOE, username="zoey")) is None


def test_a_user_name_that_is_taken_while_the_password_is_hashed_is_told(db, settings, visitor, monkeypatch, mailbox):
    real = crypto.hash_password

    def slow(password, cost, lane):
        monkeypatch.setattr(crypto, "hash_password", real)
        with database.open_session(settings) as other:
            registration.add_user(other, settings, OPERATOR, Person("zoe", "quick@example.org"), None)
        return real(password, cost, lane)

    preauthorization.preauthorize(db, OPERATOR, "zoe@example.org")
    db.commit()
    monkeypatch.setattr(crypto, "hash_password", slow)
    with pytest.raises(InvalidInputError, match="Username already taken"):
        register(db, settings, visitor)
    db.commit()
    assert mailbox.kinds() == []
    assert len(list(preauthorization.each_preauthorization(db))) == 1  # claimed in vain, so not at all
    assert db.scalars(select(User.email)).all() == ["quick@example.org"]


# -- An address whose registration waits ---------------------------------------------------


def test_registering_again_makes_it_over_and_kills_the_links_before(db, settings, visitor, mailbox):
    register(db, settings, visitor)
    first = mailbox.last("verify_address").token
    register(db, settings, visitor, replace(ZOE, username="zoey", given_name="Z"), OTHER)
    with pytest.raises(ExpiredError):
        email_verification.verify_address(db, visitor, first)
    verify(db, visitor, mailbox)
    assert db.scalars(select(User.username)).all() == ["zoey"]
    assert sign_in.sign_in(db, settings, visitor, "zoey", OTHER)
    with pytest.raises(SignInRefused):
        sign_in.sign_in(db, settings, visitor, "zoe", PASSWORD)


def test_the_same_name_may_be_used_again_but_by_nobody_else(db, settings, visitor):
    register(db, settings, visitor)
    register(db, settings, visitor)
    with pytest.raises(InvalidInputError):
        register(db, settings, visitor, replace(ZOE, email="other@example.org"))
    assert db.scalar(select(func.count()).select_from(User)) == 1


def test_it_is_not_made_over_with_a_name_that_somebody_has(db, settings, visitor, make_user):
    make_user("yan")
    register(db, settings, visitor)
    with pytest.raises(InvalidInputError):
        register(db, settings, visitor, replace(ZOE, username="yan"))
    # Not even when the name was taken a moment ago.
    assert users.create_user_unless_taken(db, replace(ZOE, username="yan"), "hash") is None
    assert sorted(db.scalars(select(User.username))) == ["yan", "zoe"]


def test_a_password_that_somebody_chose_is_not_temporary(db, settings, visitor, mailbox):
    """Not even where the operator had issued one for the registration before."""
    register(db, settings, visitor)
    pending = db.scalar(select(User.id))
    passwords.set_password(db, settings, OPERATOR, pending, OTHER, is_temporary=True)
    db.commit()
    register(db, settings, visitor)
    verify(db, visitor, mailbox)
    assert db.scalar(select(User.is_password_temporary)) is False


def test_roles_of_the_registration_before_do_not_stay(db, settings, visitor, mailbox):
    rules = RegistrationRules(roles=("reader", "writer"))
    register(db, settings, visitor, rules=rules, roles=("reader",))
    register(db, settings, visitor, rules=rules, roles=("writer",))
    assert list_events(db)[0].details == {"username": "zoe", "roles": ["writer"]}
    assert roles.roles_of(db, verify(db, visitor, mailbox)) == ["writer"]


def test_it_keeps_no_operator_away(db, settings, visitor):
    register(db, settings, visitor)
    user = registration.add_user(db, settings, OPERATOR, replace(ZOE, username="zoey"), PASSWORD)
    db.commit()
    assert db.scalars(select(User.id)).all() == [user.id]
    with pytest.raises(AlreadyExistsError):
        registration.add_user(db, settings, OPERATOR, replace(ZOE, username="zed"), PASSWORD)


def test_it_is_swept_after_a_week(db, settings, visitor, clock, make_user):
    ada = make_user()
    register(db, settings, visitor)
    clock.advance(registration.PENDING_LIFETIME)
    register(db, settings, visitor)  # once more: the week begins anew
    clock.advance(registration.PENDING_LIFETIME)
    assert registration.sweep_pending(db, most=10) == 0
    clock.advance(1)
    assert registration.sweep_pending(db, most=10) == 1
    assert registration.sweep_pending(db, most=10) == 0
    db.commit()
    assert db.scalars(select(User.id)).all() == [ada.id]


def test_the_oldest_are_swept_first_and_what_is_young_stays(db, settings, visitor, clock):
    for name in ("zoe", "yan", "xia"):
        registration.register(db, settings, visitor, Person(name, f"{name}@example.org"), PASSWORD)
        clock.advance(60)
    clock.advance(registration.PENDING_LIFETIME - 90)
    assert registration.sweep_pending(db, most=1) == 1
    assert set(db.scalars(select(User.username))) == {"yan", "xia"}
    assert registration.sweep_pending(db, most=10) == 1
    assert db.scalars(select(User.username)).all() == ["xia"]


def test_a_confirmed_account_is_not_swept(db, settings, visitor, clock, mailbox):
    register(db, settings, visitor)
    verify(db, visitor, mailbox)
    clock.advance(2 * registration.PENDING_LIFETIME)
    assert registration.sweep_pending(db, most=10) == 0


def test_many_at_once_with_one_address_make_one_account(settings, db):
    def attempt(own, number):
        person = replace(ZOE, username=f"name{number}of")
        registration.register(own, settings, Visitor(f"203.0.113.{number}"), person, PASSWORD)

    assert transactions_at_once(settings, 5, attempt) == [None] * 5
    assert db.scalar(select(func.count()).select_from(User)) == 1


def test_one_form_sent_many_times_at_once_mails_one_link_that_is_good(settings, db, visitor, mailbox):
    def attempt(own, _number):
        registration.register(own, settings, visitor, ZOE, PASSWORD, form="as it was sent")

    assert transactions_at_once(settings, 3, attempt) == [None] * 3
    assert mailbox.kinds() == ["verify_address"]
    assert verify(db, visitor, mailbox)


def test_a_form_that_came_to_nothing_is_tried_anew(settings, db, visitor, mailbox):
    registration.register(db, settings, visitor, ZOE, PASSWORD, form="as it was sent")
    db.rollback()
    register(db, settings, visitor, form="as it was sent")
    assert mailbox.kinds() == ["verify_address"]


def test_many_at_once_with_one_name_make_one_account(settings, db):
    def attempt(own, number):
        person = replace(ZOE, email=f"zoe{number}@example.org")
        registration.register(own, settings, Visitor(f"203.0.113.{number}"), person, PASSWORD)

    outcomes = transactions_at_once(settings, 5, attempt)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, InvalidInputError) for outcome in outcomes) == 4
    assert db.scalar(select(func.count()).select_from(User)) == 1


# -- What the operator and the app allow -----------------------------------------------------


@pytest.mark.parametrize(
    ("own", "of_client", "expected"),
    [
        ("open", None, "open"),
        ("open", "open", "open"),
        ("open", "preauthorized", "preauthorized"),
        ("open", "closed", "closed"),
        ("preauthorized", "open", "preauthorized"),
        ("preauthorized", None, "preauthorized"),
        ("preauthorized", "closed", "closed"),
        ("closed", "open", "closed"),
        ("closed", "preauthorized", "closed"),
    ],
)
def test_an_app_narrows_the_policy_and_never_widens_it(settings, own, of_client, expected):
    assert effective_policy(replace(settings, registration=own), RegistrationRules(policy=of_client)) == expected


def test_closed_is_closed(db, settings, visitor):
    with pytest.raises(RegistrationRefused):
        register(db, replace(settings, registration="closed"), visitor)
    with pytest.raises(RegistrationRefused):
        register(db, settings, visitor, rules=RegistrationRules(policy="closed"))


def test_an_app_may_ask_for_listed_addresses_only(db, settings, visitor):
    with pytest.raises(RegistrationRefused, match="User not pre-authorized to register"):
        register(db, settings, visitor, must_be_preauthorized=True)
    preauthorization.preauthorize(db, OPERATOR, "zoe@example.org")
    register(db, settings, visitor, must_be_preauthorized=True)


@pytest.mark.parametrize(
    ("domains", "is_welcome"),
    [
        (("example.org",), True),
        (("@Example.ORG",), True),
        (("example.com", "example.org"), True),
        (("example.com",), False),
        (("ample.org",), False),
        (("sub.example.org",), False),
        (("org",), False),
    ],
)
def test_domains(db, settings, visitor, domains, is_welcome):
    for how in ({"domains": domains}, {"rules": RegistrationRules(domains=domains)}):
        if is_welcome:
            register(db, settings, visitor, **how)
        else:
            with pytest.raises(RegistrationRefused, match="Email domain is not allowed to register"):
                register(db, settings, visitor, **how)


def test_international_domains_have_one_key(db, settings, visitor):
    person = replace(ZOE, email="zoe@bücher.example")
    register(db, settings, visitor, person, domains=("xn--bcher-kva.example",))


def test_a_listed_address_may_be_of_any_domain_but_the_apps_own_limit_holds(db, settings, visitor):
    preauthorization.preauthorize(db, OPERATOR, "zoe@example.org")
    with pytest.raises(RegistrationRefused):
        register(db, settings, visitor, domains=("example.com",))
    register(db, settings, visitor, rules=RegistrationRules(domains=("example.com",)))


def test_an_app_gives_the_roles_that_it_may_and_no_others(db, settings, visitor):
    rules = RegistrationRules(roles=("reader",))
    for asked in (("admin",), ("reader", "admin")):
        with pytest.raises(InvalidInputError) as refusal:
            register(db, settings, visitor, rules=rules, roles=asked)
        assert set(refusal.value.faults) == {"roles"}
    with pytest.raises(InvalidInputError):
        register(db, settings, visitor, roles=("reader",))
    register(db, settings, visitor, rules=rules, roles=("reader",))
    user = db.scalars(select(User)).one()
    assert roles.roles_of(db, user.id) == ["reader"]


def test_faults_are_told_before_anything_is_spent(db, settings, visitor):
    with pytest.raises(InvalidInputError) as refusal:
        register(db, settings, visitor, Person("a b", "nonsense"))
    assert set(refusal.value.faults) == {"username", "email"}
    with pytest.raises(PasswordRefused):
        register(db, settings, visitor, password="short")
    (bucket,) = db.scalars(select(Throttle.bucket))
    assert bucket.startswith("password_estimate_address:")


def test_registrations_from_one_network_slow_down(db, settings, visitor, clock):
    few = replace(settings, throttle_address_burst=2)
    for number in range(2):
        register(db, few, visitor, Person(f"name{number}of", f"zoe{number}@example.org"))
    with pytest.raises(Throttled):
        register(db, few, visitor)


def test_one_network_learns_of_so_many_names_that_they_are_taken(db, settings, visitor, make_user, clock):
    make_user("ada")
    few = replace(settings, throttle_address_burst=2)
    for refusal in (InvalidInputError, InvalidInputError, Throttled):
        with pytest.raises(refusal):
            registration.register(db, few, visitor, Person("ada", "zoe@example.org"), PASSWORD)
    kinds = {bucket.partition(":")[0] for bucket in db.scalars(select(Throttle.bucket))}
    assert throttle.REGISTRATION_ADDRESS in kinds


def test_nobody_is_flooded_with_mail_from_many_networks(db, settings, mailbox, clock):
    for number in range(MAIL_BURST):
        register(db, settings, Visitor(f"203.0.113.{number}"))
    with pytest.raises(Throttled):
        register(db, settings, Visitor("203.0.113.200"))
    assert len(mailbox.all()) == MAIL_BURST


def test_strangers_keep_nobody_away_who_has_proven_the_address(db, settings, visitor, mailbox):
    preauthorization.invite(db, settings, OPERATOR, ZOE.email)
    for number in range(MAIL_BURST):
        register(db, settings, Visitor(f"203.0.113.{number}"), Person(f"mallory{number}", ZOE.email))
    with pytest.raises(Throttled):
        register(db, settings, visitor)
    register(db, settings, visitor, invitation_token=mailbox.last("invitation").token)
    assert db.scalars(select(User.username)).one() == "zoe"


def test_neither_password_nor_link_is_in_the_audit(db, settings, visitor, mailbox):
    register(db, settings, visitor)
    written = repr([(event.event, event.details) for event in list_events(db)])
    assert PASSWORD not in written
    assert mailbox.last("verify_address").token not in written
    assert users.find_user(db, "zoe").password_hash not in written
