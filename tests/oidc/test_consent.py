"""Consent: asked once, asked again for more, never by apps of the house."""

import json

import pytest
from sqlalchemy import select

from idp.models import AuditEvent, Consent
from tests.relying_party import RelyingParty


def is_asked(rp: RelyingParty, **changes) -> bool:
    """Whether a signed-in person would see the consent page."""
    response = rp.follow(rp.send(**changes))
    if response.status_code == 303:
        assert rp.read_answer(response).code
        return False
    assert 'id="consent-allow"' in response.text
    return True


def consent_page(rp: RelyingParty, username="ada", **changes):
    """Go to the consent page, signing in where that is due."""
    page = rp.follow(rp.send(**changes))
    if 'id="login-submit"' in page.text:
        page = rp.sign_in(page, username)
    assert 'id="consent-allow"' in page.text
    return page


def test_it_is_asked_once(stranger):
    stranger.log_in(scope="openid email")
    assert not is_asked(stranger, scope="openid email")
    assert not is_asked(stranger, scope="email openid")
    assert not is_asked(stranger, scope="openid")


def test_nothing_is_asked_silently(stranger):
    stranger.sign_in(stranger.sign_in_page())
    assert stranger.ask(prompt="none").error == "consent_required"
    stranger.authorize()
    stranger.ask(prompt="none").code  # noqa: B018 - there must be one


def test_it_is_asked_again_for_more_and_then_remembered_together(stranger, db):
    stranger.log_in(scope="openid email")
    assert is_asked(stranger, scope="openid phone")
    stranger.authorize(scope="openid phone")
    assert not is_asked(stranger, scope="openid email phone")
    assert sorted(db.scalars(select(Consent.scope)).one().split()) == ["email", "openid", "phone"]
    assert is_asked(stranger, scope="openid email phone address")


@pytest.mark.parametrize(
    ("redirect_uri", "metadata", "is_asked_again"),
    [
        ("http://127.0.0.1:49152/callback", {"token_endpoint_auth_method": "none"}, True),
        ("org.example.app:/callback", {"token_endpoint_auth_method": "none"}, True),
        ("https://app.example.org/callback", {"token_endpoint_auth_method": "none"}, False),
        ("http://127.0.0.1:49152/callback", {}, False),
    ],
)
def test_it_is_asked_each_time_where_any_program_may_pass_for_the_app(
    relying_party, ada, redirect_uri, metadata, is_asked_again
):
    """RFC 8252 section 8.6: on the person's own machine neither a secret nor an address shows which program asks."""
    uris = ("http://127.0.0.1/callback", "org.example.app:/callback", "https://app.example.org/callback")
    rp = relying_party(is_trusted=False, application_type="native", redirect_uris=uris, **metadata)
    rp.redirect_uri = redirect_uri
    page = consent_page(rp)
    assert ("you are asked each time" in page.text) == is_asked_again
    assert ("you are not asked again" in page.text) != is_asked_again
    rp.log_in()
    assert is_asked(rp) == is_asked_again
    rp.log_in()


def test_it_is_asked_again_when_the_app_wants_so(stranger):
    stranger.log_in()
    assert is_asked(stranger, prompt="consent")
    stranger.log_in(prompt="consent")


def test_an_app_of_the_house_never_asks(rp):
    rp.log_in()
    assert not is_asked(rp, scope="openid profile email address phone roles account offline_access")


def test_an_app_of_the_house_may_ask_for_it(rp):
    rp.log_in()
    assert is_asked(rp, prompt="consent")


def test_denial_is_told_with_state_and_issuer(stranger, db, ada):
    page = consent_page(stranger)
    answer = stranger.read_answer(stranger.follow(stranger.submit(page, "consent-deny")))  # checks state and iss
    assert answer.error == "access_denied"
    assert stranger.state
    assert db.scalars(select(Consent)).all() == []
    event = db.scalars(select(AuditEvent).where(AuditEvent.event == "account:consent:deny")).one()
    assert (event.user_id, event.client_id) == (ada.id, stranger.metadata.client_id)


