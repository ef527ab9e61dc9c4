"""Addresses that may register, and invitations."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from idp.accounts import (
    email_verification,
    one_time_links,
    passwords,
    preauthorization,
    registration,
    roles,
    sign_in,
)
from idp.accounts.audit import list_events
from idp.accounts.registration import RegistrationRules
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR, Visitor
from idp.errors import ExpiredError, InvalidInputError, Refusal, RegistrationRefused
from idp.models import Preauthorization, User
from tests.at_once import transactions_at_once
from tests.factories import PASSWORD
from tests.waiting import at_that_moment

DAY = 86_400


@pytest.fixture
def settings(settings):
    """Only listed addresses register."""
    return replace(settings, registration="preauthorized")


def listed(db, email="zoe@example.org", **how):
    found = preauthorization.preauthorize(db, OPERATOR, email, **how)
    db.commit()
    return found


def emails(db):
    return [(each.email, each.client_id) for each in preauthorization.each_preauthorization(db)]


def register(db, settings, visitor, email="zoe@example.org", username="zoe", **how):
    registration.register(db, settings, visitor, Person(username, email), PASSWORD, **how)
    db.commit()


# -- The list ---------------------------------------------------------------------------


def test_an_address_is_listed_with_roles_and_an_end(db, clock):
    found = listed(db, "Zoë@Example.ORG", roles=("b", "a", "a"), client_id="wiki", expires_at=int(clock()) + DAY)
    assert (found.email, found.roles, found.client_id) == ("Zoë@example.org", ["a", "b"], "wiki")
    assert list(preauthorization.each_preauthorization(db)) == [found]
    told = list_events(db)[0]
    assert (told.event, told.client_id) == ("account:preauthorization:give", "wiki")
    assert told.details == {"email": "Zoë@example.org", "roles": ["a", "b"]}


def test_listing_it_again_replaces_roles_and_end(db):
    first = listed(db, roles=("a",))
    second = listed(db, "ZOE@example.org", roles=("b",))
    assert second.id == first.id
    assert second.roles == ["b"]
    assert len(emails(db)) == 1


def test_faults_are_named(db):
    with pytest.raises(InvalidInputError) as refusal:
        preauthorization.preauthorize(db, OPERATOR, "nonsense", roles=("no role",))
    assert set(refusal.value.faults) == {"email", "role"}


def test_a_withdrawn_address_is_gone(db):
    listed(db)
    assert not preauthorization.withdraw(db, OPERATOR, "zoe@example.org", client_id="wiki")
    assert preauthorization.withdraw(db, OPERATOR, "ZOE@example.org")
    assert not preauthorization.withdraw(db, OPERATOR, "zoe@example.org")
    assert emails(db) == []


# -- Claiming ------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["zoe@example.org", "ZOE@EXAMPLE.ORG", "Zoe@Example.org"])
def test_it_is_claimed_once_in_any_case(db, spelling):
    listed(db, roles=("a",))
    assert [each.roles for each in preauthorization.claim(db, spelling)] == [["a"]]
    assert preauthorization.claim(db, spelling) == []
    assert emails(db) == []


def test_one_of_an_app_counts_only_there_and_adds_to_the_one_for_all(db):
    listed(db, roles=("a",), client_id="wiki")
    assert preauthorization.find(db, "zoe@example.org") is None
    assert preauthorization.claim(db, "zoe@example.org", "shop") == []
    listed(db, roles=("b",))
    assert preauthorization.find(db, "zoe@example.org", "wiki").client_id == "wiki"
    claimed = preauthorization.claim(db, "zoe@example.org", "wiki")
    assert {role for each in claimed for role in each.roles} == {"a", "b"}
    assert emails(db) == []


def test_it_ends_in_time(db, clock):
    listed(db, expires_at=int(clock()) + DAY)
    clock.advance(DAY)
    assert preauthorization.find(db, "zoe@example.org") is None
    assert preauthorization.claim(db, "zoe@example.org") == []


def test_registering_claims_it_and_gives_its_roles(db, settings, visitor, mailbox):
    listed(db, roles=("editor",))
    register(db, settings, visitor)
    user = db.scalars(select(User)).one()
    assert user.is_registration_pending
    assert user.email_verified_at is None
    assert emails(db) == []
    assert roles.roles_of(db, user.id) == ["editor"]
    email_verification.verify_address(db, visitor, mailbox.last("verify_address").token)
    db.commit()
    db.refresh(user)
    assert not user.is_registration_pending
    assert user.claimed_preauthorization is None


def test_an_address_that_is_not_listed_is_refused(db, settings, visitor, mailbox):
    listed(db, "other@example.org")
    with pytest.raises(RegistrationRefused, match="User not pre-authorized to register"):
        register(db, settings, visitor)
    db.commit()
    assert list_events(db)[0].details == {"reason": "not_preauthorized"}
    assert mailbox.kinds() == []


def test_one_for_an_app_admits_only_who_comes_from_there(db, settings, visitor):
    listed(db, client_id="wiki")
    with pytest.raises(RegistrationRefused):
        register(db, settings, visitor, rules=RegistrationRules(client_id="shop"))
    register(db, settings, visitor, rules=RegistrationRules(client_id="wiki"))


def test_what_waits_for_one_app_admits_nobody_at_another(db, settings, visitor):
    listed(db, client_id="wiki")
    register(db, settings, visitor, rules=RegistrationRules(client_id="wiki"))
    with pytest.raises(RegistrationRefused):
        register(db, settings, visitor, rules=RegistrationRules(client_id="shop"))
    register(db, settings, visitor, rules=RegistrationRules(client_id="wiki"))


def test_whoever_registers_first_takes_nothing_from_the_addresss_owner(db, settings, visitor, stranger, mailbox):
    """Somebody who knows a listed address is quicker; its owner registers all the same, and only theirs counts."""
    listed(db, roles=("editor",))
    register(db, settings, stranger, username="mallory")
    of_mallory = mailbox.last("verify_address").token
    register(db, settings, visitor)
    with pytest.raises(ExpiredError):
        email_verification.verify_address(db, stranger, of_mallory)
    user_id = email_verification.verify_address(db, visitor, mailbox.last("verify_address").token)
    db.commit()
    assert db.scalars(select(User.username)).all() == ["zoe"]
    assert roles.roles_of(db, user_id) == ["editor"]


def test_what_a_registration_claimed_in_vain_is_listed_again(db, settings, visitor, clock):
    before = listed(db, roles=("editor",), client_id="wiki")
    register(db, settings, visitor, rules=RegistrationRules(client_id="wiki"))
    clock.advance(registration.PENDING_LIFETIME)
    assert registration.sweep_pending(db, most=10) == 0
    clock.advance(1)
    assert registration.sweep_pending(db, most=10) == 1
    db.commit()
    assert list(preauthorization.each_preauthorization(db)) == [before]
    assert list_events(db)[0].event == "account:registration:expire"


def test_but_not_when_its_time_is_over_or_it_is_listed_anew(db, settings, visitor, clock):
    listed(db, expires_at=int(clock()) + DAY)
    listed(db, "yan@example.org")
    register(db, settings, visitor)
    register(db, settings, visitor, "yan@example.org", "yan")
    again = listed(db, "yan@example.org", roles=("new",))
    clock.advance(registration.PENDING_LIFETIME + 1)
    assert registration.sweep_pending(db, most=10) == 2
    assert list(preauthorization.each_preauthorization(db)) == [again]


def test_withdrawing_undoes_a_registration_that_waits(db, settings, visitor, mailbox):
    listed(db)
    register(db, settings, visitor)
    assert preauthorization.withdraw(db, OPERATOR, "zoe@example.org")
    db.commit()
    assert db.scalars(select(User)).all() == []
    with pytest.raises(ExpiredError):
        email_verification.verify_address(db, visitor, mailbox.last("verify_address").token)


def test_withdrawing_takes_nothing_from_other_addresses(db, settings, visitor):
    for name in ("zoe", "yan"):
        listed(db, f"{name}@example.org")
        register(db, settings, visitor, f"{name}@example.org", name)
    assert preauthorization.withdraw(db, OPERATOR, "zoe@example.org")
    assert db.scalars(select(User.username)).all() == ["yan"]


def test_withdrawing_for_one_app_takes_nothing_from_the_others(db, settings, visitor):
    listed(db)
    listed(db, client_id="wiki")
    register(db, settings, visitor, rules=RegistrationRules(client_id="wiki"))
    assert not preauthorization.withdraw(db, OPERATOR, "zoe@example.org", client_id="shop")
    assert db.scalars(select(User.username)).all() == ["zoe"]
    assert preauthorization.withdraw(db, OPERATOR, "zoe@example.org", client_id="wiki")
    assert db.scalars(select(User)).all() == []
    assert emails(db) == [("zoe@example.org", "")]


def test_an_address_that_is_withdrawn_while_a_password_is_hashed_admits_nobody(db, settings, visitor, monkeypatch):
    listed(db)
    hash_new = passwords.hash_new

    def be_slow(*given):
        preauthorization.withdraw(db, OPERATOR, "zoe@example.org")
        return hash_new(*given)

    monkeypatch.setattr(passwords, "hash_new", be_slow)
    with pytest.raises(RegistrationRefused, match="not pre-authorized"):
        register(db, settings, visitor)
    assert db.scalars(select(User)).all() == []


def test_an_address_that_is_confirmed_while_it_is_withdrawn_is_not_said_to_be(db, settings, visitor, mailbox):
    listed(db)
    register(db, settings, visitor)
    token = mailbox.last("verify_address").token
    assert not at_that_moment(
        settings,
        lambda own: email_verification.verify_address(own, visitor, token),
        lambda own: preauthorization.withdraw(own, OPERATOR, "zoe@example.org"),
    )
    assert db.scalars(select(User.is_registration_pending)).one() is False


def test_withdrawing_leaves_accounts_alone(db, visitor, make_user):
    make_user("zoe")
    assert not preauthorization.withdraw(db, OPERATOR, "zoe@example.org")
    assert db.scalar(select(func.count()).select_from(User)) == 1


def test_a_refused_registration_claims_nothing(db, settings, visitor, make_user):
    make_user("zoe", email="other@example.org")
    listed(db)
    with pytest.raises(InvalidInputError):
        register(db, settings, visitor, username="zoe")
    db.commit()
    with pytest.raises(InvalidInputError):
        registration.register(db, settings, visitor, Person("yan", "zoe@example.org"), "short")
    db.commit()
    assert emails(db) == [("zoe@example.org", "")]


def test_of_parallel_registrations_with_one_listing_one_account_comes_out(db, settings, mailbox):
    listed(db, roles=("editor",))

    def register_at_once(own, number):
        visitor = Visitor(f"203.0.113.{number}")
        registration.register(own, settings, visitor, Person(f"zoe{number}x", "zoe@example.org"), PASSWORD)
        own.commit()
        return "done"

    settings_of_many = replace(settings)
    outcomes = transactions_at_once(settings_of_many, 5, register_at_once)
    assert set(outcomes) == {"done"}  # the same person, or none of them can tell
    assert db.scalar(select(func.count()).select_from(User)) == 1
    assert db.scalar(select(func.count()).select_from(Preauthorization)) == 0
    won = 0
    for mail in mailbox.all("verify_address"):
        try:
            email_verification.verify_address(db, OPERATOR, mail.token)
            won += 1
        except Refusal:
            pass
    assert won == 1


def test_of_parallel_registrations_with_one_invitation_one_wins(db, settings, mailbox):
    preauthorization.invite(db, settings, OPERATOR, "zoe@example.org", roles=("editor",))
    db.commit()
    token = mailbox.last("invitation").token

    def register_at_once(own, number):
        person = Person(f"zoe{number}x", "zoe@example.org")
        registration.register(own, settings, Visitor(f"203.0.113.{number}"), person, PASSWORD, invitation_token=token)
        own.commit()
        return person.username

    outcomes = transactions_at_once(settings, 5, register_at_once)
    winners = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert winners == db.scalars(select(User.username)).all()
    assert len(winners) == 1


# -- Invitations -------------------------------------------------------------------------


@pytest.fixture
def token(db, settings, mailbox):
    """An invitation that was mailed to Zoë."""
    preauthorization.invite(db, settings, OPERATOR, "zoe@example.org", roles=("editor",))
    db.commit()
    mail = mailbox.last("invitation")
    assert mail.recipient == "zoe@example.org"
    return mail.token


def test_an_invitation_proves_the_address(db, settings, visitor, token, mailbox):
    assert preauthorization.peek_invitation(db, token).email == "zoe@example.org"
    register(db, settings, visitor, invitation_token=token)
    user = db.scalars(select(User)).one()
    assert user.email_verified_at is not None
    assert user.claimed_preauthorization is None, "it would be listed again with the account's end"
    assert roles.roles_of(db, user.id) == ["editor"]
    assert sign_in.sign_in(db, settings, visitor, "zoe", PASSWORD)
    assert mailbox.kinds() == ["invitation"]
    listed(db)  # for another time, by another link
    with pytest.raises(ExpiredError):
        preauthorization.peek_invitation(db, token)


def test_an_invitation_is_for_its_own_address(db, settings, visitor, token):
    with pytest.raises(InvalidInputError) as refusal:
        register(db, settings, visitor, "other@example.org", invitation_token=token)
    assert set(refusal.value.faults) == {"email"}


@pytest.mark.parametrize("end", ["withdrawn", "late", "used", "nonsense"])
def test_an_invitation_ends(db, settings, visitor, clock, mailbox, end):
    preauthorization.invite(db, settings, OPERATOR, "zoe@example.org")
    db.commit()
    token = mailbox.last("invitation").token
    if end == "withdrawn":
        preauthorization.withdraw(db, OPERATOR, "zoe@example.org")
    elif end == "late":
        clock.advance(preauthorization.INVITATION_LIFETIME)
    elif end == "used":
        register(db, settings, visitor, invitation_token=token)
    else:
        token = "x"
    with pytest.raises(ExpiredError):
        register(db, settings, visitor, username="zoe2", invitation_token=token)


def test_an_invitation_ends_with_its_listing(db, settings, clock, mailbox):
    preauthorization.invite(db, settings, OPERATOR, "zoe@example.org", expires_at=int(clock()) + 60)
    token = mailbox.last("invitation").token
    clock.advance(59)
    assert one_time_links.peek_link(db, token, one_time_links.INVITATION)
    clock.advance(1)
    with pytest.raises(ExpiredError):
        one_time_links.peek_link(db, token, one_time_links.INVITATION)


def test_an_invitation_lists_the_address_and_lasts_no_longer_than_a_week(db, settings, clock, mailbox):
    end = int(clock()) + 30 * DAY
    invited = preauthorization.invite(db, settings, OPERATOR, "zoe@example.org", client_id="wiki", expires_at=end)
    db.commit()
    assert list(preauthorization.each_preauthorization(db)) == [invited]
    assert (invited.client_id, invited.expires_at) == ("wiki", end)
    mail = mailbox.last("invitation")
    assert "works for 7 days" in mail.text
    clock.advance(preauthorization.INVITATION_LIFETIME)
    with pytest.raises(ExpiredError):
        preauthorization.peek_invitation(db, mail.token)


def test_an_invitation_is_worth_more_than_a_strangers_registration(db, settings, visitor, stranger, token):
    register(db, settings, stranger, username="mallory")
    register(db, settings, visitor, invitation_token=token)
    user = db.scalars(select(User)).one()
    assert (user.username, user.is_registration_pending) == ("zoe", False)


def test_an_invitation_of_an_app_needs_no_app_in_the_request(db, settings, visitor, mailbox):
    preauthorization.invite(db, settings, OPERATOR, "zoe@example.org", client_id="wiki")
    db.commit()
    register(db, settings, visitor, invitation_token=mailbox.last("invitation").token)
    assert emails(db) == []


def test_no_invitation_opens_what_is_closed(db, settings, visitor, token):
    with pytest.raises(RegistrationRefused):
        register(db, replace(settings, registration="closed"), visitor, invitation_token=token)


STRANGER = Person("stranger", "boss@example.org")


def test_a_stranger_destroys_no_listing_of_somebody_else(db, settings, visitor):
    """A registration that makes another over gives back what that one held and it may not have."""
    preauthorization.preauthorize(db, OPERATOR, "boss@example.org", roles=("captain",), client_id="wiki")
    db.commit()
    at_the_app = RegistrationRules(client_id="wiki", policy="preauthorized")
    settings = replace(settings, registration="open")
    registration.register(db, settings, visitor, STRANGER, "seven purple kettles", rules=at_the_app)
    registration.register(db, settings, visitor, replace(STRANGER, username="other"), "eleven orange ladders")
    db.commit()
    assert preauthorization.find(db, "boss@example.org", "wiki").roles == ["captain"]


def test_listings_that_were_claimed_together_come_back_one_by_one(db, settings, visitor, clock):
    preauthorization.preauthorize(db, OPERATOR, "boss@example.org", roles=("admin",))
    preauthorization.preauthorize(db, OPERATOR, "boss@example.org", roles=("guest",), client_id="wiki")
    rules = RegistrationRules(client_id="wiki")
    registration.register(db, settings, visitor, STRANGER, "seven purple kettles", rules=rules)
    db.commit()
    assert roles.roles_of(db, db.scalars(select(User.id)).one()) == ["admin", "guest"]
    clock.advance(8 * 86_400)
    assert registration.sweep_pending(db, most=10) == 1
    listed = {each.client_id: each.roles for each in preauthorization.each_preauthorization(db)}
    assert listed == {"": ["admin"], "wiki": ["guest"]}


def test_a_listing_does_not_outlive_its_end_in_a_registration_that_waits(db, settings, visitor, clock):
    end = int(clock.time) + 86_400
    preauthorization.preauthorize(db, OPERATOR, "boss@example.org", roles=("staff",), expires_at=end)
    registration.register(db, settings, visitor, STRANGER, "seven purple kettles")
    db.commit()
    assert preauthorization.find(db, "boss@example.org").roles == ["staff"]
    clock.advance(86_400)
    assert preauthorization.find(db, "boss@example.org") is None


def test_what_was_claimed_in_vain_comes_back_before_its_end(db, settings, visitor, clock):
    before = listed(db, expires_at=int(clock()) + 30 * DAY)
    register(db, settings, visitor)
    clock.advance(registration.PENDING_LIFETIME + 1)
    assert registration.sweep_pending(db, most=10) == 1
    assert list(preauthorization.each_preauthorization(db)) == [before]
