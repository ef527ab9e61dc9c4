"""Forgotten passwords and user names."""

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from idp.accounts import deletion, known_browsers, passwords, recovery, registration, sessions, sign_in, users
from idp.accounts.audit import list_events
from idp.accounts.throttle import MAIL_BURST, MAIL_INTERVAL
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR, Visitor
from idp.errors import ExpiredError, InvalidInputError, NotFoundError, PasswordRefused, SignInRefused, Throttled
from idp.models import OneTimeLink, User
from idp.storage import database
from tests.accounts.conftest import outline
from tests.at_once import transactions_at_once
from tests.factories import PASSWORD
from tests.living_session import find_session_by_id

NEW = "seven purple elephants dancing"


@pytest.fixture
def token(db, settings, visitor, ada, mailbox):
    """A link to set a new password."""
    request(db, settings, visitor)
    return mailbox.last("reset_password").token


def request(db, settings, visitor, identifier="ada"):
    assert recovery.request_password_reset(db, settings, visitor, identifier) is None
    db.commit()


def reset(db, settings, visitor, token, new=NEW):
    user_id = recovery.reset_password(db, settings, visitor, token, new)
    db.commit()
    return user_id


# -- Password --------------------------------------------------------------------------------


@pytest.mark.parametrize("identifier", ["ada", "ADA", " ada@Example.org"])
def test_name_and_address_bring_a_link(db, settings, visitor, ada, mailbox, identifier):
    request(db, settings, visitor, identifier)
    mail = mailbox.last("reset_password")
    assert mail.recipient == "ada@example.org"
    assert recovery.peek_reset(db, mail.token).user_id == ada.id


def test_the_old_password_stays_good_until_the_link_is_used(db, settings, visitor, ada, token):
    assert sign_in.sign_in(db, settings, visitor, "ada", PASSWORD)
    assert reset(db, settings, visitor, token) == ada.id
    with pytest.raises(SignInRefused):
        sign_in.sign_in(db, settings, visitor, "ada", PASSWORD)
    assert sign_in.sign_in(db, settings, visitor, "ada", NEW)


def test_after_it_all_sessions_end_and_every_link_is_dead(db, settings, visitor, stranger, ada, mailbox):
    here = [sessions.start_session(db, settings, who, ada.id)[1] for who in (visitor, stranger)]
    tokens = []
    for number in range(3):
        request(db, settings, Visitor(f"203.0.113.{number}"))
        tokens.append(mailbox.last("reset_password").token)
    reset(db, settings, visitor, tokens[1])
    assert not any(find_session_by_id(db, settings, session_id) for session_id in here)
    for token in tokens:
        with pytest.raises(ExpiredError):
            reset(db, settings, visitor, token)
    assert mailbox.last("password_changed").recipient == "ada@example.org"
    assert list_events(db, event="account:password")[0].event == "account:password:reset"


def test_the_account_knows_the_browser_without_a_session_that_would_have_to_end(db, settings, visitor, ada, token):
    reset(db, settings, visitor, token)
    assert known_browsers.is_known(db, ada.id, visitor.browser_digest)
    assert sessions.end_expired(db, settings, most=10) == 0


@pytest.mark.parametrize("change", ["by_owner", "by_operator", "by_app", "address"])
def test_a_link_dies_with_the_password_that_it_replaces(db, settings, visitor, ada, token, change):
    if change == "by_owner":
        passwords.change_password(db, settings, visitor, ada.id, PASSWORD, NEW, keep_session="")
    elif change == "by_operator":
        passwords.set_password(db, settings, OPERATOR, ada.id, NEW)
    elif change == "by_app":
        recovery.issue_temporary_password(db, settings, visitor, "ada")
    else:
        ada.email = ada.email_key = "countess@example.org"
    db.commit()
    with pytest.raises(ExpiredError):
        recovery.peek_reset(db, token)


def test_a_link_is_good_for_half_an_hour(db, settings, visitor, clock, make_user, mailbox):
    make_user()
    request(db, settings, visitor)
    token = mailbox.last("reset_password").token
    clock.advance(30 * 60 - 1)
    recovery.peek_reset(db, token)
    clock.advance(1)
    with pytest.raises(ExpiredError):
        reset(db, settings, visitor, token)


@pytest.mark.parametrize("new", ["short", "lovelace01", ""])
def test_a_password_that_is_refused_leaves_the_link_good(db, settings, visitor, ada, token, new):
    with pytest.raises(PasswordRefused) as refusal:
        reset(db, settings, visitor, token, new)
    assert set(refusal.value.faults) == {"new_password"}
    db.commit()
    assert reset(db, settings, visitor, token) == ada.id


