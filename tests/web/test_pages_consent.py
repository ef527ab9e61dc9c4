"""Choosing an account, and agreeing to what an app sees."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.models import Consent, User
from tests.factories import EVERY_CLAIM, PASSWORD
from tests.relying_party import RelyingParty
from tests.web.conftest import ChangeClient
from tests.web.page_driver import location, press, sign_in, words

EVERYTHING = "openid profile email address phone roles account offline_access"


@pytest.fixture
def signed_in(client: FlaskClient, make_user: Callable[..., User]) -> FlaskClient:
    """Ada's browser."""
    make_user(roles=("admin", "editor"), **EVERY_CLAIM)
    sign_in(client)
    return client


@pytest.fixture
def weather(signed_in: FlaskClient, relying_party: Callable[..., RelyingParty]) -> RelyingParty:
    """An app that needs consent, in Ada's browser."""
    return relying_party(signed_in, is_trusted=False)


# -- Choose an account ----------------------------------------------------------------


def test_choice_shows_who_is_signed_in(weather: RelyingParty) -> None:
    page = weather.follow(weather.send(prompt="select_account"))
    assert "Continue as Ada Lovelace ada@example.org" in words(page)
    assert "to continue to Weather app" in words(page)


def test_continue_goes_on(weather: RelyingParty, signed_in: FlaskClient) -> None:
    page = weather.follow(weather.send(prompt="select_account"))
    asked = weather.follow(press(signed_in, page, "account-continue"))
    assert 'id="consent-allow"' in asked.text


def test_other_account_signs_in(weather: RelyingParty, signed_in: FlaskClient, make_user: Callable[..., User]) -> None:
    make_user("grace", given_name="Grace", family_name="Hopper")
    page = weather.follow(weather.send(prompt="select_account"))
    form = weather.follow(press(signed_in, page, "account-other"))
    assert "<h1>Sign in</h1>" in form.text, "nobody is asked to prove that they are Ada"
    assert 'value="ada"' not in form.text
    refused = press(signed_in, form, "login-submit", username="grace", password="wrong")
    assert "<h1>Sign in</h1>" in refused.text
    asked = weather.follow(press(signed_in, refused, "login-submit", username="grace", password=PASSWORD))
    assert "Signed in as Grace Hopper" in words(asked)


def test_choice_can_be_cancelled(weather: RelyingParty, signed_in: FlaskClient) -> None:
    page = weather.follow(weather.send(prompt="select_account"))
    assert weather.read_answer(weather.follow(press(signed_in, page, "cancel"))).error == "access_denied"


@pytest.mark.parametrize(("button", "error"), [("consent-allow", None), ("consent-deny", "access_denied")])
def test_who_presses_twice_gets_the_answer_twice(
    weather: RelyingParty, signed_in: FlaskClient, button: str, error: str | None
) -> None:
    """An app may be slow to load: the second press is no reason to say that the page has expired."""
    page = weather.follow(weather.send())
    for _ in range(2):
        assert weather.read_answer(weather.follow(press(signed_in, page, button))).error == error


@pytest.mark.parametrize(("first", "then"), [("consent-allow", "consent-deny"), ("consent-deny", "consent-allow")])
def test_a_changed_mind_comes_too_late(
    weather: RelyingParty, signed_in: FlaskClient, db: Session, first: str, then: str
) -> None:
    page = weather.follow(weather.send())
    weather.read_answer(weather.follow(press(signed_in, page, first)))
    remembered = db.scalars(select(Consent.scope)).all()
    assert press(signed_in, page, then).status_code == 400
    assert db.scalars(select(Consent.scope)).all() == remembered


def test_unknown_action_asks_again(weather: RelyingParty, signed_in: FlaskClient) -> None:
    page = weather.follow(weather.send(prompt="select_account"))
    again = weather.follow(press(signed_in, page, "account-continue", action="sing"))
    assert 'id="account-continue"' in again.text


# -- Consent ----------------------------------------------------------------------------


def test_page_shows_the_very_values(weather: RelyingParty) -> None:
    page = weather.follow(weather.send(scope=EVERYTHING))
    shown = words(page)
    assert "Share this with Weather app?" in shown
    assert "Signed in as Ada Lovelace (ada)" in shown
    for value in (
        "Ada King Lovelace ada Countess",
        "ada@example.org (confirmed)",
        "12 St James's Square, SW1Y 4JH London, Greater London, United Kingdom",
        "+44 20 7946 0000",
        "admin editor",
        "1815-12-10",
        "while you are away",
        "We remember your choice, so you are not asked again.",
    ):
        assert value in shown


