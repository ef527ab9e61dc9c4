"""Six digits that are mailed."""

import itertools
import re

import pytest
from sqlalchemy import select

from idp.accounts import one_time_codes, registration, users
from idp.accounts.audit import list_events
from idp.accounts.one_time_codes import GUESSES, LIFETIME, PASSWORD, REGISTRATION, USERNAME
from idp.accounts.throttle import MAIL_BURST
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR, Visitor
from idp.errors import InvalidInputError, Throttled
from idp.models import OneTimeCode
from tests.accounts.conftest import outline
from tests.at_once import transactions_at_once

EMAIL = "ada@example.org"


class Sent:
    """A code that was sent, and what can be done with it."""

    def __init__(self, db, settings, visitor, mailbox, purpose=PASSWORD, email=EMAIL):
        self._db, self._visitor, self.purpose, self.email = db, visitor, purpose, email
        before = len(mailbox.all())
        self.handle = one_time_codes.send_code(db, settings, visitor, purpose, "shop", email, "Tea House")
        db.commit()
        mails = mailbox.all()[before:]
        self.mail = mails[0] if mails else None
        self.digits = re.search(r"\b\d{6}\b", self.mail.text)[0] if self.mail else "000000"

    def check(self, digits=None, client_id="shop"):
        outcome = one_time_codes.check_code(
            self._db, self._visitor, self.handle, self.digits if digits is None else digits, client_id
        )
        self._db.commit()
        return outcome

    def claim(self, digits=None, purpose="", client_id="shop", email=""):
        outcome = one_time_codes.claim_code(
            self._db,
            self.handle,
            self.digits if digits is None else digits,
            purpose or self.purpose,
            client_id,
            email or self.email,
        )
        self._db.commit()
        return outcome

    @property
    def wrong(self):
        return f"{(int(self.digits) + 1) % 10**6:06}"


@pytest.fixture
def send(db, settings, visitor, mailbox):
    return lambda *arguments, **more: Sent(db, settings, visitor, mailbox, *arguments, **more)


def test_a_code_is_good_once(ada, send):
    sent = send()
    assert sent.mail.recipient == EMAIL
    assert "Tea House" in sent.mail.text
    assert "10 minutes" in sent.mail.text
    assert sent.digits not in sent.mail.subject
    assert sent.claim()
    assert not sent.claim()
    assert not sent.check()


def test_checking_does_not_use_it_up(ada, send, db):
    sent = send()
    for _ in range(2 * GUESSES):
        assert sent.check()
    told = list_events(db)[0]
    assert (told.event, told.client_id, told.details) == ("account:code:send", "shop", {"purpose": "password"})
    assert sent.claim(f" {sent.digits[:3]} {sent.digits[3:]} ")


def test_it_has_few_guesses_whichever_way(ada, send, db):
    sent = send()
    for number in range(GUESSES):
        assert not (sent.check(sent.wrong) if number % 2 else sent.claim(sent.wrong))
    assert not sent.check()
    assert not sent.claim()
    told = list_events(db)[0]
    assert (told.event, told.client_id) == ("account:code:refuse", "shop")


def test_guesses_at_one_cost_the_others_none(ada, send):
    one, other = send(), send(USERNAME)
    for _ in range(GUESSES):
        assert not one.check(one.wrong)
    assert other.claim()


def test_one_guess_is_left_after_all_but_one(ada, send):
    sent = send()
    for _ in range(GUESSES - 1):
        assert not sent.check(sent.wrong)
    assert sent.check()
    assert sent.claim()


def test_it_is_good_for_a_few_minutes(clock, make_user, send):
    make_user()
    sent = send()
    clock.advance(LIFETIME - 1)
    assert sent.check()
    clock.advance(1)
    assert not sent.check()
    assert not sent.claim()


def test_it_serves_one_app_for_one_purpose_and_address(ada, send):
    sent = send()
    assert not sent.claim(client_id="wiki")
    assert not sent.check(client_id="wiki")
    assert not sent.claim(purpose=USERNAME)
    assert not sent.claim(email="bob@example.org")
    assert sent.claim(email="ADA@example.org")


@pytest.mark.parametrize("digits", ["", "x", "1" * 70_000, "\x00", "\ud800", "١٢٣٤٥٦"])
def test_nonsense_is_wrong(ada, send, digits):
    sent = send()
    assert not sent.claim(digits)