def test_one_network_has_so_many_new_passwords_estimated(db, settings, visitor, ada, token, clock):
    few = replace(settings, throttle_address_burst=1)
    with pytest.raises(PasswordRefused):
        reset(db, few, visitor, token, "short")
    with pytest.raises(Throttled):
        reset(db, few, visitor, token)


def test_it_proves_the_address_and_ends_a_temporary_password(db, settings, visitor, ada, mailbox):
    ada.email_verified_at, ada.is_password_temporary = None, True
    db.commit()
    request(db, settings, visitor)
    reset(db, settings, visitor, mailbox.last("reset_password").token)
    db.refresh(ada)
    assert ada.email_verified_at
    assert not ada.is_password_temporary


def test_an_account_without_a_password_gets_its_first(db, settings, visitor, make_user, mailbox):
    make_user("bob", None)
    request(db, settings, visitor, "bob")
    reset(db, settings, visitor, mailbox.last("reset_password").token)
    assert sign_in.sign_in(db, settings, visitor, "bob", NEW)


@pytest.fixture
def of_no_use(db, settings, make_user):
    """Accounts that cannot be recovered: a disabled one, and one whose address nobody has proven."""
    users.disable_user(db, OPERATOR, make_user("disabled").id)
    registration.register(db, settings, OPERATOR, Person("pending", "pending@example.org"), PASSWORD)
    db.execute(OneTimeLink.__table__.delete())
    db.commit()


@pytest.mark.parametrize("identifier", ["nobody", "disabled", "pending", "", "\x00", "\ud800", "x" * 70_000])
def test_where_there_is_nobody_no_mail_goes_out(db, settings, visitor, of_no_use, mailbox, identifier):
    before = len(mailbox.all())
    request(db, settings, visitor, identifier)
    recovery.remind_usernames(db, settings, visitor, f"{identifier[:300]}@example.org")
    db.commit()
    assert len(mailbox.all()) == before
    assert db.scalars(select(OneTimeLink.id)).all() == []


def test_known_and_unknown_names_cost_the_same_work(db, settings, ada, of_no_use, work):
    names = ("nobody", "ada", "ada@example.org", "disabled", "pending")
    done = [work(lambda name=name: request(db, settings, Visitor("203.0.113.1"), name)) for name in names]
    assert all(outline(each) == outline(done[0]) for each in done)
    assert {(each.hashes, each.checks) for each in done} == {(0, 0)}


def test_of_many_who_use_a_link_at_once_one_does(settings, db, ada, token):
    def attempt(own, number):
        return recovery.reset_password(own, settings, OPERATOR, token, f"{NEW} number {number}")

    outcomes = transactions_at_once(settings, 6, attempt)
    assert outcomes.count(ada.id) == 1
    assert sum(isinstance(outcome, ExpiredError) for outcome in outcomes) == 5


def test_mails_to_one_mailbox_slow_down_and_so_do_unknown_names(db, settings, ada, clock, mailbox):
    for name in ("ada", "nobody"):
        for number in range(MAIL_BURST):
            request(db, settings, Visitor(f"203.0.113.{number}"), name)
        with pytest.raises(Throttled):
            request(db, settings, Visitor("203.0.113.77"), name)
    assert len(mailbox.all()) == MAIL_BURST
    clock.advance(MAIL_INTERVAL)
    request(db, settings, Visitor("203.0.113.77"))


def test_requests_from_one_network_slow_down_whatever_the_name(db, settings, visitor, clock):
    for number in range(settings.throttle_address_burst):
        request(db, settings, visitor, f"name{number}")
    with pytest.raises(Throttled):
        request(db, settings, visitor, "another")


# -- User name ----------------------------------------------------------------------------


def test_the_user_name_goes_to_the_address(db, settings, visitor, make_user, mailbox):
    make_user("countess", email="ada@example.org")
    assert recovery.remind_usernames(db, settings, visitor, "ADA@example.org") is None
    mail = mailbox.last("forgotten_usernames")
    assert mail.recipient == "ada@example.org"
    assert "countess" in mail.text


def test_asking_for_names_without_end_keeps_no_link_for_a_password_away(db, settings, ada, clock, mailbox):
    for typed in ("ada", "ada@example.org"):
        for number in range(MAIL_BURST):
            recovery.remind_usernames(db, settings, Visitor(f"203.0.113.{number}"), typed)
        with pytest.raises(Throttled):
            recovery.remind_usernames(db, settings, Visitor("203.0.113.77"), typed)
        request(db, settings, Visitor("203.0.113.78"), typed)
    assert mailbox.kinds().count("reset_password") == 2


