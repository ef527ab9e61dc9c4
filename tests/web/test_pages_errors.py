"""Errors: a page for people, a problem document for programs, details for the log only."""

import json
import logging
import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import ECKey
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from werkzeug.exceptions import ImATeapot, ServiceUnavailable
from werkzeug.test import TestResponse

from idp.accounts import audit
from idp.errors import (
    AlreadyExistsError,
    ExpiredError,
    InvalidInputError,
    NotFoundError,
    NotReadyError,
    PasswordRefused,
    Refusal,
    RegistrationRefused,
    SessionRequired,
    SignInRefused,
    Throttled,
)
from idp.models import AuditEvent, User
from idp.oidc.clients import DEVICE_CODE_GRANT
from idp.settings import Settings
from idp.web import context, error_pages, texts
from idp.web.exchange import current
from tests.conftest import Clock
from tests.factories import PASSWORD
from tests.relying_party import RelyingParty, shown_error
from tests.web.page_driver import location, press, words

DETAIL = "what only the log may know"


@pytest.fixture
def failing(settings: Settings, make_app: Callable[[Settings], Flask]) -> Callable[[Exception], FlaskClient]:
    """Build a provider with views that fail in a given way."""

    def make(error: Exception) -> FlaskClient:
        app = make_app(settings)

        def fail() -> None:
            raise error

        app.add_url_rule("/fail", view_func=fail)
        app.add_url_rule("/api/fail", "api_fail", fail)
        return app.test_client()

    return make


@pytest.mark.parametrize(
    "refusal",
    [
        NotFoundError("There is no such thing.", detail=DETAIL),
        ExpiredError("Too late.", detail=DETAIL),
        AlreadyExistsError("Taken <already>.", detail=DETAIL),
        SignInRefused("No.", detail=DETAIL),
        RegistrationRefused("Closed.", detail=DETAIL),
        Refusal("No.", detail=DETAIL),
        InvalidInputError({"name": ["Enter a name."]}),
        PasswordRefused(["Longer."]),
    ],
    ids=lambda refusal: refusal.__class__.__name__,
)
def test_refusals(failing: Callable[[Exception], FlaskClient], refusal: Refusal) -> None:
    browser = failing(refusal)
    page = browser.get("/fail")
    assert page.status_code == refusal.status
    assert 'id="error-page"' in page.text
    assert f'<code id="error-code">{refusal.code}</code>' in page.text
    assert 'id="error-description"' in page.text
    title = texts.plain("en", error_pages._REFUSALS[refusal.code])
    assert f"<h1>{title}</h1>" in page.text
    assert DETAIL not in page.text
    answer = browser.get("/api/fail")
    assert answer.status_code == refusal.status
    assert answer.mimetype == "application/problem+json"
    body = json.loads(answer.data)
    assert body["status"] == refusal.status
    assert body["code"] == refusal.code
    assert body["detail"] == refusal.message
    assert DETAIL not in answer.text
    if isinstance(refusal, InvalidInputError):
        assert body["faults"] == {name: list(found) for name, found in refusal.faults.items()}


def test_every_refusal_has_a_title_in_every_language() -> None:
    def below(kind: type[Refusal]) -> set[type[Refusal]]:
        return {kind, *(each for child in kind.__subclasses__() for each in below(child))}

    own = {kind for kind in below(Refusal) if kind.__module__ == "idp.errors"}
    assert {kind.code for kind in own} == set(error_pages._REFUSALS)


def test_sentences_in_english_are_marked_on_pages_in_german(failing: Callable[[Exception], FlaskClient]) -> None:
    page = failing(ExpiredError("Too late.")).get("/fail", headers={"Accept-Language": "de"})
    assert "<h1>Diese Seite ist abgelaufen</h1>" in page.text
    assert '<span lang="en">Too late.</span>' in page.text


def test_throttled_says_when_to_come_back(failing: Callable[[Exception], FlaskClient]) -> None:
    for path in ("/fail", "/api/fail"):
        response = failing(Throttled(300)).get(path)
        assert response.status_code == 429
        assert response.headers["Retry-After"] == "300"
        assert "wait 5 minutes" in response.text


