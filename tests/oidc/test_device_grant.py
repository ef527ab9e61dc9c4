"""The device authorization grant (RFC 8628): a device gets tokens when somebody has typed its code elsewhere."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from idp import crypto, worker
from idp.accounts import deletion, sessions, users
from idp.accounts.visitor import OPERATOR
from idp.errors import ExpiredError
from idp.models import AuditEvent, AuthorizationGrant, BrowserSession, Client, DeviceAuthorization, SeenAssertion
from idp.oidc import client_store, consents, device_approval
from idp.oidc.clients import DEVICE_CODE_GRANT
from idp.oidc.device_authorization import INTERVAL
from idp.oidc.user_codes import ALPHABET
from idp.settings import Settings
from idp.storage import database
from tests.at_once import at_once
from tests.conftest import Clock
from tests.factories import PASSWORD
from tests.living_session import find_session_by_id
from tests.oidc.test_races import assert_one_wins, post_at_once
from tests.relying_party import RelyingParty, Tokens, error_of
from tests.waiting import at_that_moment
from tests.web.page_driver import press, sign_in

SCOPE = "openid email offline_access"


@dataclass
class Device:
    """A device, and the browser of whoever types its code."""

    rp: RelyingParty
    answer: dict[str, Any]

    def poll(self, **changes: str | None) -> TestResponse:
        """Ask for tokens."""
        form: dict[str, str | None] = {
            "grant_type": DEVICE_CODE_GRANT,
            "device_code": self.answer["device_code"],
            **changes,
        }
        return self.rp.post("token_endpoint", **form)

    def tokens(self) -> Tokens:
        """Ask for tokens that must be there, and check all that comes."""
        return self.rp.read_tokens(self.poll())

    def answered(self, button: str = "device-allow") -> None:
        """Let Ada, who is signed in, answer."""
        page = self.rp.browser.get("/device", query_string={"user_code": self.answer["user_code"]})
        assert page.status_code == 200, page.text
        done = press(self.rp.browser, page, button)  # type: ignore[arg-type]
        outcome = "allowed" if button == "device-allow" else "denied"
        assert done.headers["Location"].endswith(f"/device/done?outcome={outcome}")


@pytest.fixture
def television(relying_party: Callable[..., RelyingParty], ada: Any) -> RelyingParty:
    """An app for devices: public, as what everybody can buy keeps no secret."""
    return relying_party(
        client_name="Television",
        grant_types=(DEVICE_CODE_GRANT, "refresh_token"),
        response_types=(),
        redirect_uris=(),
        token_endpoint_auth_method="none",
        resources=("https://films.example.org",),
    )


def begin(rp: RelyingParty, **form: str) -> Device:
    """Ask for codes and check what comes (section 3.2)."""
    response = rp.post("device_authorization_endpoint", **{"scope": SCOPE, **form})
    assert response.status_code == 200, response.text
    assert "no-store" in response.headers["Cache-Control"]
    answer = json.loads(response.data)
    assert answer["verification_uri"] == rp.issuer + "/device"
    assert answer["verification_uri_complete"] == f"{rp.issuer}/device?user_code={answer['user_code']}"
    assert (answer["expires_in"], answer["interval"]) == (900, INTERVAL)
    assert len(answer["device_code"].removeprefix("idp_dc_")) == 43
    first, hyphen, second = answer["user_code"].partition("-")
    assert hyphen
    assert len(first) == len(second) == 4
    assert set(first + second) <= set(ALPHABET)
    return Device(rp, answer)


@pytest.fixture
def device(television: RelyingParty) -> Device:
    """A device that waits, and Ada, who is signed in."""
    sign_in(television.browser)  # type: ignore[arg-type]
    return begin(television)


# -- From code to tokens ------------------------------------------------------------------


def test_a_device_gets_tokens_when_its_code_was_allowed(device: Device, ada: Any, db: Session) -> None:
    assert error_of(device.poll()) == "authorization_pending"
    device.answered()
    tokens = device.tokens()
    assert tokens.claims["sub"] == ada.id
    assert (tokens.claims["acr"], tokens.claims["amr"]) == ("aal1", ["pwd"])
    assert device.rp.userinfo(tokens)["email"] == "ada@example.org"
    assert db.scalar(select(AuthorizationGrant.kind)) == "device"
    refreshed = device.rp.refresh(tokens.refresh_token)
    assert refreshed.claims["auth_time"] == tokens.claims["auth_time"]


def test_the_tokens_tell_of_the_approving_session(device: Device, clock: Clock, db: Session) -> None:
    approving = db.scalars(select(BrowserSession)).one()
    clock.advance(300)
    device.answered()
    tokens = device.tokens()
    assert tokens.claims["auth_time"] == approving.auth_time
    assert tokens.claims["sid"] == approving.id


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": ("openid", "offline_access")},
        {"resources": ("https://other.example.org",)},
        {"grant_types": ("client_credentials",), "token_endpoint_auth_method": "client_secret_basic"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_device_that_waits_gets_nothing_that_its_app_has_lost(
    television: RelyingParty, changes: dict[str, Any], db: Session, settings: Settings
) -> None:
    sign_in(television.browser)  # type: ignore[arg-type]
    device = begin(television, resource="https://films.example.org")
    before = client_store.get_client(db, television.metadata.client_id)
    client_store.update_client(db, settings, OPERATOR, before, replace(before, **changes))
    db.commit()
    page = television.browser.get("/device", query_string={"user_code": device.answer["user_code"]})
    assert page.status_code == 422
    assert "device-allow" not in page.text


def test_a_device_that_waits_does_not_act_offline_where_its_app_may_not_any_more(
    television: RelyingParty, db: Session, settings: Settings
) -> None:
    sign_in(television.browser)  # type: ignore[arg-type]
    device = begin(television)
    before = client_store.get_client(db, television.metadata.client_id)
    client_store.update_client(db, settings, OPERATOR, before, replace(before, is_access_token_session_bound=True))
    db.commit()
    device.answered()
    assert device.tokens().response["scope"] == "openid email"


def test_a_confidential_client_authenticates_at_both_endpoints(relying_party: Any, ada: Any) -> None:
    rp = relying_party(grant_types=(DEVICE_CODE_GRANT,), response_types=(), redirect_uris=())
    sign_in(rp.browser)
    device = begin(rp, scope="openid")
    device.answered()
    secret, rp.secret = rp.secret, "wrong-wrong-wrong-wrong"
    assert error_of(rp.post("device_authorization_endpoint", scope="openid")) == "invalid_client"
    assert error_of(device.poll()) == "invalid_client"
    rp.secret = secret
    assert "refresh_token" not in device.tokens().response


def test_without_offline_access_the_tokens_end_with_the_session(television: RelyingParty, settings: Any) -> None:
    sign_in(television.browser)  # type: ignore[arg-type]
    device = begin(television, scope="openid")
    device.answered()
    tokens = device.tokens()
    assert "refresh_token" not in tokens.response
    assert television.is_good(tokens)
    press(television.browser, television.browser.get("/account"), "sign-out")  # type: ignore[arg-type]
    assert not television.is_good(tokens)


@pytest.mark.parametrize("has_asked", [True, False])
def test_with_offline_access_they_do_not(device: Device, has_asked: bool) -> None:
    """Nor where the device asks for them only then."""
    device.answered()
    tokens = device.tokens() if has_asked else None
    press(device.rp.browser, device.rp.browser.get("/account"), "sign-out")  # type: ignore[arg-type]
    tokens = tokens or device.tokens()
    assert device.rp.is_good(tokens)
    assert device.rp.is_good(device.rp.refresh(tokens.refresh_token))


def test_a_changed_password_signs_devices_out_too(television: RelyingParty) -> None:
    """Whoever was talked into allowing a stranger's device changes it for that; the session of the browser goes on."""
    browser = television.browser
    sign_in(browser)  # type: ignore[arg-type]
    used, waiting = begin(television, scope="openid email"), begin(television, scope="openid email")
    used.answered()
    waiting.answered()
    tokens = used.tokens()
    page = browser.get("/account/password")
    new = "eleven green tigers whistle"
    changed = press(browser, page, "password-submit", current_password=PASSWORD, new_password=new)  # type: ignore[arg-type]
    assert changed.status_code == 303
    assert not television.is_good(tokens)
    assert error_of(waiting.poll()) == "invalid_grant"
    assert browser.get("/account").status_code == 200


