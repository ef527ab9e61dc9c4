"""A person is somebody else to each sector (OIDC Core section 8)."""

from dataclasses import replace

import pytest

from idp.oidc import token_issuer
from idp.oidc.subjects import sector_of
from tests.oidc.frames import query_of_frame, read_signing_out
from tests.oidc.listening import read_logout_token


@pytest.fixture
def pairwise(relying_party, ada):
    """Register an app to which people are known by a name of its own sector."""

    def make(host, **metadata):
        uri = f"https://{host}/callback"
        return relying_party(subject_type="pairwise", redirect_uris=(uri,), **metadata)

    return make


def told_by_account_api(rp, method, tokens):
    """Return by which name the account API tells of the person."""
    headers = {"Authorization": f"Bearer {tokens.access_token}"}
    return rp.browser.open("/api/v1/me", method=method, headers=headers, json={}).json["sub"]


def subjects(rp, scope="openid profile account offline_access"):
    """Return all the names by which an app hears of Ada."""
    tokens = rp.log_in(scope=scope)
    told = {
        told_by_account_api(rp, "GET", tokens),
        told_by_account_api(rp, "PATCH", tokens),
        tokens.claims["sub"],
        rp.userinfo(tokens)["sub"],
        rp.introspect(tokens.access_token)["sub"],
        rp.introspect(tokens.refresh_token)["sub"],
        rp.refresh(tokens.refresh_token).claims["sub"],
    }
    return told


def test_one_app_hears_one_name_everywhere(pairwise, ada):
    (subject,) = subjects(pairwise("tea.example.org"))
    assert subject != ada.id
    assert ada.id not in subject


def test_two_sectors_hear_different_names(pairwise):
    assert subjects(pairwise("tea.example.org")) != subjects(pairwise("coffee.example.org"))


def test_two_apps_of_one_sector_hear_the_same(pairwise):
    assert subjects(pairwise("tea.example.org")) == subjects(pairwise("tea.example.org"))


@pytest.mark.parametrize("given", ["org.example.thief://tea.example.org/callback", "http://localhost/callback"])
def test_an_app_of_no_host_on_the_web_is_a_sector_of_its_own(relying_party, pairwise, given):
    """Anybody may write any host behind a private scheme: it must not tell them who people are to that host's apps."""
    installed = {"subject_type": "pairwise", "application_type": "native", "redirect_uris": (given,)}
    known = [subjects(relying_party(**installed)) for _ in range(2)]
    assert known[0] != known[1]
    assert subjects(pairwise("tea.example.org")) not in known


def test_one_that_was_registered_with_more_is_a_sector_of_its_own_too(pairwise):
    """Not of the one host or of the other, as it happens: each process would know people by another name."""
    app = pairwise("tea.example.org").metadata
    for more in ("org.example.tea://tea.example.org/", "https://coffee.example.org/", "https://milk.example.org/"):
        assert sector_of(replace(app, redirect_uris=(*app.redirect_uris, more))) == app.client_id


def test_a_public_subject_is_the_same_to_all(relying_party, ada):
    assert subjects(relying_party()) == subjects(relying_party()) == {ada.id}


def test_another_person_is_another_subject(pairwise, make_user):
    make_user("bob")
    rp = pairwise("tea.example.org")
    of_ada = rp.log_in().claims["sub"]
    rp.browser = rp.browser.application.test_client()
    assert rp.log_in("bob").claims["sub"] != of_ada


def test_userinfo_still_costs_one_statement(pairwise, counted):
    rp = pairwise("tea.example.org")
    tokens = rp.log_in()
    rp.userinfo(tokens)
    with counted() as traffic:
        rp.userinfo(tokens)
    assert len(traffic.statements) == 1


def test_both_are_told_of_in_discovery(rp):
    assert rp.discovery["subject_types_supported"] == ["public", "pairwise"]


def test_no_two_sectors_know_a_session_by_one_name(pairwise, relying_party, app):
    """By the `sid`, apps that compare notes could tell that two of their subjects are one person."""
    browser = app.test_client()
    hosts = ("tea.example.org", "tea.example.org", "coffee.example.org")
    tea, also_tea, coffee = (pairwise(host, browser=browser).log_in().claims["sid"] for host in hosts)
    known_to_all = relying_party(browser).log_in().claims["sid"]
    assert tea == also_tea
    assert len({tea, coffee, known_to_all}) == 3


def test_a_hint_by_that_name_is_met_by_the_person_it_is_for(pairwise):
    rp = pairwise("tea.example.org")
    tokens = rp.log_in()
    assert rp.ask(prompt="none", id_token_hint=tokens.id_token).code


def test_a_hint_of_before_sectors_had_names_of_their_own_signs_out(pairwise, monkeypatch):
    monkeypatch.setattr(token_issuer, "sid_of", lambda _settings, _client, session_id: session_id)
    rp = pairwise("tea.example.org")
    of_before = rp.log_in().id_token
    assert rp.request_logout(id_token_hint=of_before).status_code == 303, "nobody was asked"


def test_an_app_hears_one_name_of_a_session_until_its_end(pairwise, listening_app, send_due):
    listens = "https://tea.example.org/frontchannel-logout"
    rp = pairwise("tea.example.org", frontchannel_logout_uri=listens, backchannel_logout_uri=listening_app.url)
    tokens = rp.log_in(scope="openid offline_access")
    sid = tokens.claims["sid"]
    assert rp.introspect(tokens.access_token)["sid"] == sid
    tokens = rp.refresh(tokens.refresh_token)
    assert tokens.claims["sid"] == sid
    page = read_signing_out(rp.request_logout(id_token_hint=tokens.id_token, logout_hint=sid))  # nobody was asked
    assert [query_of_frame(frame)["sid"] for frame in page.frames] == [[sid]]
    assert send_due()["notice_sent"] == 1
    told = read_logout_token(*listening_app.tokens, rp)
    assert (told["sid"], told["sub"]) == (sid, tokens.claims["sub"])