def test_a_user_name_is_no_address(db, settings, visitor, ada, mailbox):
    recovery.remind_usernames(db, settings, visitor, "ada")
    assert mailbox.kinds() == []


def test_known_and_unknown_addresses_cost_the_same_work(db, settings, ada, of_no_use, work):
    emails = ("nobody@example.org", "ada@example.org", "disabled@example.org", "pending@example.org")
    done = [work(lambda email=email: recovery.remind_usernames(db, settings, OPERATOR, email)) for email in emails]
    assert all(outline(each) == outline(done[0]) for each in done)


# -- For apps that may know more ---------------------------------------------------------


def test_a_temporary_password_must_be_changed(db, settings, visitor, ada, mailbox):
    _, before = sessions.start_session(db, settings, visitor, ada.id)
    username, email, password = recovery.issue_temporary_password(db, settings, visitor, "ADA")
    db.commit()
    assert (username, email) == ("ada", "ada@example.org")
    assert find_session_by_id(db, settings, before) is None
    assert mailbox.last("password_changed").recipient == "ada@example.org"
    assert password not in repr(mailbox.all())
    token, session_id = sign_in.sign_in(db, settings, visitor, "ada", password)
    assert sessions.find_session(db, settings, token).must_change_password
    with pytest.raises(InvalidInputError):
        passwords.change_password(db, settings, visitor, ada.id, password, password, keep_session=session_id)
    passwords.change_password(db, settings, visitor, ada.id, password, NEW, keep_session=session_id)
    assert not sessions.find_session(db, settings, token).must_change_password


def test_temporary_passwords_are_long_and_never_the_same(db, settings, visitor, ada):
    issued = {
        recovery.issue_temporary_password(db, settings, Visitor(f"203.0.113.{n}"), "ada")[2] for n in range(MAIL_BURST)
    }
    assert len(issued) == MAIL_BURST
    assert {len(password) for password in issued} == {20}
    with pytest.raises(Throttled):
        recovery.issue_temporary_password(db, settings, visitor, "ada")


@pytest.fixture
def meanwhile(settings, monkeypatch):
    """A function that has something done while the next password is hashed."""
    genuine = passwords.hash_new

    def plan(do):
        def hash_late(*given):
            with database.open_session(settings) as own:
                do(own)
            return genuine(*given)

        monkeypatch.setattr(passwords, "hash_new", hash_late)

    return plan


def test_a_temporary_password_is_for_the_address_that_the_account_has_by_then(
    db, settings, visitor, ada, mailbox, meanwhile
):
    moved = update(User).values(email="countess@example.org", email_key="countess@example.org")
    meanwhile(lambda own: own.execute(moved))
    assert recovery.issue_temporary_password(db, settings, visitor, "ada")[:2] == ("ada", "countess@example.org")
    assert mailbox.last("password_changed").recipient == "countess@example.org"


def test_an_account_that_was_deleted_meanwhile_gets_none(db, settings, visitor, ada, mailbox, meanwhile):
    meanwhile(lambda own: deletion.delete_account(own, OPERATOR, ada.id))
    with pytest.raises(NotFoundError):
        recovery.issue_temporary_password(db, settings, visitor, "ada")
    assert mailbox.all() == []


@pytest.mark.parametrize("identifier", ["nobody", "disabled", "pending"])
def test_nobody_gets_none(db, settings, visitor, of_no_use, identifier):
    before = db.scalars(select(User.password_hash)).all()
    assert recovery.issue_temporary_password(db, settings, visitor, identifier) is None
    assert recovery.find_usernames(db, settings, visitor, f"{identifier}@example.org") == ()
    assert recovery.find_address(db, identifier) == ""
    assert db.scalars(select(User.password_hash)).all() == before


def test_the_user_name_may_be_told_to_such_an_app(db, settings, visitor, ada):
    assert recovery.find_usernames(db, settings, visitor, "ADA@example.org") == (("ada", "ada@example.org"),)
    assert recovery.find_address(db, "ada") == "ada@example.org"


def test_no_password_and_no_link_is_in_the_audit(db, settings, visitor, ada, token):
    *_, issued = recovery.issue_temporary_password(db, settings, visitor, "ada")
    written = repr([(event.event, event.details) for event in list_events(db)])
    assert issued not in written
    assert token not in written
