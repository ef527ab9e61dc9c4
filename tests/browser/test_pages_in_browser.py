"""The pages in a real browser: axe finds nothing, nothing overflows, keyboard and focus are where they should be."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from idp.models import User
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings
from tests.factories import EVERY_CLAIM, PASSWORD
from tests.relying_party import s256

pytestmark = pytest.mark.browser

NEW_PASSWORD = "kettle orbit mustard lantern"
LOOKS: dict[str, Any] = {
    "desktop-light": {"viewport": {"width": 1280, "height": 800}},
    "desktop-dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone-light": {"viewport": {"width": 390, "height": 844}, "locale": "de-DE"},
    "phone-dark": {"viewport": {"width": 320, "height": 568}, "color_scheme": "dark"},
    "zoomed": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
    "forced-colours": {"viewport": {"width": 1280, "height": 800}, "forced_colors": "active"},
}
LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 32"><circle cx="16" cy="16" r="14"/></svg>'
AXE = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for all tests here."""
    with sync_playwright() as playwright:
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
        context.set_default_timeout(10_000)
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

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def callback() -> Iterator[str]:
    """The redirect URI of an app on another origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/callback"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """On phones, an operator with a difficult colour, a long name and a logo without a size of its own."""
    look = request.node.callspec.params.get("look", "") if hasattr(request.node, "callspec") else ""
    if not look.startswith("phone"):
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


def sign_in(page: Page, username: str = "ada", password: str = PASSWORD) -> None:
    """Fill in the form and send it with Enter."""
    page.fill("#username", username)
    page.fill("#password", password)
    page.press("#password", "Enter")


def check(page: Page, what: str) -> None:
    """Axe finds nothing, and nothing is wider than the window."""
    found = Axe().run(page, options=AXE)
    assert found.violations_count == 0, f"{what}: {found.generate_report()}"
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"{what} is {overflow} pixels too wide"
    brand = page.locator(".brand").bounding_box()
    assert brand
    assert brand["height"] < 120, f"{what}: name and logo take too much room"
    for button in page.locator("button:visible, .button:visible").all():
        box = button.bounding_box()
        assert box
        assert box["height"] >= 24, f"{what}: a button is too small (WCAG 2.5.8)"


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_accessible(
    live_server: str,
    app_url: Callable[..., str],
    open_context: Callable[..., BrowserContext],
    make_user: Callable[..., User],
    look: str,
) -> None:
    make_user(roles=("editor", "a-role-with-a-name-that-is-rather-long"), **EVERY_CLAIM)
    page = open_context(**LOOKS[look]).new_page()

    def visit(path: str, what: str) -> None:
        page.goto(path if path.startswith("http") else live_server + path)
        check(page, what)

    visit("/sign-in", "sign in")
    visit(app_url(login_hint="ada"), "sign in for an app")
    sign_in(page, password="wrong")
    check(page, "sign in refused")
    visit("/register", "register")
    page.click("#register-submit")
    check(page, "register refused")
    visit("/sign-in?notice=registered", "registered")
    visit("/nowhere", "no such page")
    visit("/oauth/authorize?client_id=nobody", "an app's mistake")
    visit("/consent?i=unknown", "expired")
    page.goto(app_url())
    sign_in(page)
    check(page, "consent")
    visit(app_url(prompt="select_account"), "choose account")
    visit(app_url(prompt="login"), "sign in again")
    visit("/account", "account")
    visit("/account/password", "password")
    page.click("#password-submit")
    check(page, "password refused")
    visit("/account/password?notice=password-changed", "password changed")
    other = open_context().new_page()
    other.goto(live_server + "/sign-in")
    sign_in(other)
    other.wait_for_url("**/account")
    visit("/account/sessions", "sessions")
    visit("/oauth/end-session", "confirm sign-out")
    page.click("#logout-confirm")
    check(page, "signed out")


def test_enter_signs_in_and_cancel_goes_back(
    app_url: Callable[..., str],
    callback: str,
    open_context: Callable[..., BrowserContext],
    make_user: Callable[..., User],
) -> None:
    make_user()
    page = open_context().new_page()
    page.goto(app_url(scope="openid"))
    assert page.evaluate("document.activeElement.id") == "username"
    page.click("button[value=cancel]")
    page.wait_for_url(f"{callback}?error=access_denied*")

    page.goto(app_url(scope="openid", login_hint="ada"))
    assert page.evaluate("document.activeElement.id") == "password"
    sign_in(page, password="wrong")
    assert "Error:" in page.title()
    assert page.evaluate("document.activeElement.id") == "password"
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.click("#consent-allow")
    page.wait_for_url(f"{callback}?code=*")
    page.goto(app_url(scope="openid"))
    assert page.url.startswith(f"{callback}?code="), "no page is shown a second time"


def test_account_is_looked_after_by_keyboard(
    live_server: str, open_context: Callable[..., BrowserContext], make_user: Callable[..., User]
) -> None:
    make_user()
    page = open_context().new_page()
    page.goto(live_server + "/account/password")
    sign_in(page)
    page.wait_for_url("**/account/password")
    page.keyboard.press("Tab")
    assert page.locator(".skip").is_visible()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "current_password"
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    page.keyboard.type(NEW_PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/password?notice=password-changed")
    page.click("#sign-out")
    page.wait_for_url("**/signed-out")
    page.go_back()
    assert "/sign-in" in page.url or not page.locator("#sign-out").is_visible(), "pages are not kept after sign-out"


def test_focus_is_visible(live_server: str, open_context: Callable[..., BrowserContext]) -> None:
    for look in (LOOKS["desktop-light"], LOOKS["desktop-dark"]):
        page = open_context(**look).new_page()
        page.goto(live_server + "/register")
        for _ in range(8):
            page.keyboard.press("Tab")
            style = page.evaluate(
                "(() => { const style = getComputedStyle(document.activeElement);"
                " return [document.activeElement.tagName, style.outlineStyle, parseFloat(style.outlineWidth)]; })()"
            )
            if style[0] == "BODY":
                break
            assert style[1] != "none", style
            assert style[2] >= 2, style
