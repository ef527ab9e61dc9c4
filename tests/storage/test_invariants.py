"""What `idp doctor --deep` looks for: nothing after honest work, and each kind of damage when it is there."""

import json
from dataclasses import replace
from functools import partial

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from idp import crypto, worker
from idp.accounts import deletion, preauthorization, recovery, registration, sessions, users
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR, Visitor
from idp.cli import checks, doctor, invariants
from idp.cli.checks import CHECKS, DEEP_CHECKS
from idp.cli.damage import find_damage, tell_undamaged
from idp.cli.invariants import CLOCK_SLACK, INVARIANTS, find_offenders
from idp.clock import DAY
from idp.mail import messages, outbox
from idp.oidc import client_store
from idp.oidc.backchannel import KEPT_AFTER_END
from tests import postgresql
from tests.accounts.conftest import Mailbox
from tests.factories import PASSWORD


@pytest.fixture
def worked(db, settings, relying_party, make_user, clock):
    """A provider at which much has happened: gives the app and the clock."""
    make_user()
    make_user("bob")
    make_user("eve")
    party = relying_party(backchannel_logout_uri="https://app.example.org/logout")
    tokens = party.log_in(scope="openid offline_access")
    tokens = party.refresh(tokens.refresh_token)
    party.refresh(tokens.refresh_token)
    party.request_refresh(tokens.refresh_token)  # a thief's second use
    kept = party.in_another_browser()
    kept.refresh(kept.log_in(username="bob", scope="openid offline_access").refresh_token)
    for username in ("bob", "eve"):
        other = party.in_another_browser()
        other.log_in(username=username, scope="openid")
    clock.advance(CLOCK_SLACK + 10)
    for username in ("ada", "eve"):
        user = users.find_user(db, username)
        sessions.end_sessions(db, OPERATOR, user.id, reason="ended_by_user")
    users.disable_user(db, OPERATOR, users.find_user(db, "eve").id)
    preauthorization.preauthorize(db, OPERATOR, "zoe@example.org")
    db.commit()
    registration.register(db, settings, OPERATOR, Person("zoe", "zoe@example.org"), PASSWORD)
    outbox.post(db, settings, messages.test_message(settings, "en"), "ada@example.org")
    db.commit()
    return party


def broken(db, clock):
    return {each.name: found for each in INVARIANTS if (found := find_offenders(db, each, int(clock()))[0])}


def test_honest_work_breaks_nothing(worked, db, clock):
    assert broken(db, clock) == {}
    assert find_damage(db) == []


def test_accounts_and_registrations_that_went_honestly_break_nothing(worked, db, settings, clock):
    for name in ("yan", "xia"):
        registration.register(db, settings, Visitor(), Person(name, f"{name}@example.org"), PASSWORD)
    registration.add_user(db, settings, OPERATOR, Person("yan", "yan@example.org"), None)  # takes the address over
    deletion.request_deletion(db, settings, Visitor(), users.find_user(db, "bob").id, PASSWORD)
    db.commit()
    clock.advance(max(registration.PENDING_LIFETIME, deletion.REVOCABLE) + 1)
    assert registration.sweep_pending(db, most=10) == 2
    assert deletion.delete_due(db, most=10) == 1
    db.commit()
    assert broken(db, clock) == {}


def test_lifetimes_may_become_shorter(db, settings, worked, clock):
    """The last token of a chain goes earlier than those before it would have gone."""
    party = worked.in_another_browser()
    tokens = party.log_in(username="bob", scope="openid offline_access")
    tokens = party.refresh(tokens.refresh_token)
    before = client_store.get_client(db, worked.metadata.client_id)
    client_store.update_client(db, settings, OPERATOR, before, replace(before, refresh_token_lifetime=3_600))
    db.commit()
    party.refresh(tokens.refresh_token)
    clock.advance(3_601)
    worker.sweep_all(db.get_bind())
    assert broken(db, clock) == {}


