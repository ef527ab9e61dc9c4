"""The pages in a real browser: axe finds nothing, nothing overflows, keyboard and focus are where they should be."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext

from idp.models import User
from tests.browser.looking import LOOKS, WINDOWS, Look, check, open_page, sign_in, wait_for_focus
from tests.factories import EVERY_CLAIM, PASSWORD

pytestmark = pytest.mark.browser

NEW_PASSWORD = "kettle orbit mustard lantern"


@pytest.mark.parametrize("window", WINDOWS)
def test_every_page_is_accessible(
    live_server: str,
    app_url: Callable[..., str],
    open_context: Callable[..., BrowserContext],
    make_user: Callable[..., User],
    window: str,
) -> None:
    make_user(roles=("editor", "a-role-with-a-name-that-is-rather-long"), **EVERY_CLAIM)
    page = open_page(open_context, window)

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
    wait_for_focus(page, "username")
    page.click("button[value=cancel]")
    page.wait_for_url(f"{callback}?error=access_denied*")

    page.goto(app_url(scope="openid", login_hint="ada"))
    wait_for_focus(page, "password")
    sign_in(page, password="wrong")
    page.wait_for_load_state()
    assert "Error:" in page.title()
    wait_for_focus(page, "password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.click("#consent-allow")
    page.wait_for_url(f"{callback}?code=*")
    page.goto(app_url(scope="openid"))
    assert page.url.startswith(f"{callback}?code="), "no page is shown a second time"


def test_no_link_puts_a_button_under_a_key_that_is_held_down(
    live_server: str,
    app_url: Callable[..., str],
    open_context: Callable[..., BrowserContext],
    make_user: Callable[..., User],
) -> None:
    """Another site opens a window of ours while somebody holds Enter, as that site asked for (cross-window forgery).

    What stands behind the # goes along with all redirects.
    """
    make_user()
    page = open_context().new_page()
    page.goto(app_url())
    sign_in(page)
    page.wait_for_url("**/consent?*")
    asks_for = {
        app_url(): ("consent-allow", "consent-deny"),
        app_url(prompt="select_account"): ("account-continue",),
        live_server + "/oauth/end-session": ("logout-confirm",),
        live_server + "/account/profile": ("sign-out", "profile-submit"),
    }
    for url, buttons in asks_for.items():
        for button in buttons:
            page.goto("about:blank")
            page.goto(f"{url}#{button}")
            assert page.url.endswith(f"#{button}")
            there = page.url
            focused = page.evaluate(
                "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() =>"
                " done(document.activeElement.id))))"
            )
            assert focused != button
            page.keyboard.press("Enter")
            assert page.url == there


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
    wait_for_focus(page, "content")
    page.keyboard.press("Tab")
    wait_for_focus(page, "current_password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    page.keyboard.type(NEW_PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/password?notice=password-changed")
    wait_for_focus(page, "notice")
    page.click("#sign-out")
    page.wait_for_url("**/signed-out")
    page.go_back()
    assert "/sign-in" in page.url or not page.locator("#sign-out").is_visible(), "pages are not kept after sign-out"


def test_focus_is_visible(live_server: str, open_context: Callable[..., BrowserContext]) -> None:
    for look in LOOKS["desktop"][:2]:
        page = open_context().new_page()
        look.show(page)
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


@pytest.mark.parametrize("look", LOOKS["desktop"][:2], ids=lambda look: look.scheme)
def test_what_is_wrong_with_a_form_takes_the_focus_and_leads_to_the_fields(
    live_server: str, open_context: Callable[..., BrowserContext], look: Look
) -> None:
    page = open_context().new_page()
    look.show(page)
    page.goto(live_server + "/register")
    page.fill("#username", "two words")
    page.press("#username", "Enter")
    page.wait_for_selector("#form-faults")
    wait_for_focus(page, "form-faults")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_for_focus(page, "email")
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineColor")
    assert ring.startswith("rgb("), f"{ring} lets the background through: too faint (WCAG 1.4.11)"
    assert ring == page.evaluate("getComputedStyle(document.querySelector('.aside a')).color")


def test_letters_of_twice_the_size_leave_words_whole_on_a_phone(
    live_server: str,
    app_url: Callable[..., str],
    open_context: Callable[..., BrowserContext],
    make_user: Callable[..., User],
) -> None:
    make_user()
    page = open_context(**WINDOWS["phone"], viewport={"width": 360, "height": 740}, bypass_csp=True).new_page()
    page.goto(live_server + "/account")
    sign_in(page)
    for url, texts in (
        (live_server + "/account", ".greeting h1, .facts dt + dd"),
        (app_url(prompt="select_account"), ".person .who"),
    ):
        page.goto(url)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        widths = page.evaluate(
            "texts => [...document.querySelectorAll(texts)].map(each => each.getBoundingClientRect().width)", texts
        )
        assert min(widths) >= 160, f"{url}: {widths}"
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_window_that_an_app_opened_is_parted_from_it(
    app_url: Callable[..., str],
    callback: str,
    open_context: Callable[..., BrowserContext],
    make_user: Callable[..., User],
) -> None:
    """Nobody watches or moves a window in which somebody signs in; what the app may use instead gets through."""
    make_user()
    app = open_context().new_page()
    app.goto(callback)
    app.evaluate("() => { new BroadcastChannel('app').onmessage = message => { window.told = message.data } }")
    with app.expect_popup() as opened:
        app.evaluate("url => { window.popup = window.open(url, '', 'popup') }", app_url(display="popup"))
    popup = opened.value
    popup.wait_for_selector("#login-submit")
    assert app.evaluate("window.popup.closed")
    sign_in(popup)
    popup.click("#consent-allow")
    popup.wait_for_url(f"{callback}?*")
    assert popup.evaluate("window.opener") is None
    popup.evaluate("new BroadcastChannel('app').postMessage(location.search)")
    app.wait_for_function("window.told && window.told.includes('code=')")
