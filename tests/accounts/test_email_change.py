"""Another address: asked for, confirmed, told."""

from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from sqlalchemy import select

from idp.accounts import (
    email_change,
    email_verification,
    names,
    passwords,
    recovery,
    registration,
    sessions,
    sign_in,
    throttle,
)
from idp.accounts.audit import list_events
from idp.accounts.throttle import MAIL_BURST, MAIL_KEPT
from idp.accounts.users import Person
from idp.errors import ExpiredError, InvalidInputError, Throttled
from idp.models import User
from idp.storage import database
from tests.accounts.conftest import outline
from tests.at_once import transactions_at_once
from tests.factories import PASSWORD
from tests.living_session import find_session_by_id

NEW = "countess@example.org"


def request(db, settings, visitor, ada, email=NEW, password=PASSWORD):
    email = email_change.request_change(db, settings, visitor, ada.id, email, password)
    db.commit()
    return email


def confirm(db, settings, visitor, token):
    user_id = email_change.confirm_change(db, settings, visitor, token)
    db.commit()
    return user_id


def is_good(db, token):
    try:
        email_change.peek_change(db, token)
    except ExpiredError:
        return False
    return True


def test_the_old_address_stands_until_the_new_one_is_confirmed(db, settings, visitor, ada, mailbox):
    assert request(db, settings, visitor, ada, "Countess@Example.ORG") == "Countess@example.org"
    db.refresh(ada)
    assert ada.email == "ada@example.org"
    assert [(mail.kind, mail.recipient) for mail in mailbox.all()] == [
        ("confirm_new_address", "Countess@example.org"),
        ("address_change_requested", "ada@example.org"),
    ]
    assert email_change.pending_change(db, ada.id) == "Countess@example.org"
    assert "works for 24 hours" in mailbox.last("confirm_new_address").text
    token = mailbox.last("confirm_new_address").token
    assert email_change.peek_change(db, token).data["email"] == "Countess@example.org"
    ada.email_verified_at = None
    db.commit()
    assert confirm(db, settings, visitor, token) == ada.id
    db.refresh(ada)
    assert (ada.email, ada.email_key, ada.username) == ("Countess@example.org", NEW, "ada")
    assert ada.email_verified_at
    assert mailbox.last("address_changed").recipient == "ada@example.org"
    assert email_change.pending_change(db, ada.id) is None
    assert sign_in.sign_in(db, settings, visitor, NEW, PASSWORD)


def test_it_needs_the_password(db, settings, visitor, ada, mailbox):
    with pytest.raises(InvalidInputError) as refusal:
        request(db, settings, visitor, ada, password="not it")
    assert refusal.value.faults == {"current_password": ("Password is incorrect.",)}
    db.commit()
    assert mailbox.kinds() == []
    assert list_events(db)[0].event == "account:email:refuse"


@pytest.mark.parametrize("email", ["", "nonsense", "ada@example.org", "ADA@example.org"])
def test_what_is_no_other_address_is_refused(db, settings, visitor, ada, email):
    with pytest.raises(InvalidInputError) as refusal:
        request(db, settings, visitor, ada, email)
    assert set(refusal.value.faults) == {"email"}


def test_an_address_of_somebody_else_gets_the_same_answer_and_no_link(db, settings, visitor, ada, make_user, mailbox):
    make_user("bob")
    assert request(db, settings, visitor, ada, "Bob@example.org") == "Bob@example.org"
    assert [(mail.kind, mail.recipient) for mail in mailbox.all()] == [
        ("address_already_registered", "bob@example.org"),
        ("address_change_requested", "ada@example.org"),
    ]
    assert email_change.pending_change(db, ada.id) == "Bob@example.org"


def test_a_taken_address_costs_the_same_work(db, settings, visitor, ada, make_user, work):
    make_user("bob")
    free = work(lambda: request(db, settings, visitor, ada, "free@example.org"))
    taken = work(lambda: request(db, settings, visitor, ada, "bob@example.org"))
    assert outline(free) == outline(taken)
    assert (free.checks, free.hashes) == (taken.checks, taken.hashes) == (1, 0)


