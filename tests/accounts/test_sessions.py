"""Browser sessions: how they begin, live and end."""

import pytest
from sqlalchemy import func, select, update

from idp import crypto, worker
from idp.accounts import ended_sessions, known_browsers, passwords, sessions, users
from idp.accounts.audit import list_events
from idp.accounts.visitor import OPERATOR, Visitor
from idp.models import AuthorizationGrant, BrowserSession, User
from tests.factories import PASSWORD
from tests.living_session import find_session_by_id

MINUTE, DAY = 60, 86_400


@pytest.fixture
def start(db, settings, visitor, ada):
    """Start a session; gives its secret and its id."""

    def start(user=ada, by=visitor, **more):
        started = sessions.start_session(db, settings, by, user.id, **more)
        db.commit()
        return started

    return start


@pytest.fixture
def heard(monkeypatch):
    """What a listener was told, and whether it was told inside the transaction."""
    told = []

    def listen(db, ended):
        told.append((ended, db.in_transaction()))

    monkeypatch.setattr(ended_sessions, "_listeners", [listen])
    return told


def test_a_session_says_who_since_when_and_how(db, settings, visitor, ada, start, clock):
    token, session_id = start()
    session = sessions.find_session(db, settings, token)
    assert session == find_session_by_id(db, settings, session_id)
    assert (session.user_id, session.username, session.display_name) == (ada.id, "ada", "Ada Lovelace")
    assert (session.auth_time, session.acr, session.amr) == (int(clock.time), "aal1", ["pwd"])
    row = db.get(BrowserSession, session_id)
    assert (row.address, row.user_agent) == (visitor.address, visitor.user_agent)


def test_only_the_digest_of_the_secret_is_stored(db, start):
    token, session_id = start()
    row = db.get(BrowserSession, session_id)
    assert row.token_digest == crypto.digest(token)
    assert len(token) == 43
    assert token not in str(vars(row))


@pytest.mark.parametrize("token", ["", "x", "\ud800", "\x00", "x" * 10_000])
def test_a_made_up_secret_opens_nothing(db, settings, start, token):
    start()
    assert sessions.find_session(db, settings, token) is None


def test_neither_id_nor_digest_opens_a_session(db, settings, start):
    token, session_id = start()
    for wrong in (session_id, crypto.digest(token), token[:-1], token + "x", token.swapcase()):
        assert sessions.find_session(db, settings, wrong) is None


def test_every_session_has_a_secret_of_its_own(start):
    assert len({start()[0] for _ in range(5)}) == 5


# -- Lifetimes ---------------------------------------------------------------------------


def test_a_session_ends_when_it_is_idle_for_too_long(db, settings, start, clock):
    token, _ = start()
    clock.advance(settings.session_idle_lifetime - 1)
    assert sessions.find_session(db, settings, token)
    clock.advance(1)
    assert sessions.find_session(db, settings, token) is None


def test_activity_keeps_a_session_alive_until_its_absolute_end(db, settings, start, clock):
    token, session_id = start()
    for _ in range(30):
        session = sessions.find_session(db, settings, token)
        assert session
        sessions.touch(db, session_id, session.last_seen_at)
        db.commit()
        clock.advance(DAY)
    assert sessions.find_session(db, settings, token) is None
    assert settings.session_lifetime == 30 * DAY


def test_of_sessions_that_are_idle_or_too_old_none_waits_for_another_round(db, settings, start, clock):
    """The oldest are both; one that was in use until now is too old only."""
    ids = []
    for _ in range(3):
        ids.append(start()[1])
        clock.advance(1)
    clock.advance(settings.session_lifetime)
    db.execute(update(BrowserSession).where(BrowserSession.id == ids[-1]).values(last_seen_at=int(clock.time)))
    assert sessions.end_expired(db, settings, most=3) == 3


def test_no_more_sessions_end_in_a_round_than_were_asked_for(db, settings, start, clock):
    for _ in range(3):
        start()
    clock.advance(settings.session_lifetime)
    assert [sessions.end_expired(db, settings, most=2) for _ in range(3)] == [2, 1, 0]


def test_activity_is_noted_every_five_minutes_at_most(db, settings, start, clock, work):
    (_, session_id), _ = start(), start()
    begun = int(clock.time)
    clock.advance(5 * MINUTE - 1)
    assert work(lambda: sessions.touch(db, session_id, begun)).statements == []
    clock.advance(1)
    assert len(work(lambda: sessions.touch(db, session_id, begun)).statements) == 1
    assert sorted(db.scalars(select(BrowserSession.last_seen_at))) == [begun, begun + 5 * MINUTE]