def test_denial_is_not_remembered(stranger):
    page = consent_page(stranger)
    stranger.submit(page, "consent-deny")
    assert is_asked(stranger)


def test_denial_leaves_what_was_allowed_before(stranger):
    stranger.log_in()
    page = consent_page(stranger, scope="openid email")
    stranger.follow(stranger.submit(page, "consent-deny"))
    assert not is_asked(stranger)


def test_cancelling_at_sign_in_is_a_denial_too(stranger):
    page = stranger.sign_in_page()
    answer = stranger.read_answer(stranger.follow(stranger.submit(page, "cancel")))
    assert answer.error == "access_denied"


def test_claims_that_are_asked_for_by_name_count(stranger):
    stranger.log_in(scope="openid email")
    wish = json.dumps({"userinfo": {"phone_number": None}, "id_token": {"birthdate": {"essential": True}}})
    assert is_asked(stranger, scope="openid", claims=wish)
    stranger.authorize(scope="openid", claims=wish)
    assert not is_asked(stranger, scope="openid", claims=wish)
    assert not is_asked(stranger, scope="openid email", claims=json.dumps({"id_token": {"phone_number": None}}))


def test_claims_that_allowed_scopes_hold_already_are_not_asked_for(stranger):
    stranger.log_in(scope="openid email")
    assert not is_asked(stranger, scope="openid", claims=json.dumps({"id_token": {"email": None}}))


@pytest.mark.parametrize("name", ["acr", "auth_time", "sub", "unheard_of"])
def test_claims_that_tell_nothing_about_the_person_are_not_asked_for(stranger, name):
    stranger.log_in()
    assert not is_asked(stranger, claims=json.dumps({"id_token": {name: None}}))


def test_one_person_s_consent_is_not_another_s(stranger, make_user):
    make_user("bob")
    stranger.log_in()
    elsewhere = stranger.in_another_browser()
    consent_page(elsewhere, "bob")


def test_consent_for_one_app_is_not_for_another(stranger, relying_party):
    stranger.log_in()
    other = relying_party(browser=stranger.browser, is_trusted=False)
    assert is_asked(other)


def test_consent_does_not_pass_to_whoever_signs_in_next(stranger, make_user, clock):
    """Ada allows, but so late that she must sign in again; Bob does instead. He is asked himself."""
    make_user("bob")
    stranger.sign_in(stranger.sign_in_page())
    clock.advance(60)
    page = consent_page(stranger, max_age="100")
    clock.advance(60)
    page = stranger.follow(stranger.submit(page, "consent-allow"))
    assert 'id="login-submit"' in page.text
    page = stranger.sign_in(page, "bob")
    assert 'id="consent-allow"' in page.text


def test_nor_where_consent_is_asked_for_each_time(rp, make_user, clock):
    make_user("bob")
    rp.log_in()
    clock.advance(60)
    page = consent_page(rp, max_age="100", prompt="consent")
    clock.advance(60)
    page = rp.sign_in(rp.follow(rp.submit(page, "consent-allow")), "bob")
    assert 'id="consent-allow"' in page.text


def test_consent_does_not_pass_on_through_another_tab(stranger, make_user):
    """Ada allows but her browser stays where it is; Bob signs in beside, and goes on with her request."""
    make_user("bob")
    page = consent_page(stranger)
    allowed = stranger.submit(page, "consent-allow")
    stranger.sign_in(stranger.sign_in_page(prompt="login"), "bob")
    assert 'id="consent-allow"' in stranger.follow(allowed).text


def test_it_is_written_down(stranger, db, ada):
    stranger.log_in(scope="openid email", claims=json.dumps({"userinfo": {"phone_number": None}}))
    row = db.scalars(select(Consent)).one()
    assert (row.user_id, row.client_id) == (ada.id, stranger.metadata.client_id)
    assert row.scope == "openid email"
    assert row.claims == ["phone_number"]
    event = db.scalars(select(AuditEvent).where(AuditEvent.event == "account:consent:give")).one()
    assert event.details == {"scope": "openid email"}