def test_what_the_session_took_along_is_not_given_out_later(television: RelyingParty) -> None:
    sign_in(television.browser)  # type: ignore[arg-type]
    device = begin(television, scope="openid")
    device.answered()
    press(television.browser, television.browser.get("/account"), "sign-out")  # type: ignore[arg-type]
    assert error_of(device.poll()) == "invalid_grant"


def test_withdrawing_access_ends_it(device: Device) -> None:
    device.answered()
    tokens = device.tokens()
    page = device.rp.browser.get("/account/apps")
    assert "Television" in page.text
    press(device.rp.browser, page, device.rp.metadata.client_id)  # type: ignore[arg-type]
    assert not device.rp.is_good(tokens)
    assert error_of(device.rp.request_refresh(tokens.refresh_token)) == "invalid_grant"


# -- While it waits ------------------------------------------------------------------------------


def test_who_asks_too_often_has_to_wait_longer(device: Device, clock: Clock, db: Session) -> None:
    assert error_of(device.poll()) == "authorization_pending"
    clock.advance(INTERVAL - 1)
    assert error_of(device.poll()) == "slow_down"
    clock.advance(INTERVAL)
    assert error_of(device.poll()) == "slow_down", "the interval has grown"
    clock.advance(INTERVAL * 3)
    assert error_of(device.poll()) == "authorization_pending"
    assert db.scalar(select(DeviceAuthorization.interval)) == INTERVAL * 3


