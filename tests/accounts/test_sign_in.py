"""Signing in, and what a refusal does not tell."""

import threading
from dataclasses import replace

import bcrypt
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from idp import crypto
from idp.accounts import passwords, sessions, sign_in, users
from idp.accounts.audit import list_events
from idp.accounts.visitor import OPERATOR, Visitor
from idp.errors import SignInRefused, Throttled
from idp.models import User
from idp.storage import database
from tests.factories import PASSWORD

NEW = "seven purple elephants dancing"
AT_MOST = 1024


@pytest.fixture
def ada(make_user):
    return make_user("Ada", email="Ada.Lovelace@example.org")


def attempt(db, settings, visitor, name, password=PASSWORD, **more):
    return sign_in.sign_in(db, settings, visitor, name, password, **more)


@pytest.mark.parametrize(
    "name", ["Ada", "ada", "ADA", " ada ", "ａｄａ", "Ada.Lovelace@example.org", "ADA.LOVELACE@EXAMPLE.ORG"]
)
def test_user_name_and_address_open_in_any_case(db, settings, visitor, ada, name):
    token, session_id = attempt(db, settings, visitor, name)
    session = sessions.find_session(db, settings, token)
    assert session.id == session_id
    assert session.user_id == ada.id
    assert session.amr == ["pwd"]


@pytest.mark.parametrize(
    "password", ["", "wrong", PASSWORD + " ", PASSWORD.upper(), PASSWORD[:-1], "\x00", "\ud800", "🦄" * 500]
)
def test_a_wrong_password_does_not_open(db, settings, visitor, ada, password):
    with pytest.raises(SignInRefused):
        attempt(db, settings, visitor, "ada", password)


@pytest.mark.parametrize("name", ["", " ", "nobody", "аda", "ada\x00", "\ud800", "%", "' OR 1=1 --", "x" * 70_000])
def test_an_unknown_name_does_not_open(db, settings, visitor, ada, name):
    with pytest.raises(SignInRefused):
        attempt(db, settings, visitor, name)


@pytest.mark.parametrize(
    "password", ["a" * 71 + "b", "pass\x00word and more", "🦄🍕🚀🎸🌵🐙🧲🪐🎲🧦", "é" * 40 + "ж" * 40]
)
def test_odd_passwords_open_what_they_closed_and_only_whole(db, settings, visitor, ada, password):
    ada.password_hash = crypto.hash_password(password, 4)
    db.commit()
    assert attempt(db, settings, visitor, "ada", password)
    for other in (password + "x", password[:-1], password.partition("\x00")[0] + "x"):
        with pytest.raises(SignInRefused):
            attempt(db, settings, visitor, "ada", other)


def test_what_follows_the_longest_password_is_not_ignored(db, settings, visitor, ada):
    longest = "x7#kQ9!mzp" * 102 + "abcd"
    assert len(longest) == AT_MOST
    ada.password_hash = crypto.hash_password(longest, 4)
    db.commit()
    assert attempt(db, settings, visitor, "ada", longest)
    with pytest.raises(SignInRefused):
        attempt(db, settings, visitor, "ada", longest + "x")


def test_an_account_without_a_password_does_not_open(db, settings, visitor, make_user):
    make_user("bob", None)
    for password in ("", "None", PASSWORD):
        with pytest.raises(SignInRefused):
            attempt(db, settings, visitor, "bob", password)


# -- What a refusal does not tell --------------------------------------------------------


def disabled(db, ada):
    users.disable_user(db, OPERATOR, ada.id)
    db.commit()


def test_unknown_wrong_and_disabled_read_the_same(db, settings, visitor, make_user, ada):
    disabled(db, make_user("bob"))
    messages = set()
    for name, password in (("nobody", PASSWORD), ("ada", "wrong"), ("bob", PASSWORD), ("bob", "wrong")):
        with pytest.raises(SignInRefused) as refusal:
            attempt(db, settings, visitor, name, password)
        messages.add((refusal.value.message, refusal.value.detail, refusal.value.code))
    assert len(messages) == 1


@pytest.mark.parametrize("is_browser_new", [True, False])
def test_unknown_and_known_names_cost_the_same_work(db, settings, stranger, make_user, ada, work, is_browser_new):
    crypto.dummy_password_hash.cache_clear()
    visitor = Visitor(stranger.address, stranger.user_agent, "" if is_browser_new else stranger.browser_digest)
    make_user("carol", None)
    disabled(db, make_user("bob"))
    unknown = work(lambda: attempt(db, settings, visitor, "nobody", "wrong"))
    assert (unknown.checks, unknown.hashes) == (1, 0)
    assert len(unknown.statements) == (4 if is_browser_new else 5)
    for name in ("ada", "ada.lovelace@example.org", "bob", "carol"):
        known = work(lambda name=name: attempt(db, settings, visitor, name, "wrong"))
        assert known == unknown, name


