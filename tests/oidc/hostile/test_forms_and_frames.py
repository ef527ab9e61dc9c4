"""Another site that uses the person's browser: forms, links, frames (RFC 9700 sections 4.7, 4.16; OWASP CSRF)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.models import Base, BrowserSession, DeviceAuthorization
from idp.oidc.clients import DEVICE_CODE_GRANT
from tests.factories import PASSWORD
from tests.relying_party import Forms, RelyingParty
from tests.web.page_driver import form_with, sign_in

FORGED = ("", "0" * 64, "x", "\u00e4", "a" * 5_000)
_FORGETFUL = {"last_seen_at", "available_at"}  # columns that any visit may turn
FRAMED_BY_ANYONE = "/oauth/check-session"


def snapshot(db: Session) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that is stored, but for buckets, evidence and what visits leave behind."""
    db.rollback()
    return {
        table.name: sorted(
            tuple(str(value) for name, value in row._mapping.items() if name not in _FORGETFUL)
            for row in db.execute(select(table))
        )
        for table in Base.metadata.sorted_tables
        if table.name not in ("throttle", "audit_event", "parked_request")
    }


def routes(app: Flask, method: str) -> list[str]:
    """Walk the pages that people see, their variables filled in; programs' endpoints have no cookies to be abused."""
    programs = (
        "/api/",
        "/oauth/par",
        "/oauth/token",
        "/oauth/introspect",
        "/oauth/revoke",
        "/oauth/register",
        "/oauth/device_",
    )
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if method in (rule.methods or ()) and not rule.rule.startswith(programs)
    ]
    return sorted({rule.rule.partition("<")[0] + ("x" * 43 if rule.arguments else "") for rule in rules})


@pytest.fixture
def ada_s(target: RelyingParty) -> FlaskClient:
    """Ada's browser, in which she is signed in."""
    sign_in(target.browser)
    return target.browser


# What the forms of all pages hold, so that a forged one lacks nothing but the token.
FIELDS = {
    **dict.fromkeys(("username", "identifier", "login_hint"), "ada"),
    **dict.fromkeys(("password", "current_password"), PASSWORD),
    **dict.fromkeys(("new_password", "new_password_repeat", "password_repeat"), "kettle orbit mustard lantern"),
    "email": "mallory@example.net",
    "given_name": "M",
    "family_name": "M",
    "nickname": "M",
    "action": "allow",
    "end": "all",
    "withdraw": "x",
    "confirm": "yes",
    "user_code": "BCDF-GHJK",
    "token": "x" * 43,
    "i": "",
}


@pytest.mark.parametrize("token", [None, *FORGED])
def test_no_form_does_anything_without_its_token(
    ada_s: FlaskClient, target: RelyingParty, db: Session, token: str | None
) -> None:
    """CSRF (RFC 9700 section 4.7) on every form there is: sign-in, consent, device, sign-out, account."""
    fields = {**FIELDS, "i": target.follow(target.send(prompt="consent")).request.args["i"]}  # an app waits for her
    if token is not None:
        fields["csrf_token"] = token
    before = snapshot(db)
    for path in routes(ada_s.application, "POST"):
        if path in ("/oauth/authorize", "/oauth/userinfo"):
            continue  # forms of apps, which carry no token of ours and change nothing by themselves
        response = ada_s.post(path, data=fields, headers={"Origin": "https://evil.example.net"})
        assert response.status_code in (200, 303, 400, 404, 405, 422), path
        assert not response.headers.getlist("Set-Cookie") or "idp_session=" not in str(response.headers), path
    assert snapshot(db) == before
    assert ada_s.get("/account").status_code == 200, "and she is still signed in"


def test_a_token_of_the_attacker_s_own_browser(ada_s: FlaskClient, make_user: Callable[..., Any], db: Session) -> None:
    """CSRF with a token that the attacker was given: it is bound to browser and session."""
    make_user("mallory")
    attacker = ada_s.application.test_client()
    sign_in(attacker, "mallory")
    forms = Forms(attacker.get("/account").text).found
    stolen = next(form["fields"]["csrf_token"] for form in forms if "csrf_token" in form["fields"])
    before = snapshot(db)
    for path in routes(ada_s.application, "POST"):
        if path not in ("/oauth/authorize", "/oauth/userinfo"):
            ada_s.post(path, data={**FIELDS, "csrf_token": stolen})
    assert snapshot(db) == before


