"""The OpenID Foundation's plan for login initiated by a third party, and what we do as that third party."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from idp.models import User
from idp.settings import Settings
from tests.oidc.registering import ask_to_register, manage, party, refused, registered
from tests.relying_party import RelyingParty

START = "https://app.example.org/start"


@pytest.fixture
def open_app(settings: Settings, make_app: Callable[[Settings], Flask]) -> Flask:
    """A provider where anyone may register an app."""
    return make_app(replace(settings, dynamic_registration="open"))


def test_oidcc_3rd_party_init_login(open_app: Flask) -> None:
    """The address is told at registration, and again by a GET of the registration."""
    told = registered(open_app, initiate_login_uri=START)
    assert told["initiate_login_uri"] == START
    response = manage(open_app, told)
    assert response.status_code == 200
    assert response.json["initiate_login_uri"] == START


def test_oidcc_3rd_party_init_login_nohttps(open_app: Flask) -> None:
    response = ask_to_register(open_app, initiate_login_uri="http://app.example.org/start")
    refused(response, "invalid_client_metadata", "initiate_login_uri")


# -- Starting an app from the account page (OIDC Core section 4) ------------------------------------


def starts(rp: RelyingParty) -> dict[str, str]:
    """Return the links of the apps page by the names of the apps."""
    page = rp.browser.get("/account/apps").text
    listed = page.partition('id="app-starts"')[2].partition("</ul>")[0]
    found = {}
    for row in listed.split("<li>")[1:]:
        name = row.partition("<strong>")[2].partition("</strong>")[0]
        found[name] = row.partition('href="')[2].partition('"')[0].replace("&amp;", "&")
    return found


def test_a_person_starts_an_app_from_the_account_page(relying_party: Any, ada: User) -> None:
    """The app learns who sends them, and its own request then needs no page."""
    rp = relying_party(client_name="Weather", initiate_login_uri=START + "?tenant=1")
    rp.log_in()
    url = urlsplit(starts(rp)["Weather"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == START
    sent = parse_qs(url.query)
    assert sent == {"tenant": ["1"], "iss": [rp.issuer], "login_hint": ["ada"]}
    assert rp.ask(login_hint=sent["login_hint"][0]).code


def test_an_app_that_may_not_know_the_name_is_not_told_it(relying_party: Any, ada: User) -> None:
    rp = relying_party(client_name="Weather", initiate_login_uri=START, scopes=("openid", "email"))
    rp.log_in()
    assert "login_hint" not in starts(rp)["Weather"]


def test_an_app_of_strangers_is_listed_once_somebody_allowed_it(relying_party: Any, ada: User) -> None:
    """Being registered is not enough: nobody's account page advertises an app that they never used."""
    rp = relying_party(client_name="Horoscope", is_trusted=False, initiate_login_uri=START)
    other = relying_party(rp.browser, client_name="Weather")
    other.log_in()
    assert starts(rp) == {}
    rp.log_in(scope="openid")
    assert set(starts(rp)) == {"Horoscope"}
    assert "login_hint" not in starts(rp)["Horoscope"]  # it was not allowed the profile
    rp.log_in(scope="openid profile")
    assert "login_hint=ada" in starts(rp)["Horoscope"]


def test_apps_without_such_an_address_are_not_listed(rp: RelyingParty) -> None:
    rp.log_in()
    assert starts(rp) == {}
    assert "app-starts" not in rp.browser.get("/account/apps").text


def test_somebody_else_s_apps_are_not_listed(relying_party: Any, make_user: Any, app: Flask) -> None:
    make_user("grace")
    hers = relying_party(client_name="Horoscope", is_trusted=False, initiate_login_uri=START)
    hers.log_in("grace")
    make_user("ada")
    his = relying_party()
    his.log_in("ada")
    assert set(starts(hers)) == {"Horoscope"}
    assert starts(his) == {}


def test_a_registered_app_is_started_and_signs_in(open_app: Flask, make_user: Any, db: Session) -> None:
    make_user("ada")
    rp = party(open_app, registered(open_app, client_name="Horoscope", initiate_login_uri=START))
    rp.log_in(scope="openid profile")
    hint = parse_qs(urlsplit(starts(rp)["Horoscope"]).query)
    assert hint["iss"] == [rp.issuer]
    assert rp.ask(scope="openid profile", login_hint=hint["login_hint"][0]).code
