"""While requests wait that would take all threads, others are told to come back, and what needs no database goes on."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from idp import clock, metrics, patience
from idp.serving import server, threads
from idp.storage import lean_session, write_lock
from idp.web import at_hand, error_pages
from idp.web.at_hand import NO_ROOM, AtHand
from tests.house.pages import read
from tests.waiting import PATIENCE, until

MOST = 2


def answer(environ, _start_response):
    return [b"refused" if NO_ROOM in environ else b"let in"]


def ask(application, path="/sign-in", method="GET", **more):
    return b"".join(application({"REQUEST_METHOD": method, "PATH_INFO": path, **more}, lambda *_: None))


@pytest.fixture
def full():
    """Two requests that wait until they may go on, and there is no room for a third."""
    may_end = threading.Event()

    def wait_or_answer(environ, start_response):
        if environ["PATH_INFO"] == "/wait":
            assert may_end.wait(PATIENCE)
        return answer(environ, start_response)

    application = AtHand(wait_or_answer, most=MOST, spare=1, issuer_path="/idp")
    application.may_end = may_end
    waiting = [threading.Thread(target=ask, args=(application, "/wait")) for _ in range(MOST)]
    for thread in waiting:
        thread.start()
    until(application._places.empty)
    yield application
    may_end.set()
    for thread in waiting:
        thread.join()
    assert application._places.qsize() == MOST


def test_there_are_threads_to_spare_and_the_pages_say_how_many_requests_there_are():
    assert threads.AT_HAND + threads.SPARE == server.THREADS
    assert f"a web process has {threads.AT_HAND} requests at hand at most" in read("deployment.md")
    assert f"A process has {threads.AT_HAND} at hand at most" in read("security.md")


def test_who_finds_no_place_is_refused_unread(full, monkeypatch):
    monkeypatch.setattr(at_hand, "MOMENT", 0.01)
    body = {"CONTENT_LENGTH": "9", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": None}
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/sign-in", **body}
    assert b"".join(full(environ, None)) == b"refused"
    assert environ["wsgi.input"].read() == b""
    assert not {"CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"} & set(environ)


@pytest.mark.parametrize("below", ["", "/idp"])
@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/oauth/jwks",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/brand/pages.css",
        "/brand/theme.css",
        "/brand/icon.svg",
        "/brand/logo",
    ],
)
def test_what_needs_no_database_is_let_in(full, monkeypatch, path, below):
    monkeypatch.setattr(at_hand, "MOMENT", PATIENCE)
    assert ask(full, below + path) == b"let in"
    monkeypatch.setattr(at_hand, "MOMENT", 0.01)
    assert ask(full, below + path, "POST", CONTENT_LENGTH="9") == b"refused"  # its body would be waited for


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/brand/client/wiki", "/oauth/token", "/elsewhere/healthz"])
def test_what_asks_the_database_is_not(full, monkeypatch, path):
    monkeypatch.setattr(at_hand, "MOMENT", 0.01)
    assert ask(full, path) == b"refused"


def test_who_waits_a_moment_gets_the_place_that_becomes_free(full, monkeypatch):
    monkeypatch.setattr(at_hand, "MOMENT", PATIENCE)
    waits, wait = threading.Event(), full._gets_one
    monkeypatch.setattr(full, "_gets_one", lambda: waits.set() or wait())
    with ThreadPoolExecutor(1) as pool:
        third = pool.submit(ask, full)
        assert waits.wait(PATIENCE)
        full.may_end.set()
        assert third.result(PATIENCE) == b"let in"


def test_where_one_waited_in_vain_the_others_do_not_wait(full, monkeypatch):
    monkeypatch.setattr(at_hand, "NO_HOPE", PATIENCE)
    monkeypatch.setattr(at_hand, "MOMENT", 0.01)
    assert ask(full) == b"refused"
    monkeypatch.setattr(at_hand, "MOMENT", 100 * PATIENCE)
    assert ask(full) == b"refused"


def test_where_fewer_leave_than_may_wait_nobody_hopes(full, monkeypatch):
    """Each of them would keep a thread for its wait, and in the end there would be none."""
    monkeypatch.setattr(at_hand, "NO_HOPE", PATIENCE)
    monkeypatch.setattr(at_hand, "MOMENT", 0.01)
    full._spare = 3
    real = full._places.get

    def get(timeout):
        full._left += 1  # who leaves gives the place to another
        return real(timeout=timeout)

    with monkeypatch.context() as patch:
        patch.setattr(full, "_places", SimpleNamespace(get=get, get_nowait=full._places.get_nowait))
        assert ask(full) == b"refused"
    assert full._is_hopeless_until > clock.ticks()


def test_a_burst_of_requests_is_answered(monkeypatch):
    """Others leave meanwhile, so that each has its turn."""
    monkeypatch.setattr(at_hand, "WAIT_MOST", PATIENCE)
    monkeypatch.setattr(at_hand, "MOMENT", PATIENCE)

    def work(environ, start_response):
        threading.Event().wait(0.001)
        return answer(environ, start_response)

    application = AtHand(work, most=MOST, spare=1, issuer_path="")
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: ask(application), range(200))) == {b"let in"}
    assert application._places.qsize() == MOST


def test_a_request_that_fails_gives_its_place_back():
    def fail(_environ, _start_response):
        raise KeyboardInterrupt

    application = AtHand(fail, most=MOST, spare=1, issuer_path="")
    for _ in range(MOST + 1):
        with pytest.raises(KeyboardInterrupt):
            ask(application)
    assert application._places.qsize() == MOST


def test_an_answer_that_is_never_closed_holds_no_place():
    class Body(list):
        def close(self):
            pytest.fail("nobody closes it")

    application = AtHand(lambda *_: Body([b"x"]), most=MOST, spare=1, issuer_path="")
    kept = [application({"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, None) for _ in range(MOST + 1)]
    assert application._places.qsize() == MOST
    assert len(kept) == MOST + 1


# -- The provider itself, whose database somebody has locked ---------------------------------


@pytest.fixture
def locked(settings, make_app, monkeypatch):
    """A provider for two requests at a time, which wait for the database's lock."""
    monkeypatch.setattr(threads, "AT_HAND", MOST)
    monkeypatch.setattr(at_hand, "MOMENT", 0.01)
    monkeypatch.setattr(patience, "BUSY_TIMEOUT", PATIENCE)
    app = make_app(replace(settings, issuer="http://localhost/idp"))
    form = app.test_client()
    page = form.get("/idp/register").text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    data = {"username": "ada", "email": "ada@example.org", "password": "lantern-orbit-52", "csrf_token": token}
    other = sqlite3.connect(settings.instance / "idp.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(MOST) as pool:
        waiting = [pool.submit(form.post, "/idp/register", data=data) for _ in range(MOST)]
        until(lambda: len(write_lock._waiting_since) == MOST)
        yield app
        other.execute("ROLLBACK")
        other.close()
        assert {each.result(PATIENCE).status_code for each in waiting} <= {200, 303, 409, 422}
    assert app.test_client().get("/idp/readyz").status_code == 200


@pytest.mark.sqlite
def test_everybody_else_is_told_to_come_back_as_by_any_other_fault(locked, monkeypatch, caplog):
    fresh = metrics.Counters()
    monkeypatch.setattr(metrics, "add_all", fresh.add_all)
    caplog.set_level("INFO", error_pages.log.name)
    monkeypatch.setattr(lean_session.SessionPool, "take", lambda _: pytest.fail("it asks the database"))
    browser = locked.test_client()
    browser.set_cookie("idp_session", "somebody's")
    page, token = browser.get("/idp/sign-in"), browser.post("/idp/oauth/token", data={"grant_type": "x"})
    api, ready = browser.get("/idp/api/v1/me"), browser.get("/readyz")
    for told, mimetype in (
        (page, "text/html"),
        (token, "application/json"),
        (api, "application/problem+json"),
        (ready, "application/problem+json"),
    ):
        assert told.status_code == 503
        assert told.mimetype == mimetype
        assert told.headers["Retry-After"] == "5"
        assert told.headers["X-Request-ID"]
        assert told.headers["Cache-Control"] == "no-store"
        assert told.headers["Content-Security-Policy"]
    assert '<code id="error-code">busy</code>' in page.text
    assert token.json["error"] == "temporarily_unavailable"
    assert (api.json["code"], ready.json["code"]) == ("busy", "busy")
    assert 'idp_requests_total{route="/sign-in",status="503"}' in fresh._slots
    assert "GET /sign-in refused as busy" in caplog.text


@pytest.mark.sqlite
def test_what_needs_no_database_is_answered(locked):
    browser = locked.test_client()
    for path in ("/healthz", "/idp/healthz", "/idp/oauth/jwks", "/idp/brand/pages.css"):
        assert browser.get(path).status_code == 200
    for name in ("/idp/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/idp"):
        assert browser.get(name).json["issuer"] == "http://localhost/idp"
