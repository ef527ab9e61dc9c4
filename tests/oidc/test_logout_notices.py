"""Every end of a session tells every app that it reached, whoever ended it and however; and nobody else."""

import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from joserfc import jws
from sqlalchemy import event, func, select, update

from idp import worker
from idp.accounts import deletion, passwords, sessions, users
from idp.accounts.audit import list_events
from idp.accounts.visitor import OPERATOR
from idp.models import AuthorizationGrant, BrowserSession, LogoutNotice, SigningKey, User
from idp.oidc import backchannel, consents, outgoing
from idp.oidc.clients import DEVICE_CODE_GRANT
from idp.oidc.token_status import revoke_grant
from idp.storage import batches
from tests.at_once import transactions_at_once
from tests.conftest import SECRET_KEY
from tests.environment import without_settings
from tests.factories import PASSWORD
from tests.oidc.listening import listening, read_logout_token
from tests.oidc.test_device_grant import begin
from tests.ports import free_port
from tests.relying_party import RelyingParty, the_form
from tests.waiting import until

DAY = 86_400
NEW_PASSWORD = "kettle orbit mustard lantern"


@pytest.fixture
def told(relying_party, ada, listening_app) -> RelyingParty:
    """An app that wants to hear of the end of sessions."""
    return relying_party(backchannel_logout_uri=listening_app.url)


@pytest.fixture
def work(db, settings):
    """Do what the worker does; returns how much of what."""
    return lambda: dict(worker.run_once(db.get_bind(), settings))


def post_page_form(party, path, **fields) -> None:
    """Send a page's form as the person does."""
    form = the_form(party.browser.get(path).text)
    answer = party.browser.post(path, data={"csrf_token": form["fields"]["csrf_token"], **fields})
    assert answer.status_code in (200, 303), answer.text[:500]


# -- Each way to end ------------------------------------------------------------------------


def by_an_app(party, tokens, **_):
    party.request_logout(id_token_hint=tokens.id_token)


def at_our_own_page(party, **_):
    token = the_form(party.browser.get("/account/password").text)["fields"]["csrf_token"]
    assert party.browser.post("/sign-out", data={"csrf_token": token}).status_code == 303


def from_another_browser(party, **_):
    other = party.in_another_browser()
    other.metadata = party.metadata
    other.log_in()
    post_page_form(other, "/account/sessions", end="others")


def by_a_changed_password(party, **_):
    other = party.in_another_browser()
    other.log_in()
    post_page_form(
        other,
        "/account/password",
        current_password=PASSWORD,
        new_password=NEW_PASSWORD,
        new_password_again=NEW_PASSWORD,
    )


def by_a_password_that_the_operator_set(db, settings, user, **_):
    passwords.set_password(db, settings, OPERATOR, user.id, NEW_PASSWORD)


def by_disabling(db, user, **_):
    users.disable_user(db, OPERATOR, user.id)


def by_deletion(db, user, clock, **_):
    db.execute(update(User).where(User.id == user.id).values(deletion_due_at=int(clock.time)))
    assert deletion.delete_due(db, most=10) == 1


def by_somebody_else_s_sign_in(party, make_user, **_):
    make_user("bob")
    page = party.sign_in_page(prompt="login", login_hint="bob")
    party.sign_in(page, "bob")


def by_the_operator(db, user, **_):
    assert sessions.end_sessions(db, OPERATOR, user.id, reason="ended_by_operator") == 1


def by_idleness(clock, settings, **_):
    clock.advance(settings.session_idle_lifetime)


def by_age(db, clock, settings, **_):
    """Somebody was there all the time."""
    clock.advance(settings.session_lifetime)
    db.execute(update(BrowserSession).values(last_seen_at=int(clock.time)))