def test_old_rows_of_the_audit_may_be_deleted(worked, db, make_user, clock):
    clock.advance(2 * DAY)
    make_user("yan")
    db.execute(text("DELETE FROM audit_event WHERE at < :then"), {"then": int(clock()) - DAY})
    db.commit()
    assert broken(db, clock) == {}
    # Younger ones may not, even where nothing that is older tells that there was an audit.
    db.execute(text("DELETE FROM audit_event WHERE user_id IS NOT NULL"))
    db.execute(
        text("INSERT INTO audit_event (at, event, actor, details) VALUES (:now, 'a:b:c', 'system', '{}')"),
        {"now": int(clock())},
    )
    assert list(broken(db, clock)) == ["accounts audit"]


def test_notices_that_went_are_forgotten_and_uris_come_later(worked, db, clock):
    db.execute(text("UPDATE client SET updated_at = :now"), {"now": int(clock())})
    db.execute(text("DELETE FROM logout_notice"))
    assert broken(db, clock) == {}
    db.execute(text("UPDATE client SET updated_at = 1"))
    assert list(broken(db, clock)) == ["logout notices"]
    clock.advance(KEPT_AFTER_END)
    assert broken(db, clock) == {}


BOBS = "(SELECT id FROM \"user\" WHERE username = 'bob')"
OFFLINE = "(SELECT id FROM authorization_grant WHERE is_offline AND revoked_at IS NULL)"
COPY = (
    "INSERT INTO refresh_token (id, grant_id, client_id, token_digest, scope, created_at, expires_at) "
    "SELECT 'copy', grant_id, client_id, 'copy', scope, created_at, expires_at "
    f"FROM refresh_token WHERE grant_id = {OFFLINE} LIMIT 1"
)
DAMAGE = {
    "sessions": f'UPDATE "user" SET is_registration_pending = true WHERE id = {BOBS}',
    "preauthorizations": "INSERT INTO preauthorization (id, email, email_key, client_id, roles, created_at) "
    "SELECT :held, email, email_key, '', '[]', 0 FROM \"user\" WHERE username = 'zoe'",
    "grants": f'UPDATE "user" SET disabled_at = 1 WHERE id = {BOBS}',
    "ended sessions": f"UPDATE browser_session SET ended_at = 1 WHERE user_id = {BOBS}",
    "owners": f"UPDATE authorization_grant SET user_id = (SELECT id FROM \"user\" WHERE username = 'ada') "
    f"WHERE user_id = {BOBS}",
    "codes": COPY,
    "orphan tokens": f"UPDATE authorization_grant SET code_claimed_at = NULL WHERE id = {OFFLINE}",
    "chains": f"DELETE FROM refresh_token WHERE grant_id = {OFFLINE} AND claimed_at IS NULL",
    "mail queue": "UPDATE mail_message SET state = 'sent'",
    "claims": 'UPDATE "user" SET is_registration_pending = true, claimed_preauthorization = '
    "(SELECT claimed_preauthorization FROM \"user\" WHERE username = 'zoe') WHERE username = 'eve'",
    "logout notices": "DELETE FROM logout_notice",
    "logout queue": "UPDATE logout_notice SET finished_at = 5",
    "key states": "UPDATE signing_key SET activated_at = NULL",
    "audit": "DELETE FROM audit_event",
    "gone audit": f'DELETE FROM "user" WHERE id = {BOBS}',
    "accounts audit": "DELETE FROM audit_event WHERE event = 'account:user:create' AND user_id = " + BOBS,
    "disabled audit": "DELETE FROM audit_event WHERE event = 'account:user:disable'",
    "sign-ins audit": f"DELETE FROM audit_event WHERE event = 'account:session:start' AND user_id = {BOBS}",
    "ends audit": "DELETE FROM audit_event WHERE event = 'account:session:end'",
    "time": "UPDATE audit_event SET at = at + 10000 WHERE id = (SELECT max(id) FROM audit_event)",
}


def test_there_is_damage_for_every_invariant():
    assert set(DAMAGE) == {each.name for each in INVARIANTS}
    names = [check.name for check in DEEP_CHECKS]
    assert len(set(names)) == len(names)


