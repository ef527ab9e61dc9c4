"""What an app may say about how, when and as whom a person signs in: whole journeys."""

import json
import re

import pytest
from sqlalchemy import select

from idp.accounts.audit import Event
from idp.mail import outbox
from idp.models import AuditEvent, MailMessage
from tests import postgresql
from tests.relying_party import RelyingParty, shown_error


def page_of(rp: RelyingParty, **changes):
    """Return the page that a request leads to."""
    response = rp.follow(rp.send(**changes))
    assert response.status_code == 200, response.text[:800]
    return response


def is_asked_for_password(rp: RelyingParty, **changes) -> bool:
    """Whether a request leads to the sign-in page, and not straight back to the app."""
    response = rp.follow(rp.send(**changes))
    if response.status_code == 303:
        assert rp.read_answer(response).code
        return False
    return 'id="login-submit"' in response.text


# -- prompt=login and max_age ------------------------------------------------------


@pytest.mark.parametrize("wish", [{"prompt": "login"}, {"max_age": "0"}, {"max_age": "59"}])
def test_who_signed_in_before_does_so_again_but_once(rp, clock, wish):
    first = rp.log_in()
    clock.advance(60)
    again = rp.log_in(**wish)
    assert again.claims["auth_time"] == first.claims["auth_time"] + 60
    # The same session goes on, so that nobody is signed out of other apps by it.
    assert again.claims["sid"] == first.claims["sid"]
    assert rp.introspect(first.access_token)["active"]


def test_max_age_0_asks_even_in_the_same_second(rp, clock):
    rp.log_in()
    assert is_asked_for_password(rp, max_age="0")


def test_who_takes_long_over_consent_is_not_asked_again(stranger, clock):
    """A sign-in that was made for this very request counts, however old it is by then."""
    page = stranger.sign_in(stranger.sign_in_page(prompt="login", max_age="1"))
    assert 'id="consent-allow"' in page.text
    clock.advance(600)
    answer = stranger.read_answer(stranger.follow(stranger.submit(page, "consent-allow")))
    assert stranger.redeem(answer.code)


def test_a_sign_in_for_one_request_does_not_count_for_another(rp, clock):
    page = rp.sign_in_page(prompt="login")
    other = rp.sign_in_page(prompt="login")
    assert rp.sign_in(page).status_code == 303
    resumed = rp.browser.get("/oauth/authorize/" + the_id(other))
    assert 'id="login-submit"' in rp.follow(resumed).text


def the_id(page) -> str:
    """Return the id of the parked request that a page belongs to."""
    return page.request.args["i"]


def test_the_boundary_of_max_age(rp, clock):
    rp.log_in()
    clock.advance(100)
    assert not is_asked_for_password(rp, max_age="100")
    assert is_asked_for_password(rp, max_age="99")


@pytest.mark.parametrize("max_age", ["-1", "1.5", "abc", "1e3", "٣", "99999999999", " 1"])
def test_a_max_age_that_is_no_number_is_refused(rp, max_age):
    assert rp.ask(max_age=max_age).error == "invalid_request"


def test_a_silent_request_with_an_old_sign_in_is_refused(rp, clock):
    rp.log_in()
    clock.advance(100)
    assert rp.ask(prompt="none", max_age="10").error == "login_required"


# -- prompt, its values --------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["none login", "none consent", "login none", "sometimes", "NONE", "login,consent"])
def test_values_that_are_unknown_or_do_not_go_together_are_refused(rp, prompt):
    assert rp.ask(prompt=prompt).error == "invalid_request"


def test_values_may_be_combined_and_spaced_freely(rp):
    rp.log_in()
    page = rp.sign_in_page(prompt=" login   consent ")
    assert 'id="consent-allow"' in rp.sign_in(page).text


# -- prompt=select_account -------------------------------------------------------------


def test_a_person_chooses_to_go_on_as_who_they_are(rp):
    first = rp.log_in()
    page = page_of(rp, prompt="select_account")
    assert 'id="account-continue"' in page.text
    answer = rp.read_answer(rp.follow(rp.submit(page, "continue")))
    assert rp.redeem(answer.code).claims["sid"] == first.claims["sid"]


def test_a_person_chooses_another_account(rp, make_user):
    bob = make_user("bob")
    rp.log_in()
    page = rp.follow(rp.submit(page_of(rp, prompt="select_account"), "account-other"))
    answer = rp.read_answer(rp.sign_in(page, "bob"))
    assert rp.redeem(answer.code).claims["sub"] == bob.id


def test_a_person_who_just_signed_in_has_chosen(rp):
    page = rp.sign_in_page(prompt="select_account")
    assert rp.read_answer(rp.sign_in(page)).code


def test_choosing_cannot_be_done_silently(rp):
    rp.log_in()
    assert rp.ask(prompt="none").error is None
    assert rp.ask(prompt="none select_account").error == "invalid_request"


def test_what_nobody_was_asked_is_no_refusal_of_theirs(rp, db):
    """Any page may ask silently, for each of its visitors: of that the audit keeps nothing."""
    assert rp.ask(prompt="none").error == "login_required"
    assert not db.scalars(select(AuditEvent.event).where(AuditEvent.event == Event.CONSENT_DENIED)).all()


# -- prompt=create -----------------------------------------------------------------------


def token_of_the_last_mail(db, settings):
    """Return the secret of the one-time link that was mailed last."""
    sealed = db.scalars(select(MailMessage.body_sealed).order_by(postgresql.as_written(db))).all()[-1]
    return re.search(r"token=([\w-]+)", outbox.open_body(settings, sealed)[0])[1]


