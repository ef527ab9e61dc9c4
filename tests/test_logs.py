"""The log: two forms, ids in each line, and no secret in any, whatever was sent."""

import io
import json
import logging
import logging.config
import sys
import time
from dataclasses import replace

import pytest

from idp import crypto, logs
from idp.logs import STRUCK, JsonFormatter, UtcFormatter, without_secrets
from tests.factories import PASSWORD
from tests.relying_party import RelyingParty


@pytest.fixture(autouse=True)
def no_request():
    """Lines outside of a request, whatever another test has left."""
    before = logs.request_id.set("")
    yield
    logs.request_id.reset(before)


SECRET = "Vj8uQ2_hT5rX-9sLkP3wZyB7nM1cD4gF6aE0iOoKqUx"  # gitleaks:allow


def a_record(message, *args, **extra):
    return logging.getLogger("idp.test").makeRecord("idp.test", logging.INFO, "f", 1, message, args, None, **extra)


# -- Form ----------------------------------------------------------------------------------


def test_lines_for_programs_are_json_objects():
    record = a_record("%s asks\nin two lines", "Ada Ünlü")
    record.created, record.msecs = 1_767_225_600.25, 250
    token = logs.request_id.set("0123456789abcdef")
    try:
        line = JsonFormatter().format(record)
    finally:
        logs.request_id.reset(token)
    assert "\n" not in line
    told = json.loads(line)
    assert isinstance(told.pop("process"), int)
    assert told == {
        "time": "2026-01-01T00:00:00.250Z",
        "level": "info",
        "logger": "idp.test",
        "message": "Ada Ünlü asks\nin two lines",
        "request_id": "0123456789abcdef",
    }


def test_a_traceback_is_a_member_of_its_own():
    record = a_record("failed")
    try:
        int(f"password={SECRET}")
    except ValueError:
        record.exc_info = sys.exc_info()
    told = json.loads(JsonFormatter().format(record))
    assert "Traceback" in told["exception"]
    assert SECRET not in told["exception"]


def test_lines_for_people_show_the_id():
    text = UtcFormatter("%(levelname)s %(name)s:%(reference)s %(message)s")
    assert text.format(a_record("started")) == "INFO idp.test: started"
    token = logs.request_id.set("0123456789abcdef")
    assert text.format(a_record("asked")) == "INFO idp.test: [0123456789abcdef] asked"
    logs.request_id.reset(token)


def test_lines_for_people_tell_the_time_in_utc():
    record = a_record("told")
    record.created = 0
    assert UtcFormatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%SZ").format(record) == "1970-01-01T00:00:00Z told"


def test_the_level_is_the_one_that_was_set():
    assert logs.configuration("debug")["root"]["level"] == "DEBUG"


def test_a_chosen_configuration_is_left_alone(monkeypatch):
    root = logging.getLogger()
    before = root.handlers[:]
    logs.configure("debug", "json")
    assert root.handlers == before


# -- What looks like a secret is struck out ------------------------------------------------------


MARKED = (
    "Authorization: Bearer {}",
    "authorization: basic {}==",
    "GET /callback?code={}&state=x",
    "GET /?token={}",
    "{{'password': '{}', 'username': 'ada'}}",
    '{{"new_password":"{}"}}',
    "client_secret={}",
    "refresh_token: {}",
    "Cookie: __Host-idp_session={}; other=1",
    "idp_browser={}",
    "unknown token idp_at_{}",
    "idp_rt_{} was used before",
    "idp_ac_{}.",
    "idp_rg_{} is that of another client",
    "idp_it_{} is used up",
    "idp_dc_{} has expired",
    "POST /oauth/token device_code={}",
    "GET /device?user_code={}",
    '{{"registration_access_token": "{}"}}',
    "postgresql://idp:{}@db.example.org/idp",
)


@pytest.mark.parametrize("line", [*MARKED, "KeyError: '{}'", "path /reset-password/{}"])
def test_secrets_are_struck_out_wherever_they_stand(line):
    for form in (JsonFormatter(), UtcFormatter("%(message)s")):
        written = form.format(a_record(line.format(SECRET)))
        assert SECRET not in written
        assert STRUCK in written


@pytest.mark.parametrize("line", MARKED)
def test_what_is_said_to_be_a_secret_need_not_look_like_one(line):
    assert "open.sesame" not in without_secrets(line.format("open.sesame"))


def test_an_id_token_is_struck_out():
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
    assert without_secrets(f"hint {token} refused") == f"hint eyJ{STRUCK} refused"