def test_each_damage_is_found(worked, db, clock):
    held = db.scalar(text("SELECT claimed_preauthorization FROM \"user\" WHERE username = 'zoe'"))
    held = json.loads(held) if isinstance(held, str) else held
    db.commit()
    for name, damage in DAMAGE.items():
        assert broken(db, clock) == {}
        parameters = {"held": held[0]["id"]} if ":held" in damage else {}
        assert db.execute(text(damage), parameters).rowcount, name
        assert name in broken(db, clock), name
        db.rollback()


@postgresql.needed
def test_references_that_a_server_did_not_enforce_are_found(worked, db, settings):
    """Triggers enforce them, and some ways to bring data back switch these off."""
    assert tell_undamaged(db).startswith("every reference is whole")
    assert "pg_amcheck" in tell_undamaged(db)
    db.execute(text("SET session_replication_role = replica"))
    db.execute(text("INSERT INTO user_role VALUES ('nobody', 'admin')"))
    assert find_damage(db) == ["user_role has rows without parents"]


@postgresql.needed
def test_a_servers_own_time_limit_ends_no_look_at_all_there_is(app, settings, monkeypatch):
    limits = set()

    def look(found, db, *_):
        limits.add(db.scalar(text("SHOW statement_timeout")))
        return found

    monkeypatch.setattr(checks.damage, "find_damage", partial(look, []))
    monkeypatch.setattr(invariants, "find_offenders", partial(look, (0, [])))
    limited = replace(settings, database_url=f"{settings.database_url}?options=-c%20statement_timeout%3D1h")
    assert {check.look(limited).verdict for check in DEEP_CHECKS} == {"ok"}
    assert limits == {"0"}


@postgresql.needed
def test_a_server_is_asked_for_damaged_pages(worked, db, monkeypatch):
    answers = {"SHOW data_checksums": "on"}
    monkeypatch.setattr(db, "scalar", lambda statement: answers.get(str(statement), 0))
    assert find_damage(db) == []
    assert "the server met no damaged page" in tell_undamaged(db)
    monkeypatch.setattr(db, "scalar", lambda _statement: 3)
    (told,) = find_damage(db)
    assert told.startswith("the server met 3 damaged pages")
    assert "pg_stat_reset()" in told  # or it is told for ever


def test_a_browser_that_an_account_only_knows_had_no_sign_in(db, settings, make_user, clock):
    """Whoever uses a mailed link is known by that browser, which the account has never signed in with."""
    make_user("bob")
    recovery.request_password_reset(db, settings, OPERATOR, "bob")
    db.commit()
    at_a_friends = Visitor("192.0.2.9", "Firefox", crypto.digest("a browser at a friend's"))
    recovery.reset_password(
        db, settings, at_a_friends, Mailbox(db, settings).last("reset_password").token, "a b c d e f 7"
    )
    db.commit()
    assert broken(db, clock) == {}


def test_the_first_few_are_named(worked, db, clock):
    (invariant,) = (each for each in INVARIANTS if each.name == "time")
    db.execute(text("UPDATE audit_event SET at = at + 10000"))
    db.commit()
    count, first = find_offenders(db, invariant, int(clock()))
    assert count > invariants.SHOWN == len(first)


def test_the_command_reports_it(app, db, settings, make_user, monkeypatch):
    make_user()
    environment = {
        "IDP_INSTANCE": str(settings.instance),
        "IDP_SECRET_KEY": settings.secret_key,
        "IDP_DATABASE_URL": settings.database_url,
    }
    runner = CliRunner(env=environment)
    assert runner.invoke(doctor.command, ["--deep"]).exit_code == 0
    db.execute(text("UPDATE signing_key SET retired_at = 5"))
    db.commit()
    done = runner.invoke(doctor.command, ["--deep", "--json"])
    assert done.exit_code == 1
    (found,) = (each for each in json.loads(done.stdout) if each["check"] == "key states")
    assert found["verdict"] == "fault"
    assert found["told"].lstrip("0123456789").startswith(" signing keys have times that do not fit their state (")
    assert json.loads(runner.invoke(doctor.command, ["--json"]).stdout)[-1]["check"] == CHECKS[-1].name