WAYS = {
    "signed_out": by_an_app,
    "signed_out at our page": at_our_own_page,
    "ended_by_user": from_another_browser,
    "password_changed": by_a_changed_password,
    "password_changed by the operator": by_a_password_that_the_operator_set,
    "user_disabled": by_disabling,
    "account_deleted": by_deletion,
    "replaced": by_somebody_else_s_sign_in,
    "ended_by_operator": by_the_operator,
    "expired, idle": by_idleness,
    "expired, old": by_age,
}


@pytest.mark.parametrize("way", WAYS)
def test_however_a_session_ends_its_app_is_told(way, told, ada, db, settings, clock, make_user, listening_app, work):
    tokens = told.log_in()
    WAYS[way](party=told, tokens=tokens, db=db, settings=settings, user=ada, clock=clock, make_user=make_user)
    db.commit()
    done = work()
    assert done["notice_sent"] == 1
    assert done["session_expired"] == (1 if way.startswith("expired") else 0)
    claims = read_logout_token(listening_app.tokens[0], told)
    assert (claims["sub"], claims["sid"]) == (tokens.claims["sub"], tokens.claims["sid"])
    assert not told.is_good(tokens)
    ended = list_events(db, event="account:session:end")
    assert [event.details["reason"] for event in ended] == [way.split(" ")[0].rstrip(",")]
    assert work()["notice_sent"] == 0
    assert listening_app.requests == 1


def test_a_session_that_goes_on_tells_nobody(told, settings, clock, work, listening_app):
    told.log_in()
    clock.advance(settings.session_idle_lifetime - 1)
    assert work()["session_expired"] == 0
    told.ask().code  # noqa: B018 - somebody is there
    clock.advance(settings.session_idle_lifetime - 1)
    assert work()["session_expired"] == 0
    assert listening_app.requests == 0


def test_proving_oneself_once_more_tells_nobody(told, work, listening_app, clock):
    told.log_in()
    told.authorize(prompt="login")
    assert work()["notice_sent"] == 0


# -- Old sessions, in small batches ------------------------------------------------------------


def test_many_old_sessions_end_in_small_batches(told, db, settings, clock, work, listening_app, monkeypatch, make_user):
    make_user("bob")
    monkeypatch.setattr(batches, "BATCH", 2)
    people = ["ada", "bob", "ada", "bob", "ada"]
    parties = [told.in_another_browser() for _ in people]
    tokens = [party.log_in(name) for party, name in zip(parties, people, strict=True)]
    clock.advance(settings.session_idle_lifetime)
    fresh = told.in_another_browser()
    fresh.log_in()
    done = work()
    assert (done["session_expired"], done["notice_sent"]) == (5, 5)
    heard = {(claims["sub"], claims["sid"]) for claims in (read_logout_token(t, told) for t in listening_app.tokens)}
    assert heard == {(each.claims["sub"], each.claims["sid"]) for each in tokens}
    fresh.ask(prompt="none").code  # noqa: B018 - still signed in


def test_grants_wait_for_their_session_s_end_before_they_are_swept(told, db, settings, clock):
    """Or the sweep, in another thread or another worker, would forget whom to tell."""
    told.log_in()
    clock.advance(settings.session_lifetime + 1)
    engine = db.get_bind()
    assert worker.sweep_all(engine)["authorization_grant"] == 0
    assert sessions.end_expired(db, settings, most=10) == 1
    db.commit()
    assert db.scalar(select(func.count()).select_from(LogoutNotice)) == 1
    assert worker.sweep_all(engine)["authorization_grant"] == 1


def test_of_a_session_that_goes_on_for_months_the_last_grants_of_each_app_are_kept(
    told, relying_party, work, db, clock
):
    """Whoever proves now and then that it is still them has one session all the while."""
    left = relying_party(told.browser, backchannel_logout_uri=told.metadata.backchannel_logout_uri)
    left.log_in()
    for _ in range(20):
        clock.advance(6 * DAY)
        told.log_in(prompt="login")
        worker.sweep_all(db.get_bind())
    assert db.scalar(select(func.count()).select_from(BrowserSession)) == 1
    found = db.execute(select(AuthorizationGrant.client_id, func.count()).group_by(AuthorizationGrant.client_id)).all()
    assert dict(map(tuple, found)) == {told.metadata.client_id: 6, left.metadata.client_id: 1}
    clock.advance(8 * DAY)
    assert work()["notice_sent"] == 2


