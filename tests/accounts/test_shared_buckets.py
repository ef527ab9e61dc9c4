"""Throttles whose buckets are in Redis or Valkey: the same rules, and the table where the server is away."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from redis import Redis
from sqlalchemy import func, select

from idp import clock as provider_clock
from idp.accounts import shared_buckets, throttle
from idp.models import BrowserSession, Throttle
from idp.storage import database
from tests.accounts import test_throttle as with_table
from tests.accounts.test_throttle import KIND, spend  # noqa: F401 - a fixture
from tests.factories import PASSWORD
from tests.redis_server import BINARY, RedisServer

pytestmark = pytest.mark.skipif(not BINARY, reason="neither valkey-server nor redis-server is installed")

# What holds for rows holds for keys: these run here once more, on this module's settings.
test_a_burst_is_admitted_then_one_attempt_an_interval = with_table.test_a_burst_is_admitted_then_one_attempt_an_interval
test_refused_attempts_do_not_prolong_the_wait = with_table.test_refused_attempts_do_not_prolong_the_wait
test_nobody_is_locked_out_for_good = with_table.test_nobody_is_locked_out_for_good
test_the_wait_that_is_said_is_the_wait_that_helps = with_table.test_the_wait_that_is_said_is_the_wait_that_helps
test_subjects_and_kinds_have_buckets_of_their_own = with_table.test_subjects_and_kinds_have_buckets_of_their_own
test_networks_have_limits_of_their_own = with_table.test_networks_have_limits_of_their_own
test_a_refund_gives_the_attempt_back = with_table.test_a_refund_gives_the_attempt_back
test_refunds_save_nothing_up = with_table.test_refunds_save_nothing_up
test_threads_at_once_never_exceed_the_burst = with_table.test_threads_at_once_never_exceed_the_burst
test_a_clock_that_was_set_back = with_table.test_a_clock_that_was_ahead_and_is_set_back_keeps_nobody_out
test_a_mailbox_gets_so_many_mails = with_table.test_a_mailbox_gets_so_many_mails_then_one_an_interval
test_one_more_mail_is_kept = with_table.test_one_more_is_kept_for_what_its_owner_waits_for
test_a_mailbox_whose_clock_was_ahead = with_table.test_a_mailbox_whose_clock_was_ahead_gets_mail


@pytest.fixture
def server():
    """A server of this test's own."""
    server = RedisServer()
    server.start()
    yield server
    server.stop()
    shared_buckets._opened.cache_clear()


@pytest.fixture
def settings(settings, server):
    """The provider keeps its buckets there."""
    return replace(settings, throttle_url=server.url)


@pytest.fixture
def impatient(monkeypatch):
    """After a fault the server is tried again at once."""
    monkeypatch.setattr(shared_buckets, "LEFT_ALONE_FOR", 0.0)


def rows(db):
    return db.scalar(select(func.count()).select_from(Throttle))


def keys(server):
    with Redis.from_url(server.url) as asked:
        return {key.decode(): asked.ttl(key) for key in asked.scan_iter()}


def test_no_row_is_written_and_keys_go_by_themselves(db, settings, spend, server):  # noqa: F811
    spend("ada@example.org")
    assert rows(db) == 0
    ((key, lasts),) = keys(server).items()
    assert "ada" not in key
    assert KIND in key
    assert 0 < lasts <= settings.throttle_account_interval


def test_one_connection_is_enough_where_no_more_are_allowed(db, settings, spend, server):  # noqa: F811
    narrow = replace(settings, throttle_url=f"{server.url}?max_connections=1")
    assert [spend(in_force=narrow) for _ in range(2)] == [0, 0]
    assert rows(db) == 0
    assert len(keys(server)) == 1


def test_a_refund_makes_no_key_that_would_stay(db, settings, server):
    charge = throttle.spend(db, settings, KIND, "ada")
    with Redis.from_url(server.url) as asked:
        asked.flushall()
    charge.refund(db)
    assert keys(server) == {}


def test_providers_that_share_a_server_share_no_bucket(db, settings, spend):  # noqa: F811
    for _ in range(settings.throttle_account_burst):
        spend()
    assert spend() > 0
    assert spend(in_force=replace(settings, issuer="https://login.example.org")) == 0


