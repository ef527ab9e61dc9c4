"""A clock that was ahead for a while and is set back: nothing is stuck until that day comes, nothing is used twice."""

import pytest
from sqlalchemy import func, select

from idp.mail import messages, outbox, queue
from idp.models import LogoutNotice, MailMessage
from idp.oidc import backchannel, key_rotation

DAY = 86_400


@pytest.fixture
def post(db, settings):
    """Have a mail wait that has no head start."""

    def post():
        message = messages.invitation(settings, "en", link="http://localhost:8000/i?t=secret", days=7)
        outbox.post(db, settings, message, "ada@example.org")
        db.commit()

    return post


def test_a_mail_of_tomorrow_goes_today(db, post, clock):
    clock.advance(DAY)
    post()
    clock.advance(-DAY)
    assert not queue.has_due(db)
    queue.sweep(db, most=10)
    assert queue.has_due(db)


def test_a_mail_that_a_dead_worker_claimed_tomorrow_goes_today(db, post, clock):
    clock.advance(DAY)
    post()
    claimed = queue.claim_next(db, 60)
    assert claimed is not None
    clock.advance(-DAY)
    queue.sweep(db, most=10)
    again = queue.claim_next(db, 60)
    assert again is not None
    assert again.id == claimed.id
    queue.put_off(db, claimed, "its claim is over")
    assert db.scalar(select(MailMessage.claimed_until)) == again.claimed_until


def test_what_waits_for_good_reason_goes_on_waiting(db, post, clock):
    post()
    claimed = queue.claim_next(db, max(queue.WAITS))  # no lease is longer
    assert claimed is not None
    queue.sweep(db, most=10)
    assert queue.claim_next(db, 60) is None
    queue.put_off(db, claimed, "nobody is there")
    for wait in (*queue.WAITS, queue.WAITS[-1]):
        queue.sweep(db, most=10)
        assert db.scalar(select(MailMessage.next_attempt_at)) == int(clock()) + wait
        clock.advance(wait)
        claimed = queue.claim_next(db, 60)
        assert claimed is not None
        queue.put_off(db, claimed, "nobody is there")


@pytest.mark.parametrize("attempts", [0, 1, 3])
def test_a_mail_that_was_put_off_while_the_clock_was_an_hour_ahead_goes_now(db, post, clock, attempts):
    """The hour is no longer than the longest wait, but longer than its own."""
    clock.advance(3_600)
    post()
    for _ in range(attempts):
        claimed = queue.claim_next(db, 60)
        queue.put_off(db, claimed, "nobody is there")
        clock.advance(queue.WAITS[claimed.attempts])
    clock.advance(-3_600)
    assert not queue.has_due(db)
    queue.sweep(db, most=10)
    assert queue.has_due(db)


def test_an_app_that_was_to_be_told_tomorrow_is_told_today(app, db, clock, make_user, relying_party):
    make_user()
    party = relying_party(backchannel_logout_uri="https://app.example.org/logout")
    clock.advance(DAY)
    party.log_in(scope="openid")
    page = party.browser.get("/account").text
    token = page.split('name="csrf_token" value="')[1].partition('"')[0]
    assert party.browser.post("/sign-out", data={"csrf_token": token}).status_code == 303
    clock.advance(-DAY)
    is_due = LogoutNotice.next_attempt_at <= int(clock())
    assert db.scalar(select(func.count()).select_from(LogoutNotice)) == 1
    assert db.scalar(select(func.count()).where(is_due)) == 0
    backchannel.sweep(db, most=10)
    assert db.scalar(select(func.count()).where(is_due)) == 1


@pytest.mark.parametrize("is_one_waiting", [False, True])
def test_keys_that_were_exchanged_next_year_are_exchanged_this_year(db, settings, clock, is_one_waiting):
    def work() -> dict[str, int]:
        return {name: count for name, count in key_rotation.rotate_due(db.get_bind(), settings).items() if count}

    if is_one_waiting:
        clock.advance(settings.key_rotation_interval - settings.key_publish_lead)
        assert work() == {"key_published": 4}
    clock.advance(365 * DAY)
    assert work() == ({"key_activated": 4} if is_one_waiting else {"key_published": 4})
    clock.advance(-365 * DAY)
    assert work() == {}
    if is_one_waiting:
        clock.advance(settings.key_rotation_interval - settings.key_publish_lead)
        assert work() == {"key_published": 4, "key_removed": 4}
    clock.advance(settings.key_publish_lead)
    assert work() == {"key_activated": 4}


def test_nothing_is_used_twice_and_no_session_lives_for_good(settings, clock, make_user, relying_party):
    make_user()
    party = relying_party()
    clock.advance(DAY)
    code = party.authorize(scope="openid offline_access").code
    tokens = party.redeem(code)
    refreshed = party.refresh(tokens.refresh_token)
    clock.advance(-DAY)
    assert party.request_tokens(code).json["error"] == "invalid_grant"
    assert party.request_refresh(tokens.refresh_token).json["error"] == "invalid_grant"
    assert party.request_refresh(refreshed.refresh_token).json["error"] == "invalid_grant"  # the thief's ended it
    assert party.browser.get("/account").status_code == 200
    clock.advance(DAY + settings.session_idle_lifetime + 1)
    assert party.browser.get("/account").status_code != 200
