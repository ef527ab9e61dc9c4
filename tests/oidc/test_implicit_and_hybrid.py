"""Tokens from the authorization endpoint: who may have them, what hangs on them, how they end (OIDC Core section 3)."""

import json

import pytest
from sqlalchemy import select

from idp.accounts import sessions
from idp.accounts.visitor import OPERATOR
from idp.errors import ExpiredError
from idp.models import AuthorizationGrant, BrowserSession
from idp.oidc import authorization_issuer, consents
from idp.oidc.authorization_request import AuthorizationRequest
from idp.oidc.authorization_response import WITH_TOKENS
from tests.relying_party import Tokens, decode, error_of


def without_pkce(party, response_type):
    """Let an app ask for a response type; where there is no code, PKCE protects nothing."""
    party.defaults = {"response_type": response_type, "code_challenge": None, "code_challenge_method": None}
    return party


@pytest.mark.parametrize("response_type", WITH_TOKENS)
def test_they_are_off_by_default(relying_party, ada, response_type):
    rp = relying_party(
        response_types=("code", *WITH_TOKENS), grant_types=("authorization_code", "implicit", "refresh_token")
    )
    answer = rp.ask(response_type=response_type)
    assert answer.error == "unsupported_response_type"


@pytest.mark.parametrize(
    "response_type", ["token", "none", "code code_token", "id_token code nonsense", "Code", "código"]
)
def test_others_there_are_none(every_type, response_type):
    assert every_type.ask(response_type=response_type).error == "unsupported_response_type"


@pytest.mark.parametrize("response_type", ["token id_token", "id_token  token", "id_token token code", "token code"])
def test_the_order_of_the_words_does_not_matter(every_type, response_type):
    assert every_type.authorize(response_type=response_type).error is None


@pytest.mark.parametrize("response_type", WITH_TOKENS)
def test_an_app_gets_what_it_is_registered_for(relying_party_of_every_type, ada, response_type):
    rp = relying_party_of_every_type(response_types=("code",), grant_types=("authorization_code",))
    assert rp.ask(response_type=response_type).error == "unauthorized_client"


def test_a_code_is_not_for_an_app_without_that_grant(relying_party_of_every_type, ada):
    rp = relying_party_of_every_type(response_types=("id_token",), grant_types=("implicit",))
    assert rp.ask().error == "unauthorized_client"
    assert rp.authorize(response_type="id_token").claims


def test_who_may_have_each_alone_may_not_have_both_at_once(relying_party_of_every_type, ada):
    grants = ("authorization_code", "implicit")
    rp = relying_party_of_every_type(response_types=("code", "id_token"), grant_types=grants)
    assert rp.ask(response_type="code id_token").error == "unauthorized_client"


@pytest.mark.parametrize("response_type", ["id_token", "code id_token"])
def test_an_id_token_needs_the_scope_openid(every_type, response_type):
    assert every_type.ask(response_type=response_type, scope="profile").error == "invalid_scope"


def test_a_token_without_openid_stands_for_nobody_at_userinfo(every_type):
    answer = every_type.authorize(response_type="code token", scope="account")
    assert every_type.request_userinfo(answer.parameters["access_token"]).status_code == 403


def test_a_public_app_needs_pkce_only_for_a_code(relying_party_of_every_type, ada):
    rp = relying_party_of_every_type(token_endpoint_auth_method="none")
    without_pkce(rp, "id_token token")
    assert rp.authorize().parameters["access_token"]
    assert rp.ask(response_type="code id_token").error == "invalid_request"


def test_offline_access_is_for_codes(every_type):
    answer = every_type.authorize(response_type="id_token token", scope="openid offline_access")
    assert answer.parameters["scope"] == "openid"
    tokens = every_type.redeem(every_type.authorize(response_type="code id_token", scope="openid offline_access").code)
    assert tokens.refresh_token


def test_an_app_whose_tokens_are_bound_to_a_key_gets_none_here(relying_party_of_every_type, ada):
    rp = relying_party_of_every_type(dpop_bound_access_tokens=True)
    assert rp.ask(response_type="code token").error == "unauthorized_client"
    assert rp.authorize(response_type="code id_token").code


