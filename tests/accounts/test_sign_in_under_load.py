"""Signing in while others guess: who waits behind whom, and what a refusal for lack of room leaves behind."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from idp import crypto, hashing
from idp.accounts import deletion, email_change, passwords, recovery, registration, sign_in, throttle
from idp.accounts.users import Person
from idp.errors import Busy, Refusal, Throttled
from idp.hashing import Lane, Place
from idp.models import Throttle
from tests.accounts.conftest import Mailbox
from tests.factories import PASSWORD

NEW = "seven purple elephants dancing"


@pytest.fixture
def ada(make_user):
    return make_user("Ada", email="ada@example.org")


@pytest.fixture
def neighbour(visitor, stranger):
    """A stranger in the visitor's own network."""
    return replace(stranger, address=visitor.address)


def attempt(db, settings, visitor, name, password):
    """Sign in; gives the kind of refusal, or that it went well."""
    try:
        sign_in.sign_in(db, settings, visitor, name, password)
    except Refusal as refusal:
        return type(refusal)
    finally:
        db.commit()
    return True


def test_a_known_browser_gets_in_where_its_network_fails_and_fails(db, settings, visitor, neighbour, ada, clock):
    """Somebody in the same office, or the same café, guesses at passwords."""
    assert attempt(db, settings, visitor, "ada", PASSWORD) is True
    for number in range(settings.throttle_address_burst + 1):
        refusal = attempt(db, settings, neighbour, f"somebody {number}", "wrong")
    assert refusal is Throttled
    assert attempt(db, settings, visitor, "ada", PASSWORD) is True


def test_where_too_many_passwords_wait_nothing_is_charged_or_written(
    db, settings, visitor, stranger, ada, work, monkeypatch
):
    def check_room(place):
        if place.lane is Lane.NEW:
            raise Busy

    assert attempt(db, settings, visitor, "ada", PASSWORD) is True
    db.commit()
    before = db.scalars(select(Throttle.bucket)).all()
    monkeypatch.setattr(hashing, "check_room", check_room)
    done = work(lambda: sign_in.sign_in(db, settings, stranger, "ada", PASSWORD))
    assert done.checks == 0
    assert not [each for each in done.statements if not each.startswith("SELECT")]
    assert db.scalars(select(Throttle.bucket)).all() == before
    assert attempt(db, settings, visitor, "ada", PASSWORD) is True  # a known browser waits in a lane of its own


PROVEN = ("sign in", "change the password", "change the address", "delete the account")


@pytest.mark.parametrize("way", PROVEN)
def test_where_too_many_of_an_account_wait_nothing_is_charged_or_written(
    db, settings, visitor, ada, work, way, monkeypatch
):
    def check_room(place):
        assert place == Place(Lane.SURE, (ada.id, visitor.network))
        raise Busy

    assert attempt(db, settings, visitor, "ada", PASSWORD) is True
    before = db.scalars(select(Throttle.bucket)).all()
    monkeypatch.setattr(hashing, "check_room", check_room)

    def refused():
        with pytest.raises(Busy):
            HASHING[way](db, settings, visitor, ada.id)

    done = work(refused)
    assert done.checks == 0
    assert not [each for each in done.statements if not each.startswith("SELECT")]
    assert db.scalars(select(Throttle.bucket)).all() == before


def test_an_attempt_is_given_back_where_its_hash_cannot_be_made_anew(db, settings, stranger, ada, monkeypatch):
    def hash_password(*_):
        raise Busy

    cheaper = replace(settings, bcrypt_cost=5)
    with monkeypatch.context() as patch:
        patch.setattr(crypto, "hash_password", hash_password)
        for _ in range(settings.throttle_account_burst + 5):
            with pytest.raises(Busy):
                sign_in.sign_in(db, cheaper, stranger, "ada", PASSWORD)
            db.rollback()
    assert attempt(db, settings, stranger, "ada", PASSWORD) is True


def register(db, settings, visitor, user_id):
    registration.register(db, settings, visitor, Person("zoe", "zoe@example.org"), NEW)


def change(db, settings, visitor, user_id):
    passwords.change_password(db, settings, visitor, user_id, PASSWORD, NEW, keep_session="")


def reset(db, settings, visitor, user_id):
    recovery.request_password_reset(db, settings, visitor, "ada")
    db.commit()
    (mail,) = Mailbox(db, settings).all()
    recovery.reset_password(db, settings, visitor, mail.token, NEW)


HASHING = {
    "sign in": lambda *given: sign_in.sign_in(*given[:3], "ada", PASSWORD),
    "sign in, with a hash of another cost": lambda *given: sign_in.sign_in(
        given[0], replace(given[1], bcrypt_cost=5), given[2], "ada", PASSWORD
    ),
    "guess": lambda *given: attempt(*given[:3], "ada", "wrong"),
    "guess a name": lambda *given: attempt(*given[:3], "nobody", "wrong"),
    "register": register,
    "change the password": change,
    "reset the password": reset,
    "hand out a password": lambda *given: recovery.issue_temporary_password(*given[:3], "ada"),
    "change the address": lambda *given: email_change.request_change(*given, "new@example.org", PASSWORD),
    "delete the account": lambda *given: deletion.request_deletion(*given, PASSWORD),
}