def test_a_disabled_account_costs_one_check_even_with_the_right_password(db, settings, visitor, ada, work):
    ada.password_hash = crypto.hash_password(PASSWORD, settings.bcrypt_cost + 1)  # which is made anew where it opens
    disabled(db, ada)
    done = work(lambda: attempt(db, settings, visitor, "ada"))
    assert (done.checks, done.hashes) == (1, 0)


def test_a_throttled_name_costs_no_hash_whether_it_is_known_or_not(db, settings, stranger, ada, work, clock):
    for name in ("ada", "nobody"):
        for _ in range(settings.throttle_account_burst):
            with pytest.raises(SignInRefused):
                attempt(db, settings, stranger, name, "wrong")
        db.commit()
    known, unknown = (work(lambda name=name: attempt(db, settings, stranger, name)) for name in ("ada", "nobody"))
    assert known == unknown
    assert known.checks == 0


def test_the_reason_of_a_refusal_is_for_the_audit_only(db, settings, visitor, make_user, ada):
    disabled(db, make_user("bob"))
    for name, password, reason in (
        ("nobody", PASSWORD, "unknown_user"),
        ("ada", "wrong", "wrong_password"),
        ("bob", "wrong", "wrong_password"),
        ("bob", PASSWORD, "user_disabled"),
    ):
        with pytest.raises(SignInRefused):
            attempt(db, settings, visitor, name, password)
        event = list_events(db)[0]
        assert (event.event, event.details) == ("account:sign_in:refuse", {"reason": reason})
        assert event.address == visitor.address


# -- Throttling -----------------------------------------------------------------------------


def exhaust(db, settings, visitor, name="ada"):
    for _ in range(settings.throttle_account_burst):
        with pytest.raises(SignInRefused):
            attempt(db, settings, visitor, name, "wrong")
        db.commit()


def test_guesses_at_an_account_slow_down_and_come_back(db, settings, stranger, ada, clock):
    exhaust(db, settings, stranger)
    with pytest.raises(Throttled) as refusal:
        attempt(db, settings, stranger, "ada")
    assert refusal.value.retry_after == settings.throttle_account_interval
    db.commit()
    assert list_events(db)[0].event == "account:sign_in:throttle"
    assert list_events(db)[0].user_id == ada.id
    clock.advance(settings.throttle_account_interval)
    assert attempt(db, settings, stranger, "ada")


def throttled(db, user_id):
    db.commit()
    return len(list_events(db, event="account:sign_in:throttle", user_id=user_id))


def test_an_owner_sees_that_somebody_tries_on_and_only_so_many_rows_come_of_it(db, settings, stranger, ada, clock):
    exhaust(db, settings, stranger)
    most = settings.throttle_account_burst
    for number in range(2 * most):
        with pytest.raises(Throttled):
            attempt(db, settings, Visitor(f"203.0.113.{number}"), "ada")
        assert throttled(db, ada.id) == min(number + 1, most)
    clock.advance(settings.throttle_account_interval)
    for refusal in (SignInRefused, Throttled, Throttled):
        with pytest.raises(refusal):
            attempt(db, settings, stranger, "ada", "wrong")
        db.commit()
    assert throttled(db, ada.id) == most + 1


def test_one_network_has_only_so_many_rows_written_whatever_the_names(db, settings, stranger, ada, clock):
    few = replace(settings, throttle_address_burst=3)
    for number in range(3 + 2 * 3):
        with pytest.raises((SignInRefused, Throttled)):
            attempt(db, few, stranger, f"name{number}", "wrong")
        db.commit()
    assert throttled(db, "") == 3
    for _ in range(2):
        with pytest.raises(Throttled):
            attempt(db, few, stranger, "ada")
        db.commit()
    assert throttled(db, "") == 3


def test_guesses_from_many_networks_share_the_accounts_bucket(db, settings, ada, clock):
    for number in range(settings.throttle_account_burst):
        with pytest.raises(SignInRefused):
            attempt(db, settings, Visitor(f"203.0.113.{number}"), "ada", "wrong")
    with pytest.raises(Throttled):
        attempt(db, settings, Visitor("203.0.113.200"), "ada")


@pytest.mark.parametrize(
    "disguise", ["ADA", " ada", "ada\u3000", "ａｄａ", "ada" + " " * 400 + "x", "\t" * 5 + "ada" + " " * 312 + "zz"]
)
def test_spelling_a_name_in_another_way_opens_no_other_bucket(db, settings, stranger, ada, clock, disguise):
    exhaust(db, settings, stranger)
    with pytest.raises((Throttled, SignInRefused)) as refusal:
        attempt(db, settings, stranger, disguise)
    if refusal.type is SignInRefused:  # then it must not have been her account that was guessed at
        assert list_events(db)[0].details == {"reason": "unknown_user"}


def test_guesses_from_one_network_slow_down_whatever_the_name(db, settings, make_user, clock):
    make_user()
    for number in range(settings.throttle_address_burst):
        with pytest.raises(SignInRefused):
            attempt(db, settings, Visitor(f"2001:db8::{number:x}"), f"name{number}", "wrong")
    with pytest.raises(Throttled):
        attempt(db, settings, Visitor("2001:db8::ffff:1"), "ada")
    assert attempt(db, settings, Visitor("2001:db8:0:1::1"), "ada")


