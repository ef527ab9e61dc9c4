"""A retry gets the same answer, and nothing happens twice: one after the other, and many at once."""

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from idp import crypto
from idp.errors import Busy
from idp.models import KeptAnswer, User
from idp.storage.lean_session import LeanSession
from idp.web import context
from idp.web.api import idempotency
from idp.worker import sweep_all
from tests.api.conftest import PASSPHRASE, refusal
from tests.at_once import at_once

EVE = {"email": "eve@example.org", "username": "eve", "password": PASSPHRASE}
BUSY = '"status": 503, "code": "busy"'  # the driver refuses what is above 499


def test_a_retry_gets_the_same_answer(registrar, mailbox, clock):
    first = registrar.call("POST", "/users", EVE, Idempotency_Key="k1")
    clock.advance(idempotency.CLAIM_LIFETIME)  # nobody is at the work any more, for it is done
    again = registrar.call("POST", "/users", EVE, Idempotency_Key="k1")
    assert (first.status_code, first.data, first.mimetype) == (again.status_code, again.data, again.mimetype)
    assert first.status_code == 202
    assert len(mailbox()) == 1


def test_without_the_key_it_happens_twice(registrar, mailbox):
    for _ in range(2):
        registrar.call("POST", "/users", EVE)
    assert len(mailbox()) == 2


def test_a_one_time_password_is_given_again_and_stored_nowhere_in_clear(trusted, ada, db):
    body = {"username": "ada"}
    first = trusted.call("POST", "/recovery/password", body, Idempotency_Key="k1")
    again = trusted.call("POST", "/recovery/password", body, Idempotency_Key="k1")
    assert first.status_code == again.status_code == 200
    assert first.data == again.data
    password = first.json["password"]
    db.rollback()
    kept = db.scalars(select(KeptAnswer)).one()
    assert password not in "".join(map(str, vars(kept).values()))
    assert crypto.verify_password(password, db.get(User, ada.id, populate_existing=True).password_hash)


def test_what_was_sent_is_not_kept_as_a_plain_digest(registrar, db):
    import hashlib
    import json

    registrar.call("POST", "/users", EVE, Idempotency_Key="k1")
    kept = db.scalars(select(KeptAnswer)).one()
    for tried in (json.dumps(EVE), PASSPHRASE, "POST /api/v1/users\n" + json.dumps(EVE)):
        assert not hashlib.sha256(tried.encode()).hexdigest().startswith(kept.request_mac)


def test_the_key_for_something_else(registrar, recoverer, ada):
    registrar.call("POST", "/users", EVE, Idempotency_Key="k1")
    other = registrar.call("POST", "/users", {**EVE, "username": "eva"}, Idempotency_Key="k1")
    assert refusal(other) == (422, "idempotency_key_reused")
    other = recoverer.call("POST", "/recovery/password", {"username": "ada"}, Idempotency_Key="k1")
    assert refusal(other) == (422, "idempotency_key_reused")


def test_each_client_has_keys_of_its_own(registrar, api_as, relying_party):
    other = api_as(
        relying_party(grant_types=("client_credentials",), redirect_uris=(), scopes=("registration",)), "registration"
    )
    assert registrar.call("POST", "/users", EVE, Idempotency_Key="k1").status_code == 202
    body = {**EVE, "email": "mal@example.org", "username": "mal"}
    assert other.call("POST", "/users", body, Idempotency_Key="k1").status_code == 202


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "a\tb"])
def test_keys_that_are_none(registrar, key):
    assert refusal(registrar.call("POST", "/users", EVE, Idempotency_Key=key)) == (400, "invalid_idempotency_key")


def test_a_refusal_is_not_kept(registrar, ada, db):
    taken = {**EVE, "username": "ada"}
    assert refusal(registrar.call("POST", "/users", taken, Idempotency_Key="k1"))[0] == 409
    assert db.scalars(select(KeptAnswer)).all() == []
    db.delete(db.get(User, ada.id))
    db.commit()
    assert registrar.call("POST", "/users", taken, Idempotency_Key="k1").status_code == 202


def test_a_failure_is_not_kept(registrar, db, monkeypatch, mailbox):
    from idp.accounts import registration

    def fail(*_args, **_more):
        raise RuntimeError("the roof falls in")

    with monkeypatch.context() as patch:
        patch.setattr(registration, "register", fail)
        with pytest.raises(AssertionError):  # a 500, which the driver refuses
            registrar.call("POST", "/users", EVE, Idempotency_Key="k1")
    assert db.scalars(select(KeptAnswer)).all() == []
    assert registrar.call("POST", "/users", EVE, Idempotency_Key="k1").status_code == 202
    assert len(mailbox()) == 1


def test_who_is_told_to_come_back_may_use_the_key_at_once(registrar, db, monkeypatch, mailbox):
    from idp.accounts import passwords

    def have_no_room(*_args, **_more):
        raise Busy

    with monkeypatch.context() as patch:
        patch.setattr(passwords, "hash_new", have_no_room)
        with pytest.raises(AssertionError, match=BUSY):
            registrar.call("POST", "/users", EVE, Idempotency_Key="k1")
    assert db.scalars(select(KeptAnswer)).all() == []
    assert registrar.call("POST", "/users", EVE, Idempotency_Key="k1").status_code == 202
    assert len(mailbox()) == 1