def test_a_patient_device_is_never_told_to_slow_down(device: Device, clock: Clock) -> None:
    for _ in range(4):
        assert error_of(device.poll()) == "authorization_pending"
        clock.advance(INTERVAL)


def test_a_denied_device_is_told_so(device: Device, db: Session) -> None:
    device.answered("device-deny")
    assert error_of(device.poll()) == "access_denied"
    assert db.scalar(select(func.count()).select_from(AuthorizationGrant)) == 0


def test_an_expired_code_is_told_to_be_expired(device: Device, clock: Clock, settings: Any) -> None:
    clock.advance(settings.device_code_lifetime)
    assert error_of(device.poll()) == "expired_token"
    engine = database.open_engine(settings)
    worker.sweep_all(engine)
    assert error_of(device.poll()) == "expired_token", "the worker keeps it for a while"
    clock.advance(3_601)
    worker.sweep_all(engine)
    engine.dispose()
    assert error_of(device.poll()) == "invalid_grant"


def test_an_allowed_code_expires_too(device: Device, clock: Clock, settings: Any) -> None:
    device.answered()
    clock.advance(settings.device_code_lifetime)
    assert error_of(device.poll()) == "expired_token"


def test_who_asks_with_ever_new_keys_leaves_no_row_of_them(device: Device, clock: Clock, db: Session) -> None:
    """Whoever has the id of a public client gets codes, and has said nothing yet that would count."""

    def ask() -> str:
        device.rp.dpop_key = ECKey.generate_key("P-256")
        return error_of(device.poll())

    answers = {ask() for _ in range(2)}
    clock.advance(device.answer["expires_in"])
    assert answers | {ask()} == {"authorization_pending", "slow_down", "expired_token"}
    denied = begin(device.rp)
    denied.answered("device-deny")
    assert error_of(denied.poll()) == "access_denied"
    assert db.scalar(select(func.count()).select_from(SeenAssertion)) == 0


# -- Once -----------------------------------------------------------------------------------------


def test_a_code_is_redeemed_once_and_its_second_use_ends_what_came_of_it(device: Device, db: Session) -> None:
    device.answered()
    tokens = device.tokens()
    for _ in range(3):
        assert error_of(device.poll()) == "invalid_grant"
    assert not device.rp.is_good(tokens)
    assert error_of(device.rp.request_refresh(tokens.refresh_token)) == "invalid_grant"
    assert db.scalar(select(func.count()).select_from(AuditEvent).where(AuditEvent.event == "client:code:reuse")) == 1


