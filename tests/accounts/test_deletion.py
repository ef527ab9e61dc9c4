"""The end of an account, and how it is called off."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from idp import worker
from idp.accounts import (
    deletion,
    ended_sessions,
    preauthorization,
    recovery,
    registration,
    sessions,
    sign_in,
    users,
)
from idp.accounts.audit import list_events
from idp.accounts.visitor import OPERATOR
from idp.errors import InvalidInputError, NotFoundError, SignInRefused, Throttled
from idp.models import AuditEvent, BrowserSession, OneTimeLink, User, UserRole
from idp.storage import database
from tests.factories import PASSWORD


@pytest.fixture
def ada(clock, make_user):
    """Somebody, and a clock that stands still."""
    return make_user(roles=("admin",))


def request(db, settings, visitor, ada, password=PASSWORD):
    due = deletion.request_deletion(db, settings, visitor, ada.id, password)
    db.commit()
    return due


def delete_due(db, most=10):
    gone = deletion.delete_due(db, most=most)
    db.commit()
    return gone


def test_it_is_due_in_a_week_and_until_then_everything_works(db, settings, visitor, ada, clock, mailbox):
    due = request(db, settings, visitor, ada)
    assert due == int(clock()) + 7 * 86_400
    assert mailbox.last("account_deletion").recipient == "ada@example.org"
    clock.advance(7 * 86_400 - 1)
    assert delete_due(db) == 0
    token, _ = sign_in.sign_in(db, settings, visitor, "ada", PASSWORD)
    assert sessions.find_session(db, settings, token).deletion_due_at == due


def test_then_all_that_belongs_to_it_goes(db, settings, visitor, ada, clock, make_user):
    bob = make_user("bob", roles=("admin",))
    request(db, settings, visitor, ada)
    token, _ = sign_in.sign_in(db, settings, visitor, "ada", PASSWORD)
    recovery.request_password_reset(db, settings, visitor, "ada")
    db.commit()
    clock.advance(deletion.REVOCABLE)
    assert delete_due(db) == 1
    assert delete_due(db) == 0
    assert db.scalars(select(User.id)).all() == [bob.id]
    for table in (BrowserSession, OneTimeLink):
        assert db.scalar(select(func.count()).select_from(table)) == 0
    assert db.scalars(select(UserRole.user_id)).all() == [bob.id]
    assert sessions.find_session(db, settings, token) is None
    with pytest.raises(SignInRefused):
        sign_in.sign_in(db, settings, visitor, "ada", PASSWORD)


def test_what_is_written_about_it_names_nobody(db, settings, visitor, ada, clock):
    request(db, settings, visitor, ada)
    clock.advance(deletion.REVOCABLE)
    delete_due(db)
    found = list_events(db, event="account:user:delete")
    assert [(event.user_id, event.details, event.address, event.actor) for event in found] == [
        (ada.id, {}, None, "system")
    ]


def test_listeners_hear_of_the_sessions_before_they_are_gone(db, settings, visitor, ada, clock, monkeypatch):
    heard = []
    monkeypatch.setattr(ended_sessions, "_listeners", [lambda _db, ended: heard.append(ended)])
    _, session_id = sign_in.sign_in(db, settings, visitor, "ada", PASSWORD)
    request(db, settings, visitor, ada)
    clock.advance(deletion.REVOCABLE)
    delete_due(db)
    assert [(each.session_ids, each.reason, each.is_account_wide) for each in heard] == [
        ((session_id,), "account_deleted", True)
    ]


def test_it_needs_the_password(db, settings, visitor, ada, clock):
    with pytest.raises(InvalidInputError) as refusal:
        request(db, settings, visitor, ada, "not it")
    assert set(refusal.value.faults) == {"current_password"}
    db.commit()
    assert list_events(db)[0].event == "account:deletion:refuse"
    for _ in range(settings.throttle_account_burst - 1):
        with pytest.raises(InvalidInputError):
            request(db, settings, visitor, ada, "not it")
    with pytest.raises(Throttled):
        request(db, settings, visitor, ada)


def test_without_a_password_it_is_for_the_operator(db, settings, visitor, make_user):
    with pytest.raises(NotFoundError):
        request(db, settings, visitor, make_user("bob", None), "")


def test_asking_again_puts_nothing_off(db, settings, visitor, ada, clock, mailbox):
    due = request(db, settings, visitor, ada)
    clock.advance(3_600)
    assert request(db, settings, visitor, ada) == due
    assert mailbox.kinds() == ["account_deletion"]


def test_it_can_be_called_off(db, settings, visitor, ada, clock):
    request(db, settings, visitor, ada)
    assert deletion.revoke_deletion(db, visitor, ada.id)
    assert not deletion.revoke_deletion(db, visitor, ada.id)
    db.commit()
    clock.advance(2 * deletion.REVOCABLE)
    assert delete_due(db) == 0
    assert list_events(db)[0].event == "account:deletion:revoke"


def test_the_operator_deletes_at_once_also_who_has_no_password(db, visitor, make_user):
    bob, carol = make_user("bob", None), make_user("carol")
    assert deletion.delete_account(db, OPERATOR, bob.id)
    assert not deletion.delete_account(db, OPERATOR, bob.id)
    assert db.scalars(select(User.id)).all() == [carol.id]
    assert [(each.user_id, each.actor) for each in list_events(db, event="account:user:delete")] == [
        (bob.id, "operator")
    ]


def test_what_a_registration_that_waits_has_claimed_is_listed_again(db, settings, visitor):
    preauthorization.preauthorize(db, OPERATOR, "zoe@example.org", roles=["editor"])
    preauthorized = replace(settings, registration="preauthorized")
    person = users.Person("zoe", "zoe@example.org")
    registration.register(db, preauthorized, visitor, person, "four words of her own")
    assert list(preauthorization.each_preauthorization(db)) == []
    assert deletion.delete_account(db, OPERATOR, users.get_user(db, "zoe").id)
    assert [each.email for each in preauthorization.each_preauthorization(db)] == ["zoe@example.org"]


def test_in_batches(db, settings, visitor, clock, make_user):
    for name in ("ada", "bob", "carol"):
        request(db, settings, visitor, make_user(name))
    clock.advance(deletion.REVOCABLE)
    assert delete_due(db, most=2) == 2
    assert delete_due(db, most=2) == 1


def test_the_worker_does_it(db, settings, visitor, ada, clock):
    request(db, settings, visitor, ada)
    clock.advance(deletion.REVOCABLE)
    assert worker.sweep_all(db.get_bind())["deleted_account"] == 1
    assert db.scalar(select(func.count()).select_from(AuditEvent).where(AuditEvent.event == "account:user:delete")) == 1


def test_called_off_in_the_last_moment_or_deleted_but_never_both(settings, db, visitor, ada, clock):
    """The worker has picked the account; its owner revokes before the worker commits."""
    request(db, settings, visitor, ada)
    clock.advance(deletion.REVOCABLE)
    outcome = []

    def revoke():
        with database.open_session(settings) as own:
            outcome.append(deletion.revoke_deletion(own, visitor, ada.id))

    owner = threading.Thread(target=revoke)
    engine = database.open_engine(settings)
    started = threading.Event()

    def begin_late(_connection, _cursor, statement, *_rest):
        if statement.startswith(("DELETE FROM user", 'DELETE FROM "user"')) and not started.is_set():
            started.set()
            owner.start()

    event.listen(engine, "before_cursor_execute", begin_late)
    with Session(engine) as own, own.begin():
        gone = deletion.delete_due(own, most=10)
    owner.join()
    engine.dispose()
    assert (gone, outcome) == (1, [False])
