"""Sign-out in a real browser: apps' frames are loaded before it goes on, and our own frame sees that it happened."""

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Page, Playwright
from werkzeug.serving import make_server

from idp.models import User
from idp.oidc.clients import ClientMetadata
from idp.oidc.session_state import hash_of
from idp.settings import Settings
from tests.browser.looking import WINDOWS, check, open_page, sign_in
from tests.ports import free_port
from tests.relying_party import s256
from tests.serving import serving

pytestmark = pytest.mark.browser

MakeClient = Callable[..., tuple[ClientMetadata, str]]
OpenContext = Callable[..., BrowserContext]


@dataclass
class App:
    """An app on another origin: it keeps a cookie, and clears it when its frame is loaded.

    Attributes:
        heard: paths that its logout frame was loaded by, with the cookies that came along.
        hangs: its frame is never answered while this is set.
    """

    origin: str = ""
    heard: list[tuple[str, str]] = field(default_factory=list)
    hangs: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def app() -> Iterator[App]:
    """One app; it answers whatever host name of this machine it is called by."""
    here = App()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/frame"):
                here.heard.append((self.path, self.headers.get("Cookie", "")))
                if here.hangs.is_set():
                    here.goes_on.wait(120)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Set-Cookie", "app=; Max-Age=0" if self.path.startswith("/frame") else "app=signed-in")
            self.end_headers()
            self.wfile.write(b'<!doctype html><link rel="icon" href="data:,"><title>app</title>the app')

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    here.origin = f"http://localhost:{server.server_port}"
    with serving(server):
        yield here
        here.goes_on.set()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Session management is on."""
    return replace(settings, session_management="on")


@pytest.fixture
def secure_server(settings: Settings, make_app: Callable[[Settings], Flask]) -> Iterator[str]:
    """The provider behind TLS with a certificate of its own making; gives its issuer."""
    port = free_port()
    provider = make_app(replace(settings, issuer=f"https://localhost:{port}"))
    server = make_server("127.0.0.1", port, provider, threaded=True, ssl_context="adhoc")
    with serving(server):
        yield f"https://localhost:{port}"


def register(make_client: MakeClient, app: App, **metadata: Any) -> ClientMetadata:
    """Register the app."""
    client, _ = make_client(
        redirect_uris=(f"{app.origin}/callback",), post_logout_redirect_uris=(f"{app.origin}/bye",),
        token_endpoint_auth_method="none", **metadata,
    )  # fmt: skip
    return client


def log_in(page: Page, issuer: str, client: ClientMetadata) -> dict[str, list[str]]:
    """Come from the app, sign in where it is asked for, and return with an answer, which the app makes tokens of."""
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uris[0],
        "scope": "openid",
        "code_challenge": s256("v" * 43),
        "code_challenge_method": "S256",
    }
    page.goto(f"{issuer}/oauth/authorize?{urlencode(asked)}")
    if page.locator("#login-submit").count():
        sign_in(page)
    page.wait_for_url("**/callback?*")
    answer = parse_qs(urlsplit(page.url).query)
    tokens = page.request.post(
        f"{issuer}/oauth/token",
        form={
            "grant_type": "authorization_code",
            "code": answer["code"][0],
            "redirect_uri": client.redirect_uris[0],
            "client_id": client.client_id,
            "code_verifier": "v" * 43,
        },
    )
    assert tokens.ok, tokens.text()
    return answer


def log_out(page: Page, issuer: str, client: ClientMetadata) -> None:
    """Ask for sign-out as the app does, and confirm it."""
    asked = {"client_id": client.client_id, "post_logout_redirect_uri": client.post_logout_redirect_uris[0]}
    page.goto(f"{issuer}/oauth/end-session?{urlencode({**asked, 'state': 'a b'})}")
    page.click("#logout-confirm")


# -- Front-channel logout -------------------------------------------------------------------


def test_frames_are_loaded_with_their_cookies_before_the_browser_goes_on(
    live_server: str, app: App, open_context: OpenContext, make_user: Callable[..., User], make_client: MakeClient
) -> None:
    make_user()
    one = register(make_client, app, frontchannel_logout_uri=f"{app.origin}/frame/one")
    two = register(make_client, app, frontchannel_logout_uri=f"{app.origin}/frame/two?x=1")
    page = open_context().new_page()
    for client in (one, two):
        log_in(page, live_server, client)
    log_out(page, live_server, one)
    page.wait_for_url(f"{app.origin}/bye?state=a+b")
    heard = {urlsplit(path).path: parse_qs(urlsplit(path).query) for path, _ in app.heard}
    assert set(heard) == {"/frame/one", "/frame/two"}
    assert heard["/frame/one"] == {"iss": [live_server], "sid": heard["/frame/two"]["sid"]}
    assert "app=signed-in" in app.heard[0][1]
    page.goto(f"{live_server}/account")
    assert page.locator("#login-submit").count() == 1


def test_an_app_that_does_not_answer_holds_nobody_up(
    live_server: str, app: App, open_context: OpenContext, make_user: Callable[..., User], make_client: MakeClient
) -> None:
    make_user()
    client = register(make_client, app, frontchannel_logout_uri=f"{app.origin}/frame/slow")
    page = open_context().new_page()
    log_in(page, live_server, client)
    app.hangs.set()
    page.goto(f"{live_server}/account")
    page.click("#sign-out", no_wait_after=True)
    page.wait_for_url(f"{live_server}/signed-out")
    assert len(app.heard) == 1


def test_no_form_of_another_site_signs_anybody_out(
    live_server: str, callback: str, open_context: OpenContext, make_user: Callable[..., User]
) -> None:
    make_user()
    context = open_context()
    page = context.new_page()
    page.goto(live_server + "/sign-in")
    sign_in(page)
    page.wait_for_url("**/account")
    kept = {cookie["name"]: cookie["value"] for cookie in context.cookies(live_server)}
    for path in ("/sign-out", "/oauth/end-session/confirm", "/sign-in"):
        page.goto(callback)  # another site, which its address makes it
        page.set_content(f'<form method="post" action="{live_server}{path}"><button>Win a prize</button></form>')
        with page.expect_navigation(url=f"{live_server}/**"):
            page.click("button")
        assert {cookie["name"]: cookie["value"] for cookie in context.cookies(live_server)} == kept
    page.goto(live_server + "/account")
    assert page.url == live_server + "/account"


@pytest.mark.parametrize("window", WINDOWS)
def test_pages_of_signing_out_are_accessible(
    live_server: str,
    app: App,
    open_context: OpenContext,
    make_user: Callable[..., User],
    make_client: MakeClient,
    window: str,
) -> None:
    make_user()
    listening = register(make_client, app, client_name="Weather Atlas", frontchannel_logout_uri=f"{app.origin}/frame/x")
    deaf = register(make_client, app, client_name="Ledger of a company with quite a long name")
    page = open_page(open_context, window)
    for client in (listening, deaf):
        log_in(page, live_server, client)
    page.goto(f"{live_server}/account/sessions")
    check(page, "sessions with apps")
    page.goto(f"{live_server}/oauth/end-session?{urlencode({'client_id': listening.client_id})}")
    check(page, "sign out of apps")
    app.hangs.set()
    page.route("**/signed-out", lambda _route: None)  # it wants to go on before everybody has looked
    page.click("#logout-confirm", no_wait_after=True)
    page.wait_for_selector("#continue")
    check(page, "being signed out")


def test_without_script_the_browser_goes_on_too(
    live_server: str, app: App, open_context: OpenContext, make_user: Callable[..., User], make_client: MakeClient
) -> None:
    make_user()
    client = register(make_client, app, frontchannel_logout_uri=f"{app.origin}/frame/x")
    page = open_context(java_script_enabled=False).new_page()
    log_in(page, live_server, client)
    log_out(page, live_server, client)
    page.wait_for_url(f"{app.origin}/bye?state=a+b")
    assert len(app.heard) == 1


# -- Session management -----------------------------------------------------------------------


class Frame:
    """Our frame within an app's page, and what it answers.

    Args:
        page: the app's page.
        issuer: whose frame.
    """

    def __init__(self, page: Page, issuer: str) -> None:
        self._page = page
        page.evaluate(
            """(url) => new Promise((loaded) => {
                window.heard = [];
                window.addEventListener("message", (event) => window.heard.push([event.data, event.origin]));
                const frame = document.createElement("iframe");
                frame.id = "op";
                frame.addEventListener("load", loaded);
                frame.src = url;
                document.body.append(frame);
            })""",
            f"{issuer}/oauth/check-session",
        )
        self._issuer = issuer

    def ask(self, message: object) -> str:
        """Send a message and return the answer."""
        answer, origin = self._page.evaluate(
            """([message, issuer]) => new Promise((answered) => {
                window.addEventListener("message", (event) => answered([event.data, event.origin]), {once: true});
                document.getElementById("op").contentWindow.postMessage(message, issuer);
            })""",
            [message, self._issuer],
        )
        assert origin == self._issuer
        return str(answer)


def watch(app: App, issuer: str, client: ClientMetadata, context: BrowserContext) -> None:
    """Sign in, watch by the frame, sign out in another window, and sign in again."""
    page = context.new_page()
    (session_state,) = log_in(page, issuer, client)["session_state"]
    frame = Frame(page, issuer)
    message = f"{client.client_id} {session_state}"
    assert frame.ask(message) == "unchanged"
    assert frame.ask(f"another {session_state}") == "changed"
    assert frame.ask(message.replace(".", ".x")) == "changed"
    elsewhere = context.new_page()
    log_out(elsewhere, issuer, client)
    elsewhere.wait_for_url("**/bye?*")
    assert frame.ask(message) == "changed"
    (anew,) = log_in(elsewhere, issuer, client)["session_state"]
    assert frame.ask(message) == "changed"
    assert frame.ask(f"{client.client_id} {anew}") == "unchanged"


def test_the_frame_says_unchanged_and_after_sign_out_changed(
    live_server: str, app: App, open_context: OpenContext, make_user: Callable[..., User], make_client: MakeClient
) -> None:
    """Without TLS the app has the provider's host name, and another port: that is one site."""
    make_user()
    watch(app, live_server, register(make_client, app), open_context())