def test_a_proof_that_was_used_before_uses_no_code_up_and_ends_nothing(device: Device) -> None:
    device.rp.dpop_key = ECKey.generate_key("P-256")
    assert error_of(device.poll()) == "authorization_pending", "and a nonce came"
    form = {"grant_type": DEVICE_CODE_GRANT, "client_id": device.rp.metadata.client_id}
    proof = {"DPoP": device.rp.proof("POST", device.rp.discovery["token_endpoint"])}
    other = begin(device.rp)
    for each in (device, other):
        each.answered()

    def redeem(code: str) -> TestResponse:
        data = {**form, "device_code": code}
        return device.rp.browser.post("/oauth/token", data=data, headers=proof)

    first = redeem(device.answer["device_code"])
    assert first.status_code == 200, first.text
    for each in (device, other):
        assert error_of(redeem(each.answer["device_code"])) == "invalid_dpop_proof"
    assert device.rp.refresh(first.get_json()["refresh_token"])
    assert other.tokens()


def test_of_many_who_redeem_at_once_one_gets_tokens(device: Device, app: Flask) -> None:
    device.answered()
    form = {
        "grant_type": DEVICE_CODE_GRANT,
        "device_code": device.answer["device_code"],
        "client_id": device.rp.metadata.client_id,
    }
    assert_one_wins(post_at_once(app, "/oauth/token", form))


def test_of_two_answers_the_first_counts(device: Device, db: Session) -> None:
    page = device.rp.browser.get("/device", query_string={"user_code": device.answer["user_code"]})
    press(device.rp.browser, page, "device-deny")  # type: ignore[arg-type]
    late = press(device.rp.browser, page, "device-allow")  # type: ignore[arg-type]
    assert late.headers["Location"] == "/device/done?outcome=denied"
    assert error_of(device.poll()) == "access_denied"
    assert db.scalar(select(func.count()).select_from(AuthorizationGrant)) == 0


def test_of_many_answers_at_once_one_counts(device: Device, app: Flask, db: Session) -> None:
    browser = device.rp.browser
    page = browser.get("/device", query_string={"user_code": device.answer["user_code"]})
    cookies = {name: browser.get_cookie(name).value for name in ("idp_session", "idp_browser")}  # type: ignore[union-attr]
    tabs = [app.test_client() for _ in range(4)]
    for tab in tabs:
        for name, value in cookies.items():
            tab.set_cookie(name, value)
    answers = at_once(lambda number: press(tabs[number], page, "device-allow"), len(tabs))
    assert {each.headers["Location"] for each in answers} == {"/device/done?outcome=allowed"}
    assert db.scalar(select(AuditEvent).where(AuditEvent.event == "account:device:refuse")) is None
    assert db.scalar(select(func.count()).select_from(AuthorizationGrant)) == 1
    assert device.tokens()


def test_who_answers_while_the_device_is_being_allowed_hears_how_it_ended(
    device: Device, app: Flask, db: Session, settings: Settings, ada: Any
) -> None:
    provider, code = app.extensions["idp_provider"], device.answer["user_code"]
    allowing, other = (
        find_session_by_id(db, settings, sessions.start_session(db, settings, OPERATOR, ada.id)[1]) for _ in range(2)
    )
    assert allowing is not None
    assert other is not None
    seen = device_approval.find_waiting(db, provider, OPERATOR, allowing, code)
    assert isinstance(seen, device_approval.WaitingDevice)
    answers = [device_approval.approve(db, provider, OPERATOR, each, seen) for each in (allowing, allowing, other)]
    assert answers == ["allowed", "allowed", "denied"]


def test_a_code_that_expires_while_others_are_waited_for_allows_nothing(
    device: Device, app: Flask, db: Session, settings: Settings, ada: Any, clock: Clock
) -> None:
    provider = app.extensions["idp_provider"]
    session_id = sessions.start_session(db, settings, OPERATOR, ada.id)[1]
    session = find_session_by_id(db, settings, session_id)
    assert session is not None
    seen = device_approval.find_waiting(db, provider, OPERATOR, session, device.answer["user_code"])
    assert isinstance(seen, device_approval.WaitingDevice)
    clock.advance(settings.device_code_lifetime)
    assert device_approval.approve(db, provider, OPERATOR, session, seen) == "denied"
    assert db.scalar(select(func.count()).select_from(AuthorizationGrant)) == 0


