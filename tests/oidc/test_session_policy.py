"""How many people may be in an app at once, and whether one person may be in it twice."""

import threading

import pytest
from sqlalchemy import select

from idp.accounts import sessions, users
from idp.accounts.audit import list_events
from idp.accounts.visitor import OPERATOR
from idp.models import AuthorizationGrant, Client
from idp.oidc import consents, session_policy
from idp.oidc.authorization_request import AuthorizationRequest
from idp.oidc.codes import issue_code
from idp.oidc.session_policy import TOO_MANY_USERS
from idp.storage import database
from tests.at_once import at_once
from tests.living_session import find_session_by_id
from tests.relying_party import RelyingParty, shown_error
from tests.waiting import at_that_moment

MESSAGE = "Maximum number of concurrent users exceeded"


def test_the_words_are_those_that_apps_know():
    assert TOO_MANY_USERS.description == MESSAGE


# -- At most so many people ----------------------------------------------------------------


def test_one_person_more_is_refused_and_comes_in_when_another_goes(relying_party, make_user, db):
    ada, bob = make_user("ada"), make_user("bob")
    first = relying_party(max_concurrent_users=1)
    tokens = first.log_in()
    second = first.in_another_browser()
    answer = second.authorize(username="bob")
    assert (answer.error, answer.parameters["error_description"]) == ("access_denied", MESSAGE)
    event = list_events(db, event="client:session:refuse")[0]
    assert (event.user_id, event.client_id) == (bob.id, first.metadata.client_id)
    assert list_events(db, event="account:consent:deny") == []
    assert first.is_good(tokens)
    sessions.end_sessions(db, OPERATOR, ada.id, reason="signed_out")
    db.commit()
    assert second.ask().code  # signed in at the provider already


@pytest.fixture
def second(relying_party, make_user):
    """Another browser before an app that is full: Ada is in it, and Bob has an account."""
    make_user("ada")
    make_user("bob")
    first = relying_party(max_concurrent_users=1)
    first.log_in()
    return first.in_another_browser()


def test_who_is_refused_reads_why_before_the_app_is_told(second):
    """Most apps say no more than that a sign-in failed; some, as Streamlit by itself, not even that."""
    page = second.sign_in(second.sign_in_page(ui_locales="de"), "bob")
    assert "<h1>Weather app ist gerade voll</h1>" in page.text
    assert shown_error(page, 403).code == "access_denied"
    assert second.read_answer(page).parameters["error_description"] == MESSAGE
    assert second.send(prompt="none").status_code == 303, "nobody is there to read"
    in_a_frame = {"query_string": second.authorization_parameters(), "headers": {"Sec-Fetch-Dest": "iframe"}}
    assert second.browser.get(second.path("authorization_endpoint"), **in_a_frame).status_code == 303
    assert second.ask(response_mode="form_post").error == "access_denied"


def test_the_same_person_may_come_in_twice(relying_party, make_user):
    make_user("ada")
    first = relying_party(max_concurrent_users=1)
    first.log_in()
    assert first.ask().code
    assert first.in_another_browser().log_in()


def test_a_code_that_was_never_redeemed_counts_only_while_it_could_be(relying_party, make_user, clock, settings):
    make_user("ada")
    make_user("bob")
    first = relying_party(max_concurrent_users=1)
    assert first.authorize().code
    second = first.in_another_browser()
    assert second.authorize(username="bob").error == "access_denied"
    clock.advance(settings.authorization_code_lifetime)
    assert second.ask().code


def test_sessions_that_are_idle_or_of_disabled_people_do_not_count(relying_party, make_user, clock, settings, db):
    ada = make_user("ada")
    make_user("bob")
    make_user("carol")
    party = relying_party(max_concurrent_users=1)
    party.log_in()
    clock.advance(settings.session_idle_lifetime)
    bobs = party.in_another_browser()
    assert bobs.log_in("bob")
    users.disable_user(db, OPERATOR, users.get_user(db, "bob").id)
    users.disable_user(db, OPERATOR, ada.id)
    db.commit()
    assert party.in_another_browser().log_in("carol")


def test_who_took_back_what_they_allowed_is_in_the_app_no_longer(relying_party, make_user, db):
    ada = make_user("ada")
    make_user("bob")
    first = relying_party(max_concurrent_users=1)
    first.log_in()
    second = first.in_another_browser()
    assert second.authorize(username="bob").error == "access_denied"
    assert consents.withdraw_consent(db, OPERATOR, ada.id, first.metadata.client_id)
    db.commit()
    assert second.ask().code


def test_people_in_other_apps_do_not_count(relying_party, make_user):
    make_user("ada")
    make_user("bob")
    relying_party(client_name="Another").log_in()
    assert relying_party(max_concurrent_users=1).log_in("bob")


