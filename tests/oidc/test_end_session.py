"""Sign-out that an app asks for (OpenID Connect RP-Initiated Logout 1.0), beside the rows of the certification plan."""

import re
from urllib.parse import urlsplit

import pytest
from joserfc import jwe
from joserfc.jwk import RSAKey

from idp.accounts.visitor import OPERATOR
from idp.oidc.client_store import remove_client
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


def test_who_is_out_meanwhile_need_not_prove_to_want_that(rp):
    """They signed out in another tab, and the form was of the session that ended."""
    rp.log_in()
    page = rp.request_logout(client_id=rp.metadata.client_id, post_logout_redirect_uri=BACK)
    rp.log_out(rp.log_in().id_token)
    assert query_of(rp.submit(page, "logout-confirm")) == {"from": ["idp"]}


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
        assert "<title>Error: Sign out?" in response.text
        assert "This page was open for too long" in response.text
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


# -- Hints of every kind ------------------------------------------------------------------


def test_a_pairwise_subject_is_a_hint_like_any_other(relying_party, ada):
    party = relying_party(subject_type="pairwise", post_logout_redirect_uris=(BACK,))
    tokens = party.log_in()
    assert tokens.claims["sub"] != ada.id
    response = party.request_logout(id_token_hint=tokens.id_token, post_logout_redirect_uri=BACK)
    assert query_of(response) == {"from": ["idp"]}
    assert party.ask(prompt="none").error == "login_required"


def test_a_signed_answer_of_userinfo_is_no_hint(relying_party, ada):
    """We signed it too, for the same app; it speaks of no session, and would end any."""
    party = relying_party(userinfo_signed_response_alg="RS256")
    tokens = party.log_in()
    headers = {"Authorization": f"Bearer {tokens.access_token}"}
    told = party.browser.get("/oauth/userinfo", headers=headers)
    assert told.mimetype == "application/jwt"
    assert shown_error(party.request_logout(id_token_hint=told.text)).parameter == "id_token_hint"
    assert party.ask(prompt="none").code


def test_an_encrypted_hint_is_refused_with_the_way_out(rp):
    tokens = rp.log_in()
    key = RSAKey.generate_key(2048)
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256GCM"])
    header = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT"}
    nested = jwe.encrypt_compact(header, tokens.id_token, key, registry=registry)
    error = shown_error(rp.request_logout(id_token_hint=nested, post_logout_redirect_uri=BACK))
    assert error.parameter == "id_token_hint"
    assert "encrypted" in error.description
    assert rp.is_good(tokens)


def test_an_app_that_is_not_registered_any_more_cannot_choose_the_way(rp, db):
    tokens = rp.log_in()
    remove_client(db, OPERATOR, rp.metadata.client_id)
    db.commit()
    error = shown_error(rp.request_logout(id_token_hint=tokens.id_token, post_logout_redirect_uri=BACK))
    assert error.parameter == "id_token_hint"
    assert "not registered any more" in error.description


def test_an_app_that_is_not_registered_any_more_signs_nobody_out_unasked(rp, relying_party, db):
    other = relying_party(rp.browser)
    tokens = rp.log_in()
    remove_client(db, OPERATOR, rp.metadata.client_id)
    db.commit()
    page = rp.request_logout(id_token_hint=tokens.id_token)
    assert 'id="logout-confirm"' in page.text
    other.ask(prompt="none").code  # noqa: B018 - still signed in
    done = rp.follow(rp.submit(page, "logout-confirm"))
    assert done.request.path == "/signed-out"
    assert other.ask(prompt="none").error == "login_required"


@pytest.mark.parametrize("meant", ["ADA", "ada@example.org", "sub", "sid"])
def test_a_logout_hint_may_name_the_person_in_many_ways(rp, meant):
    tokens = rp.log_in()
    response = rp.request_logout(id_token_hint=tokens.id_token, logout_hint=tokens.claims.get(meant, meant))
    assert response.status_code == 303


@pytest.mark.parametrize("meant", ["bob", "x" * 5_000, "é", "\ufffd"])
def test_a_logout_hint_that_means_somebody_else_is_asked_about(rp, meant):
    tokens = rp.log_in()
    page = rp.request_logout(id_token_hint=tokens.id_token, post_logout_redirect_uri=BACK, logout_hint=meant)
    assert 'id="logout-confirm"' in page.text
    assert query_of(rp.submit(page, "logout-confirm")) == {"from": ["idp"]}


def test_a_logout_hint_alone_proves_nothing(rp):
    tokens = rp.log_in()
    page = rp.request_logout(logout_hint=tokens.claims["sid"])
    assert 'id="logout-confirm"' in page.text


def test_the_pages_speak_the_language_that_the_app_asks_for(rp):
    rp.log_in()
    page = rp.request_logout(ui_locales="de-AT en")
    assert "Abmelden?" in page.text
    done = rp.follow(rp.submit(page, "logout-confirm"))
    assert "Sie sind abgemeldet" in done.text
    assert "You are signed out" in rp.follow(rp.request_logout(ui_locales="tlh")).text


# -- The page that asks ----------------------------------------------------------------------


def test_it_says_which_apps_are_told_and_which_are_not(rp, relying_party):
    names = {"Back": {"backchannel_logout_uri": "https://app.example.org/back"}, "Deaf": {}}
    names["Front"] = {"frontchannel_logout_uri": "https://app.example.org/front"}
    rp.log_in()
    for name, metadata in names.items():
        relying_party(rp.browser, client_name=f"{name} & co", **metadata).log_in()
    relying_party(client_name="Elsewhere", backchannel_logout_uri="https://app.example.org/back")
    page = rp.request_logout().text
    told, untold = (page.split(f'aria-labelledby="{which}"')[1].split("</ul>")[0] for which in ("told", "untold"))
    assert re.findall("<li>(.*?)</li>", told) == ["Back &amp; co", "Front &amp; co"]
    assert re.findall("<li>(.*?)</li>", untold) == ["Deaf &amp; co", rp.metadata.client_name]
    assert "Elsewhere" not in page