def test_workers_at_once_end_each_session_once(told, db, settings, clock):
    for _ in range(12):
        told.in_another_browser().log_in()
    clock.advance(settings.session_idle_lifetime)

    def end_all(own, _number):
        count = 0
        while ended := sessions.end_expired(own, settings, most=2):
            own.commit()
            count += ended
        return count

    counts = transactions_at_once(settings, 4, end_all)
    assert sum(counts) == 12
    assert db.scalar(select(func.count()).select_from(LogoutNotice)) == 12
    assert len(list_events(db, event="account:session:end")) == 12


def test_somebody_who_comes_back_at_the_last_moment_stays(told, db, settings, clock, monkeypatch):
    """Between the look and the claim the session was used: its time is not over any more."""
    told.log_in()
    clock.advance(settings.session_idle_lifetime)
    scalars = db.scalars

    def scalars_and_then(*args, **more):
        found = scalars(*args, **more).all()
        db.execute(update(BrowserSession).values(last_seen_at=int(clock.time)))
        return type("Found", (), {"all": lambda _: found})()

    monkeypatch.setattr(db, "scalars", scalars_and_then)
    assert sessions.end_expired(db, settings, most=10) == 0
    db.commit()
    told.ask(prompt="none").code  # noqa: B018 - still signed in


def test_where_nothing_is_due_nobody_is_kept_from_writing(told, settings, db):
    """Looking takes no lock where it finds nothing."""
    told.log_in()
    asked = []
    event.listen(db.get_bind(), "before_cursor_execute", lambda *given: asked.append(given[2].split()[0]))
    assert sessions.end_expired(db, settings, most=10) == 0
    assert set(asked) == {"SELECT"}


# -- What may act while the person is away --------------------------------------------------------


@pytest.mark.parametrize("way", ["signed_out", "ended_by_operator", "expired, idle"])
def test_offline_access_survives_a_session_though_the_app_is_told(way, told, ada, db, settings, clock, make_user, work):
    tokens = told.log_in(scope="openid offline_access")
    WAYS[way](party=told, tokens=tokens, db=db, settings=settings, user=ada, clock=clock, make_user=make_user)
    db.commit()
    assert work()["notice_sent"] == 1
    assert told.request_refresh(tokens.refresh_token).status_code == 200


@pytest.mark.parametrize("way", ["password_changed by the operator", "user_disabled"])
def test_offline_access_ends_with_the_account_s_good_standing(way, told, ada, db, settings, clock, make_user, work):
    tokens = told.log_in(scope="openid offline_access")
    WAYS[way](party=told, tokens=tokens, db=db, settings=settings, user=ada, clock=clock, make_user=make_user)
    db.commit()
    assert work()["notice_sent"] == 1
    assert told.request_refresh(tokens.refresh_token).status_code == 400


# -- One app's business only ----------------------------------------------------------------------


def test_an_app_whose_consent_is_withdrawn_is_told_and_no_other(told, relying_party, ada, db, work, listening_app):
    tokens = told.log_in(scope="openid offline_access")
    other = relying_party(told.browser, backchannel_logout_uri=listening_app.url)
    others = other.redeem(other.ask().code)
    consents.withdraw_consent(db, OPERATOR, ada.id, told.metadata.client_id)
    db.commit()
    assert work()["notice_sent"] == 1
    assert read_logout_token(listening_app.tokens[0], told)["sid"] == tokens.claims["sid"]
    assert other.is_good(others)
    other.ask(prompt="none").code  # noqa: B018 - still signed in


