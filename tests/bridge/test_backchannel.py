"""The optional layer: settings from the environment, the logout route, the exact way back, and refused sign-ins."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import streamlit
from conftest import OpenApp, make_user
from cryptography.hazmat.primitives.asymmetric import rsa
from fake_provider import FakeProvider, Reply, make_browser_cookie
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

import streamlit_bridge
from streamlit_bridge import server, texts
from streamlit_bridge.backchannel import receive_logout
from streamlit_bridge.errors import AuthenticateError
from streamlit_bridge.logout_token import EVENT
from streamlit_bridge.memory import Destination, SharedMemory
from streamlit_bridge.return_path import build_relative_address
from streamlit_bridge.session import identify_browser

BROWSER = b"0123456789abcdef".hex()


@pytest.fixture
def app(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Starlette:
    """A plain ASGI app with the layer and a stand-in for Streamlit's callback."""
    secrets = {"auth": {"server_metadata_url": provider.metadata_url, "client_id": "tea"}}
    monkeypatch.setattr(streamlit, "secrets", secrets)

    async def callback(request: Request) -> RedirectResponse:
        return RedirectResponse(request.query_params.get("to", "/"), 302)

    settings = streamlit_bridge.asgi({})
    others = [Route(path, callback) for path in ("/oauth2callback", "/tea/oauth2callback", "/auth/logout")]
    return Starlette(routes=[*settings["routes"], *others], middleware=settings["middleware"])