def test_a_browser_that_the_account_knows_is_not_locked_out_by_a_stranger(db, settings, visitor, stranger, ada, clock):
    attempt(db, settings, visitor, "ada")
    db.commit()
    exhaust(db, settings, stranger)
    with pytest.raises(Throttled):
        attempt(db, settings, stranger, "ada")
    assert attempt(db, settings, visitor, "ada")


def test_a_known_browser_has_a_bucket_of_its_own_that_ends_too(db, settings, visitor, ada, clock):
    attempt(db, settings, visitor, "ada")
    exhaust(db, settings, visitor)
    with pytest.raises(Throttled):
        attempt(db, settings, visitor, "ada")


def test_right_passwords_are_not_charged(db, settings, visitor, ada, clock):
    for _ in range(settings.throttle_address_burst + 1):
        attempt(db, settings, visitor, "ada")
        db.commit()


# -- At the same time -----------------------------------------------------------------------


@pytest.mark.parametrize("meanwhile", ["password_changed", "disabled"])
def test_a_sign_in_is_refused_when_the_account_changes_while_the_password_is_hashed(
    db, settings, visitor, ada, monkeypatch, meanwhile
):
    check = bcrypt.checkpw

    def slow_check(*arguments):
        """Somebody else is quicker, in a transaction of their own."""
        answer = check(*arguments)
        with database.open_session(settings) as other:
            if meanwhile == "disabled":
                users.disable_user(other, OPERATOR, ada.id)
                users.enable_user(other, OPERATOR, ada.id)
                users.disable_user(other, OPERATOR, ada.id)
            else:
                passwords.set_password(other, settings, OPERATOR, ada.id, NEW)
        return answer

    monkeypatch.setattr(bcrypt, "checkpw", slow_check)
    with pytest.raises(SignInRefused):
        attempt(db, settings, visitor, "ada")
    db.commit()
    assert sessions.list_sessions(db, settings, ada.id) == []
    assert list_events(db, event="account:sign_in")[0].details == {"reason": "changed_meanwhile"}


@pytest.mark.parametrize("other_password", [PASSWORD, NEW])
def test_a_hash_that_is_made_anew_meanwhile_refuses_nobody_but_another_password_does(
    db, settings, stranger, ada, monkeypatch, other_password
):
    """A button is pressed twice by somebody whose hash was brought from elsewhere."""
    fresh, check = crypto.hash_password(other_password, settings.bcrypt_cost), bcrypt.checkpw

    def set_hash(made):
        with database.open_session(settings) as other:
            other.execute(update(User).values(password_hash=made))

    def slow_check(*arguments):
        answer = check(*arguments)
        set_hash(fresh)  # the first one is quicker
        return answer

    set_hash(bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode())
    monkeypatch.setattr(bcrypt, "checkpw", slow_check)
    if other_password == PASSWORD:
        assert attempt(db, settings, stranger, "ada")
    else:
        with pytest.raises(SignInRefused):
            attempt(db, settings, stranger, "ada")
    db.commit()
    assert db.scalar(select(User.password_hash)) == fresh


def test_many_threads_at_once_never_exceed_the_burst(settings, db, ada, clock):
    outcomes = []

    def guess(number):
        engine = database.open_engine(settings)
        with Session(engine, expire_on_commit=False) as own:
            for _ in range(4):
                try:
                    attempt(own, settings, Visitor(f"203.0.113.{number}"), "ada", "wrong")
                except (SignInRefused, Throttled) as refusal:
                    outcomes.append(type(refusal))
                own.commit()
        engine.dispose()

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 32
    assert outcomes.count(SignInRefused) == settings.throttle_account_burst


def test_a_sign_in_makes_the_cookie_before_it_worthless(db, settings, visitor, ada):
    first_token, first = attempt(db, settings, visitor, "ada")
    second_token, second = attempt(db, settings, visitor, "ada", replaces=first)
    assert first_token != second_token
    assert sessions.find_session(db, settings, first_token) is None
    assert sessions.find_session(db, settings, second_token).id == second


def test_a_one_time_password_opens_the_account_for_three_days_only(db, settings, visitor, make_user, clock):
    user = make_user()
    clock.advance(sign_in.TEMPORARY_LIFETIME)
    passwords.set_password(db, settings, OPERATOR, user.id, "eleven orange ladders", is_temporary=True)
    clock.advance(sign_in.TEMPORARY_LIFETIME)
    assert sign_in.sign_in(db, settings, visitor, "ada", "eleven orange ladders")
    clock.advance(1)
    with pytest.raises(SignInRefused):
        sign_in.sign_in(db, settings, visitor, "ada", "eleven orange ladders")
    assert list_events(db)[0].details == {"reason": "temporary_password_expired"}
