"""Whatever may be used once is used once, however many try at the same moment."""

import multiprocessing
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from idp import crypto
from idp.accounts import throttle
from idp.accounts.audit import Event
from idp.accounts.ended_sessions import EndedSessions
from idp.accounts.visitor import OPERATOR
from idp.errors import NotFoundError, Throttled
from idp.models import AuditEvent, AuthorizationGrant, BrowserSession, Client, Consent, ParkedRequest
from idp.oidc import (
    authorization_issuer,
    client_store,
    codes,
    consents,
    interaction,
    logout_notices,
    pushed_requests,
    token_status,
)
from idp.oidc.authorization_request import AuthorizationRequest
from idp.storage import database
from tests.at_once import at_once
from tests.factories import PASSWORD
from tests.living_session import find_session_by_id
from tests.oidc import redeeming
from tests.relying_party import error_of
from tests.waiting import PATIENCE, at_that_moment

THREADS = 8
ROUNDS = 4


def post_at_once(app, path, form):
    """Send one form in many browsers of their own."""
    browsers = [app.test_client() for _ in range(THREADS)]
    return at_once(lambda number: browsers[number].post(path, data=form), THREADS)


def assert_one_wins(responses):
    """One is given tokens, all others the error of the specification."""
    assert Counter(response.status_code for response in responses) == {200: 1, 400: THREADS - 1}
    assert {error_of(response) for response in responses if response.status_code == 400} == {"invalid_grant"}


@pytest.fixture
def posting(relying_party, ada):
    """An app that authenticates in the form."""
    return relying_party(token_endpoint_auth_method="client_secret_post")


def code_form(rp):
    """Return the token request for a fresh code."""
    return {
        "grant_type": "authorization_code",
        "code": rp.authorize().code,
        "redirect_uri": rp.redirect_uri,
        "code_verifier": rp.verifier,
        "client_id": rp.metadata.client_id,
        "client_secret": rp.secret,
    }


def test_a_code_is_redeemed_by_one_of_many_threads(posting, app, db):
    for _ in range(ROUNDS):
        responses = post_at_once(app, "/oauth/token", code_form(posting))
        assert_one_wins(responses)
        winner = next(response for response in responses if response.status_code == 200)
        # The losers betrayed that somebody else has the code: what the winner got is worthless.
        assert posting.introspect(winner.json["access_token"]) == {"active": False}
    assert db.scalar(select(func.count()).where(AuthorizationGrant.revoked_at.is_(None))) == 0


def test_a_refresh_token_is_used_by_one_of_many_threads(posting, app):
    for _ in range(ROUNDS):
        form = {
            "grant_type": "refresh_token",
            "refresh_token": posting.log_in(scope="openid offline_access").refresh_token,
            "client_id": posting.metadata.client_id,
            "client_secret": posting.secret,
        }
        responses = post_at_once(app, "/oauth/token", form)
        assert_one_wins(responses)
        winner = next(response for response in responses if response.status_code == 200)
        assert error_of(posting.request_refresh(winner.json["refresh_token"])) == "invalid_grant"


def test_a_consent_that_is_gone_on_with_twice_gives_one_code(stranger, app, db):
    """Two clicks, or two tabs: the same browser allows twice at the same moment, and both go on at once."""
    stranger.sign_in(stranger.sign_in_page())
    twins = [app.test_client() for _ in range(2)]
    for cookie in (stranger.browser.get_cookie("idp_session"), stranger.browser.get_cookie("idp_browser")):
        for twin in twins:
            twin.set_cookie(cookie.key, cookie.value)
    for _ in range(ROUNDS):
        before = db.scalar(select(func.count()).select_from(AuthorizationGrant))
        page = stranger.follow(stranger.send(prompt="consent"))
        twin_party = [type(stranger)(twin, stranger.issuer, stranger.metadata, stranger.secret) for twin in twins]
        allowed = at_once(lambda number, pages=page, party=twin_party: party[number].submit(pages, "consent-allow"), 2)
        resumed = [response for response in allowed if "/oauth/authorize/" in response.headers.get("Location", "")]
        assert resumed
        path = urlsplit(resumed[0].headers["Location"]).path
        answers = at_once(lambda number, path=path: twins[number].get(path), 2)
        assert sorted(response.status_code for response in answers) == [303, 400]
        (answer,) = (response for response in answers if response.status_code == 303)
        assert stranger.redeem(stranger.read_answer(answer).code)
        db.rollback()
        assert db.scalar(select(func.count()).select_from(AuthorizationGrant)) == before + 1


def allow_more(own, *of):
    consents.give_consent(own, OPERATOR, *of, ["openid", "phone"])


def take_back(own, *of):
    consents.withdraw_consent(own, OPERATOR, *of)


