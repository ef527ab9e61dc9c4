"""The apps that may see something, and taking that back."""

from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.models import AuditEvent, AuthorizationGrant, Consent, User
from tests.relying_party import RelyingParty
from tests.web.page_driver import form_with, location, press, sign_in, words


def test_no_apps_yet(signed_in: FlaskClient) -> None:
    assert "No app has access to your account." in signed_in.get("/account/apps").text


def test_apps_are_listed_with_what_they_see(
    signed_in: FlaskClient, relying_party: Callable[..., RelyingParty], clock: Any
) -> None:
    weather = relying_party(signed_in, is_trusted=False)
    weather.log_in(scope="openid email", claims='{"userinfo": {"phone_number": null}}')
    house = relying_party(signed_in, client_name="Archive")
    house.log_in(scope="openid")
    clock.advance(7_200)
    page = signed_in.get("/account/apps")
    shown = words(page)
    assert "Weather app Your e-mail address Your phone number Allowed 2 hours ago Withdraw" in shown
    assert "Archive That it is you, each time you come back" in shown
    assert shown.index("Archive") < shown.index("Weather app")
    assert 'aria-label="Withdraw the access of Weather app"' in page.text


def test_who_looks_after_the_account_sees_all_of_it(
    signed_in: FlaskClient, relying_party: Callable[..., RelyingParty]
) -> None:
    relying_party(signed_in, is_trusted=False).log_in(scope="openid account")
    shown = words(signed_in.get("/account/apps"))
    for kind in ("Your name and profile", "Your e-mail address", "Your postal address", "Your roles"):
        assert kind in shown


def test_withdrawing_ends_the_apps_tokens_and_asks_again(
    signed_in: FlaskClient, relying_party: Callable[..., RelyingParty], db: Session
) -> None:
    weather = relying_party(signed_in, is_trusted=False)
    other = relying_party(signed_in, is_trusted=False, client_name="Archive")
    scope = "openid profile offline_access"
    tokens = weather.log_in(scope=scope, prompt="consent")
    kept = other.log_in(scope=scope, prompt="consent")
    response = press(signed_in, signed_in.get("/account/apps"), weather.metadata.client_id)
    assert location(response) == "/account/apps?notice=app-removed"
    page = signed_in.get(location(response))
    assert "The app has no access any more." in page.text
    assert "Weather app" not in page.text
    assert weather.request_refresh(tokens.refresh_token).status_code == 400
    bearer = {"Authorization": f"Bearer {tokens.access_token}"}
    assert signed_in.get("/oauth/userinfo", headers=bearer).status_code == 401
    assert other.request_refresh(kept.refresh_token).status_code == 200
    assert 'id="consent-allow"' in weather.follow(weather.send(scope="openid profile")).text
    event = db.scalars(select(AuditEvent).where(AuditEvent.event == "account:consent:withdraw")).one()
    assert event.client_id == weather.metadata.client_id


def test_app_of_the_house_is_put_out_too(signed_in: FlaskClient, relying_party: Callable[..., RelyingParty]) -> None:
    house = relying_party(signed_in)
    tokens = house.log_in(scope="openid profile offline_access", prompt="consent")
    press(signed_in, signed_in.get("/account/apps"), house.metadata.client_id)
    assert house.request_refresh(tokens.refresh_token).status_code == 400
    assert "No app has access" in signed_in.get("/account/apps").text


def test_apps_of_others_are_not_shown(
    signed_in: FlaskClient, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty]
) -> None:
    make_user("grace")
    for is_trusted in (True, False):
        hers = signed_in.application.test_client()
        relying_party(hers, is_trusted=is_trusted).log_in("grace", scope="openid profile")
    assert "No app has access to your account." in signed_in.get("/account/apps").text


def test_nothing_of_others_is_touched(
    signed_in: FlaskClient, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty], db: Session
) -> None:
    make_user("grace")
    hers = signed_in.application.test_client()
    weather = relying_party(hers, is_trusted=False)
    weather.log_in("grace", scope="openid profile")
    fields = form_with(signed_in.get("/account/apps"), "sign-out")[1]
    for client_id in (weather.metadata.client_id, "nobody", "", "ä" * 500):
        response = signed_in.post("/account/apps", data={**fields, "withdraw": client_id})
        assert location(response) == "/account/apps?notice=app-removed"
    assert db.scalar(select(Consent.client_id)) == weather.metadata.client_id
    assert db.scalars(select(AuthorizationGrant.revoked_at)).all() == [None]


def test_apps_go_from_the_list_with_their_tokens(
    signed_in: FlaskClient, relying_party: Callable[..., RelyingParty]
) -> None:
    house = relying_party(signed_in)
    house.log_in(scope="openid")
    assert "Weather app" in signed_in.get("/account/apps").text
    press(signed_in, signed_in.get("/account"), "sign-out")
    sign_in(signed_in)
    assert "No app has access" in signed_in.get("/account/apps").text
