"""Alive, ready, counted: what whoever runs the provider can ask it."""

import logging
import math
import re
import shutil
from dataclasses import replace

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session as OrmSession
from werkzeug.test import EnvironBuilder

from idp import metrics, migrations, patience
from idp.accounts import sign_in, throttle
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.errors import SignInRefused, Throttled
from idp.mail import messages, outbox, queue
from idp.migrations import revisions
from idp.models import AuditEvent, MailMessage
from idp.web.observation import HEADER
from idp.web.operations import health
from idp.web.operations.metrics import FAMILIES
from tests.factories import PASSWORD

TOKEN = "a-token-for-prometheus"  # gitleaks:allow
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SAMPLE = re.compile(r'([a-z_]+)(?:\{([a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*)\})? (-?[0-9.e+-]+)')


@pytest.fixture(autouse=True)
def counters(monkeypatch):
    """Counters of this test's own."""
    fresh = metrics.Counters()
    monkeypatch.setattr(metrics, "counters", fresh)
    monkeypatch.setattr(metrics, "add", fresh.add)
    monkeypatch.setattr(metrics, "add_all", fresh.add_all)
    return fresh


@pytest.fixture
def watched(settings, make_app, counters):
    """A provider whose metrics may be read."""
    return make_app(replace(settings, metrics_token=TOKEN))


def read(browser):
    """Fetch the metrics and check their form; gives the samples."""
    answer = browser.get("/metrics", headers=BEARER)
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text.endswith("\n")
    samples, family = {}, ""
    for line in answer.text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
        elif line.startswith("# TYPE "):
            assert line.split()[2] == family
            assert line.split()[3] == FAMILIES[family][0]
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            assert found[1].removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") == family
            series = line.rpartition(" ")[0]
            assert series not in samples
            samples[series] = float(found[3])
    return samples


def break_database(monkeypatch):
    def refuse(*_args, **_more):
        raise OperationalError("SELECT secret", {}, Exception("could not connect"))

    monkeypatch.setattr("sqlalchemy.engine.Engine.connect", refuse)
    monkeypatch.setattr(OrmSession, "execute", refuse)


# -- Alive and ready -----------------------------------------------------------------------


def test_alive_asks_no_database(app, client, monkeypatch):
    break_database(monkeypatch)
    assert client.get("/healthz").json == {"status": "alive"}


def test_ready(client):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"status": "ready"})
    assert answer.headers["Cache-Control"] == "no-store"


def test_both_stand_before_and_behind_the_issuers_path(settings, make_app):
    browser = make_app(replace(settings, issuer="http://localhost:8000/login")).test_client()
    for path in ("/healthz", "/readyz"):
        assert browser.get(path).status_code == browser.get(f"/login{path}").status_code == 200


def assert_not_ready(browser, reason, path="/readyz", headers=None):
    answer = browser.get(path, headers=headers)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.mimetype == "application/problem+json"
    assert reason in answer.json["detail"]
    assert answer.json["code"] == "not_ready"
    return answer


def test_not_ready_while_the_database_is_away(client, monkeypatch):
    with monkeypatch.context() as patch:
        break_database(patch)
        answer = assert_not_ready(client, "The database does not answer.")
    assert "SELECT" not in answer.text
    assert "connect" not in answer.text
    assert client.get("/readyz").status_code == 200


def test_ready_has_little_patience(client, monkeypatch):
    """Whoever asks gives up after some seconds, and asks again: nothing is to pile up."""
    found = []
    monkeypatch.setattr(migrations, "check_ready", lambda _: found.append(patience.left(math.inf)))
    assert client.get("/readyz").status_code == 200
    assert 0 < found[0] <= health.PATIENCE