@pytest.mark.parametrize(
    ("before", "meanwhile", "remembered"),
    [
        ([], allow_more, {"openid", "phone"}),
        (["openid", "email"], allow_more, {"openid", "phone", "email"}),
        (["openid", "email"], take_back, {"openid"}),
    ],
)
def test_what_is_allowed_undoes_nothing_that_was_said_at_that_moment(
    make_client, ada, settings, db, before, meanwhile, remembered
):
    of = ada.id, make_client()[0].client_id
    if before:
        consents.give_consent(db, OPERATOR, *of, before)
        db.commit()
    at_that_moment(
        settings, lambda own: meanwhile(own, *of), lambda own: consents.give_consent(own, OPERATOR, *of, ["openid"])
    )
    assert set(db.scalars(select(Consent.scope)).one().split()) == remembered


def test_an_app_is_removed_while_somebody_signs_out(relying_party, ada, settings):
    """Who signs out holds the grant, and then writes a notice for the app; neither waits for the other for ever."""
    rp = relying_party(backchannel_logout_uri="https://app.example.org/logout")
    ended = EndedSessions(ada.id, (rp.log_in().claims["sid"],), "signed_out")
    engine = database.open_engine(settings)

    def remove():
        with Session(engine) as own, own.begin():
            client_store.remove_client(own, OPERATOR, rp.metadata.client_id)

    with ThreadPoolExecutor(1) as pool, Session(engine) as own:
        token_status.revoke_grants(own, ended)
        removing = pool.submit(remove)
        assert not wait((removing,), 0.5).done
        logout_notices.note_ended_sessions(own, ended)
        own.commit()
        removing.result()
        assert own.scalar(select(func.count()).select_from(AuthorizationGrant)) == 0
    engine.dispose()


def removals(db):
    """Return how often the audit says that an app was removed."""
    db.rollback()
    return db.scalar(select(func.count()).where(AuditEvent.event == Event.CLIENT_REMOVED))


def test_an_app_that_two_remove_at_once_is_removed_once(make_client, settings, db):
    client_id = make_client()[0].client_id

    def come_too_late(own):
        with pytest.raises(NotFoundError):
            client_store.remove_client(own, OPERATOR, client_id)
        return True

    assert at_that_moment(settings, lambda own: client_store.remove_client(own, OPERATOR, client_id), come_too_late)
    assert removals(db) == 1


@pytest.fixture
def unused(make_client, clock):
    """An app that registered itself, and that nobody uses."""
    client, _ = make_client(is_trusted=False, registration_token_digest=crypto.digest("a token"))
    clock.advance(client_store.UNUSED_FOR + 1)
    return client


def test_an_unused_app_is_swept_by_one_of_two_workers(unused, settings, db):
    def sweep(own):
        return client_store.sweep_unused(own, most=5)

    assert at_that_moment(settings, sweep, sweep) == 0
    assert removals(db) == 1


def test_an_app_that_the_operator_begins_to_trust_is_not_swept_at_that_moment(unused, settings, db):
    trusted = replace(unused, is_trusted=True)
    swept = at_that_moment(
        settings,
        lambda own: client_store.update_client(own, settings, OPERATOR, unused, trusted),
        lambda own: client_store.sweep_unused(own, most=5),
    )
    assert (swept, removals(db)) == (0, 0)


@pytest.mark.parametrize("doing", ["allowing it more", "changing it"])
def test_an_app_is_removed_while_somebody_holds_it(rp, ada, settings, db, doing):
    """Who lets somebody in, or takes rights from it, holds the app and then what hangs on it."""
    client = rp.metadata
    rp.log_in()
    consents.give_consent(db, OPERATOR, ada.id, client.client_id, ["openid"])
    db.commit()

    def hold(own):
        own.execute(update(Client).values(updated_at=Client.updated_at))

    def go_on(own):
        if doing == "changing it":
            client_store.update_client(own, settings, OPERATOR, client, replace(client, scopes=("openid",)))
        else:
            consents.give_consent(own, OPERATOR, ada.id, client.client_id, ["openid", "email"])

    def remove(own):
        client_store.remove_client(own, OPERATOR, client.client_id)
        return True

    assert at_that_moment(settings, hold, remove, then=go_on)
    assert removals(db) == 1


def test_an_app_is_removed_while_a_request_that_it_pushed_is_answered(rp, ada, app, settings, db):
    rp.log_in()
    client, reference = rp.metadata, rp.push()
    session = find_session_by_id(db, settings, db.scalars(select(BrowserSession.id)).one())
    asked = AuthorizationRequest(client=client, redirect_uri=rp.redirect_uri, scopes=("openid",))

    def claim(own):
        assert pushed_requests.claim_pushed(own, client.client_id, reference)

    def answer(own):
        codes.write_grant(own, app.extensions["idp_provider"], asked, session, code=f"{codes.PREFIX}x", kind="code")

    def remove(own):
        client_store.remove_client(own, OPERATOR, client.client_id)
        return True

    assert at_that_moment(settings, claim, remove, then=answer)
    db.rollback()
    assert db.scalar(select(func.count()).select_from(AuthorizationGrant)) == 0