def test_what_cannot_be_committed_lets_go_of_the_key(registrar, app, db, mailbox):
    with app.app_context():
        engine = context.extension.engine
    answers = []

    def note_answer(*given):
        answers.extend(["kept"] if given[2].startswith("UPDATE kept_answer") else [])

    def fail_once(_connection):
        if answers == ["kept"]:
            answers.append("refused")
            raise OperationalError("COMMIT", {}, Exception("the disk is full"))

    event.listen(engine, "before_cursor_execute", note_answer)
    event.listen(engine, "commit", fail_once)
    try:
        with pytest.raises(AssertionError, match=BUSY):
            registrar.call("POST", "/users", EVE, Idempotency_Key="k1")
    finally:
        event.remove(engine, "before_cursor_execute", note_answer)
        event.remove(engine, "commit", fail_once)
    assert answers == ["kept", "refused"]
    assert db.scalars(select(KeptAnswer)).all() == []
    assert mailbox() == []
    assert registrar.call("POST", "/users", EVE, Idempotency_Key="k1").status_code == 202


def test_what_was_committed_although_nobody_heard_of_it_is_not_done_again(registrar, db, monkeypatch, mailbox):
    commit, unheard = LeanSession.commit, []

    def lose_connection(session):
        commit(session)
        db.rollback()
        if not unheard and db.scalar(select(KeptAnswer.status)):
            unheard.append("the answer")
            raise OperationalError("COMMIT", {}, Exception("the connection is lost"))

    monkeypatch.setattr(LeanSession, "commit", lose_connection)
    with pytest.raises(AssertionError, match=BUSY):
        registrar.call("POST", "/users", EVE, Idempotency_Key="k1")
    assert unheard == ["the answer"]
    assert registrar.call("POST", "/users", EVE, Idempotency_Key="k1").status_code == 202
    assert len(mailbox()) == 1


def test_the_answer_is_forgotten_after_a_day(registrar, clock, settings, db, mailbox):
    registrar.call("POST", "/users", EVE, Idempotency_Key="k1")
    clock.advance(idempotency.KEPT_FOR + 1)
    assert sweep_all(db.get_bind())["kept_answer"] == 1
    assert db.scalars(select(KeptAnswer)).all() == []


def test_an_old_answer_counts_no_more_even_unswept(registrar, api_as, tea_house, clock, mailbox):
    registrar.call("POST", "/users", EVE, Idempotency_Key="k1")
    clock.advance(idempotency.KEPT_FOR)
    later = api_as(tea_house, "registration")
    assert later.call("POST", "/users", {**EVE, "given_name": "Eve"}, Idempotency_Key="k1").status_code == 202
    assert len(mailbox()) == 2


def _leave_behind(db, registrar, key="k1"):
    """Make it look as if the first request had died at its work."""
    registrar.call("POST", "/users", EVE, Idempotency_Key=key)
    kept = db.scalars(select(KeptAnswer)).one()
    kept.status = kept.body_sealed = None
    db.commit()


def test_a_request_that_died_is_waited_for_and_then_done_again(registrar, db, clock, monkeypatch, mailbox):
    monkeypatch.setattr(idempotency, "_WAITS", 2)
    monkeypatch.setattr(idempotency, "_WAIT", 0)
    _leave_behind(db, registrar)
    response = registrar.call("POST", "/users", EVE, Idempotency_Key="k1")
    assert refusal(response) == (409, "idempotency_in_progress")
    assert response.headers["Retry-After"] == "1"
    clock.advance(idempotency.CLAIM_LIFETIME)
    assert refusal(registrar.call("POST", "/users", {**EVE, "username": "x1"}, Idempotency_Key="k1"))[0] == 422
    assert registrar.call("POST", "/users", EVE, Idempotency_Key="k1").status_code == 202
    assert len(mailbox()) == 2


def test_who_was_overtaken_does_nothing(registrar, db, monkeypatch, mailbox):
    from idp.accounts import registration

    original = registration.register

    def slow(*args, **more):
        original(*args, **more)
        args[0].execute(KeptAnswer.__table__.update().values(claim_id="another"))

    monkeypatch.setattr(registration, "register", slow)
    response = registrar.call("POST", "/users", EVE, Idempotency_Key="k1")
    assert refusal(response) == (409, "idempotency_in_progress")
    assert mailbox() == []


@pytest.mark.parametrize("path", ["/users", "/recovery/password", "/recovery/username", "/codes"])
def test_many_at_once(registrar, trusted, ada, mailbox, path, db):
    caller, body = {
        "/users": (registrar, EVE),
        "/recovery/password": (trusted, {"username": "ada"}),
        "/recovery/username": (trusted, {"email": "ada@example.org"}),
        "/codes": (registrar, {"purpose": "registration", "email": "eve@example.org"}),
    }[path]
    answers = at_once(lambda _: caller.call("POST", path, body, Idempotency_Key="k1"), 6)
    assert len({(answer.status_code, answer.data) for answer in answers}) == 1, [a.text for a in answers]
    assert answers[0].status_code in (200, 202)
    assert len(mailbox()) == (0 if path == "/recovery/username" else 1)
    assert len(db.scalars(select(KeptAnswer)).all()) == 1
