"""Attempts that slow down and come back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from idp import clock as provider_clock
from idp.accounts import throttle
from idp.accounts.same_work import NOBODY
from idp.accounts.visitor import Visitor
from idp.errors import Throttled
from idp.models import Throttle
from tests.at_once import transactions_at_once

KIND = throttle.SIGN_IN_ACCOUNT


@pytest.fixture
def spend(db, settings):
    """Make an attempt; gives the seconds to wait when it is refused."""

    def spend(subject="ada", kind=KIND, in_force=settings):
        try:
            throttle.spend(db, in_force, kind, subject)
        except Throttled as refusal:
            return refusal.retry_after
        return 0

    return spend


def test_a_burst_is_admitted_then_one_attempt_an_interval(spend, settings, clock):
    assert [spend() for _ in range(settings.throttle_account_burst)] == [0] * 10
    for _ in range(3):
        assert spend() == settings.throttle_account_interval
        clock.advance(settings.throttle_account_interval - 1)
        assert spend() == 1
        clock.advance(1)
        assert spend() == 0


def test_refused_attempts_do_not_prolong_the_wait(spend, settings, clock):
    for _ in range(settings.throttle_account_burst + 100):
        spend()
    clock.advance(settings.throttle_account_interval)
    assert spend() == 0


def test_nobody_is_locked_out_for_good(spend, settings, clock):
    for _ in range(settings.throttle_account_burst):
        spend()
    clock.advance(settings.throttle_account_burst * settings.throttle_account_interval)
    assert [spend() for _ in range(settings.throttle_account_burst)] == [0] * 10


def test_the_wait_that_is_said_is_the_wait_that_helps(spend, clock):
    spend("bob")  # whose bucket is full long before
    for _ in range(13):
        wait = spend()
        if wait:
            clock.advance(wait)
            assert spend() == 0


def test_subjects_and_kinds_have_buckets_of_their_own(spend, settings, clock):
    for _ in range(settings.throttle_account_burst + 1):
        spend()
    assert spend() > 0
    assert spend("bob") == 0
    assert spend("ada", throttle.SIGN_IN_KNOWN_BROWSER) == 0
    assert spend("ada", throttle.PASSWORD_CHANGE) == 0


def test_several_are_charged_with_one_commit(db, settings):
    commits = []
    event.listen(db, "after_commit", commits.append)
    throttle.spend_all(db, settings, (throttle.SIGN_IN_ADDRESS, "192.0.2.1"), (KIND, "ada"))
    assert len(commits) == 1
    assert db.scalar(select(func.count()).select_from(Throttle)) == 2


def test_who_meets_an_empty_one_has_paid_for_those_before_it_and_for_none_behind(db, settings, spend):
    """Else whoever tries many accounts of which most are exhausted would pay for none of them."""
    for _ in range(settings.throttle_account_burst):
        spend("ada")
    before, after = (throttle.SIGN_IN_ADDRESS, "192.0.2.1"), (KIND, "grace")
    with pytest.raises(Throttled):
        throttle.spend_all(db, settings, before, (KIND, "ada"), after)
    db.rollback()
    kinds = [bucket.partition(":")[0] for bucket in db.scalars(select(Throttle.bucket))]
    assert sorted(kinds) == [KIND, throttle.SIGN_IN_ADDRESS]


@pytest.mark.parametrize("kind", [throttle.SIGN_IN_ADDRESS, throttle.REGISTRATION_ADDRESS])
def test_networks_have_limits_of_their_own(spend, settings, clock, kind):
    waits = [spend("192.0.2.1", kind) for _ in range(settings.throttle_address_burst + 1)]
    assert waits == [0] * settings.throttle_address_burst + [settings.throttle_address_interval]


def test_a_refund_gives_the_attempt_back(db, settings, spend, clock):
    for _ in range(settings.throttle_account_burst - 1):
        spend()
    throttle.spend(db, settings, KIND, "ada").refund(db)
    db.commit()
    assert spend() == 0
    assert spend() > 0


def test_refunds_save_nothing_up(db, settings, spend, clock):
    for _ in range(50):
        throttle.spend(db, settings, KIND, "ada").refund(db)
        db.commit()
    assert [bool(spend()) for _ in range(settings.throttle_account_burst + 1)] == [False] * 10 + [True]


def test_a_charge_is_committed_before_anything_else_happens(db, settings, spend):
    throttle.spend(db, settings, KIND, "ada")
    db.rollback()
    assert db.scalar(select(func.count()).select_from(Throttle)) == 1


def test_a_charge_that_goes_with_something_else_is_undone_with_it(db, settings):
    throttle.spend(db, settings, KIND, "ada", is_kept=False)
    db.rollback()
    assert db.scalar(select(func.count()).select_from(Throttle)) == 0


def test_who_is_refused_keeps_nobody_from_writing(db, settings, spend):
    while not spend():
        pass
    assert not db.in_transaction()


def test_who_is_meant_is_not_stored(db, settings):
    throttle.spend(db, settings, KIND, "ada@example.org")
    (bucket,) = db.scalars(select(Throttle.bucket))
    assert "ada" not in bucket


@given(
    st.lists(st.integers(min_value=0, max_value=100), min_size=1, max_size=80), st.integers(1, 5), st.integers(1, 40)
)
def test_no_window_ever_admits_more_than_the_burst_and_what_has_trickled_in(waits, burst, interval):
    from sqlalchemy import create_engine

    from idp.models import Base
    from idp.settings import Settings

    settings = Settings(throttle_account_burst=burst, throttle_account_interval=interval)
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine, tables=[Throttle.__table__])
    now, admitted = 1_000_000.0, []
    with Session(engine) as db, provider_clock.stopped_at(lambda: now):
        for wait in waits:
            now += wait
            try:
                throttle.spend(db, settings, KIND, "ada")
            except Throttled:
                continue
            admitted.append(now)
    engine.dispose()
    for index, first in enumerate(admitted):
        for count, last in enumerate(admitted[index:], 1):
            assert count <= burst + (last - first) // interval


def test_threads_at_once_never_exceed_the_burst(settings, clock):
    settings = replace(settings, throttle_account_burst=7)
    admitted, refused = [], []

    def hammer(own, _number):
        for _ in range(5):
            try:
                throttle.spend(own, settings, KIND, "ada")
                admitted.append(1)
            except Throttled:
                refused.append(1)

    transactions_at_once(settings, 8, hammer)
    assert (len(admitted), len(refused)) == (7, 33)


def test_full_buckets_are_swept_and_others_kept(db, settings, spend, clock):
    for name in ("a", "b", "c"):
        spend(name)
    clock.advance(settings.throttle_account_interval)
    spend("d")
    assert throttle.sweep(db, most=10) == 0
    clock.advance(1)
    assert throttle.sweep(db, most=2) == 2
    assert throttle.sweep(db, most=2) == 1
    assert db.scalar(select(func.count()).select_from(Throttle)) == 1


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("2001:DB8:1:2::1", "2001:db8:1:2:0:0:0:1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("", "", True),
        ("unix", "unix", True),
        # As some proxies write them.
        ("198.51.100.8:1000", "198.51.100.8:1001", True),
        ("198.51.100.8:1000", "198.51.100.8", True),
        ("198.51.100.8:1000", "198.51.100.9:1000", False),
        ("[2001:db8:1:2::1]:1000", "[2001:db8:1:2::2]:1001", True),
        ("[2001:db8:1:2::1]", "2001:db8:1:2::1", True),
        ("[2001:db8:1:2::1]:1000", "[2001:db8:1:3::1]:1000", False),
        ("[::ffff:192.0.2.1]:1000", "192.0.2.1", True),
        # What is no address at all may be a new one each time.
        ("unknown", "_hidden7", True),
        ("gateway:1000", "gateway:1001", True),
        ("2001:db8:0:0:0:0:0:1:1000", "2001:db8:0:0:0:0:0:1:1001", True),
        ("unknown", "192.0.2.1", False),
    ],
)
def test_a_network_is_what_one_household_can_pick_addresses_from(one, other, is_same):
    assert (Visitor(one).network == Visitor(other).network) is is_same


@pytest.mark.parametrize("ahead", [3_600, 86_400, 10 * 365 * 86_400])
def test_a_clock_that_was_ahead_and_is_set_back_keeps_nobody_out(spend, settings, clock, ahead):
    clock.advance(ahead)
    while not spend():
        pass
    clock.advance(-ahead)
    assert [spend() for _ in range(settings.throttle_account_burst)] == [0] * 10
    assert spend() == settings.throttle_account_interval


def test_clocks_that_differ_a_little_give_no_attempts_away(spend, settings, clock):
    for _ in range(settings.throttle_account_burst):
        spend()
    clock.advance(-throttle.CLOCKS_APART)  # another machine's clock
    assert spend() > 0


# -- Mailboxes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        throttle.REGISTRATION_ACCOUNT,
        throttle.RECOVERY_ACCOUNT,
        throttle.REMINDER_ACCOUNT,
        throttle.RESEND_ACCOUNT,
        throttle.EMAIL_CHANGE,
        throttle.CODE_ACCOUNT,
    ],
)
def test_who_asks_for_a_mail_too_often_is_told_so_before_the_mailbox_has_no_room(spend, clock, kind):
    waits = [spend("ada", kind) for _ in range(throttle.MAIL_BURST + 1)]
    assert waits == [0] * throttle.MAIL_BURST + [throttle.MAIL_INTERVAL]


def mails(db, settings, *, is_awaited=False, recipient="ada@example.org"):
    """Write mails until no more are admitted; tells how many were."""
    return next(
        count for count in range(100) if not throttle.admits_mail(db, settings, recipient, is_awaited=is_awaited)
    )


def test_a_mailbox_gets_so_many_mails_then_one_an_interval(db, settings, clock):
    for _ in range(3):
        assert mails(db, settings) == throttle.MAIL_BURST
        assert mails(db, settings, recipient="ADA@example.org") == 0
        clock.advance(throttle.MAIL_INTERVAL - 1)
        assert mails(db, settings) == 0
        clock.advance(1)
        assert mails(db, settings) == 1
        clock.advance(throttle.MAIL_BURST * throttle.MAIL_INTERVAL)


def test_one_more_is_kept_for_what_its_owner_waits_for(db, settings, clock):
    mails(db, settings)
    for _ in range(3):
        assert mails(db, settings, is_awaited=True) == throttle.MAIL_KEPT
        assert mails(db, settings) == 0
        clock.advance(throttle.MAIL_INTERVAL)
        assert mails(db, settings) == 0
    clock.advance(throttle.MAIL_INTERVAL)
    assert mails(db, settings) == 1


def test_a_mailbox_whose_clock_was_ahead_gets_mail(db, settings, clock):
    clock.advance(86_400)
    mails(db, settings, is_awaited=True)
    clock.advance(-86_400)
    assert mails(db, settings) == throttle.MAIL_BURST


def test_what_a_mailbox_is_charged_goes_with_the_mail(db, settings):
    """A commit of its own would tell by its time whether there was something to charge."""
    throttle.admits_mail(db, settings, "ada@example.org")
    (bucket,) = db.scalars(select(Throttle.bucket))
    assert "ada" not in bucket
    db.rollback()
    assert not db.scalars(select(Throttle.bucket)).all()


def test_names_that_are_nobodys_are_charged_apart_from_mailboxes(db, settings):
    """A mail to nobody is never kept, but it costs the same work."""
    for typed in ("ada@example.org", "ADA@example.org", "ada"):
        assert not throttle.admits_mail(db, settings, NOBODY, typed=typed)
    assert len(db.scalars(select(Throttle.bucket)).all()) == 2
    assert mails(db, settings) == throttle.MAIL_BURST