def test_a_parked_request_is_finished_by_one_of_many_threads(rp, settings, db):
    engine = database.open_engine(settings)

    def finish(_number, interaction_id):
        with Session(engine) as own, own.begin():
            return interaction.finish(own, SimpleNamespace(id=interaction_id, is_again=False))

    for _ in range(ROUNDS):
        rp.send()
        db.rollback()
        parked_id = db.scalars(select(ParkedRequest.id).where(ParkedRequest.finished_at.is_(None))).one()
        assert sorted(at_once(partial(finish, interaction_id=parked_id), THREADS)) == [False] * (THREADS - 1) + [True]
    engine.dispose()


def test_a_throttle_never_admits_more_than_its_burst(settings, clock):
    engine = database.open_engine(settings)
    tight = replace(settings, throttle_account_burst=5, throttle_account_interval=30)

    waits = set()

    def spend(_number, subject):
        admitted = 0
        for _ in range(2):
            with Session(engine) as own:
                try:
                    throttle.spend(own, tight, throttle.SIGN_IN_ACCOUNT, subject)
                    admitted += 1
                except Throttled as refusal:
                    waits.add(refusal.retry_after)
        return admitted

    for attempt in range(ROUNDS):
        assert sum(at_once(partial(spend, subject=f"somebody {attempt}"), THREADS)) == 5
        clock.advance(60)
        assert sum(at_once(partial(spend, subject=f"somebody {attempt}"), THREADS)) == 2
    assert waits == {30}
    engine.dispose()


def test_a_code_is_redeemed_by_one_of_several_processes(posting, settings):
    count = 3
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    # Unlike multiprocessing's own pool, this one says so when a process of it dies, instead of waiting for ever.
    with ProcessPoolExecutor(count, context, redeeming.begin, (settings, barrier)) as pool:
        for _ in range(ROUNDS):
            form = code_form(posting)
            answers = list(pool.map(redeeming.redeem, [form] * count, timeout=300))
            assert sorted(answers) == [(200, None)] + [(400, "invalid_grant")] * (count - 1)


@pytest.fixture
def twin(rp, ada, app):
    """A function that makes another tab of an app's browser, which has not heard of any answer yet."""

    def make(party):
        tab = app.test_client()
        cookie = party.browser.get_cookie("idp_browser")
        tab.set_cookie(cookie.key, cookie.value)
        return type(party)(tab, party.issuer, party.metadata, party.secret)

    return make


def test_who_presses_twice_to_sign_in_to_an_app_that_counts_its_people_comes_to_it(relying_party, twin, monkeypatch):
    """The second press holds the account, and then the request that waits; the first one is answering that."""
    rp = relying_party(is_single_session=True)
    page = rp.follow(rp.send())
    again, pressed, is_signed_in = twin(rp), [], threading.Event()
    genuine_issue, genuine_note = authorization_issuer.issue, interaction.note_sign_in

    def issue_late(*given):
        if not pressed:
            pressed.append(threads.submit(again.submit, page, username="ada", password=PASSWORD))
            is_signed_in.wait(1)  # with SQLite it begins when the first is through
        return genuine_issue(*given)

    def note_sign_in(*given):
        if pressed:
            is_signed_in.set()
        genuine_note(*given)

    monkeypatch.setattr(authorization_issuer, "issue", issue_late)
    monkeypatch.setattr(interaction, "note_sign_in", note_sign_in)
    with ThreadPoolExecutor(1) as threads:
        first = rp.submit(page, username="ada", password=PASSWORD)
    assert rp.read_answer(first).code
    assert rp.redeem(rp.read_answer(pressed[0].result()).code)


def test_each_press_of_the_button_to_sign_in_is_answered(rp, twin, monkeypatch):
    """The browser shows the answer to the last one, whichever of them comes first to the request that waits."""
    page = rp.follow(rp.send())
    again, pressed, is_second_there, is_first_through = twin(rp), [], threading.Event(), threading.Event()
    genuine = interaction.finish

    def finish(*given):
        if pressed:
            is_second_there.set()
            is_first_through.wait(PATIENCE)
            return genuine(*given)
        pressed.append(threads.submit(again.submit, page, username="ada", password=PASSWORD))
        is_second_there.wait(1)  # with SQLite it begins when the first is through
        try:
            return genuine(*given)
        finally:
            is_first_through.set()

    monkeypatch.setattr(interaction, "finish", finish)
    with ThreadPoolExecutor(1) as threads:
        first = rp.submit(page, username="ada", password=PASSWORD)
    assert rp.read_answer(first).code != rp.read_answer(pressed[0].result()).code