def test_it_is_told_for_each_session_that_goes_on(told, ada, db, work, listening_app):
    here, elsewhere = told.log_in(), told.in_another_browser().log_in()
    gone = told.in_another_browser().log_in(scope="openid offline_access")
    sessions.end_session(db, OPERATOR, gone.claims["sid"], reason="ended_by_user")
    db.commit()
    assert work()["notice_sent"] == 1
    consents.withdraw_consent(db, OPERATOR, ada.id, told.metadata.client_id)
    db.commit()
    assert work()["notice_sent"] == 2
    sids = {read_logout_token(token, told)["sid"] for token in listening_app.tokens[1:]}
    assert sids == {here.claims["sid"], elsewhere.claims["sid"]}


def test_an_app_without_a_uri_is_not_told_of_withdrawn_consent(rp, ada, db, work):
    rp.log_in()
    assert consents.withdraw_consent(db, OPERATOR, ada.id, rp.metadata.client_id)
    db.commit()
    assert work()["notice_sent"] == 0


def test_an_app_that_takes_each_person_once_is_told_of_the_place_that_is_left(relying_party, ada, listening_app, work):
    party = relying_party(is_single_session=True, backchannel_logout_uri=listening_app.url)
    before = party.log_in()
    after = party.in_another_browser().log_in()
    assert work()["notice_sent"] == 1
    claims = read_logout_token(listening_app.tokens[0], party)
    assert claims["sid"] == before.claims["sid"] != after.claims["sid"]


@pytest.mark.parametrize("way", ["consent is withdrawn", "the person came in elsewhere"])
def test_who_signs_in_again_before_the_notice_goes_stays_signed_in(way, relying_party, ada, db, work, listening_app):
    """The `sid` is that of the newer sign-in as well: an app that heard it now would end what has just begun."""
    party = relying_party(is_single_session=way.startswith("the person"), backchannel_logout_uri=listening_app.url)
    before = party.log_in()
    if party.metadata.is_single_session:
        elsewhere = party.in_another_browser().log_in()
    else:
        consents.withdraw_consent(db, OPERATOR, ada.id, party.metadata.client_id)
        db.commit()
    after = party.redeem(party.ask().code)
    assert before.claims["sid"] == after.claims["sid"]
    work()
    told = [read_logout_token(token, party)["sid"] for token in listening_app.tokens]
    assert told == ([elsewhere.claims["sid"]] if party.metadata.is_single_session else [])
    assert party.is_good(after)


def test_a_code_that_nobody_redeems_is_no_newer_sign_in(settings, make_app, make_client, ada, db, work, listening_app):
    """It is a row of its own beside servers of an earlier version."""
    app = make_app(replace(settings, authorization_codes="stored"))
    party = RelyingParty(app.test_client(), settings.issuer, *make_client(backchannel_logout_uri=listening_app.url))
    before = party.log_in()
    consents.withdraw_consent(db, OPERATOR, ada.id, party.metadata.client_id)
    db.commit()
    party.ask().code  # noqa: B018 - and the app does not come for its tokens
    assert work()["notice_sent"] == 1
    assert read_logout_token(listening_app.tokens[0], party)["sid"] == before.claims["sid"]


def test_a_device_that_is_allowed_in_the_same_session_is_no_newer_sign_in(relying_party, ada, db, work, listening_app):
    """What the app keeps for the browser is another thing."""
    party = relying_party(
        grant_types=("authorization_code", DEVICE_CODE_GRANT), backchannel_logout_uri=listening_app.url
    )
    before = party.log_in()
    consents.withdraw_consent(db, OPERATOR, ada.id, party.metadata.client_id)
    db.commit()
    device = begin(party, scope="openid")
    device.answered()
    assert work()["notice_sent"] == 1
    assert read_logout_token(listening_app.tokens[0], party)["sid"] == before.claims["sid"]
    assert party.is_good(device.tokens())