@pytest.mark.parametrize(
    "way", ["sign in", "register", "change the password", "change the address", "delete the account"]
)
def test_an_attempt_that_came_to_nothing_is_given_back(db, settings, stranger, ada, way, monkeypatch):
    def run(*_):
        raise Busy

    with monkeypatch.context() as patch:
        patch.setattr(hashing, "run", run)
        for _ in range(settings.throttle_account_burst + 5):
            with pytest.raises(Busy):
                HASHING[way](db, settings, stranger, ada.id)
            db.rollback()
    HASHING[way](db, settings, stranger, ada.id)


@pytest.mark.parametrize("way", HASHING)
def test_nobody_holds_a_connection_while_a_password_is_hashed(db, settings, visitor, ada, way, monkeypatch):
    """There are fewer connections than places in the lanes: others would wait for one, who hash nothing."""
    db.commit()
    held = []
    run = hashing.run
    monkeypatch.setattr(hashing, "run", lambda *given: held.append(db.get_bind().pool.checkedout()) or run(*given))
    HASHING[way](db, settings, visitor, ada.id)
    db.commit()
    assert held
    assert set(held) == {0}


OWNED = {
    "sign in": [(Lane.SURE, True)],
    "sign in, with a hash of another cost": [(Lane.SURE, True)] * 2,
    "guess a name": [(Lane.NEW, False)],
    "register": [(Lane.NEW, False)],
    "change the password": [(Lane.SURE, True)] * 2,
    "reset the password": [(Lane.SURE, True)],
    "hand out a password": [(Lane.SURE, True)],
    "change the address": [(Lane.SURE, True)],
    "delete the account": [(Lane.SURE, True)],
}


@pytest.mark.parametrize("way", OWNED)
def test_whoever_has_proven_to_own_an_account_waits_as_its_owner(db, settings, visitor, ada, way, monkeypatch):
    """So nobody waits in the lane of the trusted whose account and network would not be counted."""
    assert attempt(db, settings, visitor, "ada", PASSWORD) is True
    places = []
    run = hashing.run
    monkeypatch.setattr(hashing, "run", lambda place, *given: places.append(place) or run(place, *given))
    HASHING[way](db, settings, visitor, ada.id)
    owners = {True: (ada.id, visitor.network), False: (visitor.network,)}
    assert places == [Place(lane, owners[is_proven]) for lane, is_proven in OWNED[way]]


def test_a_strangers_turn_does_not_tell_whether_an_account_exists(db, settings, stranger, ada, monkeypatch):
    """Neither has a turn of its own: whoever fills their network's places would see the account's come sooner."""
    places = []
    run = hashing.run
    monkeypatch.setattr(hashing, "run", lambda place, *given: places.append(place) or run(place, *given))
    for name in ("ada", "ada@example.org", "nobody"):
        attempt(db, settings, stranger, name, "wrong")
    assert places == [Place(Lane.NEW, (stranger.network,))] * 3


def test_networks_that_fail_wait_behind_others(db, settings, visitor, stranger, ada, clock, monkeypatch):
    lanes = []
    run = hashing.run
    monkeypatch.setattr(hashing, "run", lambda place, *given: lanes.append(place.lane) or run(place, *given))
    trusted = settings.throttle_address_burst // throttle.DOUBTED_FROM
    for number in range(trusted + 2):
        attempt(db, settings, stranger, f"somebody {number}", "wrong")
    assert lanes == [Lane.NEW] * trusted + [Lane.DOUBTFUL] * 2
    clock.advance(2 * settings.throttle_address_interval + 1)
    attempt(db, settings, stranger, "ada", PASSWORD)
    attempt(db, settings, visitor, "ada", PASSWORD)
    attempt(db, settings, visitor, "ada", PASSWORD)
    assert lanes[trusted + 2 :] == [Lane.NEW, Lane.NEW, Lane.SURE]


def test_who_has_proven_the_mailbox_does_not_wait_behind_those_who_guess(
    db, settings, visitor, stranger, ada, mailbox, clock
):
    """A targeted account and a browser that it does not know: the mailed link makes the browser known."""
    for _ in range(settings.throttle_account_burst):
        attempt(db, settings, stranger, "ada", "wrong")
    assert attempt(db, settings, visitor, "ada", PASSWORD) is Throttled
    recovery.request_password_reset(db, settings, visitor, "ada")
    db.commit()
    (mail,) = mailbox.all()
    recovery.reset_password(db, settings, visitor, mail.token, NEW)
    db.commit()
    assert attempt(db, settings, stranger, "ada", NEW) is Throttled
    assert attempt(db, settings, visitor, "ada", NEW) is True
