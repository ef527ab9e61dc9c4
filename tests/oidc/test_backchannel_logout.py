"""Back-channel logout: every app that a session reached is told of its end, whatever happens on the way."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jws
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.accounts import sessions, users
from idp.accounts.visitor import OPERATOR
from idp.models import AuditEvent, LogoutNotice, User
from idp.oidc import backchannel
from idp.oidc.outgoing import OutgoingError, post_form
from idp.settings import Settings
from tests.oidc.listening import App, read_logout_token
from tests.ports import free_port
from tests.relying_party import RelyingParty

MakeRelyingParty = Callable[..., RelyingParty]


def test_each_app_that_the_session_reached_is_told(
    relying_party: MakeRelyingParty, make_user: Callable[..., User], listening_app: App, send_due: Any
) -> None:
    make_user()
    told = relying_party(backchannel_logout_uri=listening_app.url)
    deaf = relying_party(told.browser)
    tokens = told.log_in()
    told.log_in()  # twice at the same app: told once
    deaf.log_in()
    relying_party(backchannel_logout_uri=listening_app.url)  # never reached
    assert told.request_logout(id_token_hint=tokens.response["id_token"]).status_code == 303
    assert send_due()["notice_sent"] == 1
    claims = read_logout_token(listening_app.tokens[-1], told)
    assert claims["sub"] == tokens.claims["sub"]
    assert claims["sid"] == tokens.claims["sid"]
    assert send_due()["notice_sent"] == 0
    assert listening_app.requests == 1


@pytest.mark.parametrize("how", ["disabled", "ended by the person"])
def test_however_the_session_ends(
    how: str,
    relying_party: MakeRelyingParty,
    make_user: Callable[..., User],
    listening_app: App,
    send_due: Any,
    db: Session,
) -> None:
    user = make_user()
    rp = relying_party(backchannel_logout_uri=listening_app.url)
    tokens = rp.log_in()
    if how == "disabled":
        users.disable_user(db, OPERATOR, user.id)
    else:
        sessions.end_sessions(db, OPERATOR, user.id, reason="ended_by_user")
    db.commit()
    assert send_due()["notice_sent"] == 1
    assert read_logout_token(listening_app.tokens[-1], rp)["sid"] == tokens.claims["sid"]


def test_an_app_that_is_away_is_told_later_with_the_same_jti(
    relying_party: MakeRelyingParty,
    make_user: Callable[..., User],
    listening_app: App,
    send_due: Any,
    clock: Any,
    db: Session,
) -> None:
    make_user()
    rp = relying_party(backchannel_logout_uri=listening_app.url)
    tokens = rp.log_in()
    listening_app.status = 503
    rp.request_logout(id_token_hint=tokens.response["id_token"])
    assert send_due()["notice_put_off"] == 1
    assert send_due() == {"notice_sent": 0, "notice_put_off": 0, "notice_failed": 0}  # not yet
    clock.advance(6)
    listening_app.status = 204
    assert send_due()["notice_sent"] == 1
    first, second = (json.loads(jws.extract_compact(token.encode()).payload) for token in listening_app.tokens)
    assert first["jti"] == second["jti"]
    assert second["iat"] == first["iat"] + 6


def test_after_two_days_it_is_given_up_loudly(
    relying_party: MakeRelyingParty,
    make_user: Callable[..., User],
    send_due: Any,
    clock: Any,
    db: Session,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_user()
    dead = f"http://127.0.0.1:{free_port()}/x"
    rp = relying_party(backchannel_logout_uri=dead)
    tokens = rp.log_in()
    rp.request_logout(id_token_hint=tokens.response["id_token"])
    assert send_due()["notice_put_off"] == 1
    clock.advance(2 * 86_400 + 1)
    assert send_due()["notice_failed"] == 1
    assert "could not be told" in caplog.text
    assert db.scalar(select(LogoutNotice.state)) == "failed"
    assert "client:logout_notice:give_up" in db.scalars(select(AuditEvent.event)).all()


def test_a_worker_that_died_loses_nothing(
    relying_party: MakeRelyingParty,
    make_user: Callable[..., User],
    listening_app: App,
    send_due: Any,
    clock: Any,
    db: Session,
) -> None:
    make_user()
    rp = relying_party(backchannel_logout_uri=listening_app.url)
    tokens = rp.log_in()
    rp.request_logout(id_token_hint=tokens.response["id_token"])
    assert backchannel._claim_next(db, rp.metadata.client_id) is not None  # and then the process was killed
    db.commit()
    assert send_due()["notice_sent"] == 0
    clock.advance(backchannel.LEASE + 1)
    assert send_due()["notice_sent"] == 1


# -- Requests of the provider's own: SSRF, redirects, slow and huge answers ------------


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "https://10.0.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://0.0.0.0/",
        "https://[64:ff9b::a00:1]/",
        "https://[64:ff9b:1::1]/",
        "https://[2002:7f00:1::]/",
        "https://[2002:a00:1::1]/",
        "https://[::127.0.0.1]/",
        "https://[fec0::1]/",
        "https://[ff02::1]/",
        "https://224.0.0.1/",
        "https://192.0.0.8/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https:///nothing",
    ],
)
def test_addresses_of_its_own_network_are_not_called(url: str, settings: Settings) -> None:
    with pytest.raises(OutgoingError):
        post_form(settings, url, {})


def test_loopback_is_called_only_where_the_issuer_is_on_loopback(settings: Settings, listening_app: App) -> None:
    assert post_form(settings, listening_app.url, {"logout_token": "x"}).status == 200
    public = replace(settings, issuer="https://login.example.org")
    with pytest.raises(OutgoingError, match="private network"):
        post_form(public, listening_app.url, {})
    assert post_form(replace(public, private_addresses="allowed"), listening_app.url, {}).status == 200
    assert listening_app.requests == 2


def test_a_redirect_is_not_followed(settings: Settings, listening_app: App) -> None:
    listening_app.status, listening_app.headers = 302, {"Location": listening_app.url}
    assert post_form(settings, listening_app.url, {}).status == 302
    assert listening_app.requests == 1


def test_a_huge_answer_is_cut_off(settings: Settings, listening_app: App) -> None:
    listening_app.body = b"x" * 1_000_000
    with pytest.raises(OutgoingError, match="too long"):
        post_form(settings, listening_app.url, {})


def test_a_silent_app_does_not_hold_the_worker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.oidc.outgoing.STEP_TIMEOUT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(OutgoingError, match="timed out"):
            post_form(settings, f"http://127.0.0.1:{silent.getsockname()[1]}/", {})


def test_a_server_that_drips_does_not_hold_the_worker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is in time, but there is no end to them: one deadline holds for the whole."""
    monkeypatch.setattr("idp.oidc.outgoing.WHOLE_TIMEOUT", 0.6)
    stop = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            for each in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 10_000:
                if stop.wait(0.05):
                    return
                connection.sendall(bytes([each]))

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        with pytest.raises(OutgoingError):
            post_form(settings, f"http://127.0.0.1:{server.getsockname()[1]}/", {})
        stop.set()
        thread.join()