def test_a_newcomer_registers_proves_the_address_signs_in_and_arrives(rp, db, settings):
    page = page_of(rp, prompt="create")
    assert page.request.path == "/register"
    new = {"username": "grace", "email": "grace@example.org", "password": "a ship in port is safe"}
    page = rp.follow(rp.submit(page, given_name="Grace", family_name="Hopper", **new))
    assert 'id="login-submit"' not in page.text
    page = rp.browser.get(f"/verify-email?token={token_of_the_last_mail(db, settings)}")
    page = rp.follow(rp.submit(page, "verify-email-submit"))
    assert 'id="login-submit"' in page.text
    answer = rp.read_answer(rp.sign_in(page, "grace", new["password"]))
    claims = rp.redeem(answer.code).claims
    assert claims["sub"]


def test_who_is_signed_in_is_offered_a_new_account_too(rp):
    rp.log_in()
    assert page_of(rp, prompt="create").request.path == "/register"


# -- Whom the app expects ------------------------------------------------------------------


def test_a_hint_for_another_account_asks_for_that_account(rp, make_user):
    bob = make_user("bob")
    bobs = rp.log_in("bob")
    rp.log_out(bobs.id_token)
    rp.log_in("ada")
    assert rp.ask(prompt="none", id_token_hint=bobs.id_token).error == "login_required"
    page = rp.sign_in_page(id_token_hint=bobs.id_token)
    answer = rp.read_answer(rp.sign_in(page, "bob"))
    assert rp.redeem(answer.code).claims["sub"] == bob.id


def test_a_hint_is_not_met_by_somebody_else(rp, make_user):
    make_user("bob")
    bobs = rp.log_in("bob")
    rp.log_out(bobs.id_token)
    page = rp.sign_in_page(id_token_hint=bobs.id_token)
    assert rp.read_answer(rp.sign_in(page, "ada")).error == "login_required"


def test_a_hint_that_was_issued_to_another_app_is_refused(rp, relying_party):
    foreign = relying_party(browser=rp.browser).log_in()
    assert rp.ask(id_token_hint=foreign.id_token).error == "invalid_request"


def test_an_expired_hint_is_still_one(rp, clock, settings):
    first = rp.log_in()
    clock.advance(settings.id_token_lifetime + 1)
    assert rp.ask(prompt="none", id_token_hint=first.id_token).code


@pytest.mark.parametrize("value", ["nobody", "", 7, ["x"], {"a": "b"}, None, True])
def test_a_sub_claim_with_a_value_names_the_person(rp, ada, value):
    rp.log_in()
    wish = json.dumps({"id_token": {"sub": {"value": value}}})
    expected = None if value in ("", None) else "login_required"
    assert rp.ask(prompt="none", claims=wish).error == expected


def test_a_sub_claim_with_the_right_value_is_met(rp, ada):
    rp.log_in()
    assert rp.ask(prompt="none", claims=json.dumps({"id_token": {"sub": {"value": ada.id}}})).code


def test_a_login_hint_fills_in_the_form(rp):
    assert 'value="ada@example.org"' in rp.sign_in_page(login_hint="ada@example.org").text


# -- How strongly -----------------------------------------------------------------------------


def test_an_essential_acr_that_cannot_be_had_is_refused(rp):
    wish = json.dumps({"id_token": {"acr": {"essential": True, "values": ["phr"]}}})
    page = rp.sign_in_page(claims=wish)
    assert rp.read_answer(rp.sign_in(page)).error == "unmet_authentication_requirements"
    assert rp.ask(claims=wish).error == "unmet_authentication_requirements"


@pytest.mark.parametrize(
    "demand",
    [
        {"essential": True, "values": ["phr", "aal1"]},
        {"essential": True, "value": "aal1"},
        {"essential": True},
        {"values": ["phr"]},
        {"essential": False, "value": "phr"},
        None,
    ],
)
def test_an_acr_that_can_be_had_or_is_voluntary_is_no_obstacle(rp, demand):
    tokens = rp.log_in(claims=json.dumps({"id_token": {"acr": demand}}))
    assert tokens.claims["acr"] == "aal1"


# -- Languages and displays -------------------------------------------------------------------


def test_pages_speak_the_language_that_the_app_asks_for(rp):
    assert 'lang="de"' in rp.sign_in_page(ui_locales="xx de-AT en").text
    assert 'lang="en"' in rp.sign_in_page(ui_locales="xx").text


@pytest.mark.parametrize("display", ["page", "popup", "touch", "wap", "hologram"])
def test_every_display_is_served_the_same(rp, display):
    rp.sign_in_page(display=display)


def test_an_unknown_app_is_shown_before_all_else(rp):
    error = shown_error(rp.send(client_id="nobody", prompt="none"))
    assert (error.code, error.parameter) == ("invalid_client", "client_id")


# -- Requests by form ---------------------------------------------------------------------------


def test_a_form_from_another_site_finds_who_is_signed_in(rp, app):
    """Browsers bring no SameSite=Lax cookies along with it: the request is sent once more by GET, with them."""
    rp.log_in()
    parameters = rp.authorization_parameters(prompt="none", state="a b&c=é")
    response = app.test_client().post("/oauth/authorize", data=parameters)
    assert rp.redeem(rp.read_answer(rp.follow(response)).code)


def test_a_form_of_a_known_browser_is_answered_at_once(rp):
    rp.log_in()
    assert rp.read_answer(rp.send(method="POST", prompt="none")).code