def test_a_stranger_is_asked_for_consent(relying_party_of_every_type, ada):
    rp = relying_party_of_every_type(is_trusted=False)
    page = rp.sign_in(rp.sign_in_page(response_type="id_token token"))
    assert 'id="consent-allow"' in page.text
    answer = rp.read_answer(rp.follow(rp.submit(page, "consent-allow")))
    assert answer.claims
    assert rp.ask(response_type="id_token", prompt="none").claims


def test_the_session_that_ends_takes_the_token_along(every_type, db):
    answer = every_type.authorize(response_type="id_token token")
    tokens = Tokens(answer.parameters, answer.claims)
    assert every_type.is_good(tokens)
    every_type.log_out(tokens.id_token)
    assert not every_type.is_good(tokens)


def test_a_code_that_is_not_redeemed_yet_dies_with_its_session(every_type):
    answer = every_type.authorize(response_type="code id_token", scope="openid offline_access")
    every_type.log_out(answer.parameters["id_token"])
    assert error_of(every_type.request_tokens(answer.code)) == "invalid_grant"


def test_nothing_is_issued_for_a_session_that_ended_this_very_moment(every_type, ada, db, settings):
    every_type.authorize(response_type="id_token")
    cookie = every_type.browser.get_cookie("idp_session")
    session = sessions.find_session(db, settings, cookie.value)
    sessions.end_session(db, OPERATOR, session.id, reason="signed_out")
    db.commit()
    asked = AuthorizationRequest(
        client=every_type.metadata,
        redirect_uri=every_type.redirect_uri,
        response_type="id_token token",
        scopes=("openid",),
    )
    provider = every_type.browser.application.extensions["idp_provider"]
    with pytest.raises(ExpiredError):
        authorization_issuer.issue(db, provider, asked, session)


def test_an_app_that_gives_it_back(every_type):
    answer = every_type.authorize(response_type="id_token token")
    tokens = Tokens(answer.parameters, answer.claims)
    assert every_type.introspect(tokens.access_token)["active"]
    every_type.revoke(tokens.access_token)
    assert not every_type.is_good(tokens)


def test_a_token_may_live_as_long_as_the_session(relying_party_of_every_type, ada, settings):
    rp = relying_party_of_every_type(
        is_access_token_session_bound=True,
        grant_types=("authorization_code", "implicit"),
    )
    answer = rp.authorize(response_type="id_token token")
    assert int(answer.parameters["expires_in"]) > settings.access_token_lifetime


def test_an_api_can_read_a_token_that_was_asked_for_with_a_resource(relying_party_of_every_type, ada):
    api = "https://api.example.org/"
    rp = relying_party_of_every_type(access_token_format="jwt", resources=(api,))
    answer = rp.authorize(response_type="code id_token token", resource=api)  # checks at_hash
    claims = json.loads(decode(answer.parameters["access_token"].split(".")[1]))
    assert api in (claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]])
    assert claims["client_id"] == rp.metadata.client_id
    assert rp.redeem(answer.code).claims["sub"] == answer.claims["sub"] == claims["sub"]


def test_the_grant_says_how_it_began(every_type, db):
    for response_type in ("code", "id_token", "code token"):
        answer = every_type.authorize(response_type=response_type)
        if response_type == "code":
            every_type.redeem(answer.code)
    found = db.execute(select(AuthorizationGrant.kind, AuthorizationGrant.code_digest)).all()
    assert sorted((row.kind, row.code_digest is None) for row in found) == [
        ("code", True),
        ("implicit", False),
        ("implicit", True),
    ]


def test_who_got_an_id_token_counts_as_being_in_the_app(relying_party_of_every_type, make_user, db):
    make_user("ada")
    bob = make_user("bob")
    rp = relying_party_of_every_type(max_concurrent_users=1)
    assert rp.authorize(response_type="id_token").claims
    second = rp.in_another_browser()
    assert second.authorize("bob", response_type="id_token").error == "access_denied"
    session = db.scalars(select(BrowserSession.id).where(BrowserSession.user_id != bob.id)).one()
    sessions.end_session(db, OPERATOR, session, reason="signed_out")
    db.commit()
    assert second.ask(response_type="id_token").claims


def test_a_trusted_app_shows_among_the_apps_of_a_person(every_type, ada, db, settings):
    every_type.authorize(response_type="id_token")
    assert [app.client_id for app in consents.list_apps(db, settings, ada.id)] == [every_type.metadata.client_id]