@pytest.mark.parametrize("meanwhile", ["password", "address", "late"])
def test_the_link_dies(db, settings, visitor, clock, make_user, mailbox, meanwhile):
    ada = make_user()
    request(db, settings, visitor, ada, "first@example.org")
    first = mailbox.last("confirm_new_address").token
    if meanwhile == "password":
        passwords.set_password(db, settings, visitor, ada.id, "seven purple elephants dancing")
    elif meanwhile == "address":
        request(db, settings, visitor, ada)
        confirm(db, settings, visitor, mailbox.last("confirm_new_address").token)
    else:
        clock.advance(email_change.LINK_LIFETIME)
    assert email_change.pending_change(db, ada.id) is None
    with pytest.raises(ExpiredError):
        email_change.peek_change(db, first)
    with pytest.raises(ExpiredError):
        confirm(db, settings, visitor, first)


def test_a_second_request_ends_the_first(db, settings, visitor, ada, mailbox):
    """The first address was mistyped, and whoever has it would take the account."""
    request(db, settings, visitor, ada, "countess@exmaple.org")
    mistyped = mailbox.last("confirm_new_address").token
    request(db, settings, visitor, ada)
    with pytest.raises(ExpiredError):
        email_change.peek_change(db, mistyped)
    with pytest.raises(ExpiredError):
        confirm(db, settings, visitor, mistyped)
    db.commit()
    assert email_change.pending_change(db, ada.id) == NEW
    assert confirm(db, settings, visitor, mailbox.last("confirm_new_address").token) == ada.id


@pytest.mark.parametrize(("email", "is_spared"), [("Countess@example.org", True), ("duchess@example.org", False)])
def test_a_link_stays_good_while_its_mailbox_has_no_room_for_another(
    db, settings, visitor, ada, mailbox, email, is_spared
):
    request(db, settings, visitor, ada)
    for _ in range(MAIL_BURST + MAIL_KEPT):
        throttle.admits_mail(db, settings, email, is_awaited=True)
    request(db, settings, visitor, ada, email)
    assert len(mailbox.all("confirm_new_address")) == 1
    assert is_good(db, mailbox.last("confirm_new_address").token) is is_spared


def test_of_several_requests_at_once_one_link_is_good(settings, db, visitor, ada, mailbox):
    emails = [f"countess{number}@example.org" for number in range(MAIL_BURST)]
    transactions_at_once(
        settings,
        len(emails),
        lambda own, number: email_change.request_change(own, settings, visitor, ada.id, emails[number], PASSWORD),
    )
    good = [mail.recipient for mail in mailbox.all("confirm_new_address") if is_good(db, mail.token)]
    assert good == [email_change.pending_change(db, ada.id)]


def test_who_confirms_while_another_address_is_asked_for_comes_too_late(
    settings, db, visitor, ada, mailbox, monkeypatch
):
    request(db, settings, visitor, ada)
    token = mailbox.last("confirm_new_address").token
    genuine = email_change._end_links

    def confirm_meanwhile():
        with database.open_session(settings) as own, pytest.raises(ExpiredError):
            email_change.confirm_change(own, settings, visitor, token)

    def end_late(own, user_id, **spared):
        confirming.append(pool.submit(confirm_meanwhile))
        assert not wait(confirming, 0.3).done
        return genuine(own, user_id, **spared)

    monkeypatch.setattr(email_change, "_end_links", end_late)
    confirming = []
    with ThreadPoolExecutor(1) as pool:
        request(db, settings, visitor, ada, "other@example.org")
    assert [each.result() for each in confirming] == [None]
    assert email_change.pending_change(db, ada.id) == "other@example.org"


def test_it_can_be_called_off(db, settings, visitor, ada, make_user, mailbox):
    bob = make_user("bob")
    request(db, settings, visitor, bob, "other@example.org")
    request(db, settings, visitor, ada)
    assert email_change.call_off_change(db, visitor, ada.id)
    assert not email_change.call_off_change(db, visitor, ada.id)
    db.commit()
    assert email_change.pending_change(db, ada.id) is None
    with pytest.raises(ExpiredError):
        confirm(db, settings, visitor, mailbox.last("confirm_new_address").token)
    db.commit()
    assert [event.user_id for event in list_events(db, event="account:email:revoke")] == [ada.id]
    assert email_change.pending_change(db, bob.id) == "other@example.org"