def test_an_app_is_told_of_a_session_that_ended_after_a_newer_sign_in(told, ada, db, work, listening_app):
    told.log_in()
    consents.withdraw_consent(db, OPERATOR, ada.id, told.metadata.client_id)
    db.commit()
    after = told.redeem(told.ask(scope="openid offline_access").code)
    sessions.end_session(db, OPERATOR, after.claims["sid"], reason="ended_by_user")
    db.commit()
    work()
    assert {read_logout_token(token, told)["sid"] for token in listening_app.tokens} == {after.claims["sid"]}


# -- What the token says ----------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_it_names_the_person_as_the_app_knows_them(algorithm, relying_party, ada, listening_app, work, db):
    party = relying_party(
        backchannel_logout_uri=listening_app.url, subject_type="pairwise", id_token_signed_response_alg=algorithm
    )
    tokens = party.log_in()
    assert tokens.claims["sub"] != ada.id
    sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator")
    db.commit()
    work()
    token = listening_app.tokens[0]
    assert read_logout_token(token, party)["sub"] == tokens.claims["sub"]
    assert ada.id not in json.dumps(read_logout_token(token, party))


def test_a_grant_that_was_given_back_counts_as_reached(told, db, work):
    """The app may have a session of its own, whatever became of its tokens."""
    tokens = told.log_in()
    revoke_grant(db, db.scalar(select(AuthorizationGrant.id)))
    db.commit()
    told.request_logout(id_token_hint=tokens.id_token)
    assert work()["notice_sent"] == 1


# -- Apps that do not answer --------------------------------------------------------------------------


@pytest.mark.parametrize("look_every", [0, backchannel.LOOK_EVERY])
def test_an_app_that_is_away_holds_up_its_own_notices_only(
    relying_party, told, listening_app, send_due, clock, db, ada, monkeypatch, look_every
):
    """Be it that the round is over before anybody looks again what is due, or that it goes on."""
    monkeypatch.setattr(backchannel, "LOOK_EVERY", look_every)
    dead = f"http://127.0.0.1:{free_port()}/x"
    away = relying_party(backchannel_logout_uri=dead)
    for _ in range(4):
        away.in_another_browser().log_in()
    clock.advance(1)
    told.log_in()
    sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator")
    db.commit()
    assert send_due() == {"notice_sent": 1, "notice_put_off": 1, "notice_failed": 0}
    assert send_due() == {"notice_sent": 0, "notice_put_off": 1, "notice_failed": 0}
    assert listening_app.requests == 1


def test_nobody_waits_for_an_app_that_does_not_answer(
    relying_party, told, ada, listening_app, send_due, db, monkeypatch
):
    """Be it that their notice was due before it was called, or fell due while it is silent."""
    for limit in ("STEP_TIMEOUT", "WHOLE_TIMEOUT"):
        monkeypatch.setattr(outgoing, limit, 100)
    told.log_in()
    later = told.in_another_browser().log_in()
    with listening() as silent:
        silent.answers.clear()
        for _ in range(3):
            relying_party(told.browser, backchannel_logout_uri=silent.url).log_in()
        sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator", except_session=later.claims["sid"])
        db.commit()
        with ThreadPoolExecutor() as threads:
            done = threads.submit(send_due)
            until(lambda: len(listening_app.tokens) == 1 and len(silent.tokens) == 3)
            sessions.end_session(db, OPERATOR, later.claims["sid"], reason="ended_by_user")
            db.commit()
            until(lambda: len(listening_app.tokens) == 2)
            assert not done.done()
            silent.answers.set()
            assert done.result() == {"notice_sent": 5, "notice_put_off": 0, "notice_failed": 0}