def test_page_shows_what_the_account_api_tells(weather: RelyingParty, signed_in: FlaskClient) -> None:
    page = weather.follow(weather.send(scope="openid account"))
    told = weather.redeem(weather.read_answer(weather.follow(press(signed_in, page, "consent-allow"))).code)
    me = signed_in.get("/api/v1/me", headers={"Authorization": f"Bearer {told.access_token}"}).get_json()
    shown = words(page)
    for name in ("name", "email", "phone_number", "birthdate", "picture"):
        assert me[name] in shown, name
    assert me["address"]["formatted"].replace("\n", ", ") in shown
    assert " ".join(me["roles"]) in shown
    assert "It may also change your profile" in shown


def test_somebody_else_may_be_asked_instead(
    weather: RelyingParty, signed_in: FlaskClient, make_user: Callable[..., User]
) -> None:
    make_user("grace", given_name="Grace", family_name="Hopper")
    page = weather.follow(weather.send(scope=EVERYTHING))
    href = page.text.split('<a href="', 1)[1].split('"')[0].replace("&amp;", "&")
    form = signed_in.get(href)
    assert 'value="ada"' not in form.text
    asked = weather.follow(press(signed_in, form, "login-submit", username="grace", password=PASSWORD))
    assert "Signed in as Grace Hopper" in words(asked)
    assert weather.read_answer(weather.follow(press(signed_in, asked, "consent-allow"))).code


def test_page_says_where_an_app_leads_that_nobody_has_checked(
    signed_in: FlaskClient, relying_party: Callable[..., RelyingParty]
) -> None:
    """Whoever registers an app gives it any name and logo, be they those of another app (RFC 7591 section 5)."""
    own = {"registration_token_digest": "0" * 64, "is_trusted": False, "application_type": "native"}
    for uri, place in (("https://evil.example:8443/callback", "evil.example:8443"), ("org.evil:/done", "org.evil")):
        unknown = relying_party(signed_in, redirect_uris=(uri,), **own)
        shown = words(unknown.follow(unknown.send()))
        assert "Weather app registered itself here, and nobody has checked who is behind it" in shown
        assert f"From here you go on to {place} ." in shown
    known = relying_party(signed_in, is_trusted=False)
    assert "nobody has checked" not in words(known.follow(known.send()))


def test_page_says_for_how_long_and_how_to_take_it_back(weather: RelyingParty) -> None:
    shown = words(weather.follow(weather.send(scope="openid email")))
    assert "Weather app can look this up while you are signed in here." in shown
    assert "You can take it back any time in your account, under Apps with access ." in shown
    away = words(weather.follow(weather.send(scope="openid email offline_access", prompt="consent")))
    assert "Weather app can look this up even when you are not signed in." in away
    assert "That ends when it has not done so for 30 days." in away


def test_an_apps_own_lifetime_counts(signed_in: FlaskClient, relying_party: Callable[..., RelyingParty]) -> None:
    weather = relying_party(signed_in, is_trusted=False, refresh_token_lifetime=5 * 3_600)
    shown = words(weather.follow(weather.send(scope="openid offline_access", prompt="consent")))
    assert "That ends when it has not done so for 5 hours." in shown


def test_page_links_to_what_the_app_says_of_itself(
    signed_in: FlaskClient, relying_party: Callable[..., RelyingParty]
) -> None:
    said = {f"{what}_uri": f"https://app.example.org/{what}" for what in ("client", "policy", "tos")}
    weather = relying_party(signed_in, is_trusted=False, **said)
    page = weather.follow(weather.send())
    for uri in said.values():
        assert f'href="{uri}" rel="noreferrer"' in page.text


def test_page_shows_no_more_than_is_asked(weather: RelyingParty) -> None:
    shown = words(weather.follow(weather.send(scope="openid")))
    assert "That it is you" in shown
    for value in ("ada@example.org", "12 St James's Square", "editor", "1815", "while you are away"):
        assert value not in shown


def test_claims_that_are_named_one_by_one_are_shown(weather: RelyingParty) -> None:
    page = weather.follow(weather.send(scope="openid", claims='{"userinfo": {"email": null, "birthdate": null}}'))
    shown = words(page)
    assert "ada@example.org (confirmed)" in shown
    assert "Your name and profile 1815-12-10" in shown
    assert "Countess" not in shown