@pytest.fixture
def own_profile(chromium: str, playwright: Playwright, tmp_path: Path) -> Iterator[BrowserContext]:
    """A browser whose owner lets frames of other sites see their cookies, which a window without a profile may not."""
    (tmp_path / "Default").mkdir()
    (tmp_path / "Default" / "Preferences").write_text('{"profile": {"cookie_controls_mode": 0}}')
    context = playwright.chromium.launch_persistent_context(
        tmp_path, executable_path=chromium, args=["--no-sandbox"], ignore_https_errors=True
    )
    yield context
    context.close()


def keep_cookies_from_frames(page: Page) -> None:
    """Have frames of other sites not see their cookies, as somebody may choose."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    controls = (
        "enableThirdPartyCookieRestriction",
        "disableThirdPartyCookieMetadata",
        "disableThirdPartyCookieHeuristics",
    )
    session.send("Network.setCookieControls", dict.fromkeys(controls, True))


def test_so_it_does_in_an_app_of_another_site(
    secure_server: str,
    app: App,
    make_user: Callable[..., User],
    make_client: MakeClient,
    own_profile: BrowserContext,
) -> None:
    """Over https, where the browser lets frames of other sites see their cookies."""
    make_user()
    app.origin = app.origin.replace("localhost", "127.0.0.1")
    watch(app, secure_server, register(make_client, app), own_profile)


def test_where_the_browser_keeps_cookies_from_it_the_answer_is_error(
    secure_server: str,
    app: App,
    make_user: Callable[..., User],
    make_client: MakeClient,
    own_profile: BrowserContext,
) -> None:
    """Not `changed`, or the app would ask anew for ever."""
    make_user()
    app.origin = app.origin.replace("localhost", "127.0.0.1")
    client = register(make_client, app)
    page = own_profile.new_page()
    keep_cookies_from_frames(page)
    (session_state,) = log_in(page, secure_server, client)["session_state"]
    frame = Frame(page, secure_server)
    assert page.frames[1].evaluate("document.hasStorageAccess()") is False
    assert frame.ask(f"{client.client_id} {session_state}") == "error"


@pytest.mark.parametrize(
    "message",
    ["", "x", "a b", "a  b", f"a {'0' * 64}", f"a {'0' * 63}.s", f"a {'g' * 64}.s", f" {'0' * 64}.s", f"a {'0' * 64}."],
)
def test_a_malformed_message_is_an_error(live_server: str, app: App, open_context: OpenContext, message: str) -> None:
    page = open_context().new_page()
    page.goto(app.origin)
    assert Frame(page, live_server).ask(message) == "error"


def test_what_is_no_text_at_all_is_an_error(live_server: str, app: App, open_context: OpenContext) -> None:
    page = open_context().new_page()
    page.goto(app.origin)
    frame = Frame(page, live_server)
    for message in (None, 1, [], {"client_id": "a"}, ["a " + "0" * 64 + ".s"]):
        assert frame.ask(message) == "error"


def test_the_frame_and_the_provider_do_the_same_sum(live_server: str, app: App, open_context: OpenContext) -> None:
    """Texts of every length around the blocks of SHA-256, and of every width in UTF-8."""
    context = open_context()
    page = context.new_page()
    page.goto(app.origin)
    frame = Frame(page, live_server)
    chosen = random.Random(2026)
    state = "0123456789abcdef" * 2
    context.add_cookies([{"name": "idp_browser_state", "value": state, "url": live_server}])
    for length in (*range(1, 140), 1_000, 10_000):
        client_id = "".join(chosen.choice("abz09-._~äß€\u65e5\U0001f600") for _ in range(length))
        told = hash_of(client_id, app.origin, state, f"salt{length}")
        assert frame.ask(f"{client_id} {told}") == "unchanged", length
        digest = told[:5] + ("0" if told[5] != "0" else "1") + told[6:]
        assert frame.ask(f"{client_id} {digest}") == "changed", length


def test_pages_of_no_origin_get_no_answer(live_server: str, app: App, open_context: OpenContext) -> None:
    """A sandboxed page has none that an answer could be sent to."""
    page = open_context().new_page()
    page.goto(app.origin)
    inner = f"""<iframe id=op src="{live_server}/oauth/check-session"></iframe><script>
        addEventListener("message", () => parent.postMessage("answered", "*"));
        op.addEventListener("load", () => {{
          op.contentWindow.postMessage("x", "*");
          setTimeout(() => parent.postMessage("silence", "*"), 300);
        }});</script>"""
    heard = page.evaluate(
        """(inner) => new Promise((told) => {
            addEventListener("message", (event) => told(event.data), {once: true});
            const frame = document.createElement("iframe");
            frame.sandbox = "allow-scripts";
            frame.srcdoc = inner;
            document.body.append(frame);
        })""",
        inner,
    )
    assert heard == "silence"
