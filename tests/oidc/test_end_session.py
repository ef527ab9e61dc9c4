"""Sign-out that an app asks for (OpenID Connect RP-Initiated Logout 1.0), beside the rows of the certification plan."""

from urllib.parse import urlsplit

import pytest

from tests.relying_party import query_of, shown_error, the_form

BACK = "https://app.example.org/bye?from=idp"


@pytest.fixture
def rp(relying_party, ada):
    """An app whose place to return to has a query of its own."""
    return relying_party(post_logout_redirect_uris=(BACK,))


def test_it_may_be_posted(rp):
    tokens = rp.log_in()
    response = rp.request_logout(
        method="POST", id_token_hint=tokens.id_token, post_logout_redirect_uri=BACK, state="a b+c"
    )
    assert response.status_code == 303
    assert query_of(response) == {"from": ["idp"], "state": ["a b+c"]}


def test_tokens_and_session_are_gone(rp):
    tokens = rp.log_in()
    assert rp.is_good(tokens)
    rp.log_out(tokens.id_token)
    assert not rp.is_good(tokens)
    assert rp.ask(prompt="none").error == "login_required"


def test_the_cookie_is_taken_back(rp):
    rp.log_in()
    assert rp.browser.get_cookie("idp_session") is not None
    rp.log_out(rp.log_in().id_token)
    assert rp.browser.get_cookie("idp_session") is None


def test_an_id_token_that_expired_long_ago_is_still_a_hint(rp, clock, settings):
    tokens = rp.log_in()
    clock.advance(settings.id_token_lifetime + 1)
    rp.log_out(tokens.id_token)


def test_a_client_id_alone_names_the_app_but_the_person_is_asked(rp):
    rp.log_in()
    page = rp.request_logout(client_id=rp.metadata.client_id, post_logout_redirect_uri=BACK, state="s")
    assert page.status_code == 200
    assert rp.metadata.client_name in page.text
    response = rp.submit(page, "logout-confirm")
    assert response.status_code == 303
    assert query_of(response) == {"from": ["idp"], "state": ["s"]}
    assert rp.ask(prompt="none").error == "login_required"


def test_a_hint_for_another_person_is_no_proof(rp, relying_party, make_user):
    """Who got hold of somebody's ID token cannot sign somebody else out without their consent."""
    make_user("bob")
    foreign = relying_party(post_logout_redirect_uris=(BACK,)).log_in("bob")
    rp.log_in()
    page = rp.request_logout(id_token_hint=foreign.id_token)
    assert page.status_code == 200
    assert 'id="logout-confirm"' in page.text


def test_a_hint_of_an_earlier_session_is_no_proof(rp):
    before = rp.log_in()
    rp.log_out(before.id_token)
    rp.log_in()
    assert 'id="logout-confirm"' in rp.request_logout(id_token_hint=before.id_token).text


def test_who_is_not_signed_in_is_not_asked(rp):
    tokens = rp.log_in()
    rp.log_out(tokens.id_token)
    response = rp.request_logout(id_token_hint=tokens.id_token, post_logout_redirect_uri=BACK)
    assert response.headers["Location"] == BACK


def test_the_client_id_must_be_that_of_the_hint(rp, relying_party):
    tokens = rp.log_in()
    other = relying_party()
    response = rp.request_logout(id_token_hint=tokens.id_token, client_id=other.metadata.client_id)
    assert shown_error(response).parameter == "client_id"
    assert rp.request_logout(id_token_hint=tokens.id_token, client_id=rp.metadata.client_id).status_code == 303


def test_an_unknown_client_is_shown(rp):
    assert shown_error(rp.request_logout(client_id="nobody")).parameter == "client_id"


def test_another_app_s_way_back_is_not_followed(rp, relying_party):
    other = relying_party(post_logout_redirect_uris=("https://other.example.org/",))
    tokens = other.log_in()
    response = other.request_logout(id_token_hint=tokens.id_token, post_logout_redirect_uri=BACK)
    assert shown_error(response).parameter == "post_logout_redirect_uri"


def test_a_redirect_uri_is_no_way_back_after_sign_out(rp):
    tokens = rp.log_in()
    response = rp.request_logout(id_token_hint=tokens.id_token, post_logout_redirect_uri=rp.redirect_uri)
    assert shown_error(response).parameter == "post_logout_redirect_uri"


@pytest.mark.parametrize("name", ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"])
def test_doubled_parameters_are_shown(rp, name):
    rp.log_in()
    response = rp.browser.get("/oauth/end-session", query_string=f"{name}=a&{name}=b")
    assert shown_error(response).parameter == name


def test_a_confirmation_needs_the_form_that_this_browser_was_given(rp):
    rp.log_in()
    page = rp.request_logout()
    form = the_form(page.text)
    for forged in ({}, {**form["fields"], "csrf_token": "0" * 32}):
        response = rp.browser.post(form["action"], data=forged)
        assert response.status_code == 400
    rp.ask(prompt="none").code  # noqa: B018 - still signed in


def test_a_confirmation_is_checked_anew(rp):
    """Hidden fields are the browser's: what was checked before the page counts for nothing."""
    rp.log_in()
    page = rp.request_logout(client_id=rp.metadata.client_id, post_logout_redirect_uri=BACK)
    response = rp.submit(page, "logout-confirm", post_logout_redirect_uri="https://evil.example.org/")
    assert shown_error(response).parameter == "post_logout_redirect_uri"
    rp.ask(prompt="none").code  # noqa: B018 - still signed in


def test_signing_out_of_one_app_ends_the_other_one_s_tokens(rp, relying_party):
    tokens = rp.log_in()
    other = relying_party(browser=rp.browser)
    others = other.redeem(other.ask().code)
    assert other.is_good(others)
    rp.log_out(tokens.id_token)
    assert not other.is_good(others)


def test_other_browsers_stay_signed_in(rp, app):
    tokens = rp.log_in()
    elsewhere = type(rp)(app.test_client(), rp.issuer, rp.metadata, rp.secret)
    others = elsewhere.log_in()
    rp.log_out(tokens.id_token)
    assert elsewhere.is_good(others)
    elsewhere.ask(prompt="none").code  # noqa: B018 - still signed in


def test_our_own_page_says_that_it_worked(rp):
    response = rp.request_logout(id_token_hint=rp.log_in().id_token)
    assert urlsplit(response.headers["Location"]).path == "/signed-out"
    assert rp.follow(response).status_code == 200


def test_a_form_from_another_site_signs_out_too(rp, app):
    """Browsers bring no SameSite=Lax cookies along with it: the request is sent once more by GET, with them."""
    tokens = rp.log_in()
    sent = {"id_token_hint": tokens.id_token, "post_logout_redirect_uri": BACK, "state": "s&t"}
    response = app.test_client().post("/oauth/end-session", data=sent)
    assert response.status_code == 303
    assert "Set-Cookie" not in response.headers
    assert rp.is_good(tokens)
    response = rp.follow(response)
    assert query_of(response) == {"from": ["idp"], "state": ["s&t"]}
    assert not rp.is_good(tokens)
