"""What strangers may cause to one mailbox, all ways together, and what its owner gets meanwhile."""

from collections import Counter

import pytest

from idp.accounts import email_change, email_verification, one_time_codes, recovery, registration, throttle
from idp.accounts.throttle import MAIL_BURST, MAIL_INTERVAL, MAIL_KEPT
from idp.accounts.users import Person
from idp.accounts.visitor import Visitor
from idp.errors import Throttled
from tests.accounts.conftest import outline
from tests.at_once import transactions_at_once
from tests.factories import PASSWORD

ADA, FREE = "ada@example.org", "free@example.org"
MOST = MAIL_BURST + MAIL_KEPT
FOR_ACCOUNTS = {  # what a stranger does with a name or an address; only who has an account gets mail
    "reset": recovery.request_password_reset,
    "resend": email_verification.resend,
    "code": lambda db, settings, visitor, name: one_time_codes.send_code(
        db, settings, visitor, one_time_codes.PASSWORD, "shop", ADA if name == "ada" else name, "Shop", typed=name
    ),
}
FOR_ADDRESSES = {
    "reminder": recovery.remind_usernames,
    "register": lambda db, settings, visitor, email: registration.register(
        db, settings, visitor, Person(f"eve{visitor.address.rpartition('.')[2]}", email), PASSWORD
    ),
    "code to register": lambda db, settings, visitor, email: one_time_codes.send_code(
        db, settings, visitor, one_time_codes.REGISTRATION, "shop", email, "Shop"
    ),
}
WAYS = FOR_ACCOUNTS | FOR_ADDRESSES


@pytest.fixture
def ada(make_user):
    """Somebody whose address nobody has proven, but an operator vouches for: every way leads to her mailbox."""
    return make_user(is_email_verified=False)


@pytest.fixture
def ask(db, settings):
    """Go one of the ways, each time from another network; tells whether that was admitted."""
    count = iter(range(1, 10_000))

    def ask(way, name):
        number = next(count)
        try:
            WAYS[way](db, settings, Visitor(f"203.0.{number // 250}.{number % 250}"), name)
        except Throttled:
            return False
        finally:
            db.commit()
        return True

    return ask


@pytest.fixture
def change(db, settings, visitor, make_user):
    """Have somebody with an account of their own ask for an address."""

    def change(email, username):
        email_change.request_change(db, settings, visitor, accounts[username].id, email, PASSWORD)
        db.commit()

    accounts = {username: make_user(username) for username in ("mallory", "trudy")}
    return change


@pytest.fixture
def use_up(db, settings):
    """Leave a mailbox no room."""

    def use_up(email):
        for _ in range(MOST):
            throttle.admits_mail(db, settings, email, is_awaited=True)

    return use_up


@pytest.fixture
def count(mailbox):
    """Count the mails to one mailbox by their kinds."""
    return lambda email: Counter(mail.kind for mail in mailbox.all() if mail.recipient == email)


def test_all_ways_together_cause_no_more_than_one(ada, ask, change, count, clock):
    for _ in range(2):
        for username in ("mallory", "trudy"):
            change(ADA, username)
        for way in WAYS:
            assert ask(way, ADA)
        for way in FOR_ACCOUNTS:
            assert ask(way, "ada")
    assert count(ADA).total() == MOST
    clock.advance(MAIL_INTERVAL)
    for way in FOR_ACCOUNTS:
        ask(way, "ada")
    assert count(ADA).total() == MOST + 1


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_on_where_others_have_used_the_mailbox_up(ada, ask, use_up, count, clock, way):
    use_up(ADA)
    for name in {ADA} if way in FOR_ADDRESSES else {"ada", " Ada@EXAMPLE.org"}:
        assert ask(way, name)
    assert count(ADA).total() == 0
    clock.advance(2 * MAIL_INTERVAL)  # what is kept comes back first
    assert ask(way, ADA)
    assert count(ADA).total() == 1


def test_a_mailbox_without_an_account_has_one_bucket_as_well(ask, change, count, clock):
    for _ in range(3):
        ask("register", FREE)
        ask("code to register", FREE)
        for username in ("mallory", "trudy"):
            change(FREE, username)
    assert count(FREE).total() == MOST


@pytest.mark.parametrize("way", WAYS)
def test_nobody_can_tell_that_a_mailbox_has_no_room(ada, ask, use_up, work, clock, way):
    with_room = work(lambda: ask(way, ADA))
    use_up(ADA)
    full, nobody = work(lambda: ask(way, ADA)), work(lambda: ask(way, "nobody@example.org"))
    assert outline(full) == outline(with_room) == outline(nobody)


@pytest.mark.parametrize("email", [ADA, FREE])
def test_a_change_to_an_address_without_room_costs_the_same_work(ada, change, use_up, work, clock, email):
    with_room = work(lambda: change(email, "mallory"))
    use_up(email)
    assert outline(work(lambda: change(email, "mallory"))) == outline(with_room)


def test_whoever_forgot_their_password_gets_a_link_in_the_midst_of_a_flood(ada, ask, change, count, clock):
    """Of all that a stranger may send, only a link for the owner is kept room for; who asked for it is the same."""
    for hour in range(6):
        for _ in range(2):
            for way in ("register", "reminder", "code to register", "code", "resend"):
                ask(way, ADA)
        before = count(ADA)["reset_password"]
        ask("reset", "ada")
        assert count(ADA)["reset_password"] == before + 1, hour
        clock.advance(MAIL_INTERVAL)


def test_whoever_moves_to_an_address_gets_a_link_in_the_midst_of_a_flood_by_strangers(ask, change, count, clock):
    for _ in range(MAIL_BURST):
        ask("register", FREE)
        ask("code to register", FREE)
    change(FREE, "mallory")
    assert count(FREE)["confirm_new_address"] == 1


def test_asking_for_one_who_gets_no_mail_uses_no_mailbox_up(ask, change, count, clock):
    for way in FOR_ACCOUNTS:
        for _ in range(3):
            ask(way, FREE)
    ask("register", FREE)
    assert count(FREE)["verify_address"] == 1


def test_whoever_has_proven_the_address_is_told_that_it_has_an_account(db, settings, visitor, ada, use_up, count):
    use_up(ADA)
    registration.register(db, settings, visitor, Person("zoe", ADA), PASSWORD, is_address_proven=True)
    assert count(ADA)["address_already_registered"] == 1


def test_many_who_ask_at_once_cause_no_more(settings, ada, count):
    def attempt(own, number):
        recovery.request_password_reset(own, settings, Visitor(f"203.0.113.{number}"), (ADA, "ada")[number % 2])

    transactions_at_once(settings, 8, attempt)
    assert count(ADA).total() == MOST
