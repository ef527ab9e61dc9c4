"""One signing key follows another: published before it signs and after it did, once, and without a restart."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from idp.accounts.visitor import OPERATOR
from idp.errors import NotReadyError
from idp.models import AuditEvent, SigningKey
from idp.oidc import key_rotation, keys
from idp.oidc.keys import ALGORITHMS, RELOAD_EVERY
from idp.settings import Settings
from tests.at_once import at_once
from tests.conftest import Clock
from tests.relying_party import RelyingParty, Tokens, base64url, decode, shown_error

DAY = 86_400


@pytest.fixture
def work(engine: Engine, settings: Settings) -> Callable[[], dict[str, int]]:
    """One round of the worker; returns what was done."""
    return lambda: {name: count for name, count in key_rotation.rotate_due(engine, settings).items() if count}


@pytest.fixture
def rotate(db: Session, settings: Settings) -> Callable[[], None]:
    """What the operator does with `idp keys rotate`."""

    def begin() -> None:
        for algorithm in ALGORITHMS:
            key_rotation.advance(db, settings, OPERATOR, algorithm, is_wanted=True)
        db.commit()

    return begin


def kid_of(tokens: Tokens) -> str:
    """Return the key that signed an ID token."""
    return str(json.loads(decode(tokens.id_token.partition(".")[0]))["kid"])


def published(rp: RelyingParty) -> set[str]:
    """Return the ids of all published keys."""
    return {str(key.kid) for key in rp.keys().keys}


def states(db: Session, algorithm: str = "RS256") -> dict[str, str]:
    """Return key id by state."""
    db.rollback()
    rows = db.execute(select(SigningKey.state, SigningKey.kid).where(SigningKey.algorithm == algorithm)).all()
    return dict(map(tuple, rows))


def all_states(db: Session) -> Counter[str]:
    """Count the keys of all algorithms by state."""
    db.rollback()
    return Counter(db.scalars(select(SigningKey.state)))


# -- The schedule -------------------------------------------------------------------------


def test_young_keys_are_left_alone(work, clock, settings) -> None:
    assert work() == {}
    # The keys were made when the tests began, which may be a while ago.
    clock.advance(settings.key_rotation_interval - settings.key_publish_lead - 7_200)
    assert work() == {}


def test_a_key_is_published_for_the_lead_before_it_signs_and_retires_at_its_age(work, clock, settings, db) -> None:
    first = states(db)["active"]
    clock.advance(settings.key_rotation_interval - settings.key_publish_lead)
    assert work() == {"key_published": 4}
    upcoming = states(db)["next"]
    clock.advance(settings.key_publish_lead - 1)
    assert work() == {}
    assert states(db) == {"active": first, "next": upcoming}
    clock.advance(1)
    assert work() == {"key_activated": 4}
    assert states(db) == {"active": upcoming, "retired": first}
    assert work() == {}


def test_a_retired_key_is_removed_when_no_session_is_left_that_its_tokens_speak_of(work, clock, settings, db, rotate):
    first = states(db)["active"]
    rotate()
    clock.advance(settings.key_publish_lead)
    work()
    clock.advance(settings.session_lifetime)
    assert work() == {}
    assert states(db)["retired"] == first
    clock.advance(2 * RELOAD_EVERY + 1)
    assert work() == {"key_removed": 4}
    assert first not in states(db).values()


def test_a_clients_own_lifetimes_keep_a_retired_key_longer(settings, db, make_client) -> None:
    usual = key_rotation.kept_for(db, settings)
    make_client(id_token_lifetime=90 * DAY)
    assert key_rotation.kept_for(db, settings) - usual == 90 * DAY - settings.session_lifetime
    make_client(access_token_lifetime=200 * DAY)
    assert key_rotation.kept_for(db, settings) - usual == 200 * DAY - settings.session_lifetime


def test_a_worker_that_slept_for_years_still_publishes_before_it_signs(work, clock, settings, db) -> None:
    first = states(db)["active"]
    clock.advance(3_000 * DAY)
    assert work() == {"key_published": 4}
    assert states(db)["active"] == first
    assert work() == {}


def test_an_interval_of_nothing_leaves_it_to_the_operator(engine, settings, clock, rotate, db) -> None:
    settings = replace(settings, key_rotation_interval=0)
    clock.advance(3_000 * DAY)
    assert not any(key_rotation.rotate_due(engine, settings).values())
    rotate()
    clock.advance(settings.key_publish_lead)
    assert key_rotation.rotate_due(engine, settings)["key_activated"] == 4, "what was begun is brought to its end"


def test_a_lead_longer_than_the_interval_stretches_the_interval(engine, settings, clock) -> None:
    settings = replace(settings, key_rotation_interval=7 * DAY, key_publish_lead=10 * DAY)
    assert key_rotation.rotate_due(engine, settings)["key_published"] == 4
    clock.advance(10 * DAY)
    assert key_rotation.rotate_due(engine, settings)["key_activated"] == 4


def test_a_missing_key_is_made(work, db) -> None:
    db.execute(SigningKey.__table__.delete().where(SigningKey.algorithm == "EdDSA"))
    db.commit()
    assert work() == {"key_published": 1}
    assert set(states(db, "EdDSA")) == {"active"}


def test_a_foreign_secret_key_makes_no_key(engine, settings, clock, db) -> None:
    before = all_states(db)
    clock.advance(settings.key_rotation_interval)
    with pytest.raises(NotReadyError, match="does not fit this database"):
        key_rotation.rotate_due(engine, replace(settings, secret_key="x" * 40))
    assert all_states(db) == before


def test_the_private_half_of_a_retired_key_is_destroyed(work, rotate, clock, settings, db) -> None:
    rotate()
    clock.advance(settings.key_publish_lead)
    work()
    assert {key.state: bool(key.private_sealed) for key in db.scalars(select(SigningKey))} == {
        "active": True,
        "retired": False,
    }


def test_each_step_is_written_down(work, rotate, clock, settings, db) -> None:
    first = states(db)["active"]
    rotate()
    clock.advance(settings.key_publish_lead)
    work()
    clock.advance(settings.session_lifetime * 2)
    work()
    told = {
        (event.event, event.actor): event.details["kid"]
        for event in db.scalars(select(AuditEvent).where(AuditEvent.event.startswith("provider:key:")))
        if event.details["algorithm"] == "RS256"
    }
    assert told[("provider:key:rotate", "system")] == told[("provider:key:create", "operator")]
    assert told[("provider:key:remove", "system")] == first


# -- The operator ---------------------------------------------------------------------------


def test_the_operator_begins_it_early(rotate, work, clock, settings, db) -> None:
    rotate()
    assert all_states(db) == {"active": 4, "next": 4}
    rotate()
    assert all_states(db) == {"active": 4, "next": 4}, "once begun, nothing more is to be done"
    clock.advance(settings.key_publish_lead)
    rotate()
    assert all_states(db) == {"active": 4, "retired": 4}


def test_in_an_emergency_all_keys_are_exchanged_at_once(rp, rotate, db, settings, minutes) -> None:
    stolen = rp.log_in()
    rotate()
    made = key_rotation.revoke_all(db, settings, OPERATOR)
    db.commit()
    minutes()
    assert published(rp) == set(made.values())
    assert kid_of(rp.log_in()) == made["RS256"]
    assert rp.ask(prompt="none", id_token_hint=stolen.id_token).error == "invalid_request"
    revoked = db.scalars(select(AuditEvent).where(AuditEvent.event == "provider:key:revoke")).all()
    assert Counter(event.details["algorithm"] for event in revoked) == dict.fromkeys(ALGORITHMS, 2)


def test_what_a_revoked_key_signed_is_refused_at_once(relying_party, ada, db, settings) -> None:
    """No process remembers the key for longer than the table has it."""
    rp = relying_party(access_token_format="jwt")
    stolen = rp.log_in()
    assert stolen.access_token.count(".") == 2
    assert rp.userinfo(stolen)["sub"]
    key_rotation.revoke_all(db, settings, OPERATOR)
    db.commit()
    assert rp.request_userinfo(stolen.access_token).status_code == 401
    assert rp.introspect(stolen.access_token) == {"active": False}
    assert rp.ask(prompt="none", id_token_hint=stolen.id_token).error == "invalid_request"
    assert 'id="logout-confirm"' in rp.request_logout(id_token_hint=stolen.id_token).text


def test_with_a_foreign_secret_key_no_key_is_revoked(db, settings) -> None:
    with pytest.raises(NotReadyError):
        key_rotation.revoke_all(db, replace(settings, secret_key="x" * 40), OPERATOR)
    assert all_states(db) == {"active": 4}


def test_it_is_foretold_what_happens_to_each_key(rotate, work, clock, settings, db) -> None:
    def told() -> dict[str, Any]:
        db.rollback()
        found = key_rotation.prospects(db, settings)
        return {key.state: (each.what, each.at) for key, each in found if key.algorithm == "RS256"}

    active = db.get(SigningKey, states(db)["active"])
    assert active is not None
    early = active.activated_at + settings.key_rotation_interval - settings.key_publish_lead
    assert told() == {"active": ("gets a successor", early)}
    rotate()
    at = int(clock()) + settings.key_publish_lead
    assert told() == {"active": ("retires", at), "next": ("signs", at)}
    clock.advance(settings.key_publish_lead)
    work()
    assert told()["retired"] == ("is removed", at + key_rotation.kept_for(db, settings))
    never = key_rotation.prospects(db, replace(settings, key_rotation_interval=0))
    assert {each.at for key, each in never if key.state == "active"} == {None}


# -- What apps see -----------------------------------------------------------------------------


def test_oidcc_server_rotate_keys(rp, rotate, work, clock, settings, minutes) -> None:
    """The new kid signs, was published before it did, and the old one is published still."""
    first = rp.log_in()
    rotate()
    minutes()
    known_before = published(rp)
    assert kid_of(rp.log_in(prompt="login")) == kid_of(first)
    clock.advance(settings.key_publish_lead)
    work()
    minutes()
    second = rp.log_in(prompt="login")  # checks that the kid is published
    assert kid_of(second) != kid_of(first)
    assert kid_of(second) in known_before
    assert {kid_of(first), kid_of(second)} <= published(rp)


def test_what_a_retired_key_signed_is_still_a_hint(rp, rotate, work, clock, settings, minutes) -> None:
    first = rp.log_in()
    for _ in range(3):
        rotate()
        clock.advance(settings.key_publish_lead)
        work()
    minutes()
    assert rp.ask(prompt="none", id_token_hint=first.id_token).code
    rp.log_out(first.id_token)


def test_a_key_that_is_gone_makes_no_hint(rp, db, rotate, work, clock, settings, minutes) -> None:
    first = rp.log_in()
    rotate()
    clock.advance(settings.key_publish_lead)
    work()
    db.execute(SigningKey.__table__.delete().where(SigningKey.kid == kid_of(first)))
    db.commit()
    minutes()
    assert rp.ask(prompt="none", id_token_hint=first.id_token).error == "invalid_request"
    assert 'id="logout-confirm"' in rp.request_logout(id_token_hint=first.id_token).text


@pytest.mark.parametrize("says_who", [True, False])
def test_an_app_that_outlives_a_key_still_signs_people_out(relying_party, ada, db, settings, minutes, says_who) -> None:
    """Its hint counts for none: the person is asked, and goes back to an app that says by itself who it is."""
    back = "https://app.example.org/bye"
    rp = relying_party(post_logout_redirect_uris=(back,))
    sent = {"id_token_hint": rp.log_in().id_token, "post_logout_redirect_uri": back}
    if says_who:
        sent["client_id"] = rp.metadata.client_id
    key_rotation.revoke_all(db, settings, OPERATOR)
    db.commit()
    minutes()
    left = rp.submit(rp.request_logout(**sent), "logout-confirm")
    assert left.headers["Location"] == (back if says_who else f"{rp.issuer}/signed-out")
    assert rp.ask(prompt="none").error == "login_required"


def test_rotation_reaches_a_running_process_within_a_minute(rp, rotate, minutes) -> None:
    before = published(rp)
    rotate()
    assert published(rp) == before
    minutes()
    assert published(rp) > before


def test_while_one_request_looks_for_new_keys_the_others_go_on(app, rp, minutes, monkeypatch) -> None:
    rp.log_in()
    provider = app.extensions["idp_provider"]
    before, meanwhile, real = provider.key_ring, [], keys.load_keys
    monkeypatch.setattr(
        keys, "load_keys", lambda *args, **named: meanwhile.append(provider.key_ring) or real(*args, **named)
    )
    minutes()
    assert provider.key_ring is not before
    assert meanwhile == [before]


def test_a_key_that_only_another_process_knows_is_looked_up_once(settings, make_app, rp, db, minutes, counted) -> None:
    """A hint signed by a key that another process activated a moment ago: the table is asked at once."""
    assert rp.log_in()  # this process has read its keys
    key_rotation.revoke_all(db, settings, OPERATOR)
    db.commit()
    elsewhere = RelyingParty(make_app(settings).test_client(), settings.issuer, rp.metadata, rp.secret)
    fresh = elsewhere.log_in()
    assert shown_error(rp.request_logout(id_token_hint=fresh.id_token + "x")).parameter == "id_token_hint"
    assert rp.ask(prompt="none", id_token_hint=fresh.id_token).code
    header = json.dumps({"alg": "RS256", "kid": "0" * 32}).encode()
    made_up = ".".join((base64url(header), *fresh.id_token.split(".")[1:]))
    with counted() as traffic:
        for _ in range(5):
            assert rp.ask(prompt="none", id_token_hint=made_up).error == "invalid_request"
    looks = [each for each in traffic.statements if "signing_key" in each]
    assert len(looks) == 5, "a look each"
    assert not [each for each in looks if "private" in each], "all keys are not read for everyone who makes up an id"


def test_a_new_key_is_imported_alone(rp, db, rotate, work, clock, settings, monkeypatch, minutes) -> None:
    rp.log_in()
    rotate()
    clock.advance(settings.key_publish_lead)
    work()
    imported: list[str] = []
    real = keys._import_private
    monkeypatch.setattr(keys, "_import_private", lambda *args: imported.append(args[0]) or real(*args))
    minutes()
    rp.log_in()
    assert sorted(imported) == sorted(db.scalars(select(SigningKey.kid).where(SigningKey.state == "active")))


# -- Many workers at once --------------------------------------------------------------------------


def rotate_at_once(engine: Engine, settings: Settings, workers: int = 6) -> Counter[str]:
    """Let many workers do the same round at the same moment; returns what they did together."""
    done = at_once(lambda _: Counter(key_rotation.rotate_due(engine, settings)), workers)
    return +sum(done, Counter[str]())


def rotated_once(engine: Engine, settings: Settings, clock: Clock) -> None:
    """Drive a whole rotation by many workers at once: each step is taken once."""
    clock.advance(settings.key_rotation_interval)
    assert rotate_at_once(engine, settings) == {"key_published": 4}
    clock.advance(settings.key_publish_lead)
    assert rotate_at_once(engine, settings) == {"key_activated": 4}
    clock.advance(settings.session_lifetime + 2 * RELOAD_EVERY + 1)
    assert rotate_at_once(engine, settings) == {"key_removed": 4}


def test_of_many_workers_one_does_it(engine, settings, clock, db) -> None:
    rotated_once(engine, settings, clock)
    assert all_states(db) == {"active": 4}