def send(app: Starlette, method: str, path: str, **more: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8501") as client:
            return await client.request(method, path, **more)

    return asyncio.run(ask())


def make_token(provider: FakeProvider, header: dict[str, Any] | None = None, key: Any = None, **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": provider.issuer, "aud": "tea", "iat": now, "exp": now + 120, "jti": "token-1", "sid": "session-1"}
    claims |= {"sub": "user-1", "events": {EVENT: {}}, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    header = {"alg": "RS256", "kid": "k1", "typ": "logout+jwt", **(header or {})}
    return jwt.encode(header, claims, key or provider.key, algorithms=[header["alg"]])


def log_out(app: Starlette, token: str) -> httpx.Response:
    return send(app, "POST", server.LOGOUT_ROUTE, data={"logout_token": token})


def test_session_ends_at_once(app: Starlette, provider: FakeProvider, open_app: OpenApp) -> None:
    mine, others = make_user(sid="session-1"), make_user(token="at_other", sid="session-2")
    tabs = [open_app("smallest", mine).run(), open_app("smallest", others).run()]
    asked = provider.count("/api/v1/me")
    answer = log_out(app, make_token(provider))
    assert (answer.status_code, answer.headers["cache-control"], answer.content) == (200, "no-store", b"")
    assert tabs[0].run().info[0].value == texts.SESSION_ENDED
    assert tabs[1].run().markdown[0].value == "Hello Ada Lovelace"
    assert provider.count("/api/v1/me") == asked


def test_all_sessions_of_a_person_end(app: Starlette, provider: FakeProvider, open_app: OpenApp) -> None:
    old = open_app("smallest", make_user(iat=time.time() - 60, sid="session-7")).run()
    assert log_out(app, make_token(provider, sid=None)).status_code == 200
    assert old.run().info[0].value == texts.SESSION_ENDED
    later = open_app("smallest", make_user(token="at_later", iat=time.time() + 5, sid="session-8")).run()
    assert later.markdown[0].value == "Hello Ada Lovelace"


def test_a_session_ends_without_a_word_of_whose_it_is(
    app: Starlette, provider: FakeProvider, memory: SharedMemory
) -> None:
    assert log_out(app, make_token(provider, sub=None)).status_code == 200
    assert memory.ended_sessions.covers({"sid": "session-1", "sub": "user-1"})
    assert not memory.ended_sessions.covers({"sid": "session-2", "sub": "user-1"})


def test_new_sign_in_of_the_same_session_stands(app: Starlette, provider: FakeProvider, open_app: OpenApp) -> None:
    now = int(time.time())
    old = make_user(iat=now, sid="session-1")
    assert log_out(app, make_token(provider, iat=now)).status_code == 200
    # A notice that was made earlier and comes later takes nothing back.
    assert log_out(app, make_token(provider, iat=now - 100, jti="token-2")).status_code == 200
    assert open_app("smallest", old).run().info[0].value == texts.SESSION_ENDED
    again = make_user(token="at_again", iat=now + 5, sid="session-1")
    assert open_app("smallest", again).run().markdown[0].value == "Hello Ada Lovelace"
    assert log_out(app, make_token(provider, iat=now + 10, jti="token-3")).status_code == 200
    assert open_app("smallest", again).run().info[0].value == texts.SESSION_ENDED


def test_repetition_does_no_harm(app: Starlette, provider: FakeProvider, memory: SharedMemory) -> None:
    token = make_token(provider)
    assert [log_out(app, token).status_code for _ in range(2)] == [200, 200]
    # The same identifier never ends a second session.
    assert log_out(app, make_token(provider, sid="session-2")).status_code == 200
    assert memory.ended_sessions.covers({"sid": "session-1"})
    assert not memory.ended_sessions.covers({"sid": "session-2"})


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": "tea-house"},
        {"aud": ["another"]},
        {"aud": None},
        {"iat": 1_000_000},
        {"iat": time.time() + 10_000},
        {"iat": None},
        {"iat": True},
        {"exp": time.time() - 1000},
        {"exp": "soon"},
        {"jti": None},
        {"events": None},
        {"events": {"something": {}}},
        {"events": {EVENT: True}},
        {"sid": None, "sub": None},
        {"nonce": "abc"},
    ],
)
def test_improper_claims(
    app: Starlette, provider: FakeProvider, memory: SharedMemory, changes: dict[str, object]
) -> None:
    answer = log_out(app, make_token(provider, **changes))
    assert (answer.status_code, answer.headers["cache-control"]) == (400, "no-store")
    assert answer.json()["error"] == "invalid_request"
    assert not memory.ended_sessions.covers({"sid": "session-1", "sub": "user-1", "iat": 0})


def test_list_of_audiences_and_no_expiry(app: Starlette, provider: FakeProvider) -> None:
    assert log_out(app, make_token(provider, aud=["other", "tea"], exp=None)).status_code == 200


@pytest.mark.parametrize(
    ("name", "seconds", "status"),
    [("iat", 30, 200), ("iat", 300, 400), ("iat", -400, 400), ("exp", -30, 200), ("exp", -300, 400)],
)
def test_clocks_may_differ_a_little(
    app: Starlette, provider: FakeProvider, name: str, seconds: int, status: int
) -> None:
    assert log_out(app, make_token(provider, **{name: time.time() + seconds})).status_code == status


@pytest.mark.parametrize("kind", ["Logout+JWT", "application/logout+jwt"])
def test_kinds_of_token(app: Starlette, provider: FakeProvider, kind: str) -> None:
    assert log_out(app, make_token(provider, {"typ": kind})).status_code == 200


@pytest.mark.parametrize("kind", ["at+jwt", "id_token", "JWT", "secevent+jwt"])
def test_token_of_another_kind(app: Starlette, provider: FakeProvider, kind: str) -> None:
    assert log_out(app, make_token(provider, {"typ": kind})).status_code == 400


def test_foreign_signature(app: Starlette, provider: FakeProvider) -> None:
    foreign = RSAKey.import_key(rsa.generate_private_key(public_exponent=65537, key_size=2048), {"kid": "k1"})
    assert log_out(app, make_token(provider, key=foreign)).status_code == 400
    secret = OctKey.import_key("tea-secret-tea-secret-tea-secret-x")
    assert log_out(app, make_token(provider, {"alg": "HS256"}, secret)).status_code == 400
    unsigned = make_token(provider).rpartition(".")[0] + "."
    assert log_out(app, unsigned).status_code == 400


def test_new_key_is_fetched_but_not_for_every_stranger(
    app: Starlette, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    import streamlit_bridge.memory as memory_module

    clock = [1000.0]
    monkeypatch.setattr(memory_module, "monotonic", lambda: clock[0])
    assert log_out(app, make_token(provider)).status_code == 200
    fresh = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    provider._key = RSAKey.import_key(fresh, {"kid": "k2", "use": "sig", "alg": "RS256"})
    token = make_token(provider, {"kid": "k2"}, jti="token-2")
    assert log_out(app, token).status_code == 400
    assert provider.count("/jwks") == 1
    clock[0] += 20
    assert log_out(app, token).status_code == 200
    assert provider.count("/jwks") == 2


def test_two_tokens(app: Starlette, provider: FakeProvider) -> None:
    token = make_token(provider)
    answer = send(app, "POST", server.LOGOUT_ROUTE, data={"logout_token": [token, token]})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "content",
    [b"", b"logout_token=", b"logout_token=a&logout_token=b", b"x" * 40_000, b"\xff=\xfe", b"logout_token=a.b.c"],
)
def test_requests_that_are_none(app: Starlette, content: bytes) -> None:
    answer = send(app, "POST", server.LOGOUT_ROUTE, content=content)
    assert answer.status_code == 400


def test_only_post(app: Starlette) -> None:
    assert send(app, "GET", server.LOGOUT_ROUTE).status_code == 405


def test_keys_out_of_reach(app: Starlette, provider: FakeProvider) -> None:
    token = make_token(provider)
    provider.metadata_reply = Reply(503, {})
    answer = log_out(app, token)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


def test_discovery_without_keys(app: Starlette, provider: FakeProvider) -> None:
    token = make_token(provider)
    provider.metadata_reply = Reply(body={**provider.describe(), "jwks_uri": None})
    assert log_out(app, token).status_code == 503


@pytest.mark.parametrize(
    "keys", [{}, {"keys": 5}, {"keys": []}, {"keys": [{"kty": "RSA", "kid": "k1", "n": "AQAB", "e": "AQAB"}]}]
)
def test_keys_that_are_none(app: Starlette, provider: FakeProvider, keys: dict[str, object]) -> None:
    token = make_token(provider)
    provider.metadata_reply = Reply(body={**provider.describe(), **keys, "jwks_uri": provider.metadata_url})
    assert log_out(app, token).status_code == 400


def test_provider_without_a_name(app: Starlette, provider: FakeProvider) -> None:
    token = make_token(provider, iss=None)
    provider.metadata_reply = Reply(body={**provider.describe(), "issuer": None})
    assert log_out(app, token).status_code == 400


@pytest.mark.parametrize("name", ["server_metadata_url", "client_id"])
def test_app_without_a_setting(app: Starlette, provider: FakeProvider, name: str) -> None:
    del streamlit.secrets["auth"][name]
    assert log_out(app, make_token(provider, aud=None)).status_code == 400


CHUNK = {"type": "http.request", "body": b"x" * 10_000, "more_body": True}


@pytest.mark.parametrize("messages", [[{"type": "http.disconnect"}], [CHUNK] * 4], ids=["breaks off", "goes on"])
def test_request_without_an_end(messages: list[dict[str, object]]) -> None:
    waiting = iter(messages)

    async def receive() -> dict[str, object]:
        return next(waiting)

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    assert asyncio.run(receive_logout(request)).status_code == 400


# -- the way back ----------------------------------------------------------------

REFUSED = {"error": "access_denied", "error_description": texts.TOO_MANY_USERS}


def come_back(
    app: Starlette,
    destination: Destination | None,
    memory: SharedMemory,
    path: str = "/oauth2callback",
    /,
    **query: str,
) -> httpx.Response:
    if destination is not None:
        memory.begin_attempt(BROWSER, destination)
    cookie = "; ".join(f"{name}={value}" for name, value in make_browser_cookie().items())
    return send(app, "GET", f"{path}?{urlencode(query)}", headers={"Cookie": cookie})


@pytest.mark.parametrize(
    ("destination", "address"),
    [
        (Destination("report", (("tag", ("a b", "c")),)), "/report?tag=a+b&tag=c"),
        (Destination("", (("tag", ("x",)),)), "/?tag=x"),
        (Destination(), "/"),
        (Destination("Café"), "/Caf%C3%A9"),
        (Destination("/evil.example"), "/%2Fevil.example"),
        (None, "/"),
    ],
)
def test_exact_address(app: Starlette, memory: SharedMemory, destination: Destination | None, address: str) -> None:
    assert come_back(app, destination, memory).headers["location"] == address


@pytest.mark.parametrize("start", ["/tea/", "/tea"])
def test_exact_address_below_a_base_path(app: Starlette, memory: SharedMemory, start: str) -> None:
    answer = come_back(app, Destination("report"), memory, "/tea/oauth2callback", to=start)
    assert answer.headers["location"] == "/tea/report"


def test_other_redirects_stay(app: Starlette, memory: SharedMemory) -> None:
    answer = come_back(app, Destination("report"), memory, to="https://elsewhere.example/")
    assert answer.headers["location"] == "https://elsewhere.example/"


def test_other_routes_are_none_of_its_business(app: Starlette, memory: SharedMemory) -> None:
    assert come_back(app, Destination("report"), memory, "/auth/logout").headers["location"] == "/"
    attempt = memory.recall_attempt(BROWSER)
    assert attempt is not None
    assert not attempt.is_brought_back


def test_what_is_no_request_passes_untouched(app: Starlette) -> None:
    waiting, said = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]), []

    async def receive() -> dict[str, str]:
        return next(waiting)

    async def answer(message: dict[str, str]) -> None:
        said.append(message["type"])

    asyncio.run(app({"type": "lifespan"}, receive, answer))
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_address_never_leads_elsewhere() -> None:
    assert build_relative_address(Destination("\\evil.example", ())) == "%5Cevil.example"


