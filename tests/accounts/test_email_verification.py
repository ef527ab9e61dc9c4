"""Proof of an address, and the link that brings it."""

import pytest
from sqlalchemy import select

from idp.accounts import email_verification, registration, users
from idp.accounts.audit import list_events
from idp.accounts.throttle import MAIL_BURST, MAIL_INTERVAL
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR, Visitor
from idp.errors import ExpiredError, Throttled
from idp.models import MailMessage, OneTimeLink, User
from tests.accounts.conftest import outline
from tests.at_once import transactions_at_once
from tests.factories import PASSWORD


@pytest.fixture
def zoe(db, settings, visitor):
    """Somebody who registered and has confirmed nothing yet."""
    registration.register(db, settings, visitor, Person("zoe", "zoe@example.org", "Zoë"), PASSWORD)
    db.commit()
    return db.scalars(select(User)).one()


def resend(db, settings, visitor, identifier):
    assert email_verification.resend(db, settings, visitor, identifier) is None
    db.commit()


def test_the_link_proves_the_address(db, visitor, zoe, mailbox):
    token = mailbox.last("verify_address").token
    assert email_verification.peek_verification(db, token).user_id == zoe.id
    assert email_verification.verify_address(db, visitor, token) == zoe.id
    db.commit()
    db.refresh(zoe)
    assert zoe.email_verified_at
    assert not zoe.is_registration_pending
    assert list_events(db)[0].event == "account:email:verify"
    with pytest.raises(ExpiredError):
        email_verification.verify_address(db, visitor, token)


def test_looking_at_the_page_proves_nothing(db, zoe, mailbox):
    email_verification.peek_verification(db, mailbox.last("verify_address").token)
    db.refresh(zoe)
    assert zoe.is_registration_pending


def test_the_link_is_good_for_a_day(db, settings, visitor, clock, mailbox):
    registration.register(db, settings, visitor, Person("zoe", "zoe@example.org"), PASSWORD)
    clock.advance(email_verification.LINK_LIFETIME)
    with pytest.raises(ExpiredError):
        email_verification.verify_address(db, visitor, mailbox.last("verify_address").token)


@pytest.mark.parametrize("identifier", ["zoe", "ZOE", "zoe@example.org", " Zoe@Example.org "])
def test_it_is_sent_again_for_name_and_address(db, settings, visitor, zoe, mailbox, identifier):
    resend(db, settings, visitor, identifier)
    mails = mailbox.all("verify_address")
    assert [mail.recipient for mail in mails] == ["zoe@example.org"] * 2
    assert mails[0].token != mails[1].token
    assert email_verification.verify_address(db, visitor, mails[1].token) == zoe.id
    # The first is as good; but what it proves is proven.
    assert email_verification.verify_address(db, visitor, mails[0].token) == zoe.id


def test_an_account_that_an_operator_made_may_be_verified_too(db, settings, visitor, make_user, mailbox):
    ada = make_user(is_email_verified=False)
    resend(db, settings, visitor, "ada")
    assert email_verification.verify_address(db, visitor, mailbox.last("verify_address").token) == ada.id


@pytest.mark.parametrize("whose", ["nobody", "verified", "disabled"])
def test_nothing_is_sent_where_there_is_nothing_to_prove(db, settings, visitor, make_user, mailbox, whose):
    make_user("verified")
    users.disable_user(db, OPERATOR, make_user("disabled", is_email_verified=False).id)
    db.commit()
    resend(db, settings, visitor, whose)
    assert mailbox.kinds() == []
    assert db.scalars(select(OneTimeLink.id)).all() == []


def test_known_and_unknown_names_cost_the_same_work(db, settings, make_user, zoe, work):
    make_user("verified")
    done = [
        work(lambda name=name: resend(db, settings, Visitor("203.0.113.1"), name))
        for name in ("nobody", "zoe", "verified", "zoe@example.org")
    ]
    assert all(outline(each) == outline(done[0]) for each in done)
    assert {(each.hashes, each.checks) for each in done} == {(0, 0)}


def test_mails_to_one_mailbox_slow_down(db, settings, zoe, clock):
    for number in range(MAIL_BURST):
        resend(db, settings, Visitor(f"203.0.113.{number}"), "zoe")
    for name in ("zoe", "ZOE"):
        with pytest.raises(Throttled):
            resend(db, settings, Visitor("203.0.113.77"), name)
    clock.advance(MAIL_INTERVAL)
    resend(db, settings, Visitor("203.0.113.77"), "zoe")


def test_unknown_names_slow_down_as_known_ones_do(db, settings, clock):
    for number in range(MAIL_BURST):
        resend(db, settings, Visitor(f"203.0.113.{number}"), "nobody")
    with pytest.raises(Throttled):
        resend(db, settings, Visitor("203.0.113.77"), "nobody")


def test_of_many_clicks_at_once_one_counts(settings, zoe, mailbox):
    token = mailbox.last("verify_address").token
    outcomes = transactions_at_once(
        settings, 6, lambda own, _number: email_verification.verify_address(own, OPERATOR, token)
    )
    assert outcomes.count(zoe.id) == 1
    assert sum(isinstance(outcome, ExpiredError) for outcome in outcomes) == 5


def test_the_secret_is_in_no_table_in_clear(db, zoe, mailbox):
    token = mailbox.last("verify_address").token
    for table in (MailMessage.__table__, OneTimeLink.__table__):
        assert token not in repr(db.execute(select(table)).all())