def test_who_waits_for_a_silent_answer_is_told_too(second):
    second.authorize(username="bob")
    assert second.ask(prompt="none").error == "access_denied"


def test_two_at_once_cannot_both_be_the_last(relying_party, make_user, app):
    make_user("ada")
    make_user("bob")
    party = relying_party(max_concurrent_users=1)
    browsers = []
    for name in ("ada", "bob"):  # signed in already, by another app
        each = relying_party(app.test_client(), client_name=f"App of {name}")
        each.log_in(name)
        browsers.append(RelyingParty(each.browser, party.issuer, party.metadata, party.secret))
    answers = at_once(lambda number: browsers[number].ask(), 2)
    assert sorted(str(answer.error) for answer in answers) == ["None", "access_denied"]


def test_who_comes_while_another_is_let_in_waits_to_be_counted(settings, app, make_client, make_user, db):
    client, _ = make_client(max_concurrent_users=1)
    people = [make_user(name) for name in ("ada", "bob")]
    ids = [sessions.start_session(db, settings, OPERATOR, person.id)[1] for person in people]
    db.commit()
    ada, bob = (find_session_by_id(db, settings, session_id) for session_id in ids)
    asked = AuthorizationRequest(client=client, redirect_uri=client.redirect_uris[0], scopes=("openid",))
    answers = []

    def let_bob_in():
        with database.open_session(settings) as own:
            answers.append(session_policy.admit(own, settings, OPERATOR, client, bob))

    thread = threading.Thread(target=let_bob_in)
    with database.open_session(settings) as own:
        assert session_policy.admit(own, settings, OPERATOR, client, ada) is None
        thread.start()
        thread.join(0.3)
        assert answers == []
        issue_code(own, app.extensions["idp_provider"], asked, ada)
    thread.join()
    assert answers == [TOO_MANY_USERS]


def test_counting_leaves_the_client_as_it_is(relying_party, make_user, db):
    make_user("ada")
    party = relying_party(max_concurrent_users=1)
    before = db.get_one(Client, party.metadata.client_id).updated_at
    party.log_in()
    db.expire_all()
    assert db.get_one(Client, party.metadata.client_id).updated_at == before


# -- Nobody twice --------------------------------------------------------------------------------


def test_signing_in_elsewhere_ends_what_one_had_here(relying_party, make_user, db):
    make_user("ada")
    first = relying_party(is_single_session=True)
    here = first.log_in(scope="openid offline_access")
    second = first.in_another_browser()
    there = second.log_in()
    assert not first.is_good(here)
    assert first.request_refresh(here.refresh_token).status_code == 400
    assert second.is_good(there)
    event = list_events(db, event="client:session:replace")[0]
    assert event.details == {"ended": 1}


def test_other_people_and_other_apps_are_left_alone(relying_party, make_user):
    make_user("ada")
    make_user("bob")
    first = relying_party(is_single_session=True)
    other_app = relying_party(first.browser, client_name="Another")
    first.log_in()
    elsewhere = other_app.redeem(other_app.ask().code)
    of_bob = first.in_another_browser()
    bobs = of_bob.log_in("bob")
    first.in_another_browser().log_in()
    assert other_app.is_good(elsewhere)
    assert of_bob.is_good(bobs)


def test_the_same_browser_goes_on(relying_party, make_user):
    make_user("ada")
    party = relying_party(is_single_session=True)
    before = party.log_in()
    after = party.redeem(party.ask().code)
    assert party.is_good(before)
    assert party.is_good(after)


def test_of_two_browsers_of_one_person_that_come_at_once_one_is_in(settings, app, make_client, make_user, db):
    client, _ = make_client(is_single_session=True)
    person = make_user("ada")
    ids = [sessions.start_session(db, settings, OPERATOR, person.id)[1] for _ in range(2)]
    db.commit()
    here, there = (find_session_by_id(db, settings, session_id) for session_id in ids)
    asked = AuthorizationRequest(client=client, redirect_uri=client.redirect_uris[0], scopes=("openid",))

    def come(own, session):
        assert session_policy.admit(own, settings, OPERATOR, client, session) is None
        issue_code(own, app.extensions["idp_provider"], asked, session)
        session_policy.end_others(own, OPERATOR, client, session)
        return True

    assert at_that_moment(settings, lambda own: come(own, here), lambda own: come(own, there))
    living = db.scalars(select(AuthorizationGrant.session_id).where(AuthorizationGrant.revoked_at.is_(None)))
    assert living.all() == [there.id]


def test_an_app_without_rules_costs_nothing(relying_party, make_user, counted):
    make_user("ada")
    party = relying_party()
    party.log_in()
    with counted() as traffic:
        assert party.ask().code
    assert not [statement for statement in traffic.statements if "count(" in statement]
