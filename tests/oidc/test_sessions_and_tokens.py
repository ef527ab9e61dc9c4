"""What the end of a browser session does to what hangs on it."""

from dataclasses import replace

import pytest

from idp.accounts import passwords, sessions, users
from idp.accounts.sessions import TOUCH_EVERY
from idp.accounts.visitor import OPERATOR
from idp.models import BrowserSession
from tests.factories import PASSWORD
from tests.relying_party import RelyingParty, error_of

NEW = "quite another fine password"
OFFLINE = "openid account offline_access"
DAY = 86_400


@pytest.fixture
def bound(relying_party, ada):
    """An app whose access tokens live as long as the browser session."""
    return relying_party(is_access_token_session_bound=True, grant_types=("authorization_code",))


@pytest.fixture
def elsewhere(rp):
    """The same app in a second browser of the same person."""
    return rp.in_another_browser()


def is_signed_in(rp: RelyingParty) -> bool:
    """Ask as an app does."""
    return rp.ask(prompt="none").error is None


# -- Each way in which a session ends ----------------------------------------------------


@pytest.mark.parametrize("nonce", ["short", "🔑" * 500], ids=["code carries it", "code was written down"])
def test_sign_out_ends_tokens_but_not_offline_access(rp, nonce):
    online, offline = rp.log_in(), rp.log_in(scope=OFFLINE, nonce=nonce)
    rp.log_out(online.id_token)
    assert not rp.is_good(online)
    assert rp.is_good(offline)
    assert rp.is_good(rp.refresh(offline.refresh_token))


def test_sign_out_ends_nothing_elsewhere(rp, elsewhere):
    here, there = rp.log_in(), elsewhere.log_in()
    rp.log_out(here.id_token)
    assert elsewhere.is_good(there)
    assert is_signed_in(elsewhere)


def test_a_password_that_the_operator_sets_ends_all(rp, elsewhere, db, settings, ada):
    here, there, offline = rp.log_in(), elsewhere.log_in(), elsewhere.log_in(scope=OFFLINE)
    passwords.set_password(db, settings, OPERATOR, ada.id, NEW)
    db.commit()
    assert not rp.is_good(here)
    assert not elsewhere.is_good(there)
    assert not elsewhere.is_good(offline)
    assert error_of(elsewhere.request_refresh(offline.refresh_token)) == "invalid_grant"
    assert not is_signed_in(rp)
    assert not is_signed_in(elsewhere)


def test_a_password_that_the_person_changes_ends_all_but_this_browser(rp, elsewhere, db, settings, ada):
    here, there = rp.log_in(), elsewhere.log_in()
    offline_here = rp.log_in(scope=OFFLINE)
    passwords.change_password(db, settings, OPERATOR, ada.id, PASSWORD, NEW, keep_session=here.claims["sid"])
    db.commit()
    assert rp.is_good(here)
    assert is_signed_in(rp)
    assert not elsewhere.is_good(there)
    assert not is_signed_in(elsewhere)
    assert error_of(rp.request_refresh(offline_here.refresh_token)) == "invalid_grant"


def test_a_disabled_account_has_nothing_left(rp, elsewhere, db, ada):
    here, offline = rp.log_in(), elsewhere.log_in(scope=OFFLINE)
    code = rp.ask().code
    users.disable_user(db, OPERATOR, ada.id)
    db.commit()
    assert not rp.is_good(here)
    assert not elsewhere.is_good(offline)
    assert error_of(rp.request_tokens(code)) == "invalid_grant"
    assert not is_signed_in(rp)
    assert rp.introspect(here.access_token) == {"active": False}


def test_an_account_that_is_enabled_again_signs_in_anew(rp, db, ada):
    here = rp.log_in()
    for change in (users.disable_user, users.enable_user):
        change(db, OPERATOR, ada.id)
        db.commit()
    assert not rp.is_good(here)
    assert not is_signed_in(rp)
    assert rp.is_good(rp.log_in())


def test_another_person_s_tokens_and_codes_are_left_alone(rp, elsewhere, make_user, db, settings, ada):
    make_user("bob")
    rp.log_in("ada")
    bobs = elsewhere.log_in("bob", scope=OFFLINE)
    code = elsewhere.ask().code
    passwords.set_password(db, settings, OPERATOR, ada.id, NEW)
    users.disable_user(db, OPERATOR, ada.id)
    db.commit()
    assert elsewhere.is_good(elsewhere.redeem(code))
    assert elsewhere.is_good(elsewhere.refresh(bobs.refresh_token))


def test_signing_in_as_somebody_else_ends_what_was_before(rp, make_user):
    make_user("bob")
    adas = rp.log_in("ada")
    page = rp.sign_in_page(prompt="login")
    rp.sign_in(page, "bob")
    assert not rp.is_good(adas)


# -- Time ----------------------------------------------------------------------------------