def test_a_late_note_of_activity_does_not_turn_time_back(db, start, clock):
    _, session_id = start()
    begun = int(clock.time)
    clock.advance(10 * MINUTE)
    sessions.touch(db, session_id, begun)
    clock.advance(-2 * MINUTE)
    sessions.touch(db, session_id, begun)
    assert db.scalar(select(BrowserSession.last_seen_at)) == begun + 10 * MINUTE


# -- Ends --------------------------------------------------------------------------------


def test_proving_oneself_again_renews_the_session_and_its_secret(db, settings, start, clock, heard):
    old_token, old = start()
    elsewhere, _ = start()
    begun = int(clock.time)
    clock.advance(DAY)
    new_token, new = start(replaces=old)
    assert new == old
    assert sessions.find_session(db, settings, elsewhere).auth_time == begun
    assert sessions.find_session(db, settings, old_token) is None
    assert sessions.find_session(db, settings, new_token).auth_time == int(clock.time)
    assert heard == []  # what hangs on the session goes on


def test_somebody_else_in_the_same_browser_ends_the_session_before(db, settings, start, make_user, heard):
    old_token, old = start()
    new_token, new = start(make_user("bob"), replaces=old)
    assert new != old
    assert sessions.find_session(db, settings, old_token) is None
    assert sessions.find_session(db, settings, new_token).username == "bob"
    assert db.get(BrowserSession, old, populate_existing=True).end_reason == "replaced"
    assert [ended.session_ids for ended, _ in heard] == [(old,)]


def test_a_session_that_has_ended_is_not_renewed(db, settings, visitor, start):
    old_token, old = start()
    sessions.end_session(db, visitor, old, reason="signed_out")
    new_token, new = start(replaces=old)
    assert new != old
    assert sessions.find_session(db, settings, old_token) is None
    assert sessions.find_session(db, settings, new_token)


def test_one_session_ends_and_the_others_go_on(db, settings, visitor, ada, start):
    first, second = start()[1], start()[1]
    assert sessions.end_session(db, visitor, first, reason="signed_out")
    assert not sessions.end_session(db, visitor, first, reason="signed_out")
    assert [session.id for session in sessions.list_sessions(db, settings, ada.id)] == [second]


def test_all_sessions_end_or_all_but_one(db, settings, visitor, ada, start, make_user):
    kept, of_bob = start()[1], start(make_user("bob"))[1]
    start(), start()
    assert sessions.end_sessions(db, visitor, ada.id, reason="ended_by_user", except_session=kept) == 2
    assert [session.id for session in sessions.list_sessions(db, settings, ada.id)] == [kept]
    assert sessions.end_sessions(db, visitor, ada.id, reason="ended_by_user") == 1
    assert sessions.list_sessions(db, settings, ada.id) == []
    assert find_session_by_id(db, settings, of_bob)


def test_a_session_of_another_user_cannot_be_ended_by_its_id(db, settings, visitor, ada, start, make_user, heard):
    of_bob = start(make_user("bob"))[1]
    assert not sessions.end_session(db, visitor, of_bob, reason="ended_by_user", user_id=ada.id)
    assert find_session_by_id(db, settings, of_bob)
    assert heard == []
    assert list_events(db, event="account:session:end") == []


@pytest.mark.parametrize("session_id", ["", "nonsense", "\x00", "0" * 32])
def test_ending_what_is_no_session_does_nothing(db, visitor, ada, session_id, heard):
    assert not sessions.end_session(db, visitor, session_id, reason="ended_by_user", user_id=ada.id)
    assert heard == []


def test_each_end_is_audited_with_its_reason(db, visitor, ada, start):
    ids = {start()[1], start()[1]}
    sessions.end_sessions(db, visitor, ada.id, reason="ended_by_user")
    events = list_events(db, event="account:session:end")
    assert {event.details["session_id"] for event in events} == ids
    assert {event.details["reason"] for event in events} == {"ended_by_user"}


def test_a_listener_is_told_in_the_same_transaction(db, visitor, ada, start, heard):
    _, session_id = start()
    sessions.end_session(db, visitor, session_id, reason="signed_out")
    (ended, is_inside), *more = heard
    assert not more
    assert is_inside
    assert (ended.user_id, ended.session_ids, ended.reason) == (ada.id, (session_id,), "signed_out")
    assert not ended.is_account_wide
    db.rollback()
    assert db.get(BrowserSession, session_id, populate_existing=True).ended_at is None