@pytest.mark.parametrize("what", ["the session", "a consent", "the client"])
def test_a_device_waits_still_where_something_ended_while_it_was_being_allowed(
    device: Device, app: Flask, db: Session, settings: Settings, ada: Any, what: str
) -> None:
    provider, client = app.extensions["idp_provider"], device.rp.metadata
    session_id = sessions.start_session(db, settings, OPERATOR, ada.id)[1]
    session = find_session_by_id(db, settings, session_id)
    assert session is not None
    seen = device_approval.find_waiting(db, provider, OPERATOR, session, device.answer["user_code"])
    assert isinstance(seen, device_approval.WaitingDevice)
    if what == "the session":
        sessions.end_session(db, OPERATOR, session_id, reason="signed_out")
    elif what == "a consent":
        consents.withdraw_consent(db, OPERATOR, ada.id, client.client_id)
    else:
        client_store.update_client(db, settings, OPERATOR, client, replace(client, scopes=("openid",)))
    with pytest.raises(ExpiredError):
        device_approval.approve(db, provider, OPERATOR, session, seen)
    assert db.scalar(select(DeviceAuthorization.state)) == "waiting"
    assert db.scalar(select(func.count()).select_from(AuthorizationGrant)) == 0


def test_a_device_is_allowed_while_its_app_is_removed(
    device: Device, app: Flask, db: Session, settings: Settings, ada: Any
) -> None:
    """Neither waits for the other: who removes an app holds it, and then the devices that wait for it."""
    provider = app.extensions["idp_provider"]
    session = find_session_by_id(db, settings, sessions.start_session(db, settings, OPERATOR, ada.id)[1])
    assert session is not None
    seen = device_approval.find_waiting(db, provider, OPERATOR, session, device.answer["user_code"])
    assert isinstance(seen, device_approval.WaitingDevice)
    db.commit()

    def allow(own: Session) -> bool:
        with pytest.raises(ExpiredError):
            device_approval.approve(own, provider, OPERATOR, session, seen)
        return True

    assert at_that_moment(
        settings,
        lambda own: own.execute(update(Client).values(updated_at=Client.updated_at)),
        allow,
        then=lambda own: client_store.remove_client(own, OPERATOR, device.rp.metadata.client_id),
    )
    assert db.scalar(select(DeviceAuthorization.id)) is None


def test_a_device_asks_for_its_tokens_while_the_account_is_deleted(
    device: Device, settings: Settings, ada: Any
) -> None:
    """Neither waits for the other: who deletes an account holds its grants, and then the devices that hang on them."""
    device.answered()
    asked = at_that_moment(
        settings,
        lambda own: users.disable_user(own, OPERATOR, ada.id),
        lambda _: device.poll(),
        then=lambda own: deletion.delete_account(own, OPERATOR, ada.id),
    )
    assert error_of(asked) == "invalid_grant"


# -- Refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["idp_dc_made-up", "x" * 5_000, "ä", "%"])
def test_an_unknown_code_is_no_grant(device: Device, code: str) -> None:
    assert error_of(device.poll(device_code=code)) == "invalid_grant"


def test_a_missing_code_is_named(device: Device) -> None:
    response = device.poll(device_code=None)
    assert error_of(response) == "invalid_request"
    assert "device_code" in response.text


def test_a_code_is_worth_nothing_to_another_client(device: Device, relying_party: Any) -> None:
    device.answered()
    other = relying_party(
        device.rp.browser,
        grant_types=(DEVICE_CODE_GRANT,),
        response_types=(),
        redirect_uris=(),
        token_endpoint_auth_method="none",
    )
    assert error_of(Device(other, device.answer).poll()) == "invalid_grant"
    assert device.tokens(), "and it is not used up"