@pytest.mark.parametrize("piece", ["-eyJ", "token ", "Bearer ", "://a:", "aA-", "~idp_a", "idp_at_", "eyJ0123456789."])
def test_a_line_is_read_in_a_time_that_grows_with_its_length(piece):
    """Whoever asks for a long path must not keep a process busy with looking for secrets in it (CWE-1333)."""
    began = time.process_time()
    without_secrets(piece * (60_000 // len(piece)))
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "line",
    [
        "Swept 3 parked_request, 1 refresh_token.",
        "POST /oauth/token refused as throttled: the account's bucket is empty",
        "The worker ended (exit code 9); it is started again in 5 seconds.",
        "Listening at: http://127.0.0.1:8000",
        "idp.web.error_pages: GET /sign-in failed",
        "key 0123456789abcdef0123456789abcdef was made",
        "No app is registered as Eyjafjallajokull.",
    ],
)
def test_what_is_no_secret_stays(line):
    assert without_secrets(line) == line


# -- No secret is written in the first place ---------------------------------------------------------


@pytest.fixture
def raw():
    """Everything that is logged at any level, before anything is struck out."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    root = logging.getLogger()
    level, names = root.level, ("idp", "authlib", "werkzeug", "sqlalchemy.engine", "alembic")
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    before = {name: logging.getLogger(name).level for name in names}
    logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)  # statements; parameters are hidden
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)
    for name, each in before.items():
        logging.getLogger(name).setLevel(each)


def note_cookies(browser):
    return [cookie.value for cookie in browser._cookies.values() if len(cookie.value) > 8]


def test_a_whole_journey_leaves_no_secret_in_the_log(settings, make_app, make_client, make_user, raw):
    app = make_app(replace(settings, log_requests="on", log_level="debug"))
    make_user()
    metadata, secret = make_client()
    party = RelyingParty(app.test_client(), settings.issuer, metadata, secret)
    tokens = party.log_in(scope="openid profile offline_access")
    secrets = [PASSWORD, secret, tokens.access_token, tokens.refresh_token, tokens.id_token, party.verifier]
    secrets += note_cookies(party.browser)
    code = party.ask().code
    secrets.append(code)
    party.request_tokens(code)
    party.request_tokens(code)  # a second time
    refreshed = party.refresh(tokens.refresh_token)
    secrets += [refreshed.access_token, refreshed.refresh_token]
    party.request_refresh(tokens.refresh_token)  # a thief
    party.introspect(refreshed.access_token)
    party.userinfo(tokens) if party.introspect(tokens.access_token)["active"] else None
    party.post("revocation_endpoint", token=refreshed.access_token)
    party.secret = SECRET
    party.request_refresh("idp_rt_" + SECRET)
    assert "idp.web.observation POST /oauth/token 200" in raw.getvalue()
    for each in [*secrets, SECRET]:
        assert each
        assert each not in raw.getvalue(), each


HOSTILE = (SECRET, f"{SECRET}\x00", f"{SECRET}\r\nSet-Cookie: x", f"{SECRET}\udcff", f"{SECRET}ü" * 20, f"%{SECRET}")
PATHS = (
    ("GET", "/oauth/authorize"),
    ("POST", "/oauth/authorize"),
    ("POST", "/oauth/token"),
    ("POST", "/oauth/introspect"),
    ("POST", "/oauth/revoke"),
    ("GET", "/oauth/userinfo"),
    ("GET", "/oauth/end-session"),
    ("POST", "/sign-in"),
    ("POST", "/register"),
    ("POST", "/reset-password"),
    ("GET", "/reset-password"),
    ("GET", "/verify-email"),
    ("POST", "/account/password"),
    ("POST", "/api/v1/users"),
    ("POST", "/api/v1/codes/x"),
    ("POST", "/api/v1/me/password"),
    ("GET", "/metrics"),
    ("GET", "/nowhere"),
)
FIELDS = ("password", "new_password", "code", "token", "client_secret", "refresh_token", "id_token_hint", "state", "t")


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_whatever_is_sent_wherever_no_secret_reaches_the_log(settings, make_app, make_client, raw, method, path):
    app = make_app(replace(settings, log_requests="on", log_level="debug", metrics_token="of-the-metrics-token"))
    metadata, _ = make_client(grant_types=("client_credentials", "authorization_code"), scopes=("registration",))
    browser = app.test_client()
    for hostile in HOSTILE:
        printable = hostile.encode("utf-8", "replace").decode()
        fields = dict.fromkeys(FIELDS, printable) | {
            "client_id": metadata.client_id,
            "grant_type": "authorization_code",
        }
        headers = {"Authorization": f"Bearer {SECRET}", "X-Forwarded-For": SECRET}
        for name in ("idp_session", "idp_browser"):
            browser.set_cookie(name, SECRET)
        browser.open(path, method=method, query_string=fields, headers=headers)
        browser.open(path, method=method, data=fields, headers=headers)
        browser.open(path, method=method, json=fields, headers=headers)
        browser.open(path, method=method, data=fields, auth=(SECRET[:20], SECRET))
        browser.open(path, method=method, data=printable.encode(), content_type="application/json", headers=headers)
    assert "idp.web.observation" in raw.getvalue()
    assert SECRET not in raw.getvalue()


def test_a_failure_that_carries_a_secret_is_written_without_it(settings, make_app, monkeypatch):
    """The last line: a library's error may repeat what it was given."""
    app = make_app(settings)

    def fail():
        raise ValueError(f"cannot parse {crypto.new_token()} of token={SECRET}")

    app.view_functions["show_signed_out"] = fail
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.getLogger("idp").addHandler(handler)
    try:
        answer = app.test_client().get("/signed-out")
    finally:
        logging.getLogger("idp").removeHandler(handler)
    told = json.loads(stream.getvalue())
    assert answer.status_code == 500
    assert told["request_id"] == answer.headers["X-Request-ID"]
    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count(STRUCK) >= 2
    assert "ValueError" in told["exception"]


def test_a_line_for_each_request_says_the_route_and_never_the_query(settings, make_app, caplog):
    browser = make_app(replace(settings, log_requests="on")).test_client()
    with caplog.at_level(logging.INFO, "idp.web.observation"):
        browser.get(f"/oauth/authorize/{SECRET}?code={SECRET}")
    (record,) = [each for each in caplog.records if each.name == "idp.web.observation"]
    fields = record.fields
    assert fields.pop("milliseconds") > 0
    assert fields == {
        "method": "GET",
        "route": "/oauth/authorize/{interaction_id}",
        "status": 400,
        "address": "127.0.0.1",
    }
    assert SECRET not in record.getMessage()


def test_without_the_setting_requests_leave_no_line(client, caplog):
    with caplog.at_level(logging.INFO):
        client.get("/oauth/jwks")
    assert "idp.web.observation" not in {each.name for each in caplog.records}