def test_a_session_ends_at_its_absolute_age_however_busy_it_is(rp, clock, settings):
    rp.log_in()
    for _ in range(settings.session_lifetime // DAY - 1):
        clock.advance(DAY)
        assert is_signed_in(rp)
    clock.advance(DAY)
    assert not is_signed_in(rp)


def test_an_idle_session_ends(rp, clock, settings):
    tokens = rp.log_in(scope="openid account")
    clock.advance(settings.session_idle_lifetime - 1)
    assert is_signed_in(rp)
    clock.advance(settings.session_idle_lifetime)
    assert not is_signed_in(rp)
    assert not rp.is_good(tokens)


def test_single_sign_on_is_activity(rp, clock, settings):
    rp.log_in()
    for _ in range(3):
        clock.advance(settings.session_idle_lifetime - 1)
        assert is_signed_in(rp)


def test_activity_is_written_at_most_every_few_minutes(rp, clock, db):
    rp.log_in()
    session = db.query(BrowserSession).one()
    began = session.last_seen_at
    clock.advance(TOUCH_EVERY - 1)
    rp.ask()
    db.refresh(session)
    assert session.last_seen_at == began
    clock.advance(1)
    rp.ask()
    db.refresh(session)
    assert session.last_seen_at == began + TOUCH_EVERY


# -- Access tokens that are bound to the session -----------------------------------------------


def test_a_bound_token_lives_as_long_as_the_session(bound, clock, settings):
    tokens = bound.log_in(scope="openid account")
    assert tokens.response["expires_in"] == settings.session_lifetime
    for _ in range(4):
        clock.advance(settings.session_lifetime // 5)
        assert bound.browser.get("/api/v1/me", headers=bearer(tokens)).status_code == 200  # activity
    clock.advance(settings.session_lifetime // 5)
    assert not bound.is_good(tokens)


def bearer(tokens) -> dict[str, str]:
    """Return the header that carries an access token."""
    return {"Authorization": f"Bearer {tokens.access_token}"}


def test_a_bound_token_that_is_issued_later_lives_no_longer(bound, clock, settings):
    bound.log_in()
    clock.advance(1000)
    assert bound.redeem(bound.ask().code).response["expires_in"] == settings.session_lifetime - 1000


def test_a_bound_token_of_an_app_that_names_a_lifetime_has_the_shorter_of_both(relying_party, ada, clock, settings):
    named = settings.session_lifetime - 500
    rp = relying_party(is_access_token_session_bound=True, access_token_lifetime=named)
    assert rp.log_in().response["expires_in"] == named
    clock.advance(1000)
    assert rp.redeem(rp.ask().code).response["expires_in"] == settings.session_lifetime - 1000


def test_a_bound_token_dies_with_an_idle_session(bound, clock, settings):
    tokens = bound.log_in()
    clock.advance(settings.session_idle_lifetime)
    assert not bound.is_good(tokens)


def test_a_bound_token_dies_at_sign_out(bound):
    tokens = bound.log_in()
    bound.log_out(tokens.id_token)
    assert not bound.is_good(tokens)


@pytest.mark.parametrize("is_bound", [True, False])
def test_a_code_of_a_session_that_expired_since_opens_nothing(
    settings, make_app, make_client, make_user, clock, is_bound
):
    make_user("ada")
    short = replace(settings, session_idle_lifetime=60, authorization_code_lifetime=600)
    registered = make_client(is_access_token_session_bound=is_bound)
    rp = RelyingParty(make_app(short).test_client(), short.issuer, *registered)
    code = rp.authorize().code
    clock.advance(60)
    assert error_of(rp.request_tokens(code)) == "invalid_grant"


# -- An offline grant and the session that it began in -------------------------------------------


def test_offline_access_does_not_bring_an_idle_session_back_to_life(rp, clock, settings, db):
    """The app acts while the person is away: that is no sign of the person."""
    tokens = rp.log_in(scope=OFFLINE)
    clock.advance(settings.session_idle_lifetime + 1)
    assert not is_signed_in(rp)
    tokens = rp.refresh(tokens.refresh_token)
    assert rp.browser.get("/api/v1/me", headers=bearer(tokens)).status_code == 200
    assert not is_signed_in(rp)


def test_ending_one_session_by_its_id_spares_the_others(rp, elsewhere, db, ada):
    here, there = rp.log_in(), elsewhere.log_in()
    assert sessions.end_session(db, OPERATOR, here.claims["sid"], reason="ended_by_operator", user_id=ada.id)
    db.commit()
    assert not rp.is_good(here)
    assert elsewhere.is_good(there)


def test_a_session_of_somebody_else_cannot_be_ended(rp, db, make_user):
    tokens = rp.log_in()
    bob = make_user("bob")
    assert not sessions.end_session(db, OPERATOR, tokens.claims["sid"], reason="ended_by_user", user_id=bob.id)
    db.commit()
    assert rp.is_good(tokens)
