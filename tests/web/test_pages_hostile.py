"""What nobody means to send: forged forms and cookies, bytes that are no text, huge fields, wrong methods."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.models import BrowserSession, MailMessage, User
from idp.oidc.requests import FIELDS_MOST
from idp.web.pages import ROUTES
from tests.factories import PASSWORD
from tests.relying_party import RelyingParty
from tests.web.page_driver import form_with, location, press, sign_in

PAGES = sorted({path for method, path, _ in ROUTES if method == "GET"})
FORMS = sorted({path for method, path, _ in ROUTES if method == "POST"})
TOO_OLD = "This page was open for too long"


@pytest.fixture
def ada(client: FlaskClient, settled_ada: User, db: Session) -> FlaskClient:
    """Ada's browser."""
    db.expunge(settled_ada)  # what is read of her later is what is stored
    sign_in(client)
    return client


# -- Forged forms ---------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "", "0" * 32, "ä", "\x00", "x" * 10_000])
def test_forms_without_our_token_do_nothing(
    ada: FlaskClient, relying_party: Callable[..., RelyingParty], db: Session, token: str | None
) -> None:
    weather = relying_party(ada, is_trusted=False)
    consent = weather.follow(weather.send())
    choice = weather.follow(weather.send(prompt="select_account"))
    fields = {} if token is None else {"csrf_token": token}
    change = {"current_password": PASSWORD, "new_password": "kettle orbit mustard lantern"}
    attempts = {
        "/consent": {"i": consent.request.args["i"], "action": "allow"},
        "/choose-account": {"i": choice.request.args["i"], "action": "continue"},
        "/account/password": change,
        "/account/sessions": {"end": "others"},
        "/sign-in": {"username": "grace", "password": PASSWORD},
        "/register": {"username": "zoe", "email": "zoe@example.org", "password": change["new_password"]},
        "/verify-email/resend": {"identifier": "ada"},
        "/forgot-password": {"username": "ada"},
        "/forgot-username": {"email": "ada@example.org"},
        "/account/profile": {"nickname": "Mallory"},
        "/account/email": {"email": "mallory@example.org", "current_password": PASSWORD},
        "/account/email/revoke": {},
        "/account/apps": {"withdraw": weather.metadata.client_id},
        "/account/delete": {"current_password": PASSWORD},
        "/account/delete/revoke": {},
    }
    for path, data in attempts.items():
        refused = ada.post(path, data={**data, **fields})
        assert refused.status_code == 400, path
        assert TOO_OLD in refused.text, path
        assert 'name="csrf_token"' in refused.text, "the page comes again, with a good token"
    refused = ada.post("/sign-out", data=fields)
    assert location(refused) == "/oauth/end-session"
    assert 'id="logout-confirm"' in ada.get(location(refused)).text, "the person is asked"
    assert ada.get("/account").status_code == 200
    assert db.scalar(select(func.count()).select_from(User)) == 1
    assert db.scalar(select(func.count()).select_from(MailMessage)) == 0
    assert db.execute(select(User.nickname, User.deletion_due_at)).one() == (None, None)
    assert 'id="consent-allow"' in weather.follow(weather.send()).text


def test_token_of_another_browser_is_of_no_use(client: FlaskClient, make_user: Callable[..., User]) -> None:
    make_user()
    stolen = form_with(client.application.test_client().get("/sign-in"), "login-submit")[1]["csrf_token"]
    client.get("/sign-in")
    data = {"csrf_token": stolen, "username": "ada", "password": PASSWORD}
    assert client.post("/sign-in", data=data).status_code == 400
    assert client.get_cookie("idp_session") is None


def test_token_from_before_sign_in_is_of_no_use_afterwards(client: FlaskClient, make_user: Callable[..., User]) -> None:
    make_user()
    before = form_with(client.get("/sign-in"), "login-submit")[1]["csrf_token"]
    sign_in(client)
    assert client.post("/account/sessions", data={"csrf_token": before, "end": "others"}).status_code == 400


def test_page_that_was_open_too_long_is_shown_again(client: FlaskClient, make_user: Callable[..., User]) -> None:
    make_user()
    page = client.get("/sign-in")
    client.delete_cookie("idp_browser")
    refused = press(client, page, "login-submit", username="ada", password=PASSWORD)
    assert refused.status_code == 400
    assert 'value="ada"' in refused.text, "the name is kept"
    assert location(press(client, refused, "login-submit", username="ada", password=PASSWORD)) == "/account"


# -- Forged cookies ---------------------------------------------------------------------------