def test_no_link_does_anything(ada_s: FlaskClient, target: RelyingParty, db: Session) -> None:
    """CSRF by GET (RFC 9110 section 9.2.1): an image or a link elsewhere changes nothing, and signs nobody out."""
    before = snapshot(db)
    for path in routes(ada_s.application, "GET"):
        if path.startswith("/oauth/authorize"):
            continue  # a request of an app: it is what the browser is sent here for
        for fields in (
            FIELDS,
            {},
            {"client_id": target.metadata.client_id, "post_logout_redirect_uri": "https://app.example.org/bye"},
        ):
            assert ada_s.get(path, query_string=fields).status_code < 500
    assert snapshot(db) == before
    assert ada_s.get("/account").status_code == 200


def test_login_csrf(app: Flask, target: RelyingParty, make_user: Callable[..., Any], db: Session) -> None:
    """Login CSRF (RFC 9700 section 4.7): no form of the attacker's signs a victim in to the attacker's account."""
    make_user("mallory")
    attacker, victim = app.test_client(), app.test_client()
    _, stolen = form_with(attacker.get("/sign-in"), "login-submit")
    victim.get("/sign-in")
    own = {**stolen, "username": "mallory", "password": PASSWORD}
    for browser in (
        victim,
        app.test_client(),
    ):  # with cookies of its own, and with none, as a form of another site comes
        response = browser.post("/sign-in", data=own, headers={"Origin": "https://evil.example.net"})
        assert response.status_code == 400
        assert browser.get_cookie("idp_session") is None
    assert db.scalar(select(BrowserSession.id)) is None


def test_login_csrf_by_a_request_of_the_attacker_s(
    target: RelyingParty, app: Flask, make_user: Callable[..., Any]
) -> None:
    """Login CSRF by the attacker's half-done request: what they parked opens in no other browser (section 4.7)."""
    make_user("mallory")
    page = target.sign_in_page()
    victim = app.test_client()
    interaction_id = page.request.args["i"]
    for path in ("/sign-in", "/consent", "/choose-account", "/register"):
        assert victim.get(path, query_string={"i": interaction_id}).status_code in (400, 404, 410)
    assert victim.get(f"/oauth/authorize/{interaction_id}").status_code in (400, 404, 410)


def test_consent_csrf(target: RelyingParty, ada_s: FlaskClient) -> None:
    """CSRF on consent (RFC 6749 section 10.12): nobody else presses the button."""
    page = target.follow(target.send())
    _, fields = form_with(page, "consent-allow")
    for token in FORGED:
        response = ada_s.post("/consent", data={**fields, "csrf_token": token, "action": "allow"})
        assert response.status_code == 400
    assert target.ask(prompt="none").error in ("consent_required", "interaction_required")


def test_device_csrf(relying_party: Callable[..., RelyingParty], ada: Any, db: Session) -> None:
    """CSRF on device approval (RFC 8628 section 5.4): neither by a link with the code in it nor by a forged form."""
    rp = relying_party(
        grant_types=(DEVICE_CODE_GRANT,), response_types=(), redirect_uris=(), token_endpoint_auth_method="none"
    )
    sign_in(rp.browser)  # type: ignore[arg-type]
    code = rp.post("device_authorization_endpoint", scope="openid").json["user_code"]
    rp.browser.get("/device", query_string={"user_code": code, "action": "allow"})
    for token in FORGED:
        response = rp.browser.post("/device", data={"user_code": code, "action": "allow", "csrf_token": token})
        assert response.status_code == 400
    assert db.scalars(select(DeviceAuthorization.state)).all() == ["waiting"]


def test_logout_csrf(target: RelyingParty, ada_s: FlaskClient) -> None:
    """CSRF on logout (RP-Initiated Logout section 6): asked first, and only the person's own answer counts."""
    for sent in ({}, {"client_id": target.metadata.client_id}, {"logout_hint": "ada"}):
        assert 'id="logout-confirm"' in ada_s.get("/oauth/end-session", query_string=sent).text
        for token in FORGED:
            ada_s.post("/oauth/end-session/confirm", data={**sent, "csrf_token": token})
            ada_s.post("/oauth/end-session", data={**sent, "csrf_token": token})
            ada_s.post("/sign-out", data={"csrf_token": token})
    assert ada_s.get("/account").status_code == 200


