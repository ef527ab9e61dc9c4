"""The list of sessions says which apps each has reached; ending one ends it there too."""

import re

import pytest

from idp.accounts import sessions
from idp.accounts.visitor import OPERATOR
from idp.oidc.client_store import remove_client
from tests.factories import PASSWORD
from tests.relying_party import the_form


@pytest.fixture
def ada(make_user):
    return make_user("ada")


def apps_of(page: str) -> list[list[str]]:
    """Return what the page says of the apps of each session, in its order."""
    items = page.split('<li>\n      <div class="grows">')[1:]
    return [[re.sub("<[^>]+>", "", app) for app in re.findall("<li>(.*?)</li>", item)] for item in items]


def test_each_session_names_its_apps_and_when(relying_party, ada, clock):
    wiki = relying_party(client_name="Wiki & co")
    ledger = relying_party(wiki.browser, client_name="ledger")
    wiki.log_in()
    clock.advance(7_200)
    ledger.log_in()
    clock.advance(600)
    elsewhere = wiki.in_another_browser()
    elsewhere.log_in()
    relying_party(client_name="Never reached")
    page = wiki.browser.get("/account/sessions").text
    assert apps_of(page) == [["ledger, 10 minutes ago", "Wiki &amp; co, 2 hours ago"], ["Wiki &amp; co, just now"]]
    assert "Never reached" not in page


def test_the_last_time_counts(relying_party, ada, clock):
    wiki = relying_party(client_name="Wiki")
    wiki.log_in()
    clock.advance(86_400)
    wiki.log_in()
    assert apps_of(wiki.browser.get("/account/sessions").text) == [["Wiki, just now"]]


def test_a_session_that_reached_none_says_nothing(client, ada):
    token = the_form(client.get("/sign-in").text)["fields"]["csrf_token"]
    client.post("/sign-in", data={"csrf_token": token, "username": "ada", "password": PASSWORD})
    page = client.get("/account/sessions").text
    assert apps_of(page) == [[]]
    assert "apps-of-" not in page


def test_an_app_that_was_removed_is_gone_from_it(relying_party, ada, db):
    wiki = relying_party(client_name="Wiki")
    wiki.log_in()
    remove_client(db, OPERATOR, wiki.metadata.client_id)
    db.commit()
    assert apps_of(wiki.browser.get("/account/sessions").text) == [[]]


def test_ending_a_session_ends_its_apps_and_no_other_s(relying_party, ada):
    wiki = relying_party(client_name="Wiki")
    here = wiki.log_in()
    elsewhere = wiki.in_another_browser()
    there = elsewhere.log_in()
    form = the_form(wiki.browser.get("/account/sessions").text)
    token = form["fields"]["csrf_token"]
    wiki.browser.post("/account/sessions", data={"csrf_token": token, "end": there.claims["sid"]})
    assert not elsewhere.is_good(there)
    assert wiki.is_good(here)
    assert len(apps_of(wiki.browser.get("/account/sessions").text)) == 1


def test_apps_of_other_people_are_not_shown(relying_party, ada, make_user, db, settings):
    bob = make_user("bob")
    wiki = relying_party(client_name="Wiki")
    wiki.log_in()
    of_bob = relying_party(client_name="Bob's own").in_another_browser()
    of_bob.log_in("bob")
    assert len(sessions.list_sessions(db, settings, bob.id)) == 1
    page = wiki.browser.get("/account/sessions").text
    assert apps_of(page) == [["Wiki, just now"]]
