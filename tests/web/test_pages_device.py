"""Connecting a device: its code is typed, somebody signs in, and the page says what could be a trick."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from idp.accounts import recovery
from idp.accounts.visitor import OPERATOR
from idp.models import AuditEvent, Consent, DeviceAuthorization, User
from idp.oidc.clients import DEVICE_CODE_GRANT
from idp.oidc.user_codes import normal_user_code
from idp.settings import Settings
from tests.conftest import Clock
from tests.factories import PASSWORD
from tests.relying_party import RelyingParty
from tests.web.conftest import ChangeClient
from tests.web.page_driver import location, press, sign_in, words

AskForCode = Callable[..., str]


@pytest.fixture
def ask_for_code(relying_party: Callable[..., RelyingParty]) -> AskForCode:
    """Let a device ask for codes; gives the user code."""
    app = relying_party(
        client_name="Television",
        grant_types=(DEVICE_CODE_GRANT, "refresh_token"),
        response_types=(),
        redirect_uris=(),
        token_endpoint_auth_method="none",
        policy_uri="https://tv.example.org/privacy",
    )

    def ask(scope: str = "openid email", address: str = "203.0.113.7") -> str:
        form = {"client_id": app.metadata.client_id, "scope": scope}
        answer = app.browser.post("/oauth/device_authorization", data=form, environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == 200, answer.text
        code: str = answer.get_json()["user_code"]
        return code

    return ask


def type_code(browser: FlaskClient, code: str) -> TestResponse:
    """Type a code and follow to what comes."""
    response = press(browser, browser.get("/device"), "device-continue", user_code=code)
    return browser.get(location(response)) if response.status_code == 303 else response


def state(db: Session) -> str | None:
    """Return what was answered."""
    db.rollback()
    return db.scalar(select(DeviceAuthorization.state))


# -- The code ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("BCDF-GHJK", "BCDF-GHJK"),
        ("bcdfghjk", "BCDF-GHJK"),
        (" bcdf ghjk ", "BCDF-GHJK"),
        ("B.C-D_F/G H–J K", "BCDF-GHJK"),
        ("", None),
        ("BCDF-GHJ", None),
        ("BCDF-GHJKL", None),
        ("BCDF-GHJA", None),
        ("BCDF-GHJ1", None),
        ("ВСDF-GHJK", None),  # Cyrillic
        ("ſ" * 8, None),
        ("x" * 5_000, None),
    ],
)
def test_a_code_is_read_whatever_way_it_is_typed(typed: str, code: str | None) -> None:
    assert normal_user_code(typed) == code


def test_a_code_is_typed_in_small_letters_without_hyphen(signed_in: FlaskClient, ask_for_code: AskForCode) -> None:
    code = ask_for_code()
    page = type_code(signed_in, code.replace("-", "").lower())
    assert "Connect Television to your account?" in words(page)
    assert code in words(page)


@pytest.mark.parametrize("typed", ["", "  ", "AAAA-EEEE", "BCDF", "<b>", "BCDF-GHJK" * 100, "\x00"])
def test_what_is_no_code_is_said(client: FlaskClient, typed: str) -> None:
    page = type_code(client, typed)
    assert page.status_code == 422
    assert 'aria-invalid="true"' in page.text
    assert "<b>" not in page.text


def test_an_unknown_code_is_said_and_written_down(signed_in: FlaskClient, db: Session) -> None:
    page = type_code(signed_in, "BCDF-GHJK")
    assert page.status_code == 422
    assert "No device waits under this code" in words(page)
    assert 'value="BCDF-GHJK"' in page.text
    assert db.scalar(select(AuditEvent).where(AuditEvent.event == "account:device:refuse")) is not None


@pytest.mark.parametrize("button", ["device-allow", "device-deny"])
def test_a_code_is_good_for_one_answer(signed_in: FlaskClient, ask_for_code: AskForCode, button: str) -> None:
    code = ask_for_code()
    press(signed_in, type_code(signed_in, code), button)
    assert type_code(signed_in, code).status_code == 422


def test_an_expired_code_is_no_good(
    signed_in: FlaskClient, ask_for_code: AskForCode, clock: Clock, settings: Settings
) -> None:
    code = ask_for_code()
    page = type_code(signed_in, code)
    clock.advance(settings.device_code_lifetime)
    assert type_code(signed_in, code).status_code == 422
    assert press(signed_in, page, "device-allow").status_code == 422


def test_guesses_are_throttled_and_honest_ones_cost_nothing(
    signed_in: FlaskClient, ask_for_code: AskForCode, settings: Settings
) -> None:
    code = ask_for_code()
    for _ in range(settings.throttle_account_burst + 5):
        assert type_code(signed_in, code).status_code == 200
    for _ in range(settings.throttle_account_burst):
        assert type_code(signed_in, "BBBB-BBBB").status_code == 422
    refused = type_code(signed_in, "BBBB-BBBB")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert 'aria-describedby="user_code-hint form-faults"' in refused.text, "it is read out with the field"
    assert type_code(signed_in, code).status_code == 429, "nor is the right one looked at any more"


def test_guesses_by_the_answer_are_throttled_too(
    signed_in: FlaskClient, ask_for_code: AskForCode, settings: Settings
) -> None:
    page = type_code(signed_in, ask_for_code())
    statuses = [
        press(signed_in, page, "device-allow", user_code="BBBB-BBBB").status_code
        for _ in range(settings.throttle_account_burst + 1)
    ]
    assert statuses == [422] * settings.throttle_account_burst + [429]


# -- Signing in ---------------------------------------------------------------------------------


def test_nobody_learns_of_a_code_without_signing_in(client: FlaskClient, ask_for_code: AskForCode) -> None:
    known, unknown = (type_code(client, code) for code in (ask_for_code(), "BBBB-BBBB"))
    assert known.status_code == unknown.status_code == 303
    assert location(known).startswith("/sign-in?next=")


def test_sign_in_leads_back_to_the_device(
    client: FlaskClient, make_user: Callable[..., User], ask_for_code: AskForCode
) -> None:
    make_user()
    code = ask_for_code()
    form = client.get(location(type_code(client, code)))
    refused = press(client, form, "login-submit", username="ada", password="wrong")
    back = press(client, refused, "login-submit", username="ada", password=PASSWORD)
    assert location(back) == f"/device?user_code={code}"
    assert "Connect Television" in words(client.get(location(back)))


def test_a_link_with_the_code_asks_all_the_same(signed_in: FlaskClient, ask_for_code: AskForCode, db: Session) -> None:
    code = ask_for_code()
    page = signed_in.get("/device", query_string={"user_code": code})
    assert code in words(page)
    assert "Did you start this yourself?" in words(page)
    assert state(db) == "waiting"


def test_another_account_may_sign_in_first(
    signed_in: FlaskClient, make_user: Callable[..., User], ask_for_code: AskForCode
) -> None:
    make_user("grace", given_name="Grace", family_name="Hopper")
    page = type_code(signed_in, ask_for_code())
    href = page.text.split('<a href="', 1)[1].split('"')[0].replace("&amp;", "&")
    form = signed_in.get(href)
    back = press(signed_in, form, "login-submit", username="grace", password=PASSWORD)
    assert "Signed in as Grace Hopper" in words(signed_in.get(location(back)))


def test_nothing_but_a_code_goes_along(client: FlaskClient, make_user: Callable[..., User]) -> None:
    make_user()
    form = client.get("/sign-in", query_string={"next": "/device", "user_code": "//evil.example.org"})
    assert "evil" not in form.text
    assert location(press(client, form, "login-submit", username="ada", password=PASSWORD)) == "/device"


def test_a_temporary_password_is_changed_first(
    client: FlaskClient, make_user: Callable[..., User], ask_for_code: AskForCode, db: Session, settings: Settings
) -> None:
    make_user()
    given = recovery.issue_temporary_password(db, settings, OPERATOR, "ada")
    assert given
    temporary = given[2]
    db.commit()
    sign_in(client, "ada", temporary)
    code = ask_for_code()
    page = client.get(location(client.get("/device", query_string={"user_code": code})))
    new = {"current_password": temporary, "new_password": "kettle orbit mustard lantern"}
    back = press(client, page, "password-submit", **new)
    assert location(back) == f"/device?notice=password-changed&user_code={code}"
    assert "Connect Television" in words(client.get(location(back)))


# -- The question ------------------------------------------------------------------------------------


def test_the_page_says_who_asks_for_what_and_from_where(signed_in: FlaskClient, ask_for_code: AskForCode) -> None:
    shown = words(type_code(signed_in, ask_for_code("openid email offline_access")))
    for sentence in (
        "Signed in as Ada Lovelace (ada)",
        "Your e-mail address ada@example.org (confirmed)",
        "203.0.113.7, another network than yours",
        "Asked just now",
        "Allow it only if the device in front of you shows this very code right now",
        "never sends you a code",
        "even when you are not signed in. That ends when it has not done so for 30 days",
        "take it back any time in your account, under Apps with access",
        "Privacy policy of Television",
    ):
        assert sentence in shown, sentence


def test_the_own_network_is_told_from_others(signed_in: FlaskClient, ask_for_code: AskForCode) -> None:
    assert "127.0.0.1, the same network as yours" in words(type_code(signed_in, ask_for_code(address="127.0.0.1")))


def test_nobody_shares_a_network_with_whoever_has_no_address(signed_in: FlaskClient, ask_for_code: AskForCode) -> None:
    signed_in.environ_base["REMOTE_ADDR"] = "unknown"
    assert "_hidden7, another network than yours" in words(type_code(signed_in, ask_for_code(address="_hidden7")))


def test_allow_is_remembered_and_said(signed_in: FlaskClient, ask_for_code: AskForCode, db: Session) -> None:
    done = press(signed_in, type_code(signed_in, ask_for_code()), "device-allow")
    page = signed_in.get(location(done))
    assert "Your device is connected" in words(page)
    assert state(db) == "approved"
    assert db.scalar(select(Consent.scope)) == "openid email"
    told = db.scalar(select(AuditEvent).where(AuditEvent.event == "account:device:approve"))
    assert told is not None
    assert told.details == {"device_address": "203.0.113.7"}
    assert "Television" in words(signed_in.get("/account/apps"))


def test_what_is_allowed_is_what_was_shown(
    signed_in: FlaskClient, ask_for_code: AskForCode, change_client: ChangeClient, db: Session
) -> None:
    page = type_code(signed_in, ask_for_code())
    client_id = db.scalar(select(DeviceAuthorization.client_id))
    change_client(client_id, client_name="Toaster")
    again = press(signed_in, page, "device-allow")
    assert again.status_code == 409
    assert "Toaster may have changed since this page was opened." in words(again)
    assert state(db) == "waiting"
    assert location(press(signed_in, again, "device-allow")) == "/device/done?outcome=allowed"


@pytest.mark.parametrize(("button", "outcome"), [("allow", "allowed"), ("deny", "denied")])
def test_a_button_pressed_again_and_again_has_one_outcome_and_is_no_guess(
    signed_in: FlaskClient, ask_for_code: AskForCode, db: Session, settings: Settings, button: str, outcome: str
) -> None:
    page = type_code(signed_in, ask_for_code())
    presses = settings.throttle_account_burst + 2
    outcomes = [location(press(signed_in, page, f"device-{button}")) for _ in range(presses)]
    assert outcomes == [f"/device/done?outcome={outcome}"] * presses
    assert db.scalar(select(AuditEvent).where(AuditEvent.event == "account:device:refuse")) is None
    assert len(db.scalars(select(AuditEvent).where(AuditEvent.event.like("account:device:%"))).all()) == 1


@pytest.mark.parametrize(("first", "then", "outcome"), [("allow", "deny", "allowed"), ("deny", "allow", "denied")])
def test_the_other_button_in_another_tab_changes_nothing_and_the_page_says_how_it_is(
    signed_in: FlaskClient, ask_for_code: AskForCode, db: Session, first: str, then: str, outcome: str
) -> None:
    page = type_code(signed_in, ask_for_code())
    press(signed_in, page, f"device-{first}")
    answered = state(db)
    assert location(press(signed_in, page, f"device-{then}")) == f"/device/done?outcome={outcome}"
    assert state(db) == answered


def test_allow_pressed_again_after_access_was_taken_back_is_not_allowed(
    signed_in: FlaskClient, ask_for_code: AskForCode, db: Session
) -> None:
    page = type_code(signed_in, ask_for_code())
    press(signed_in, page, "device-allow")
    client_id = db.scalar(select(DeviceAuthorization.client_id))
    assert client_id is not None
    press(signed_in, signed_in.get("/account/apps"), client_id)
    assert press(signed_in, page, "device-allow").status_code == 422


def test_what_another_browser_allowed_is_no_answer_of_this_one(
    signed_in: FlaskClient, app: Flask, ask_for_code: AskForCode
) -> None:
    code, other = ask_for_code(), app.test_client()
    sign_in(other)
    page = type_code(other, code)
    press(signed_in, type_code(signed_in, code), "device-allow")
    assert press(other, page, "device-allow").status_code == 422


def test_deny_is_said_and_nothing_is_remembered(signed_in: FlaskClient, ask_for_code: AskForCode, db: Session) -> None:
    done = press(signed_in, type_code(signed_in, ask_for_code()), "device-deny")
    assert "The device was not connected" in words(signed_in.get(location(done)))
    assert state(db) == "denied"
    assert db.scalar(select(Consent.scope)) is None
    assert db.scalar(select(AuditEvent).where(AuditEvent.event == "account:device:deny")) is not None


@pytest.mark.parametrize("outcome", ["", "sung", "allowed<b>"])
def test_no_other_outcome_is_shown(client: FlaskClient, outcome: str) -> None:
    assert location(client.get("/device/done", query_string={"outcome": outcome})) == "/device"


def test_a_forged_answer_is_refused(signed_in: FlaskClient, ask_for_code: AskForCode, db: Session) -> None:
    code = ask_for_code()
    for forged in ({}, {"csrf_token": "x" * 32}):
        answer = signed_in.post("/device", data={"user_code": code, "action": "allow", **forged})
        assert answer.status_code == 400
    assert state(db) == "waiting"


def test_signed_out_meanwhile_leads_to_sign_in(signed_in: FlaskClient, ask_for_code: AskForCode, db: Session) -> None:
    page = type_code(signed_in, ask_for_code())
    press(signed_in, signed_in.get("/account"), "sign-out")
    answer = press(signed_in, page, "device-allow")
    assert answer.status_code == 400, "the form belongs to the session that has ended"
    assert state(db) == "waiting"
    assert location(press(signed_in, answer, "device-continue")).startswith("/device?user_code=")


def test_it_speaks_german(client: FlaskClient) -> None:
    page = client.get("/device", headers={"Accept-Language": "de"})
    assert "Gerät verbinden" in words(page)