def test_a_form_of_another_site_changes_no_cookie(ada_s: FlaskClient) -> None:
    """Logout CSRF past SameSite (RFC 6265bis section 5.7): it brings no cookies, but its answer may set some."""
    other_site = {"Origin": "https://evil.example.net", "Sec-Fetch-Site": "cross-site"}
    without_cookies = ada_s.application.test_client(use_cookies=False)
    for path in routes(ada_s.application, "POST"):
        response = without_cookies.post(path, data=FIELDS, headers=other_site)
        assert response.status_code < 500, path
        assert not response.headers.getlist("Set-Cookie"), path


def test_a_page_that_another_site_s_form_brought_up_can_be_used(app: Flask, ada: Any) -> None:
    """Whoever was sent here by such a form, and had no cookie, gets in by the form that they see."""
    browser = app.test_client()
    page = browser.post("/sign-in", headers={"Sec-Fetch-Site": "cross-site"})
    for _ in range(2):
        _, fields = form_with(page, "login-submit")
        form = {**fields, "username": "ada", "password": PASSWORD}
        page = browser.post("/sign-in", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert page.status_code == 303
    assert browser.get("/account").status_code == 200


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_no_page_can_be_framed(target: RelyingParty, is_signed_in: bool) -> None:
    """Clickjacking (RFC 9700 section 4.16): every page, errors too, says so in both ways; one shows nothing."""
    if is_signed_in:
        sign_in(target.browser)  # type: ignore[arg-type]
    pages = [
        target.send(),
        target.follow(target.send()),
        target.send(redirect_uri="x"),
        target.follow(target.send(prompt="select_account")),
    ]
    pages += [target.browser.get(path) for path in routes(target.browser.application, "GET")]
    pages += [target.browser.get("/nowhere"), target.browser.post("/sign-in"), target.browser.delete("/account")]
    pages += [target.send(response_mode="form_post", prompt="none")]
    seen = 0
    for page in pages:
        if page.mimetype != "text/html" or (page.request.path == FRAMED_BY_ANYONE and page.status_code == 200):
            continue
        seen += 1
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"], page.request.path
        assert page.headers["X-Frame-Options"] == "DENY", page.request.path
    assert seen > 20


def test_the_one_frame_shows_nothing(settings: Any, make_app: Callable[..., Flask]) -> None:
    """Clickjacking of the session frame (Session Management section 3.2): no form, no link, no secret."""
    browser = make_app(replace(settings, session_management="on")).test_client()
    frame = browser.get(FRAMED_BY_ANYONE)
    assert frame.status_code == 200
    assert "X-Frame-Options" not in frame.headers
    assert not Forms(frame.text).found
    assert "<a " not in frame.text
    policy = frame.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src 'sha256-" in policy
    assert "Set-Cookie" not in frame.headers
    assert browser.get("/sign-in").headers["X-Frame-Options"] == "DENY"


def test_no_page_tells_where_it_came_from_or_is_kept(ada_s: FlaskClient) -> None:
    """Leaks by Referer and caches (RFC 9700 sections 4.2.4, 4.3.2): `no-referrer`, `no-store`, no other host."""
    for path in routes(ada_s.application, "GET"):
        page = ada_s.get(path, query_string={"i": "x" * 43, "token": "y" * 43})
        assert page.headers["Referrer-Policy"] == "no-referrer", path
        if page.mimetype == "text/html" and path != FRAMED_BY_ANYONE:
            assert "no-store" in page.headers["Cache-Control"], path
        if page.mimetype == "text/html":
            for part in page.text.split('src="')[1:]:
                assert part.startswith(("/", "data:")), path


def test_no_other_site_reads_our_answers(target: RelyingParty, ada_s: FlaskClient) -> None:
    """CORS with credentials (OWASP): a page of another site may read no answer that depends on cookies."""
    origin = {"Origin": "https://evil.example.net"}
    for path in routes(ada_s.application, "GET"):
        for answer in (
            ada_s.get(path, headers=origin),
            ada_s.options(path, headers={**origin, "Access-Control-Request-Method": "POST"}),
        ):
            assert answer.headers.get("Access-Control-Allow-Credentials") is None, path
            assert answer.headers.get("Access-Control-Allow-Origin") in (None, "*"), path
            if path.startswith(("/account", "/consent", "/sign-in", "/device", "/oauth/authorize")):
                assert "Access-Control-Allow-Origin" not in answer.headers, path