@pytest.mark.parametrize("cookie", ["", "forged", "x" * 4000, "%00", "ä", '"', "\\303", "a=b"])
@pytest.mark.parametrize("name", ["idp_session", "idp_browser"])
def test_forged_cookies_open_nothing(client: FlaskClient, name: str, cookie: str) -> None:
    header = f"{name}={cookie}".encode().decode("latin-1")
    assert location(client.get("/account", headers={"Cookie": header})).startswith("/sign-in")
    assert client.get("/sign-in", headers={"Cookie": header}).status_code == 200


def test_digest_of_a_session_is_no_cookie(ada: FlaskClient, db: Session) -> None:
    digest = db.scalar(select(BrowserSession.token_digest))
    stranger = ada.application.test_client()
    stranger.set_cookie("idp_session", digest or "")
    assert location(stranger.get("/account")).startswith("/sign-in")


# -- Bytes, sizes, methods ----------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_bytes_that_are_no_text_in_the_query(ada: FlaskClient, path: str) -> None:
    for query in ("i=%ff%fe", "next=%ff", "notice=%c3%28", "v=%ff", "%ff=%ff", "i=%00", "other=%ed%a0%80"):
        assert ada.get(f"{path}?{query}").status_code < 500


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "raw",
    [b"\xff", b"username=%ff%fe&password=%ff", b"username=\xff\xfe&password=\x00", b"i=%00%ff", b"=&=&=", b"%"],
)
def test_bytes_that_are_no_text_in_forms(ada: FlaskClient, path: str, raw: bytes) -> None:
    token = form_with(ada.get("/account"), "sign-out")[1]["csrf_token"].encode()
    for body in (raw, raw + b"&csrf_token=" + token):
        response = ada.post(path, data=body, content_type="application/x-www-form-urlencoded")
        assert response.status_code < 500


def test_bytes_that_are_no_text_sign_nobody_in(client: FlaskClient) -> None:
    token = form_with(client.get("/sign-in"), "login-submit")[1]["csrf_token"]
    body = b"username=%ff%00ada&password=%ff&csrf_token=" + token.encode()
    response = client.post("/sign-in", data=body, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 422
    assert "do not match" in response.text


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "multipart/form-data", "multipart/form-data; x", ""]
)
def test_bodies_of_other_kinds(ada: FlaskClient, path: str, kind: str) -> None:
    assert 300 <= ada.post(path, data=b'{"username": 1}', content_type=kind).status_code < 500


@pytest.mark.parametrize("path", FORMS)
def test_huge_forms_are_refused(ada: FlaskClient, path: str) -> None:
    response = ada.post(path, data={"username": "x" * 1_000_000})
    assert response.status_code == 413
    assert 'id="error-page"' in response.text


@pytest.mark.parametrize("path", FORMS)
def test_forms_of_too_many_fields_are_refused(ada: FlaskClient, path: str) -> None:
    fields = {f"field-{number}": "x" for number in range(FIELDS_MOST + 1)}
    assert ada.post(path, data=fields).status_code == 413
    del fields["field-0"]
    assert ada.post(path, data=fields).status_code != 413


def test_long_fields_are_cut_or_refused(client: FlaskClient) -> None:
    page = client.get("/sign-in")
    refused = press(client, page, "login-submit", username="x" * 20_000, password="y" * 20_000)
    assert refused.status_code == 422
    assert len(refused.data) < 10_000, "a field is not sent back at any length"
    page = client.get("/register")
    long = dict.fromkeys(("username", "email", "given_name", "family_name"), "x" * 10_000)
    refused = press(client, page, "register-submit", **long, password="y" * 5_000)
    assert refused.status_code == 422
    assert len(refused.data) < 20_000


@pytest.mark.parametrize("path", sorted({path for _, path, _ in ROUTES}))
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST", "GET", "PROPFIND"])
def test_wrong_methods(client: FlaskClient, path: str, method: str) -> None:
    allowed = {known for known, known_path, _ in ROUTES if known_path == path}
    if method in allowed:
        return
    response = client.open(path, method=method)
    assert response.status_code == 405
    assert allowed <= set(response.headers["Allow"].split(", "))
    assert 'id="error-page"' in response.text or path.startswith("/.well-known/")


def test_markup_in_names_stays_text(
    client: FlaskClient, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty]
) -> None:
    make_user(given_name="{{ 7 * 7 }}", family_name="{0.__class__} & 'co'", nickname="<script>alert(1)</script>")
    sign_in(client)
    weather = relying_party(client, client_name="{name} & 'co'", is_trusted=False)
    consent = weather.follow(weather.send(scope="openid profile"))
    choice = weather.follow(weather.send(prompt="select_account"))
    assert "{name} &amp; &#39;co&#39;" in consent.text
    for page in (client.get("/account"), consent, choice):
        assert "<script" not in page.text
        assert "{{ 7 * 7 }} {0.__class__} &amp; &#39;co&#39;" in page.text
