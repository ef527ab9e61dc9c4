"""Whole journeys in Chromium: Streamlit's own server and login, the bridge, and the provider on loopback."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_provider import FakeProvider
from joserfc import jwt

from bench.loaded import Running
from streamlit_bridge import texts
from streamlit_bridge.demo import find_main_script
from streamlit_bridge.logout_token import EVENT
from tests.ports import free_port
from tests.streamlit_program import STREAMLIT
from tests.waiting import until_it_answers

playwright_api = pytest.importorskip("playwright.sync_api")

APPS = Path(__file__).parent / "apps"

pytestmark = pytest.mark.browser

StartApp = Callable[[Path], str]


@pytest.fixture
def start_app(provider: FakeProvider, tmp_path: Path) -> Iterator[StartApp]:
    """Start ``streamlit run`` for a script with its secrets outside of the script's folder."""
    processes: list[Running] = []
    provider.enforces_tokens = True

    def start(script: Path) -> str:
        port = free_port()
        base = f"http://localhost:{port}"
        secrets_file = tmp_path / "secrets.toml"
        values = {
            "redirect_uri": f"{base}/oauth2callback",
            "cookie_secret": "a-long-secret-for-the-tests-only",
            "client_id": "tea",
            "client_secret": "tea-secret",
            "server_metadata_url": provider.metadata_url,
        }
        lines = ["[auth]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
        lines += ['expose_tokens = ["access"]', '[auth.client_kwargs]\nscope = "openid profile email roles account"']
        lines += ['prompt = ""']
        secrets_file.write_text("\n".join(lines), encoding="utf-8")
        command = ["run", str(script), f"--server.port={port}"]
        command += ["--server.address=localhost", "--server.headless=true", "--browser.gatherUsageStats=false"]
        command += ["--server.fileWatcherType=none", "--client.toolbarMode=minimal", f"--secrets.files={secrets_file}"]
        log = tmp_path / f"streamlit-{port}.log"
        with open(os.devnull, "rb") as nothing, log.open("wb") as written:
            processes.append(STREAMLIT.start(command, os.environ, tmp_path, (nothing, written, written)))
        until_it_answers(f"{base}/_stcore/health", processes[-1], log)
        return base

    yield start
    for process in processes:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--no-proxy-server"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context()
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def test_demo_from_deep_link_to_sign_out(start_app: StartApp, provider: FakeProvider, page: Any) -> None:
    base = start_app(find_main_script())
    deep_link = f"{base}/tastings?region=Uji&guests=4"
    page.goto(deep_link)
    page.get_by_role("heading", name=texts.SIGN_IN_TITLE).wait_for()
    assert page.url == deep_link
    page.get_by_test_id("stMain").get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    page.get_by_role("heading", name="Tastings").wait_for()
    page.wait_for_url(deep_link)
    page.get_by_text("Ada Lovelace").first.wait_for()

    request = next(query for path, _, query in provider.requests if path == "/authorize")
    assert request["scope"] == ["openid profile email roles account"]
    assert request["prompt"] == [""]
    assert request["code_challenge_method"] == ["S256"]

    page.get_by_role("link", name="Office").click()
    page.get_by_text(texts.FORBIDDEN_TITLE).wait_for()

    page.get_by_role("button", name="Ada Lovelace").click()
    assert page.get_by_role("link", name=texts.ACCOUNT_LINK).get_attribute("href") == f"{provider.issuer}/account"
    page.get_by_role("button", name=texts.SIGN_OUT_BUTTON).click()
    page.get_by_text("This page is open to everybody").wait_for()
    assert provider.count("/end-session") == 1
    ended = next(query for path, _, query in provider.requests if path == "/end-session")
    assert ended["client_id"] == ["tea"]
    assert ended["id_token_hint"][0].count(".") == 2


def test_cancelled_sign_in_is_explained(start_app: StartApp, provider: FakeProvider, page: Any) -> None:
    provider.refuses_authorization = True
    base = start_app(APPS / "smallest.py")
    page.goto(f"{base}/?tag=green")
    page.get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    page.get_by_text(texts.SIGN_IN_UNFINISHED).wait_for()
    provider.refuses_authorization = False
    page.get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    page.get_by_text("Hello Ada Lovelace").wait_for()
    page.wait_for_url(f"{base}/?tag=green")


def test_require_before_navigation_keeps_the_deep_link(start_app: StartApp, page: Any) -> None:
    base = start_app(APPS / "guarded_first.py")
    deep_link = f"{base}/chart?year=1843"
    page.goto(deep_link)
    page.get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    page.get_by_text("chart of 1843").wait_for()
    page.wait_for_url(deep_link)


def test_who_opened_the_app_at_another_address_is_led_to_its_own(start_app: StartApp, page: Any) -> None:
    base = start_app(APPS / "smallest.py")
    page.goto(f"{base.replace('localhost', '127.0.0.1')}/?year=1843")
    page.get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    link = page.get_by_role("link", name=base.removeprefix("http://"))
    assert link.get_attribute("href") == f"{base}/?year=1843"


def test_failing_exchange_does_not_go_in_circles(start_app: StartApp, provider: FakeProvider, page: Any) -> None:
    provider.refuses_exchange = True
    base = start_app(APPS / "automatic.py")
    page.goto(base)
    page.get_by_text(texts.SIGN_IN_UNFINISHED).wait_for()
    page.wait_for_timeout(3000)
    assert provider.count("/token") == 1
    provider.refuses_exchange = False
    page.get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    page.get_by_text("inside").wait_for()


def test_session_ended_at_the_provider(start_app: StartApp, provider: FakeProvider, page: Any) -> None:
    base = start_app(APPS / "always_checking.py")
    page.goto(base)
    page.get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    page.get_by_text("Hello Ada Lovelace").wait_for()
    provider.live_tokens.clear()
    page.reload()
    page.get_by_text(texts.SESSION_ENDED).wait_for()
    assert provider.count("/end-session") == 0
    page.get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    page.get_by_text("Hello Ada Lovelace").wait_for()


def test_session_ended_at_the_provider_is_noticed_without_a_click(
    start_app: StartApp, provider: FakeProvider, page: Any
) -> None:
    page.goto(start_app(APPS / "watched.py"))
    page.get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    page.get_by_text("Roles: editor").wait_for()
    provider.reply.body["roles"] = ["editor", "admin"]
    page.get_by_text("Roles: editor, admin").wait_for()
    provider.live_tokens.clear()
    page.get_by_text(texts.SESSION_ENDED).wait_for()


def test_work_within_a_fragment_that_requires_somebody_counts_as_use(
    start_app: StartApp, provider: FakeProvider, page: Any
) -> None:
    page.goto(start_app(APPS / "fragment.py"))
    page.get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    page.get_by_text("That makes 0").wait_for()
    run = page.get_by_text("Run ").inner_text()

    def count_uses() -> int:
        return sum(path == "/api/v1/me" and "Idp-Passive" not in headers for path, headers, _ in provider.requests)

    before = count_uses()
    page.get_by_role("button", name="One more").click()
    page.get_by_text("That makes 1").wait_for()
    assert count_uses() > before
    assert page.get_by_text("Run ").inner_text() == run


@pytest.mark.parametrize("is_over", [True, False], ids=["session", "role"])
def test_what_ends_within_a_fragment_ends_for_the_whole_page(
    start_app: StartApp, provider: FakeProvider, page: Any, is_over: bool
) -> None:
    page.goto(start_app(APPS / "fragment_alone.py"))
    page.get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    page.get_by_text("That makes 0").wait_for()
    if is_over:
        provider.live_tokens.clear()
    else:
        provider.reply.body["roles"] = ["reader"]
    page.get_by_role("button", name="One more").click()
    page.get_by_text(texts.SESSION_ENDED if is_over else texts.FORBIDDEN_TITLE).wait_for()
    page.get_by_text("The whole payroll").wait_for(state="detached")


def test_optional_layer(start_app: StartApp, provider: FakeProvider, page: Any) -> None:
    base = start_app(APPS / "layered.py")
    deep_link = f"{base}/chart?year=1843"
    page.goto(deep_link)
    page.get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    # The very first page that the script shows after the sign-in is the one that was asked for.
    page.get_by_text("chart of 1843 after chart").wait_for()
    assert page.url == deep_link

    asked = provider.count("/api/v1/me")
    token = make_logout_token(provider, "session-1")
    assert post(f"{base}/backchannel-logout", {"logout_token": token + "x"}) == 400
    assert post(f"{base}/backchannel-logout", {"logout_token": token}) == 200
    page.get_by_text(texts.SESSION_ENDED).wait_for()
    assert provider.count("/api/v1/me") == asked


def test_optional_layer_tells_why_nobody_was_let_in(start_app: StartApp, provider: FakeProvider, page: Any) -> None:
    provider.refuses_authorization = True
    provider.refusal = texts.TOO_MANY_USERS
    base = start_app(APPS / "layered.py")
    page.goto(base)
    page.get_by_role("button", name="Login").click()
    page.get_by_text(texts.TOO_MANY_USERS).wait_for()


def test_widgets_of_the_demo(start_app: StartApp, provider: FakeProvider, page: Any) -> None:
    base = start_app(find_main_script())
    page.goto(f"{base}/account-widgets")
    main = page.get_by_test_id("stMain")
    main.get_by_label("First name").fill("Grace")
    main.get_by_label("Last name").fill("Hopper")
    main.get_by_label("Email").first.fill("grace@example.org")
    main.get_by_label("Username").first.fill("grace")
    main.get_by_label("Password", exact=True).fill("a wholly different sentence")
    main.get_by_label("Repeat password").fill("a wholly different sentence")
    main.get_by_role("button", name="Register", exact=True).click()
    main.get_by_text("Follow the link in it to finish your registration").wait_for()
    assert main.get_by_role("link", name="outbox").get_attribute("href") == f"{provider.issuer}/outbox"
    assert provider.account_api.people["grace"].claims["name"] == "Grace Hopper"

    page.get_by_role("tab", name="Forgot password").click()
    main.get_by_label("Username").last.fill("grace")
    main.get_by_label("Username").last.press("Enter")
    main.get_by_text("its mailbox has a link now").wait_for()
    assert provider.account_api.mails[-1].kind == "reset_password"

    page.get_by_test_id("stSidebar").get_by_role("button", name=texts.SIGN_IN_BUTTON).click()
    page.get_by_text("You are signed in, so you can change your account here").wait_for()
    main.get_by_label("New value").fill("Augusta")
    main.get_by_role("button", name="Update").click()
    main.get_by_text("Saved.").wait_for()
    page.get_by_role("tab", name="Change my password").click()
    main.get_by_label("Current password").fill("correct horse battery")
    main.get_by_label("New password").fill("a wholly different sentence")
    main.get_by_role("tabpanel").get_by_label("Repeat password").first.fill("a wholly different sentence")
    main.get_by_role("button", name="Reset").click()
    main.get_by_text("Your other sessions have ended").wait_for()
    page.get_by_test_id("stSidebar").get_by_text("Augusta Lovelace").wait_for()


def test_captcha_and_code_in_the_browser(start_app: StartApp, provider: FakeProvider, page: Any) -> None:
    base = start_app(find_main_script())
    page.goto(f"{base}/account-widgets")
    main = page.get_by_test_id("stMain")
    main.get_by_text("Captcha", exact=True).click()
    picture = main.get_by_role("img", name=texts.CAPTCHA_ALT)
    picture.wait_for()
    before = picture.get_attribute("src")
    main.get_by_label("Email").first.fill("grace@example.org")
    main.get_by_label("Username").first.fill("grace")
    main.get_by_label("Password", exact=True).fill("a wholly different sentence")
    main.get_by_label("Repeat password").fill("a wholly different sentence")
    main.get_by_role("textbox", name="Captcha").fill("wrong")
    # The Enter key sends the form; it does not ask for the sound.
    main.get_by_role("textbox", name="Captcha").press("Enter")
    main.get_by_text("Captcha entered incorrectly").wait_for()
    page.wait_for_function("old => document.querySelector('img[alt^=Distorted]').src !== old", arg=before)
    main.get_by_role("button", name=texts.CAPTCHA_LISTEN).click()
    main.locator("audio").wait_for()

    main.get_by_text("Captcha", exact=True).first.click()
    main.get_by_text("Mailed code", exact=True).click()
    picture.wait_for(state="detached")
    button = main.get_by_role("button", name="Register", exact=True)
    button.nth(1).wait_for(state="detached")  # the form before is there until the whole page has been made anew
    button.click()
    main.get_by_label("Code", exact=True).wait_for()
    main.get_by_label("Code", exact=True).fill(provider.account_api.mails[-1].code)
    main.get_by_label("Code", exact=True).press("Enter")
    main.get_by_text(texts.REGISTER_READY).wait_for()


def make_logout_token(provider: FakeProvider, session_id: str) -> str:
    now = int(time.time())
    claims = {"iss": provider.issuer, "aud": "tea", "iat": now, "jti": "token-1", "sid": session_id, "sub": "user-1"}
    header = {"alg": "RS256", "kid": "k1", "typ": "logout+jwt"}
    return jwt.encode(header, claims | {"events": {EVENT: {}}}, provider.key)


def post(url: str, form: dict[str, str]) -> int:
    with httpx.Client(trust_env=False) as client:
        return client.post(url, data=form).status_code