def test_a_client_must_be_registered_for_it(rp: RelyingParty) -> None:
    assert error_of(rp.post("device_authorization_endpoint", scope="openid")) == "unauthorized_client"
    made_up = rp.post("token_endpoint", grant_type=DEVICE_CODE_GRANT, device_code="x")
    assert error_of(made_up) == "unauthorized_client"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "openid registration"}, "invalid_scope"),
        ({"scope": "nothing that is known"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"resource": "https://other.example.org"}, "invalid_target"),
        ({"resource": 'not "a" uri'}, "invalid_target"),
    ],
)
def test_what_a_client_may_not_have_is_refused(television: RelyingParty, form: dict[str, str], error: str) -> None:
    assert error_of(television.post("device_authorization_endpoint", **{"scope": "openid", **form})) == error


def test_a_scope_that_nobody_knows_is_ignored(television: RelyingParty, db: Session) -> None:
    begin(television, scope="openid films")
    assert db.scalar(select(DeviceAuthorization.scope)) == "openid"


def test_an_unknown_client_gets_no_code(television: RelyingParty) -> None:
    response = television.browser.post("/oauth/device_authorization", data={"client_id": "nobody", "scope": "openid"})
    assert error_of(response) == "invalid_client"


def test_a_parameter_that_comes_twice_is_refused(television: RelyingParty) -> None:
    form = f"client_id={television.metadata.client_id}&scope=openid&scope=email"
    response = television.browser.post(
        "/oauth/device_authorization", data=form, content_type="application/x-www-form-urlencoded"
    )
    assert error_of(response) == "invalid_request"


def test_the_endpoint_takes_forms_only(television: RelyingParty) -> None:
    assert television.browser.get("/oauth/device_authorization").status_code == 405
    assert error_of(television.browser.post("/oauth/device_authorization", json={})) == "invalid_request"


def test_public_clients_of_one_network_fill_no_table(television: RelyingParty, settings: Any, db: Session) -> None:
    statuses = Counter(
        television.post("device_authorization_endpoint", scope="openid").status_code
        for _ in range(settings.throttle_address_burst + 3)
    )
    assert statuses[200] == settings.throttle_address_burst
    assert statuses[429] == 3


def test_user_codes_are_stored_so_that_trying_all_of_them_finds_none(device: Device, db: Session) -> None:
    stored = db.scalar(select(DeviceAuthorization.user_code_digest))
    assert stored != crypto.digest(device.answer["user_code"])
    assert device.answer["user_code"] not in str(stored)


def test_a_user_code_that_is_taken_is_made_anew(television: RelyingParty, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = iter(["B" * 8, "B" * 8, "C" * 8])
    monkeypatch.setattr(crypto, "random_letters", lambda *_: next(letters))
    assert begin(television).answer["user_code"] == "BBBB-BBBB"
    assert begin(television).answer["user_code"] == "CCCC-CCCC"
    monkeypatch.setattr(crypto, "random_letters", lambda *_: "B" * 8)
    assert error_of(television.post("device_authorization_endpoint", scope="openid")) == "temporarily_unavailable"


def test_a_device_whose_app_is_full_waits_until_somebody_leaves(
    device: Device, db: Session, make_user: Any, clock: Clock
) -> None:
    make_user("grace")
    db.execute(update(Client).values(max_concurrent_users=1, version=Client.version + 1))
    db.commit()
    grace = device.rp.in_another_browser()
    sign_in(grace.browser, "grace", PASSWORD)  # type: ignore[arg-type]
    hers = begin(grace)
    hers.answered()
    assert hers.tokens()
    page = device.rp.browser.get("/device", query_string={"user_code": device.answer["user_code"]})
    told = press(device.rp.browser, page, "device-allow")  # type: ignore[arg-type]
    assert told.status_code == 409
    assert "No more people may use" in told.text
    assert error_of(device.poll()) == "authorization_pending"
    leave = press(grace.browser, grace.browser.get("/account"), "sign-out")  # type: ignore[arg-type]
    assert leave.status_code == 303
    done = press(device.rp.browser, told, "device-allow")  # type: ignore[arg-type]
    assert done.headers["Location"].endswith("outcome=allowed")
    clock.advance(INTERVAL)
    assert device.tokens()


def test_discovery_names_endpoint_and_grant(television: RelyingParty) -> None:
    assert television.discovery["device_authorization_endpoint"] == television.issuer + "/oauth/device_authorization"
    assert DEVICE_CODE_GRANT in television.discovery["grant_types_supported"]
