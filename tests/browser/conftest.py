"""A browser, an app on another origin, and an operator with a difficult taste."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

from idp.oidc.clients import ClientMetadata
from idp.settings import Settings
from tests.relying_party import s256
from tests.serving import serving

LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 32"><circle cx="16" cy="16" r="14"/></svg>'


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """What drives browsers; there can be one of it at a time."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium: str, playwright: Playwright) -> Iterator[Browser]:
    """One Chromium for all tests here."""
    running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    yield running
    running.close()


@pytest.fixture
def open_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Open browsers with cookies of their own; what a page complains about fails the test."""
    opened: list[BrowserContext] = []
    complaints: list[str] = []

    def note(message: Any) -> None:
        if message.type in ("error", "warning") and "the server responded with a status of 4" not in message.text:
            complaints.append(message.text)

    def make(**look: Any) -> BrowserContext:
        context = browser.new_context(**{"locale": "en-GB", **look})
        context.on("console", note)
        context.set_default_timeout(60_000)
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()
    assert complaints == []


class Callback(BaseHTTPRequestHandler):
    """An app that only says that one is back."""

    def do_GET(self) -> None:
        """Answer anything."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b'<!doctype html><link rel="icon" href="data:,"><title>back</title>back in the app')

    def do_POST(self) -> None:
        """Show what was posted."""
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        told = (self.headers["Origin"], self.headers.get("Referer", ""), form.replace("&", "&amp;"))
        page = '<!doctype html><link rel="icon" href="data:,"><title>back</title>'
        self.wfile.write(
            (page + "<p id=origin>{}</p><p id=referer>{}</p><pre id=posted>{}</pre>".format(*told)).encode()
        )

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def callback() -> Iterator[str]:
    """The redirect URI of an app on another origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}/callback"


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """On phones, an operator with a difficult colour, a long name and a logo without a size of its own."""
    window = request.node.callspec.params.get("window", "") if hasattr(request.node, "callspec") else ""
    if window != "phone":
        return settings
    (settings.instance / "logo.svg").write_text(LOGO)
    return replace(settings, brand_logo="logo.svg", brand_accent="#ffd400", brand_name="Royal Society of Pilots")


@pytest.fixture
def app_url(
    live_server: str, callback: str, make_client: Callable[..., tuple[ClientMetadata, str]]
) -> Callable[..., str]:
    """Make authorization requests of an app that needs consent."""
    app, _ = make_client(
        is_trusted=False,
        redirect_uris=(callback,),
        initiate_login_uri="https://app.example.org/start",
        policy_uri="https://app.example.org/privacy",
        tos_uri="https://app.example.org/terms",
    )

    def make(**changes: str) -> str:
        parameters = {
            "response_type": "code",
            "client_id": app.client_id,
            "redirect_uri": app.redirect_uris[0],
            "scope": "openid profile email address phone roles account offline_access",
            "code_challenge": s256("v" * 43),
            "code_challenge_method": "S256",
            **changes,
        }
        return f"{live_server}/oauth/authorize?{urlencode(parameters)}"

    return make