def test_browser_arrives_where_it_left(app: Starlette, memory: SharedMemory, open_app: OpenApp) -> None:
    come_back(app, Destination("chart", (("year", ("1843",)),)), memory)
    tab = open_app("guarded_first", make_user(), url="http://localhost:8501/chart?year=1843")
    tab.query_params = {"year": "1843"}
    assert not tab.run().exception
    assert memory.recall_attempt(str(identify_browser())) is None


def test_browser_that_was_led_to_the_start_arrives_all_the_same(memory: SharedMemory, open_app: OpenApp) -> None:
    memory.begin_attempt(BROWSER, Destination("chart", (("year", ("1843",)),)))
    memory.bring_attempt_back(BROWSER, None)
    assert open_app("guarded_first", make_user()).run().markdown[-1].value.startswith("chart of 1843")


@pytest.mark.parametrize("message", texts.SIGN_IN_REFUSALS)
def test_refused_sign_in_is_told(app: Starlette, memory: SharedMemory, open_app: OpenApp, message: str) -> None:
    come_back(app, Destination(), memory, error="access_denied", error_description=f"{message}.")
    newer = open_app("classic_0_4").run()
    assert newer.error[0].value == message
    assert not newer.run().error
    assert not newer.info, "it was told why"


def test_refused_sign_in_is_told_though_another_tab_came_first(
    app: Starlette, memory: SharedMemory, open_app: OpenApp
) -> None:
    """It was opened while the first one was at the provider, and said that the sign-in is not finished."""
    memory.begin_attempt(BROWSER, Destination())
    assert open_app("classic_0_4").run().info[0].value == texts.SIGN_IN_UNFINISHED
    come_back(app, None, memory, **REFUSED)
    assert open_app("classic_0_4").run().error[0].value == texts.TOO_MANY_USERS