def test_while_the_server_is_away_the_table_takes_its_place(db, settings, spend, server, impatient, caplog):  # noqa: F811
    assert spend() == 0
    server.stop()
    with caplog.at_level(logging.WARNING):
        waits = [spend() for _ in range(settings.throttle_account_burst + 1)]
    assert waits[:-1] == [0] * settings.throttle_account_burst
    assert waits[-1] > 0
    assert rows(db) == 1
    assert "the database takes its place" in caplog.text
    server.start()
    assert spend() == 0
    assert len(keys(server)) == 1


def test_a_server_that_does_not_answer_is_waited_for_once(settings, spend, server, monkeypatch):  # noqa: F811
    monkeypatch.setattr(shared_buckets, "ANSWER_WITHIN", 0.1)
    monkeypatch.setattr(shared_buckets, "LEFT_ALONE_FOR", 3_600.0)
    assert spend() == 0
    server.freeze()
    assert spend() == 0
    server.stop()  # nobody asks it any more
    server.start()
    assert [spend() for _ in range(3)] == [0] * 3
    assert keys(server) == {}


def test_whether_it_is_back_is_found_out_by_one_and_the_others_do_not_wait(settings, server, monkeypatch):
    """By a name server that hangs too, one such wait is longer than any other."""
    buckets = shared_buckets.of(settings)
    server.stop()
    assert buckets.spend("b", 10, 1) is None
    monkeypatch.setattr(provider_clock, "ticks", lambda: time.perf_counter() + shared_buckets.LEFT_ALONE_FOR)
    asked, release = threading.Event(), threading.Event()

    def hang(**_):
        asked.set()
        assert release.wait(60)
        return [1, 1]

    monkeypatch.setattr(buckets, "_spend", hang)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(buckets.spend, "b", 10, 1)
        assert asked.wait(60)
        monkeypatch.setattr(buckets, "_spend", lambda **_: pytest.fail("it was asked once more"))
        assert buckets.spend("b", 10, 1) is None
        release.set()
        assert first.result() == (True, 1)
    monkeypatch.setattr(buckets, "_spend", lambda **_: [1, 2])
    assert buckets.spend("b", 10, 1) == (True, 2)


def test_a_refund_that_comes_too_late_is_no_fault(db, settings, spend, server):  # noqa: F811
    charge = throttle.spend(db, settings, KIND, "ada")
    server.stop()
    charge.refund(db)
    assert rows(db) == 0


def test_a_server_that_refuses_to_write_is_as_good_as_away(db, settings, spend, server, impatient):  # noqa: F811
    with Redis.from_url(server.url) as asked:
        asked.config_set("maxmemory", "1")
        asked.config_set("maxmemory-policy", "noeviction")
        assert spend() == 0
        assert rows(db) == 1
        asked.config_set("maxmemory", "0")
    assert spend() == 0
    assert rows(db) == 1


def test_somebody_signs_in_whether_it_is_there_or_not(app, settings, client, make_user, server, db, impatient):
    make_user()

    def sign_in(password):
        browser = app.test_client()
        token = browser.get("/sign-in").text.split('name="csrf_token" value="')[1].split('"')[0]
        return browser.post("/sign-in", data={"username": "ada", "password": password, "csrf_token": token})

    assert sign_in(PASSWORD).status_code == 303
    assert sign_in("not the password").status_code == 422
    assert rows(db) == 0
    server.stop()
    assert sign_in(PASSWORD).status_code == 303
    assert sign_in("not the password").status_code == 422
    assert rows(db) > 0
    assert db.scalar(select(func.count()).select_from(BrowserSession)) == 2


def test_what_was_written_before_an_attempt_is_committed_with_it(settings, server):
    """Callers rely on it: no lock is held while a password is hashed."""
    with database.open_session(settings) as db:
        db.add(Throttle(bucket="something else", available_at=provider_clock.now()))
        db.flush()
        throttle.spend(db, settings, KIND, "ada")
        with database.open_session(settings) as other:
            assert rows(other) == 1