def test_when_a_listener_fails_the_session_has_not_ended(db, settings, visitor, start, monkeypatch):
    token, session_id = start()

    def fail(_db, _ended):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(ended_sessions, "_listeners", [fail])
    with pytest.raises(RuntimeError):
        sessions.end_session(db, visitor, session_id, reason="signed_out")
    db.rollback()
    assert sessions.find_session(db, settings, token)


def test_a_changed_password_is_told_to_listeners_even_when_nobody_was_signed_in(db, settings, ada, heard):
    passwords.set_password(db, settings, OPERATOR, ada.id, PASSWORD)
    assert [(ended.session_ids, ended.is_account_wide) for ended, _ in heard] == [((), True)]


def test_a_listener_is_kept_once(monkeypatch):
    monkeypatch.setattr(ended_sessions, "_listeners", [])

    def listener(_db, _ended):
        """Never called."""

    ended_sessions.on_sessions_ended(listener)
    ended_sessions.on_sessions_ended(listener)
    assert ended_sessions._listeners == [listener]


def test_a_disabled_user_has_no_sessions_and_gets_none_back(db, settings, ada, start):
    token, _ = start()
    users.disable_user(db, OPERATOR, ada.id)
    assert sessions.find_session(db, settings, token) is None
    users.enable_user(db, OPERATOR, ada.id)
    assert sessions.find_session(db, settings, token) is None


def test_a_session_is_dead_at_once_however_the_user_was_disabled(db, settings, ada, start):
    token, session_id = start()
    ada.disabled_at = 1
    db.commit()
    assert sessions.find_session(db, settings, token) is None
    assert find_session_by_id(db, settings, session_id) is None
    assert sessions.list_sessions(db, settings, ada.id) == []


def test_living_sessions_are_listed_latest_first(db, settings, visitor, ada, start, clock):
    ids = []
    for _ in range(3):
        ids.append(start()[1])
        clock.advance(MINUTE)
    sessions.end_session(db, visitor, ids[1], reason="signed_out")
    assert [session.id for session in sessions.list_sessions(db, settings, ada.id)] == [ids[2], ids[0]]
    clock.advance(5 * MINUTE)
    sessions.touch(db, ids[0], int(clock.time) - 8 * MINUTE)
    assert [session.id for session in sessions.list_sessions(db, settings, ada.id)] == [ids[0], ids[2]]
    assert [session.id for session in sessions.list_sessions(db, settings, ada.id, most=1)] == [ids[0]]


# -- What is kept ----------------------------------------------------------------------------


def test_an_account_knows_a_browser_after_its_sessions_have_ended(db, visitor, stranger, ada, start, make_user):
    assert not known_browsers.is_known(db, ada.id, visitor.browser_digest)
    _, session_id = start()
    sessions.end_session(db, visitor, session_id, reason="signed_out")
    assert known_browsers.is_known(db, ada.id, visitor.browser_digest)
    assert not known_browsers.is_known(db, ada.id, stranger.browser_digest)
    assert not known_browsers.is_known(db, make_user("bob").id, visitor.browser_digest)


def test_no_cookie_is_no_known_browser(db, ada, start):
    start(by=Visitor())
    assert not known_browsers.is_known(db, ada.id, "")


def test_sessions_are_swept_three_months_after_their_end(db, settings, start, clock):
    start(), start(), start()
    clock.advance(settings.session_lifetime + 90 * DAY)
    db.commit()
    assert worker.sweep_all(db.get_bind())["browser_session"] == 0
    clock.advance(1)
    assert worker.sweep_all(db.get_bind())["browser_session"] == 3
    assert db.scalar(select(func.count()).select_from(BrowserSession)) == 0


def test_a_session_is_not_swept_while_something_hangs_on_it(db, settings, start, clock, relying_party):
    party = relying_party()
    tokens = party.log_in(scope="openid offline_access")
    for _ in range(10):
        clock.advance(20 * DAY)
        tokens = party.refresh(tokens.refresh_token)
        worker.sweep_all(db.get_bind())
    assert db.scalar(select(func.count()).select_from(AuthorizationGrant)) == 1


@pytest.mark.parametrize(
    ("given_name", "family_name", "shown"),
    [("Ada", "Lovelace", "Ada Lovelace"), ("Ada", None, "Ada"), (None, "Lovelace", "Lovelace"), (None, None, "ada")],
)
def test_a_person_is_called_by_name_or_else_by_user_name(db, settings, ada, start, given_name, family_name, shown):
    db.get(User, ada.id).given_name, db.get(User, ada.id).family_name = given_name, family_name
    db.commit()
    assert sessions.find_session(db, settings, start()[0]).display_name == shown