def test_not_ready_with_an_older_schema_nor_with_a_newer_one_that_does_not_serve_it(client, db):
    db.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    db.commit()
    assert_not_ready(client, "run `idp init` to upgrade it")
    db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    db.commit()
    assert_not_ready(client, "install the release of streamlit-idp that it was upgraded with")
    revisions.note_step(db.connection(), "9999", "9999")
    db.commit()
    assert_not_ready(client, "install the release of streamlit-idp that it was upgraded with")
    revisions.note_step(db.connection(), "9999", revisions.newest_revision())
    db.commit()
    assert client.get("/readyz").status_code == 200
    db.execute(text("DELETE FROM alembic_version"))
    db.commit()
    assert_not_ready(client, "run `idp init`")


def test_not_ready_without_keys_or_with_a_foreign_secret_key(settings, make_app, client, db):
    foreign = make_app(replace(settings, secret_key="the key of quite another instance"))
    answer = assert_not_ready(foreign.test_client(), "The secret key does not fit this database")
    assert "quite another" not in answer.text
    db.execute(text("DELETE FROM signing_key"))
    db.commit()
    assert_not_ready(client, "no signing keys yet")


# -- Who may read the metrics -----------------------------------------------------------------


def test_without_a_token_in_the_settings_there_are_no_metrics(app, client, settings):
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    assert not (settings.instance / "metrics").exists()


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
def test_the_metrics_are_for_who_has_the_token(watched, given):
    answer = watched.test_client().get("/metrics", headers={"Authorization": given} if given else {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "idp_requests_total" not in answer.text


def test_numbers_of_one_process_do_not_pass_for_all(watched, counters):
    counters.folder = None
    assert_not_ready(watched.test_client(), "no folder that can be written", "/metrics", BEARER)


def test_nor_do_any_where_the_folder_is_gone(watched, counters, caplog):
    shutil.rmtree(counters.folder)
    assert_not_ready(watched.test_client(), "Restart the provider", "/metrics", BEARER)
    assert "cannot be read (No such file or directory)" in caplog.text


# -- What they tell ------------------------------------------------------------------------------


def test_requests_by_route_and_status_never_by_what_visitors_choose(watched):
    browser = watched.test_client()
    browser.get("/oauth/jwks")
    browser.get("/oauth/jwks")
    browser.get("/oauth/token")
    browser.get("/nowhere/of/mine")
    browser.get(f"/oauth/authorize/{'x' * 43}")
    browser.open("/", method="BREW")
    samples = read(browser)
    requests = {series: count for series, count in samples.items() if series.startswith("idp_requests_total")}
    assert requests == {
        'idp_requests_total{route="/oauth/jwks",status="200"}': 2,
        'idp_requests_total{route="/oauth/token",status="405"}': 1,
        'idp_requests_total{route="other",status="404"}': 1,
        'idp_requests_total{route="/oauth/authorize/{interaction_id}",status="400"}': 1,
        'idp_requests_total{route="/",status="405"}': 1,
    }


def test_times_make_a_histogram(watched):
    browser = watched.test_client()
    for _ in range(3):
        browser.get("/oauth/jwks")
    samples = read(browser)
    name = "idp_request_duration_seconds"
    buckets = [count for series, count in samples.items() if series.startswith(f'{name}_bucket{{route="/oauth/jwks"')]
    assert len(buckets) == len(metrics.BUCKETS) + 1
    assert buckets == sorted(buckets)
    assert buckets[-1] == samples[f'{name}_count{{route="/oauth/jwks"}}'] == 3
    assert 0 < samples[f'{name}_sum{{route="/oauth/jwks"}}'] < 30


def test_sign_ins_and_throttles(watched, relying_party, make_user, db, settings):
    make_user()
    browser = watched.test_client()
    for password in ("wrong", PASSWORD):
        page = browser.get("/sign-in")
        token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
        browser.post("/sign-in", data={"username": "ada", "password": password, "csrf_token": token})
    tight = replace(settings, throttle_account_burst=1)
    throttle.spend(db, tight, throttle.PASSWORD_CHANGE, "ada")
    with pytest.raises(Throttled):
        throttle.spend(db, tight, throttle.PASSWORD_CHANGE, "ada")
    for _ in range(throttle.MAIL_BURST + 1):
        throttle.admits_mail(db, settings, "ada@example.org")
    samples = read(browser)
    assert samples['idp_audit_events_total{event="account:session:start"}'] == 1
    assert samples['idp_audit_events_total{event="account:sign_in:refuse"}'] == 1
    assert samples['idp_throttled_total{bucket="password_change"}'] == 1
    assert samples['idp_throttled_total{bucket="mailbox"}'] == 1
    assert samples[metrics.PASSWORD_HASHES] == 0


def test_a_throttled_sign_in_counts_once_however_much_evidence_of_it_is_kept(watched, db, settings):
    tight = replace(settings, throttle_account_burst=1)
    for number, refusal in enumerate([SignInRefused, *[Throttled] * 3]):
        with pytest.raises(refusal):
            sign_in.sign_in(db, tight, Visitor(f"203.0.113.{number}"), "ada", "wrong")
        db.commit()
    samples = read(watched.test_client())
    assert samples['idp_audit_events_total{event="account:sign_in:throttle"}'] == 1
    throttled = {name: count for name, count in samples.items() if name.startswith("idp_throttled_total") and count}
    assert throttled == {metrics.throttled(throttle.SIGN_IN_ACCOUNT): 3}


def test_what_was_never_counted_is_there_with_0(watched):
    samples = read(watched.test_client())
    kinds = {value for name, value in vars(throttle).items() if name.isupper() and isinstance(value, str)}
    kinds -= {throttle.SIGN_IN_EVIDENCE, throttle.SIGN_IN_EVIDENCE_ADDRESS, throttle.FORM}  # nobody is refused by them
    assert {metrics.throttled(kind) for kind in kinds} | {metrics.audit_events(event) for event in Event} <= set(
        samples
    )
    assert samples[metrics.throttled(throttle.SIGN_IN_ADDRESS)] == 0
    assert samples[metrics.PASSWORD_HASHES] == samples[metrics.PASSWORD_HASHES_REFUSED] == 0


def test_mails_that_are_given_up_are_counted_as_events(watched, db, settings):
    outbox.post(db, settings, messages.test_message(settings, "en"), "ada@example.org")
    queue.give_up(db, queue.claim_next(db, 60), "no such mailbox")
    assert read(watched.test_client())['idp_audit_events_total{event="provider:mail:give_up"}'] == 1


def test_what_waits_and_how_old_the_keys_are(watched, db, clock):
    row = {"recipient": "a@example.org", "subject": "s", "body_sealed": "", "attempts": 0, "kind": "k"}
    now = int(clock())
    for number, (state, age) in enumerate([("waiting", 30), ("waiting", 90), ("failed", 500), ("sent", 900)]):
        times = {"created_at": now - age, "next_attempt_at": now}
        db.add(MailMessage(id=str(number), state=state, **times, **row))
    db.execute(text("UPDATE signing_key SET activated_at = :at"), {"at": now - 100})
    db.commit()
    samples = read(watched.test_client())
    assert samples['idp_mail_messages{state="waiting"}'] == 2
    assert samples['idp_mail_messages{state="failed"}'] == 1
    assert samples["idp_mail_oldest_waiting_seconds"] == 90
    assert samples['idp_logout_notices{state="waiting"}'] == 0
    assert samples["idp_logout_notice_oldest_waiting_seconds"] == 0
    assert samples['idp_signing_key_age_seconds{algorithm="RS256"}'] == 100
    assert samples["idp_database_up"] == samples["idp_processes"] == 1


def test_that_the_database_is_away_is_a_reading_too(watched, monkeypatch):
    browser = watched.test_client()
    browser.get("/oauth/jwks")
    with monkeypatch.context() as patch:
        break_database(patch)
        samples = read(browser)
    assert samples["idp_database_up"] == 0
    assert samples['idp_requests_total{route="/oauth/jwks",status="200"}'] == 1
    assert read(browser)["idp_database_up"] == 1


# -- Request ids -----------------------------------------------------------------------------------


def test_each_answer_bears_an_id_of_its_own(client):
    ids = {client.get(path).headers[HEADER] for path in ("/healthz", "/sign-in", "/nowhere", "/oauth/token")}
    assert len(ids) == 4
    assert all(re.fullmatch(r"[0-9a-f]{16}", each) for each in ids)


GIVEN = "c0ffee00-1234.5678_abc"


def test_an_id_is_taken_from_a_proxy_only(settings, make_app, client):
    assert client.get("/healthz", headers={HEADER: GIVEN}).headers[HEADER] != GIVEN
    behind = make_app(replace(settings, proxy_hops=1)).test_client()
    assert behind.get("/healthz", headers={HEADER: GIVEN}).headers.getlist(HEADER) == [GIVEN]


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "with space in", "new\tline1", "ümläut-id", "<script>xx"])
def test_an_id_that_is_not_well_formed_is_replaced(settings, make_app, given):
    behind = make_app(replace(settings, proxy_hops=1)).test_client()
    assert re.fullmatch(r"[0-9a-f]{16}", behind.get("/healthz", headers={HEADER: given}).headers[HEADER])


