"""The provider on PostgreSQL: the same journeys, the same guarantees."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import sessions, throttle, users
from idp.accounts.visitor import OPERATOR
from idp.cli.init import initialise
from idp.errors import AlreadyExistsError, NotReadyError, Throttled
from idp.models import AuditEvent, LogoutNotice
from idp.oidc import client_logos, initial_tokens
from idp.oidc.clients import DEVICE_CODE_GRANT
from idp.settings import Settings
from idp.storage import database
from tests import postgresql
from tests.at_once import at_once
from tests.conftest import Clock
from tests.document_server import DocumentServer
from tests.oidc.registering import ask_to_register, manage, registered
from tests.oidc.test_device_grant import begin
from tests.oidc.test_key_rotation import rotated_once
from tests.oidc.test_races import assert_one_wins, post_at_once
from tests.relying_party import ASSERTION_TYPE, RelyingParty, error_of
from tests.web.page_driver import sign_in
from tests.web.test_client_logo import PNG

pytestmark = postgresql.MARKS
MakeRelyingParty = Callable[..., RelyingParty]


@pytest.fixture
def database_engine() -> str:
    """The same provider, in a database of its own on the server."""
    return "postgresql"


def test_sign_in_refresh_and_sign_out(relying_party: MakeRelyingParty, make_user: Callable[..., Any]) -> None:
    make_user(roles=("admin", "editor"))
    app = relying_party(is_trusted=False, post_logout_redirect_uris=("https://app.example.org/bye",))
    tokens = app.log_in(scope="openid profile email roles offline_access")
    assert app.userinfo(tokens)["roles"] == ["admin", "editor"]
    refreshed = app.refresh(tokens.refresh_token)
    assert app.introspect(refreshed.access_token)["active"]
    app.post("revocation_endpoint", token=refreshed.access_token)
    assert not app.introspect(refreshed.access_token)["active"]
    assert error_of(app.request_refresh(tokens.refresh_token)) == "invalid_grant"  # reuse ends the family
    assert error_of(app.request_refresh(refreshed.refresh_token)) == "invalid_grant"


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_without_all_letters_is_refused_before_anybodys_name_is_lost(tmp_path: Path, encoding: str) -> None:
    with postgresql.new_database("template0", encoding) as url:
        with pytest.raises(NotReadyError, match=f"is in {encoding}"):
            initialise(Settings(instance=tmp_path, database_url=url))
        assert not list(tmp_path.iterdir())


def test_tokens_that_are_bound_to_a_key(relying_party: MakeRelyingParty, make_user: Callable[..., Any]) -> None:
    make_user()
    app = relying_party(
        token_endpoint_auth_method="none",
        application_type="native",
        redirect_uris=("org.example.app:/callback",),
        access_token_format="jwt",
    )
    app.dpop_key = ECKey.generate_key("P-256")
    tokens = app.log_in(scope="openid offline_access", prompt="consent")
    assert app.userinfo(tokens)
    app.dpop_key, own = ECKey.generate_key("P-256"), app.dpop_key
    assert error_of(app.request_refresh(tokens.refresh_token)) == "invalid_grant"
    app.dpop_key = own
    assert app.userinfo(app.refresh(tokens.refresh_token))


def test_an_assertion_is_used_by_one_of_many(relying_party: MakeRelyingParty, app: Flask) -> None:
    key = ECKey.generate_key("P-256")
    service = relying_party(
        key=key, token_endpoint_auth_method="private_key_jwt", grant_types=("client_credentials",), redirect_uris=()
    )
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": service.assertion()}
    answers = post_at_once(app, "/oauth/token", {"grant_type": "client_credentials", **form})
    assert Counter(each.status_code for each in answers) == {200: 1, 401: len(answers) - 1}


def test_old_sessions_end_once_though_many_workers_and_their_owners_are_at_it(
    relying_party: MakeRelyingParty,
    make_user: Callable[..., Any],
    settings: Settings,
    clock: Clock,
    db: Session,
) -> None:
    make_user()
    party = relying_party(backchannel_logout_uri="https://app.example.org/back")
    browsers = [party.in_another_browser() for _ in range(16)]
    sids = [each.log_in().claims["sid"] for each in browsers]
    clock.advance(settings.session_idle_lifetime)
    counts = []
    engine = database.open_engine(settings)

    def work() -> None:
        with Session(engine) as own:
            while ended := sessions.end_expired(own, settings, most=3):
                own.commit()
                counts.append(ended)

    def leave() -> None:
        with Session(engine) as own:
            for sid in sids:
                counts.append(int(bool(sessions.end_session(own, OPERATOR, sid, reason="ended_by_operator"))))
                own.commit()

    at_once(lambda number: work() if number else leave(), 5)
    engine.dispose()
    assert sum(counts) == 16
    told = db.scalars(select(LogoutNotice.session_id)).all()
    assert sorted(told) == sorted(sids)


def test_a_code_redeemed_by_many_at_once_has_one_winner(
    relying_party: MakeRelyingParty, make_user: Callable[..., Any]
) -> None:
    make_user()
    party = relying_party()
    many = [party.in_another_browser() for _ in range(8)]
    for _ in range(3):
        code = party.authorize().code
        for each in many:
            each.verifier = party.verifier
        statuses = at_once(lambda number, code=code: many[number].request_tokens(code).status_code, len(many))
        assert sorted(statuses) == [200] + [400] * 7


def test_a_pushed_request_brought_by_many_at_once_has_one_winner(
    relying_party: MakeRelyingParty, make_user: Callable[..., Any]
) -> None:
    make_user()
    party = relying_party(resources=("https://api.example.org/",))
    request_uri = party.push(resource="https://api.example.org/")
    many = [party.in_another_browser() for _ in range(6)]
    statuses = at_once(lambda number: many[number].send_pushed(request_uri).status_code, len(many))
    assert sorted(statuses) == [303] + [400] * 5
    assert party.redeem(party.authorize(sent=party.send_pushed(party.push())).code)


def test_a_pushed_request_brought_twice_at_once_by_one_browser_is_parked_once(
    relying_party: MakeRelyingParty,
) -> None:
    party = relying_party()
    party.browser.get("/sign-in")
    cookie = party.browser.get_cookie("idp_browser")
    assert cookie is not None
    tabs = [party.in_another_browser() for _ in range(2)]
    for tab in tabs:
        tab.browser.set_cookie("idp_browser", cookie.value)
    for _ in range(5):
        request_uri = party.push()
        pages = at_once(lambda number, uri=request_uri: tabs[number].follow(tabs[number].send_pushed(uri)), len(tabs))
        assert len({page.request.args["i"] for page in pages}) == 1


def test_a_wrong_password_is_refused_and_its_evidence_is_kept(
    relying_party: MakeRelyingParty, make_user: Callable[..., Any], db: Session
) -> None:
    user = make_user()
    party = relying_party()
    page = party.follow(party.send())
    answer = party.submit(page, "login-submit", username="ADA", password="not the password")
    assert "do not match" in answer.text
    events = db.scalars(select(AuditEvent.event).where(AuditEvent.user_id == user.id)).all()
    assert "account:sign_in:refuse" in events


def test_a_throttle_admits_its_burst_and_no_more(db: Session, settings: Settings) -> None:
    tight = replace(settings, throttle_account_burst=3)
    for _ in range(3):
        throttle.spend(db, tight, throttle.SIGN_IN_ACCOUNT, "ada")
    with pytest.raises(Throttled):
        throttle.spend(db, tight, throttle.SIGN_IN_ACCOUNT, "ada")


def test_names_are_unique_whatever_their_case(db: Session, make_user: Callable[..., Any]) -> None:
    make_user()
    person = users.Person("ADA", "someone@example.org")
    with pytest.raises(AlreadyExistsError):
        users.create_user(db, OPERATOR, person, password_hash=None)
    assert users.find_user(db, "Ada@Example.ORG") is not None


def test_of_many_workers_one_rotates_the_keys(settings: Settings, clock: Clock) -> None:
    engine = database.open_engine(settings)
    rotated_once(engine, settings, clock)
    engine.dispose()


def test_an_initial_token_for_one_use_registers_one_of_many_at_once(
    settings: Settings, make_app: Callable[[Settings], Flask], db: Session
) -> None:
    app = make_app(replace(settings, dynamic_registration="token"))
    expires_at = clock.now() + 60
    _, token = initial_tokens.create_token(db, OPERATOR, "Partner", uses=1, expires_at=expires_at)
    db.commit()
    assert sorted(at_once(lambda _: ask_to_register(app, token).status_code, 6)) == [201] + [401] * 5


def test_of_many_changes_of_a_registration_at_once_none_is_lost_unseen(
    settings: Settings, make_app: Callable[[Settings], Flask], db: Session
) -> None:
    app = make_app(replace(settings, dynamic_registration="open"))
    told = registered(app)
    statuses = at_once(lambda n: manage(app, told, "PUT", client_name=f"Name {n}").status_code, 6)
    assert set(statuses) <= {200, 400}
    event = AuditEvent.event == "client:registration:change"
    assert len(db.scalars(select(AuditEvent.id).where(event)).all()) == statuses.count(200) >= 1


def test_a_device_code_redeemed_by_many_at_once_has_one_winner(
    app: Flask, relying_party: MakeRelyingParty, make_user: Callable[..., Any], clock: Clock
) -> None:
    make_user()
    party = relying_party(
        grant_types=(DEVICE_CODE_GRANT,), response_types=(), redirect_uris=(), token_endpoint_auth_method="none"
    )
    sign_in(party.browser)  # type: ignore[arg-type]
    device = begin(party, scope="openid")
    assert error_of(device.poll()) == "authorization_pending"
    assert error_of(device.poll()) == "slow_down"
    clock.advance(60)
    assert error_of(device.poll()) == "authorization_pending"
    device.answered()
    form = {
        "grant_type": DEVICE_CODE_GRANT,
        "device_code": device.answer["device_code"],
        "client_id": party.metadata.client_id,
    }
    assert_one_wins(post_at_once(app, "/oauth/token", form))


def test_a_logo_is_fetched_by_one_of_many_workers(relying_party: MakeRelyingParty, settings: Settings) -> None:
    with DocumentServer() as host:
        relying_party(logo_uri=host.put("/logo", PNG))
        engine = database.open_engine(settings)
        done = at_once(lambda _: Counter(client_logos.fetch_due(engine, settings)), 4)
        engine.dispose()
        assert host.asked == ["/logo"]
    assert +sum(done, Counter[str]()) == {"logo_fetched": 1}