def test_refused_sign_in_on_the_card(app: Starlette, memory: SharedMemory, open_app: OpenApp) -> None:
    come_back(app, Destination(), memory, error="access_denied", error_description=texts.TOO_MANY_USERS)
    older = open_app("classic_0_2").run()
    assert not older.exception
    assert older.info[0].value == texts.TOO_MANY_USERS


@pytest.mark.parametrize(
    "query",
    [
        {**REFUSED, "error_description": "Call 0900"},
        {**REFUSED, "error": "x"},
        {**REFUSED, **dict.fromkeys(map(str, range(20)), "x")},
        {},
    ],
)
def test_other_reasons_are_not_repeated(
    app: Starlette, memory: SharedMemory, open_app: OpenApp, query: dict[str, str]
) -> None:
    come_back(app, Destination(), memory, **query)
    tab = open_app("classic_0_4").run()
    assert not tab.error
    assert tab.info[0].value == texts.SIGN_IN_UNFINISHED


@pytest.mark.parametrize("cookie", ["", "_streamlit_xsrf=broken", "a=b; c", "a,b=c"])
def test_strange_cookies(app: Starlette, cookie: str) -> None:
    assert send(app, "GET", "/oauth2callback", headers={"Cookie": cookie}).headers["location"] == "/"


# -- settings ---------------------------------------------------------------------