def test_error_pages_show_the_id(client):
    for path in ("/nowhere", "/oauth/authorize?client_id=nobody"):
        answer = client.get(path)
        assert f'<code id="error-reference">{answer.headers[HEADER]}</code>' in answer.text


def test_what_fails_outside_of_the_application_is_answered_all_the_same(app, caplog):
    def fail(_environ, _start):
        raise ZeroDivisionError

    app.wsgi_app._application = fail
    answer = app.test_client().get("/sign-in")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers[HEADER]
    assert "Traceback" not in answer.text
    assert "failed outside of the application" in caplog.text


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/openid-configuration",
        "/oauth/userinfo",
        "/oauth/authorize?client_id=nobody",
        "/register",
        "/brand/pages.css",
        "/nothing/here",
    ],
)
def test_an_answer_is_one_piece(app, path):
    """A server sends a list together with its headers; of anything else it sends the headers first, and then asks."""
    told = []
    environ = EnvironBuilder(path.partition("?")[0], query_string=path.partition("?")[2]).get_environ()
    body = app(environ, lambda status, headers: told.append((status, dict(headers))))
    assert isinstance(body, list)
    [(_, headers)] = told
    assert int(headers["Content-Length"]) == len(b"".join(body)) > 0


# -- Who is asking, behind a proxy -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("198.51.100.8", "198.51.100.8"),
        ("198.51.100.8:1000", "198.51.100.8"),
        ("2001:db8::8", "2001:db8::8"),
        ("[2001:db8::8]", "2001:db8::8"),
        ('"[2001:db8::8]:1000"', "2001:db8::8"),
        ("192.0.2.66, 198.51.100.8:1000", "198.51.100.8"),
        ("unknown", "unknown"),
    ],
)
def test_audit_and_log_have_the_address_alone(settings, make_app, db, caplog, told, address):
    behind = make_app(replace(settings, proxy_hops=1, log_requests="on")).test_client()
    token = behind.get("/sign-in").text.split('name="csrf_token" value="')[1].split('"')[0]
    form = {"username": "ada", "password": "wrong", "csrf_token": token}
    caplog.clear()
    with caplog.at_level(logging.INFO, "idp.web.observation"):
        behind.post("/sign-in", data=form, headers={"X-Forwarded-For": told})
    refusals = select(AuditEvent.address).where(AuditEvent.event == Event.SIGN_IN_REFUSED)
    assert db.scalars(refusals).all() == [address]
    assert [record.fields["address"] for record in caplog.records if hasattr(record, "fields")] == [address]
