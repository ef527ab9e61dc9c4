"""The profile: everything that the standard claims need."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.accounts.profile import FIELDS
from idp.models import User
from idp.web.pages.profile import LANGUAGES, time_zones
from tests.factories import EVERY_CLAIM
from tests.web.page_driver import form_with, location, press, sign_in, words

GIVEN = {
    "given_name": "Ada",
    "family_name": "King",
    "middle_name": "Byron",
    "nickname": "Countess",
    "profile": "https://example.org/ada",
    "picture": "https://example.org/ada.png",
    "website": "https://ada.example.org/",
    "gender": "as I please",
    "birthdate": "1815-12-10",
    "zoneinfo": "Europe/London",
    "locale": "en-GB",
    "phone_number": "+44 20 7946 0000",
    "street_address": "12 St James's Square",
    "locality": "London",
    "region": "Greater London",
    "postal_code": "SW1Y 4JH",
    "country": "United Kingdom",
}


def test_everything_can_be_said_and_is_shown_again(signed_in: FlaskClient, db: Session) -> None:
    response = press(signed_in, signed_in.get("/account/profile"), "profile-submit", **GIVEN)
    assert location(response) == "/account/profile?notice=profile-saved"
    page = signed_in.get(location(response))
    assert "Your profile is saved." in page.text
    shown = form_with(page, "profile-submit")[1]
    assert {name: shown[name] for name in GIVEN} == GIVEN
    user = db.scalars(select(User)).one()
    assert {name: getattr(user, name) for name in GIVEN} == GIVEN


def test_every_field_has_its_place() -> None:
    assert set(GIVEN) == set(FIELDS)


def test_every_fault_is_named_and_nothing_is_lost(signed_in: FlaskClient, db: Session) -> None:
    wrong = {
        "birthdate": "yesterday",
        "picture": "me.png",
        "zoneinfo": "Europe/Nowhere",
        "phone_number": "call me",
        "nickname": "x" * 101,
    }
    refused = press(signed_in, signed_in.get("/account/profile"), "profile-submit", **{**GIVEN, **wrong})
    assert refused.status_code == 422
    for name in wrong:
        assert f'id="{name}-fault-1"' in refused.text
        assert f'href="#{name}"' in refused.text
    shown = form_with(refused, "profile-submit")[1]
    assert shown["birthdate"] == "yesterday"
    assert shown["country"] == "United Kingdom"
    assert db.scalar(select(User.country)) is None, "all or nothing"


def test_fields_are_cleared_and_left_out_ones_stay(
    client: FlaskClient, make_user: Callable[..., User], db: Session
) -> None:
    make_user(**EVERY_CLAIM)
    sign_in(client)
    token = form_with(client.get("/account/profile"), "sign-out")[1]
    assert client.post("/account/profile", data={**token, "nickname": "  "}).status_code == 303
    db.expire_all()
    user = db.scalars(select(User)).one()
    assert user.nickname is None
    assert user.website == EVERY_CLAIM["website"]
    assert user.phone_number_verified_at, "who changes nothing about the number loses no proof"


def test_what_was_there_before_is_no_fault_of_today(
    client: FlaskClient, make_user: Callable[..., User], db: Session
) -> None:
    make_user(website="our old intranet")
    sign_in(client)
    page = client.get("/account/profile")
    assert press(client, page, "profile-submit", nickname="Countess").status_code == 303
    assert db.scalar(select(User.nickname)) == "Countess"


def test_what_an_app_changed_while_the_form_was_open_stays(signed_in: FlaskClient, db: Session) -> None:
    page = signed_in.get("/account/profile")
    press(signed_in, signed_in.get("/account/profile"), "profile-submit", given_name="Augusta", nickname="Countess")
    refused = press(signed_in, page, "profile-submit", family_name="King", birthdate="yesterday")
    assert refused.status_code == 422
    assert press(signed_in, refused, "profile-submit", birthdate="1815-12-10").status_code == 303
    user = db.scalars(select(User)).one()
    assert (user.given_name, user.family_name, user.nickname) == ("Augusta", "King", "Countess")
    assert press(signed_in, page, "profile-submit", given_name="Ada", nickname="Ada").status_code == 303
    db.expire_all()
    assert (user.given_name, user.nickname) == ("Augusta", "Ada"), "a field that was not touched is not what was meant"


def test_changed_name_shows_at_once(signed_in: FlaskClient) -> None:
    press(signed_in, signed_in.get("/account/profile"), "profile-submit", given_name="Augusta")
    assert "Hello, Augusta Lovelace" in words(signed_in.get("/account"))


@pytest.mark.parametrize("typed", ["<script>alert(1)</script>", "x" * 60_000, "\x00", "\ud800"])
def test_strange_values_do_no_harm(signed_in: FlaskClient, typed: str) -> None:
    page = signed_in.get("/account/profile")
    fields = {**form_with(page, "profile-submit")[1], "nickname": typed.encode("utf-8", "replace").decode()}
    response = signed_in.post("/account/profile", data=fields)
    assert response.status_code < 500
    assert "<script" not in response.text


def test_suggestions_are_good_values(signed_in: FlaskClient) -> None:
    assert {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"} <= set(time_zones())
    assert not [zone for zone in time_zones() if zone.startswith(("Etc/", "US/", "posix"))]
    page = signed_in.get("/account/profile")
    assert page.text.count("<option") == len(LANGUAGES) + len(time_zones())
    for tag, _ in LANGUAGES:
        assert press(signed_in, page, "profile-submit", locale=tag).status_code == 303


@pytest.mark.parametrize(
    ("typed", "tag"), [("Deutsch", "de"), ("deutsch (österreich)", "de-AT"), ("中文", "zh"), (" suomi", "fi-FI")]
)
def test_a_language_may_be_called_by_its_name(signed_in: FlaskClient, db: Session, typed: str, tag: str) -> None:
    press(signed_in, signed_in.get("/account/profile"), "profile-submit", locale=typed)
    assert db.scalar(select(User.locale)) == tag


def test_page_stays_light(signed_in: FlaskClient) -> None:
    page = signed_in.get("/account/profile")
    files = [signed_in.get(path) for path in ("/brand/pages.css", "/brand/theme.css", "/brand/icon.svg")]
    assert len(page.data) + sum(len(file.data) for file in files) < 50_000