def test_an_app_whose_notices_do_not_end_keeps_nobody_from_hearing(
    relying_party, told, ada, listening_app, send_due, db, monkeypatch
):
    """It answers each, but has always one more: the round ends nevertheless, and the next one sees who else waits."""
    later = told.log_in()
    with listening() as busy:
        busy.answers.clear()
        other = relying_party(backchannel_logout_uri=busy.url)
        for _ in range(3):
            other.in_another_browser().log_in()
        sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator", except_session=later.claims["sid"])
        db.commit()
        with ThreadPoolExecutor() as threads:
            done = threads.submit(send_due)
            until(lambda: busy.requests == 1)
            monkeypatch.setattr("idp.clock.ticks", lambda: time.perf_counter() + backchannel.ROUND)
            sessions.end_session(db, OPERATOR, later.claims["sid"], reason="ended_by_user")
            db.commit()
            busy.answers.set()
            assert done.result() == {"notice_sent": 1, "notice_put_off": 0, "notice_failed": 0}
        assert listening_app.requests == 0
        assert send_due()["notice_sent"] == 3
        assert (listening_app.requests, busy.requests) == (1, 3)


def test_who_found_no_place_is_told_before_the_round_ends(
    relying_party, told, ada, listening_app, send_due, db, monkeypatch
):
    """Or the next round would begin with the same apps, which have more notices, and hang again."""
    monkeypatch.setattr(backchannel, "AT_ONCE", 1)
    with listening() as silent:
        silent.answers.clear()
        parties = [told, relying_party(told.browser, backchannel_logout_uri=silent.url)]
        for party in parties:
            party.log_in()
        sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator")
        db.commit()
        monkeypatch.setattr(backchannel, "_apps_to_tell", lambda _db: [p.metadata.client_id for p in parties[::-1]])
        with ThreadPoolExecutor() as threads:
            done = threads.submit(send_due)
            until(lambda: silent.requests == 1)
            monkeypatch.setattr("idp.clock.ticks", lambda: time.perf_counter() + backchannel.ROUND)
            silent.answers.set()
            assert done.result()["notice_sent"] == 2
        assert listening_app.requests == 1


def test_apps_that_did_not_answer_before_leave_room_for_others(
    relying_party, told, ada, listening_app, send_due, clock, db, monkeypatch
):
    """They hang again, more of them than there is room for; who answers is told meanwhile, and the round has an end."""
    monkeypatch.setattr(backchannel, "AT_ONCE", 2)
    monkeypatch.setattr(backchannel, "SILENT_AT_ONCE", 1)
    with listening() as silent:
        hanging = [relying_party(told.browser, backchannel_logout_uri=silent.url) for _ in range(3)]
        order = [party.metadata.client_id for party in (*hanging, told)]
        monkeypatch.setattr(backchannel, "_apps_to_tell", lambda _db: order)
        for party in hanging:
            party.log_in()
        silent.status = 503
        sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator")
        db.commit()
        assert send_due()["notice_put_off"] == 3
        clock.advance(6)
        told.log_in()
        sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator")
        db.commit()
        silent.answers.clear()
        silent.status = 200
        with ThreadPoolExecutor() as threads:
            done = threads.submit(send_due)
            until(lambda: (listening_app.requests, silent.requests) == (1, 4))
            monkeypatch.setattr("idp.clock.ticks", lambda: time.perf_counter() + backchannel.ROUND)
            silent.answers.set()
            assert done.result() == {"notice_sent": 2, "notice_put_off": 0, "notice_failed": 0}
        assert send_due()["notice_sent"] == 2  # whose turn had not come