COMPLETE = {
    "STREAMLIT_IDP_ISSUER": "https://id.example/",
    "STREAMLIT_IDP_APP_URL": "https://tea.example/",
    "STREAMLIT_IDP_CLIENT_ID": "tea\r",  # as a file from Windows has it
    "STREAMLIT_IDP_CLIENT_SECRET": "s",
    "STREAMLIT_IDP_COOKIE_SECRET": "c",
}


def test_settings_from_the_environment(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n", encoding="utf-8-sig")  # with a mark, as some editors put it
    environment = {name: value for name, value in COMPLETE.items() if name != "STREAMLIT_IDP_CLIENT_SECRET"}
    settings = streamlit_bridge.asgi({**environment, "STREAMLIT_IDP_CLIENT_SECRET_FILE": f"{secret}\r"})
    assert settings["secrets"]["auth"] == {
        "redirect_uri": "https://tea.example/oauth2callback",
        "cookie_secret": "c",
        "client_id": "tea",
        "client_secret": "from a file",
        "server_metadata_url": "https://id.example/.well-known/openid-configuration",
        "expose_tokens": ["access"],
        "client_kwargs": {"scope": server.SCOPE, "prompt": ""},
    }


def test_what_is_said_outright_counts_before_a_file() -> None:
    environment = {**COMPLETE, "STREAMLIT_IDP_CLIENT_SECRET_FILE": "/nowhere/at/all", "STREAMLIT_IDP_SCOPE": "openid"}
    section = streamlit_bridge.asgi(environment)["secrets"]["auth"]
    assert (section["client_secret"], section["client_kwargs"]["scope"]) == ("s", "openid")


def test_settings_from_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    assert streamlit_bridge.asgi()["secrets"]["auth"]["client_id"] == "tea"


def test_without_settings_the_file_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in COMPLETE:
        monkeypatch.delenv(name, raising=False)
    assert "secrets" not in streamlit_bridge.asgi()


def test_incomplete_settings_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(AuthenticateError, match="STREAMLIT_IDP_CLIENT_SECRET, STREAMLIT_IDP_COOKIE_SECRET"):
        streamlit_bridge.asgi({name: COMPLETE[name] for name in list(COMPLETE)[:3]})
    (tmp_path / "binary").write_bytes(b"\xff")
    for path in ("/nowhere/at/all", str(tmp_path / "binary")):
        with pytest.raises(AuthenticateError, match="CLIENT_ID_FILE names a file"):
            streamlit_bridge.asgi({"STREAMLIT_IDP_CLIENT_ID_FILE": path})


def test_route_below_a_base_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamlit, "get_option", lambda name: "/tea/house/")
    assert streamlit_bridge.asgi({})["routes"][0].path == "/tea/house/backchannel-logout"