def test_what_is_missing_is_said(
    client: FlaskClient, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty]
) -> None:
    make_user("grace", given_name="", family_name="", is_email_verified=False)
    sign_in(client, "grace")
    weather = relying_party(client, is_trusted=False)
    shown = words(weather.follow(weather.send(scope="openid email phone address roles")))
    assert "grace@example.org (not confirmed)" in shown
    assert shown.count("nothing on file yet") == 3


def test_allow_is_remembered(weather: RelyingParty, signed_in: FlaskClient, db: Session) -> None:
    page = weather.follow(weather.send(scope="openid email"))
    assert page.text.index('id="consent-allow"') < page.text.index('id="consent-deny"')
    assert weather.read_answer(weather.follow(press(signed_in, page, "consent-allow"))).code
    assert weather.read_answer(weather.follow(weather.send(scope="openid email"))).code, "nobody is asked twice"
    assert db.scalar(select(Consent.scope)) is not None


def test_what_is_allowed_is_what_was_shown(
    signed_in: FlaskClient, relying_party: Callable[..., RelyingParty], change_client: ChangeClient, db: Session
) -> None:
    """An app that registered itself may change itself while somebody reads, and have asked for more beforehand."""
    app = relying_party(signed_in, is_trusted=False, scopes=("openid",), grant_types=("authorization_code",))
    wish = json.dumps({"userinfo": {"phone_number": None}})
    page = app.follow(app.send(scope="openid offline_access", claims=wish))
    assert "+44 20 7946 0000" not in words(page)
    change_client(
        app.metadata.client_id,
        scopes=("openid", "phone", "offline_access"),
        grant_types=("authorization_code", "refresh_token"),
    )
    again = press(signed_in, page, "consent-allow")
    assert again.status_code == 409
    assert "Weather app may have changed since this page was opened." in words(again)
    assert "+44 20 7946 0000" in words(again)
    assert "while you are away" in words(again)
    assert db.scalar(select(Consent.scope)) is None
    assert app.read_answer(app.follow(press(signed_in, again, "consent-allow"))).code


def test_who_denies_need_not_read_again(
    weather: RelyingParty, signed_in: FlaskClient, change_client: ChangeClient
) -> None:
    page = weather.follow(weather.send())
    change_client(weather.metadata.client_id, client_name="Horoscope")
    assert weather.read_answer(weather.follow(press(signed_in, page, "consent-deny"))).error == "access_denied"


def test_deny_tells_the_app_and_is_not_remembered(weather: RelyingParty, signed_in: FlaskClient, db: Session) -> None:
    page = weather.follow(weather.send())
    assert weather.read_answer(weather.follow(press(signed_in, page, "consent-deny"))).error == "access_denied"
    assert db.scalar(select(Consent.scope)) is None
    assert 'id="consent-allow"' in weather.follow(weather.send()).text


@pytest.mark.parametrize(("prompt", "button"), [("select_account", "account-continue"), ("consent", "consent-allow")])
def test_signed_out_meanwhile_leads_to_sign_in(
    weather: RelyingParty, signed_in: FlaskClient, prompt: str, button: str
) -> None:
    page = weather.follow(weather.send(prompt=prompt))
    press(signed_in, signed_in.get("/account"), "sign-out")
    for response in (press(signed_in, page, button), signed_in.get(page.request.path, query_string=page.request.args)):
        assert location(response).startswith("/oauth/authorize/")
        assert 'id="login-submit"' in weather.follow(response).text


@pytest.mark.parametrize("path", ["/choose-account", "/consent"])
@pytest.mark.parametrize("query", ["", "?i=", "?i=unknown", "?i=%00", "?i=%ff%fe", "?i=" + "x" * 5000])
def test_page_without_its_request_has_expired(signed_in: FlaskClient, path: str, query: str) -> None:
    page = signed_in.get(path + query)
    assert page.status_code == 400
    assert 'id="error-page"' in page.text
    assert '<code id="error-code">expired</code>' in page.text


def test_request_of_another_browser_is_of_no_use(weather: RelyingParty, signed_in: FlaskClient, make_user: Any) -> None:
    page = weather.follow(weather.send())
    make_user("mallory")
    other = signed_in.application.test_client()
    sign_in(other, "mallory")
    stolen = other.get(page.request.path, query_string=page.request.args)
    assert stolen.status_code == 400
    assert 'id="error-page"' in stolen.text
