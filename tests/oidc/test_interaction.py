"""A request that waits for a person: bound to its browser, answered once, and only its id travels."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from idp import crypto
from idp.accounts.visitor import OPERATOR
from idp.models import AuthorizationGrant, ParkedRequest
from idp.oidc import interaction
from idp.oidc.client_store import register_client, remove_client, update_client
from idp.oidc.clients import ClientMetadata
from idp.oidc.interaction import finish, open_interaction
from tests.factories import PASSWORD
from tests.relying_party import the_form


def parked(db):
    """Return the rows of parked requests."""
    db.rollback()
    return db.scalars(select(ParkedRequest)).all()


def gone(response) -> None:
    """The request is over for this browser; nothing of it is told."""
    assert response.status_code == 400
    assert 'id="error-code">expired<' in response.text
    assert "Location" not in response.headers


def resume(browser, interaction_id):
    """Return to the dispatcher, as each page does."""
    return browser.get(f"/oauth/authorize/{interaction_id}")


@pytest.fixture
def other_browser(app):
    """Somebody else's browser."""
    return app.test_client()


def test_nothing_but_an_id_travels(rp, db):
    response = rp.send(login_hint="ada", scope="openid email")
    location = urlsplit(response.headers["Location"])
    query = parse_qs(location.query)
    row = parked(db)[0]
    assert (location.path, query) == ("/sign-in", {"i": [row.id]})
    assert len(row.id) == 43
    form = the_form(rp.follow(response).text)
    assert {name for name, value in form["fields"].items() if value} <= {"csrf_token", "i", "username"}


def test_who_is_signed_in_and_has_nothing_to_be_asked_sees_no_page_and_parks_nothing(rp, stranger, db):
    rp.log_in()
    stranger.browser = rp.browser
    stranger.authorize()
    before = len(parked(db))
    assert rp.send().status_code == 303
    assert rp.ask().code
    assert stranger.ask().code
    assert len(parked(db)) == before


def test_refusals_park_nothing(rp, db):
    rp.ask(prompt="none")
    rp.ask(scope="unknown")
    rp.send(redirect_uri="https://evil.example.org/")
    assert parked(db) == []


def test_who_was_never_here_and_comes_from_an_app_of_another_site_signs_in(rp):
    """Browsers say so with each request of such a journey; what is kept from forms of other sites is not from these."""
    from_elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    response = rp.browser.get("/oauth/authorize", query_string=rp.authorization_parameters(), headers=from_elsewhere)
    assert rp.read_answer(rp.sign_in(rp.follow(response))).code


def test_another_browser_cannot_resume_it(rp, other_browser, db):
    rp.send()
    interaction_id = parked(db)[0].id
    gone(resume(other_browser, interaction_id))
    other_browser.get("/sign-in")  # now it has a cookie of its own
    gone(resume(other_browser, interaction_id))
    gone(other_browser.get(f"/sign-in?i={interaction_id}"))
    assert rp.follow(resume(rp.browser, interaction_id)).status_code == 200


def test_another_browser_that_is_signed_in_gets_no_code_for_it(rp, db):
    """Login fixation: an attacker begins, the victim would finish."""
    rp.send()
    victim = rp.in_another_browser()
    victim.log_in()
    grants = select(func.count()).select_from(AuthorizationGrant)
    before = db.scalar(grants)
    gone(resume(victim.browser, parked(db)[0].id))
    assert db.scalar(grants) == before


def test_another_browser_cannot_sign_in_consent_or_deny_for_it(stranger, other_browser, db):
    page = stranger.sign_in_page()
    interaction_id = parked(db)[0].id
    own = the_form(other_browser.get("/sign-in").text)["fields"]
    form = {**own, "i": interaction_id, "username": "ada", "password": PASSWORD, "action": "sign_in"}
    gone(other_browser.post("/sign-in", data=form))
    for path, action in (("/consent", "allow"), ("/consent", "deny"), ("/choose-account", "continue")):
        gone(other_browser.post(path, data={**own, "i": interaction_id, "action": action}))
    row = parked(db)[0]
    assert (row.session_id, row.is_consented, row.is_denied, row.is_account_chosen) == (None, False, False, False)
    assert 'id="consent-allow"' in stranger.sign_in(page).text


def test_a_page_of_another_browser_cannot_be_sent_from_this_one(rp, other_browser):
    """The form is bound to its browser as well (CSRF)."""
    page = rp.sign_in_page()
    other_browser.get("/sign-in")
    form = the_form(page.text)
    response = other_browser.post("/sign-in", data={**form["fields"], "username": "ada", "password": PASSWORD})
    assert response.status_code == 400
    assert other_browser.get_cookie("idp_session") is None


def test_it_is_answered_once(rp, db):
    page = rp.sign_in_page()
    answered = rp.sign_in(page)
    code = rp.read_answer(answered).code
    gone(resume(rp.browser, page.request.args["i"]))
    gone(rp.browser.get("/sign-in", query_string={"i": page.request.args["i"]}))
    assert db.scalars(select(AuthorizationGrant)).all() == []
    assert rp.redeem(code)


@pytest.mark.parametrize(("denied", "answers"), [(None, [True, False]), (False, [True, True])])
def test_of_two_processes_that_are_about_to_answer_it_one_does_unless_a_button_was_pressed_twice(
    rp, app, db, denied, answers
):
    rp.send()
    (row,) = parked(db)
    provider = app.extensions["idp_provider"]
    found = [open_interaction(db, provider, row.id, row.browser_digest, denied=denied) for _ in range(2)]
    assert [finish(db, each) for each in found] == answers