def test_who_is_not_signed_in_is_sent_to_sign_in(failing: Callable[[Exception], FlaskClient]) -> None:
    browser = failing(SessionRequired("Please sign in."))
    assert browser.get("/fail").headers["Location"] == "/sign-in?next=/fail"
    assert "/fail" not in browser.get("/sign-in?next=/fail").text, "only our own account pages are returned to"
    assert browser.get("/api/fail").status_code == 401


@pytest.mark.parametrize("path", ["/fail", "/api/fail"])
def test_unexpected_failures_tell_only_the_log(
    failing: Callable[[Exception], FlaskClient], caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with caplog.at_level(logging.ERROR):
        response = failing(ZeroDivisionError(DETAIL)).get(path)
    assert response.status_code == 500
    assert DETAIL not in response.text
    assert "Traceback" not in response.text
    record = next(record for record in caplog.records if record.name == "idp.web.error_pages")
    assert record.exc_info
    assert response.headers["X-Request-ID"]
    if path == "/fail":
        assert f'<code id="error-reference">{response.headers["X-Request-ID"]}</code>' in response.text


def test_faults_of_the_instance_tell_only_the_log(
    failing: Callable[[Exception], FlaskClient], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = failing(NotReadyError("Run `idp init`.", detail=DETAIL)).get("/fail")
    assert response.status_code == 503
    assert "idp init" not in response.text
    assert "Run `idp init`." in caplog.text


@pytest.mark.parametrize("path", ["/fail", "/api/fail"])
def test_silent_database_asks_for_patience(failing: Callable[[Exception], FlaskClient], path: str) -> None:
    response = failing(OperationalError("SELECT secret", {}, Exception("database is locked"))).get(path)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert "SELECT" not in response.text


@pytest.mark.parametrize(("fault", "kept"), [(ZeroDivisionError(), 0), (NotFoundError("There is no such thing."), 1)])
def test_what_fails_leaves_nothing_written_but_a_refusal_its_evidence(
    fault: Exception, kept: int, settings: Settings, make_app: Callable[[Settings], Flask], db: Session
) -> None:
    sessions = []

    def write_and_fail() -> None:
        sessions.append(context.database())
        audit.record(context.database(), audit.Event.CONSENT_DENIED, context.visitor())
        raise fault

    app = make_app(settings)
    app.add_url_rule("/fail", view_func=write_and_fail)
    for _ in range(2):
        app.test_client().get("/fail")
    events = select(AuditEvent).where(AuditEvent.event == audit.Event.CONSENT_DENIED)
    assert len(db.scalars(events).all()) == 2 * kept
    assert sessions[0] is sessions[1]  # given back, whatever became of the request


def test_failing_commit_asks_for_patience(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_session: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk full"))

    browser = app.test_client()
    browser.set_cookie("idp_session", "any")  # makes the page ask the database
    with monkeypatch.context() as patch:
        patch.setattr(context.extension.session.session_factory.class_, "commit", fail)
        response = browser.get("/sign-in")
    assert response.status_code == 503
    assert "COMMIT" not in response.text


@pytest.mark.parametrize(
    ("fault", "status"), [(OperationalError("COMMIT", {}, Exception("disk full")), 503), (ZeroDivisionError(), 500)]
)
def test_a_sign_in_that_is_not_committed_gives_no_cookie(
    fault: Exception, status: int, app: Flask, make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the browser would keep a session that nobody knows, in place of the one that it had."""
    make_user()
    begun = context.extension.session.session_factory.class_
    commit = begun.commit

    def fail_late(session: Session) -> None:
        if current().session_token:
            raise fault
        commit(session)

    browser = app.test_client()
    page = browser.get("/sign-in")
    with monkeypatch.context() as patch:
        patch.setattr(begun, "commit", fail_late)
        response = press(browser, page, "login-submit", username="ada", password=PASSWORD)
    assert response.status_code == status
    assert "idp_session" not in str(response.headers.getlist("Set-Cookie"))
    assert location(press(browser, page, "login-submit", username="ada", password=PASSWORD)) == "/account"


def test_there_is_no_such_page(client: FlaskClient) -> None:
    page = client.get("/nowhere")
    assert page.status_code == 404
    assert "<h1>There is no such page</h1>" in page.text
    assert 'href="/account"' in page.text
    answer = client.get("/api/nowhere")
    assert answer.status_code == 404
    assert json.loads(answer.data)["title"] == "Not Found"
    assert client.get("/nowhere", headers={"Accept": "application/json"}).mimetype == "application/problem+json"


@pytest.mark.parametrize(("error", "status"), [(ImATeapot(), 418), (ServiceUnavailable(retry_after=7), 503)])
def test_other_http_errors(failing: Callable[[Exception], FlaskClient], error: Exception, status: int) -> None:
    browser = failing(error)
    for path in ("/fail", "/api/fail"):
        response = browser.get(path)
        assert response.status_code == status
        assert response.headers.get("Retry-After") == ("7" if status == 503 else None)


def test_faults_of_an_app_name_the_parameter(client: FlaskClient) -> None:
    page = client.get("/oauth/authorize?client_id=<nobody>")
    assert page.status_code == 400
    assert 'id="error-page"' in page.text
    assert '<code id="error-parameter">client_id</code>' in page.text
    assert "<nobody>" not in page.text
    assert "<h1>The app made a mistake</h1>" in page.text


# -- The log ---------------------------------------------------------------------------------------


def test_the_log_says_what_an_app_was_told(
    relying_party: Callable[..., RelyingParty], caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever is called for help has a reference from the page, or knows the app: both lead to the reason."""
    app = relying_party()
    with caplog.at_level(logging.INFO, "idp.web"):
        page = app.send(redirect_uri="https://app.example.org/callback/")
        app.send(response_type="token")
        app.request_tokens("no code")
        app.secret = "not the secret"
        app.request_tokens("code")
    whose = f"App: {app.metadata.client_id}"
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("idp.web")]
    assert lines[0].startswith("GET /oauth/authorize refused as invalid_request: ")
    assert shown_error(page).description in lines[0]
    assert lines[1].startswith("GET /oauth/authorize refused as unsupported_response_type: ")
    assert lines[2].startswith("POST /oauth/token refused as invalid_grant: ")
    assert lines[3] == "POST /oauth/token refused as invalid_client: The client secret is wrong."
    assert [line.endswith(whose) for line in lines] == [True, True, True, False]  # not before it has proved itself


def test_the_log_does_not_say_what_is_everyday(
    relying_party: Callable[..., RelyingParty], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is wrong where there is no token, a dead one, no nonce yet, or nobody who has allowed a device yet."""
    app = relying_party(scopes=("openid",), grant_types=(DEVICE_CODE_GRANT,))
    device_code = app.post("device_authorization_endpoint", scope="openid").json["device_code"]  # type: ignore[index]
    userinfo = app.path("userinfo_endpoint")
    asked = {"grant_type": DEVICE_CODE_GRANT}
    proof = app.proof("POST", app.discovery["token_endpoint"], key=ECKey.generate_key("P-256"), nonce=None)
    with caplog.at_level(logging.INFO, "idp.web"):
        told = [
            app.browser.get(userinfo),
            app.browser.get(userinfo, headers={"Authorization": "Bearer dead"}),
            app.post("token_endpoint", **asked, device_code=device_code),
            app.browser.post(app.path("token_endpoint"), data=asked, headers={"DPoP": proof}),
        ]
    errors = [json.loads(each.data).get("error") for each in told]
    assert errors == [None, "invalid_token", "authorization_pending", "use_dpop_nonce"]
    assert not caplog.records


@pytest.mark.parametrize("has_cookie", [True, False])
def test_the_log_tells_cookies_that_do_not_arrive_from_requests_that_are_over(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, has_cookie: bool
) -> None:
    if has_cookie:
        client.get("/sign-in")
    with caplog.at_level(logging.INFO, "idp.web.error_pages"):
        page = client.get(f"/sign-in?i={'a' * 43}")
    assert page.status_code == 400
    [line] = [record.getMessage() for record in caplog.records]
    reason = "it is over, or another browser's" if has_cookie else "the browser brought no cookie"
    assert line == f"GET /sign-in refused as expired: {reason}"


# -- The way back --------------------------------------------------------------------------------

HOME = "https://weather.example.org/start"


def back_to(page: TestResponse) -> str | None:
    """Return where an error page leads back to."""
    found = re.search(r'id="error-back" href="([^"]*)"', page.text)
    return found[1] if found else None


def test_an_apps_mistake_leads_back_to_its_home_page(relying_party: Callable[..., RelyingParty]) -> None:
    app = relying_party(client_uri=HOME)
    page = app.send(redirect_uri="https://app.example.org/callback/")
    assert shown_error(page).parameter == "redirect_uri"
    assert back_to(page) == HOME
    assert "Back to Weather app (weather.example.org)" in words(page)
    assert 'id="error-remedy"' in page.text
    assert "<code>idp client show</code> lists for this client, to the letter" in page.text


@pytest.mark.parametrize("uri", [None, "http://localhost:8501/"])
def test_only_a_home_page_by_https_is_led_to(relying_party: Callable[..., RelyingParty], uri: str | None) -> None:
    app = relying_party(client_uri=uri)
    assert back_to(app.send(redirect_uri="https://app.example.org/callback/")) is None


@pytest.mark.parametrize("query", ["client_id=nobody", "", "client_id=a&client_id=b", "client_id=%00"])
def test_an_unknown_app_has_no_home(client: FlaskClient, query: str) -> None:
    page = client.get(f"/oauth/authorize?{query}&client_uri={HOME}")
    assert page.status_code == 400
    assert back_to(page) is None


def test_a_sign_out_that_goes_wrong_leads_back_too(relying_party: Callable[..., RelyingParty]) -> None:
    app = relying_party(client_uri=HOME)
    page = app.request_logout(client_id=app.metadata.client_id, post_logout_redirect_uri="https://evil.example.org/")
    assert shown_error(page).parameter == "post_logout_redirect_uri"
    assert back_to(page) == HOME
    assert "evil" not in (back_to(page) or "")
    assert "--post-logout-redirect-uri" in words(page)


def test_a_request_that_is_over_leads_back_in_its_own_browser_only(
    relying_party: Callable[..., RelyingParty], make_user: Callable[..., User], clock: Clock, settings: Settings
) -> None:
    make_user()
    app = relying_party(client_uri=HOME)
    page = app.sign_in_page()
    clock.advance(settings.interaction_lifetime)
    path, query = page.request.path, page.request.args
    gone = app.browser.get(path, query_string=query)
    assert '<code id="error-code">expired</code>' in gone.text
    assert back_to(gone) == HOME
    assert "Go back to Weather app; if you are not signed in there, start again." in words(gone)
    assert "another browser" not in words(gone), "it is this one, as after its button to go back"
    stranger = app.browser.application.test_client()  # type: ignore[attr-defined]
    elsewhere = stranger.get(path, query_string=query)
    assert elsewhere.status_code == 400
    assert back_to(elsewhere) is None
    assert "Weather" not in elsewhere.text
    assert "or cookies are switched off" in words(elsewhere), "a browser that keeps none looks like another one"


@pytest.mark.parametrize("parameter", error_pages._REMEDIES)
def test_each_remedy_is_a_sentence_in_every_language(parameter: str) -> None:
    for language in texts.languages():
        remedy = texts.plain(language, error_pages._REMEDIES[parameter])
        assert remedy.endswith(".")
        assert remedy.count("idp ") == len(re.findall(r"`idp [^`]+`", remedy)), "commands stand between backticks"