def test_an_app_that_failed_once_is_told_though_the_notices_of_others_do_not_end(
    relying_party, told, ada, listening_app, send_due, clock, db, monkeypatch
):
    """As after a restart in the midst of a mass sign-out: the others answer, and always have the place."""
    monkeypatch.setattr(backchannel, "AT_ONCE", 1)
    told.log_in()
    listening_app.status = 503
    sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator")
    db.commit()
    assert send_due()["notice_put_off"] == 1
    clock.advance(6)
    listening_app.status = 200
    with listening() as busy:
        other = relying_party(backchannel_logout_uri=busy.url)
        for _ in range(3):
            other.in_another_browser().log_in()
        sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator")
        db.commit()
        order = [other.metadata.client_id, told.metadata.client_id]
        monkeypatch.setattr(backchannel, "_apps_to_tell", lambda _db: order)
        busy.answers.clear()
        with ThreadPoolExecutor() as threads:
            done = threads.submit(send_due)
            until(lambda: busy.requests == 1)
            was_told = listening_app.requests == 2
            busy.answers.set()
            assert done.result()["notice_sent"] == 4
    assert was_told


def test_an_address_that_can_be_none_is_a_fault_of_that_app_only(relying_party, told, ada, listening_app, send_due, db):
    relying_party(told.browser, backchannel_logout_uri="https://a..example.org/logout").log_in()
    told.log_in()
    sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator")
    db.commit()
    assert send_due() == {"notice_sent": 1, "notice_put_off": 1, "notice_failed": 0}


def test_a_worker_that_is_told_to_stop_begins_no_other_notice(told, ada, listening_app, settings, db):
    for _ in range(3):
        told.in_another_browser().log_in()
    listening_app.answers.clear()
    sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator")
    db.commit()
    stop = threading.Event()
    with ThreadPoolExecutor() as threads:
        done = threads.submit(backchannel.send_due, db.get_bind(), settings, stop)
        until(lambda: listening_app.requests == 1)
        stop.set()
        listening_app.answers.set()
        assert done.result()["notice_sent"] == 1
    assert sorted(db.scalars(select(LogoutNotice.state))) == ["sent", "waiting", "waiting"]


def test_a_missing_signing_key_is_a_fault_of_that_notice_only(relying_party, told, ada, listening_app, send_due, db):
    signed = relying_party(told.browser, backchannel_logout_uri=listening_app.url, id_token_signed_response_alg="ES256")
    signed.log_in()
    told.log_in()
    db.execute(update(SigningKey).where(SigningKey.algorithm == "ES256").values(state="retired"))
    sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator")
    db.commit()
    assert send_due() == {"notice_sent": 1, "notice_put_off": 1, "notice_failed": 0}
    assert "ES256" in db.scalar(select(LogoutNotice.last_error).where(LogoutNotice.last_error.is_not(None)))


# -- A worker that is killed --------------------------------------------------------------------------


def test_a_worker_that_is_killed_in_the_middle_loses_no_notice(
    relying_party, ada, listening_app, settings, clock, db, send_due
):
    """All three are on their way when it dies."""
    parties = [relying_party(backchannel_logout_uri=listening_app.url) for _ in range(3)]
    browser = parties[0].browser
    for party in parties:
        party.browser = browser
        party.log_in()
    listening_app.answers.clear()
    sessions.end_sessions(db, OPERATOR, ada.id, reason="ended_by_operator")
    db.commit()
    environ = without_settings()
    environ |= {"IDP_INSTANCE": str(settings.instance), "IDP_SECRET_KEY": SECRET_KEY}
    if settings.database_url:
        environ["IDP_DATABASE_URL"] = settings.database_url
    process = subprocess.Popen(
        [sys.executable, "-m", "idp", "worker"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while listening_app.requests < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    finally:
        process.kill()
        process.communicate()
    listening_app.answers.set()
    assert sorted(db.scalars(select(LogoutNotice.state))) == ["waiting"] * 3
    clock.time = time.time()
    assert send_due()["notice_sent"] == 0  # they are still leased to the dead worker
    clock.advance(backchannel.LEASE + 1)
    assert send_due()["notice_sent"] == 3
    ids = [json.loads(jws.extract_compact(token.encode()).payload)["jti"] for token in listening_app.tokens]
    assert set(ids[:3]) == set(ids[3:])  # told twice, perhaps, but recognisably
    assert len(ids) == 6