def test_an_unknown_handle_is_wrong(db, visitor):
    assert not one_time_codes.check_code(db, visitor, "x" * 43, "123456", "shop")
    assert not one_time_codes.claim_code(db, "", "123456", PASSWORD, "shop", EMAIL)


def test_a_stranger_gets_one_for_registration_only(send, make_user):
    assert send(REGISTRATION, "zoe@example.org").mail
    make_user("zoe")
    assert send(REGISTRATION, "zoe@example.org").mail
    for purpose in (PASSWORD, USERNAME):
        for email in ("nobody@example.org", "", "no address"):
            sent = send(purpose, email)
            assert sent.mail is None
            assert len(sent.handle) == 43
            assert not sent.check()


def test_who_may_not_come_back_gets_none(send, db, settings, make_user):
    users.disable_user(db, OPERATOR, make_user("bob").id)
    registration.register(db, settings, OPERATOR, Person("zoe", "zoe@example.org"), "eleven orange ladders")
    for purpose, name in itertools.product((PASSWORD, USERNAME), ("bob", "zoe")):
        assert send(purpose, f"{name}@example.org").mail is None


def test_for_registration_the_address_must_be_one(send):
    with pytest.raises(InvalidInputError):
        send(REGISTRATION, "no address")


@pytest.mark.parametrize("purpose", [PASSWORD, USERNAME, REGISTRATION])
def test_known_and_unknown_addresses_cost_the_same_work(db, settings, visitor, ada, work, purpose):
    def attempt(email):
        one_time_codes.send_code(db, settings, visitor, purpose, "shop", email, "Tea House")
        db.commit()

    assert outline(work(lambda: attempt(EMAIL))) == outline(work(lambda: attempt("nobody@example.org")))


def test_wrong_and_unknown_cost_the_same_work(db, visitor, ada, send, work):
    sent, unknown = send(), send(PASSWORD, "nobody@example.org")
    assert work(lambda: sent.check(sent.wrong)) == work(unknown.check)


def test_of_many_who_claim_it_at_once_one_does(settings, ada, send, visitor):
    sent = send()

    def attempt(own, _number):
        return one_time_codes.claim_code(own, sent.handle, sent.digits, PASSWORD, "shop", EMAIL)

    assert transactions_at_once(settings, 8, attempt).count(True) == 1


def test_many_who_guess_at_once_have_no_more_guesses(settings, db, ada, send, visitor):
    sent = send()
    transactions_at_once(
        settings, 8, lambda own, _n: one_time_codes.check_code(own, visitor, sent.handle, sent.wrong, "shop")
    )
    assert db.scalar(select(OneTimeCode.guesses_left)) == 0
    assert not sent.claim()


def test_neither_handle_nor_digits_can_be_read_from_the_table(db, ada, send):
    sent = send()
    row = db.execute(select(OneTimeCode.__table__)).one()
    assert sent.handle not in repr(row)
    assert sent.digits not in (row.id, row.code_digest)


def test_mails_to_one_mailbox_slow_down(db, settings, ada, clock):
    def send_from(number, email=EMAIL):
        visitor = Visitor(f"203.0.113.{number}")
        return one_time_codes.send_code(db, settings, visitor, PASSWORD, "shop", email, "Tea House")

    for email in (EMAIL, "nobody@example.org"):
        for number in range(MAIL_BURST):
            send_from(number, email)
        with pytest.raises(Throttled):
            send_from(77, email)


def test_each_name_that_is_typed_waits_by_itself(db, settings, ada):
    """A name that waits with the address behind it, or names that wait because they are nobody's, would tell."""

    def ask(typed, email):
        visitor = Visitor(f"203.0.113.{next(numbers)}")
        one_time_codes.send_code(db, settings, visitor, PASSWORD, "shop", email, "Tea House", typed=typed)

    numbers = itertools.count(1)
    for name, email in (("ada", EMAIL), ("nobody", "")):
        for _ in range(MAIL_BURST):
            ask(name, email)
        with pytest.raises(Throttled):
            ask(name.upper(), email)
    ask(EMAIL, EMAIL)
    ask("nobody.else", "")


def test_digits_keep_their_zeros(monkeypatch):
    monkeypatch.setattr(one_time_codes.crypto, "random_bytes", lambda count: (42).to_bytes(count, "big"))
    assert one_time_codes._new_digits() == "000042"