def test_who_comes_second_leaves_nothing(relying_party, ada, db, monkeypatch):
    rp = relying_party(max_concurrent_users=5)  # whose codes are rows
    page = rp.sign_in_page()
    monkeypatch.setattr(interaction, "finish", lambda *_: False)
    shown = rp.follow(rp.submit(page, "login-submit", username="ada", password=PASSWORD))
    assert "has been answered already" in shown.text
    assert db.scalars(select(AuthorizationGrant)).all() == []


def test_a_denied_one_is_answered_once_too(stranger):
    page = stranger.sign_in_page()
    assert stranger.read_answer(stranger.follow(stranger.submit(page, "cancel"))).error == "access_denied"
    gone(resume(stranger.browser, page.request.args["i"]))


def test_what_was_said_last_counts_where_the_way_to_the_answer_was_cut_off(stranger):
    """Somebody denies, the network fails, and they go back and think better of it."""
    page = stranger.sign_in(stranger.sign_in_page())
    stranger.submit(page, "consent-deny")
    assert stranger.read_answer(stranger.follow(stranger.submit(page, "consent-allow"))).code


def test_it_expires(rp, clock, settings):
    page = rp.sign_in_page()
    clock.advance(settings.interaction_lifetime - 1)
    assert rp.follow(resume(rp.browser, page.request.args["i"])).status_code == 200
    clock.advance(1)
    gone(resume(rp.browser, page.request.args["i"]))
    gone(rp.submit(page, "login-submit", username="ada", password=PASSWORD))


@pytest.mark.parametrize("change", [lambda i: i + "A", lambda i: i[:-1], lambda i: i.lower(), lambda i: "A" * 43])
def test_an_id_is_compared_to_the_letter(rp, db, change):
    rp.send()
    gone(resume(rp.browser, change(parked(db)[0].id)))


@pytest.mark.parametrize("path", ["%00", "a%00b", "%ff%fe", "é", "a" * 5_000, "..%2f..%2fetc", "'%20or%20'1'='1"])
def test_what_is_no_id_never_reaches_the_database(rp, counted, path):
    rp.send()
    with counted() as traffic:
        response = rp.browser.get("/oauth/authorize/" + path)
    assert response.status_code in (400, 404)
    assert not [statement for statement in traffic.statements if "parked_request" in statement]


def test_it_ends_with_its_client_though_another_has_the_same_id_now(rp, db, settings):
    page = rp.sign_in_page()
    remove_client(db, OPERATOR, rp.metadata.client_id)
    moved = ClientMetadata(
        client_id=rp.metadata.client_id, client_name="Moved", redirect_uris=("https://moved.example.org/",)
    )
    register_client(db, settings, OPERATOR, moved)
    db.commit()
    gone(resume(rp.browser, page.request.args["i"]))


@pytest.mark.parametrize("change", [{"redirect_uris": ("https://moved.example.org/",)}, {"scopes": ("email",)}])
def test_a_client_that_was_changed_meanwhile_is_checked_anew(rp, db, settings, change):
    page = rp.sign_in_page()
    update_client(db, settings, OPERATOR, rp.metadata, replace(rp.metadata, **change))
    db.commit()
    gone(resume(rp.browser, page.request.args["i"]))


def test_signing_out_at_the_consent_page_begins_again(stranger):
    page = stranger.sign_in(stranger.sign_in_page())
    stranger.browser.delete_cookie("idp_session")
    again = stranger.follow(stranger.submit(page, "consent-allow"))
    assert 'id="login-submit"' in again.text


def test_the_back_button_after_sign_in_does_no_harm(stranger):
    """The sign-in page is shown again and sent again: the same request goes on."""
    page = stranger.sign_in_page()
    stranger.sign_in(page)
    again = stranger.follow(stranger.browser.get("/sign-in", query_string={"i": page.request.args["i"]}))
    assert 'id="consent-allow"' in stranger.sign_in(again).text


def test_what_somebody_allowed_does_not_count_for_who_signs_in_after_them(stranger, make_user):
    """The app wants everybody to be asked, and the sign-in page was open in another tab."""
    make_user("bob")
    stranger.in_another_browser().log_in("bob")
    page = stranger.sign_in(stranger.sign_in_page(prompt="consent"))
    other_tab = stranger.browser.get("/sign-in", query_string={"i": page.request.args["i"]})
    assert stranger.read_answer(stranger.follow(stranger.submit(page, "consent-allow"))).code
    assert 'id="consent-allow"' in stranger.sign_in(other_tab, "bob").text


def test_two_requests_in_two_tabs_do_not_mix(rp, relying_party):
    other = relying_party(browser=rp.browser)
    first, second = rp.sign_in_page(), other.sign_in_page()
    rp.read_answer(rp.sign_in(first))  # checks state
    resumed = other.follow(resume(other.browser, second.request.args["i"]))
    assert other.redeem(other.read_answer(resumed).code)


def test_who_comes_back_by_a_mailed_link_goes_on_with_the_one_that_was_brought_last(rp, other_browser, db, clock):
    for browser in (rp.browser, rp.browser, other_browser):
        sent = browser.get("/oauth/authorize", query_string=rp.authorization_parameters())
        clock.advance(1)
        if browser is rp.browser:
            last = parse_qs(urlsplit(sent.headers["Location"]).query)["i"][0]
    found = interaction.find_waiting(db, crypto.digest(rp.browser.get_cookie("idp_browser").value))
    assert found == last


@pytest.mark.parametrize(
    "path", ["/oauth/authorize/", "/oauth/authorize/a/b", "/oauth/authorize/%ff", "/oauth/authorize/nobody"]
)
def test_what_names_no_request_is_a_page_that_says_so(client, path):
    answer = client.get(path)
    assert answer.status_code in (400, 404, 410), answer.text
    assert answer.mimetype == "text/html"
    assert client.head(path).status_code == answer.status_code