def test_calling_it_off_leaves_other_links_alone(db, settings, visitor, ada, mailbox):
    recovery.request_password_reset(db, settings, visitor, "ada")
    assert email_change.pending_change(db, ada.id) is None
    request(db, settings, visitor, ada)
    email_change.call_off_change(db, visitor, ada.id)
    assert recovery.peek_reset(db, mailbox.last("reset_password").token)


def test_an_address_that_was_taken_meanwhile_is_not_stolen(db, settings, visitor, ada, make_user, mailbox):
    request(db, settings, visitor, ada)
    make_user("bob", email=NEW)
    with pytest.raises(ExpiredError, match="belongs to another account"):
        confirm(db, settings, visitor, mailbox.last("confirm_new_address").token)
    db.commit()
    db.refresh(ada)
    assert ada.email == "ada@example.org"


def test_nor_is_one_that_has_stayed_somebodys_user_name(db, settings, visitor, ada, make_user, mailbox):
    """Who moves to an address that is too long for a user name keeps the old one."""
    request(db, settings, visitor, ada)
    link = mailbox.last("confirm_new_address").token
    bob = make_user(NEW, email=NEW)
    request(db, settings, visitor, bob, f"{'b' * 60}@example.org")
    confirm(db, settings, visitor, mailbox.last("confirm_new_address").token)
    with pytest.raises(ExpiredError, match="belongs to another account"):
        confirm(db, settings, visitor, link)
    request(db, settings, visitor, bob, NEW)
    back = mailbox.last("confirm_new_address")
    assert back.recipient == NEW, "it is bob's own, who may go back to it"
    assert confirm(db, settings, visitor, back.token) == bob.id


def test_a_registration_that_only_waits_gives_way(db, settings, visitor, ada, mailbox):
    registration.register(db, settings, visitor, Person("mallory", NEW), PASSWORD)
    registration.register(db, settings, visitor, Person("zoe", "zoe@example.org"), PASSWORD)
    request(db, settings, visitor, ada)
    confirm(db, settings, visitor, mailbox.last("confirm_new_address").token)
    assert set(db.scalars(select(User.email))) == {NEW, "zoe@example.org"}


def test_a_user_name_that_is_the_address_moves_along(db, settings, visitor, make_user, mailbox):
    user = make_user("ada@example.org", email="ada@example.org")
    request(db, settings, visitor, user)
    confirm(db, settings, visitor, mailbox.last("confirm_new_address").token)
    db.refresh(user)
    assert (user.username, user.username_key) == (NEW, NEW)
    assert user.username_skeleton == names.username_skeleton(NEW)


def test_two_accounts_that_move_to_one_address_at_once(settings, db, visitor, ada, make_user, mailbox):
    bob = make_user("bob")
    tokens = []
    for user in (ada, bob):
        request(db, settings, visitor, user)
        tokens.append(mailbox.last("confirm_new_address").token)
    outcomes = transactions_at_once(
        settings, 2, lambda own, number: email_change.confirm_change(own, settings, visitor, tokens[number])
    )
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, ExpiredError) for outcome in outcomes) == 1


def test_nobody_is_flooded_with_mail(db, settings, visitor, ada, clock):
    for number in range(MAIL_BURST):
        request(db, settings, visitor, ada, f"other{number}@example.org")
    with pytest.raises(Throttled):
        request(db, settings, visitor, ada)


def test_nobody_is_kept_from_it_by_who_knows_their_id(db, settings, visitor, stranger, ada):
    for _ in range(MAIL_BURST):
        email_verification.resend(db, settings, stranger, ada.id)
    db.commit()
    assert request(db, settings, visitor, ada) == NEW


def test_sessions_go_on(db, settings, visitor, ada, mailbox):
    _, session_id = sessions.start_session(db, settings, visitor, ada.id)
    request(db, settings, visitor, ada)
    confirm(db, settings, visitor, mailbox.last("confirm_new_address").token)
    assert find_session_by_id(db, settings, session_id).email == NEW
