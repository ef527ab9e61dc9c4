"""Streamlit's own `st.login`, set up as `docs/clients/streamlit.md` tells, and a person in Chromium."""

import sys
import tomllib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.clients.how_to import SECRET, HowTo
from tests.clients.processes import running
from tests.factories import PASSWORD
from tests.journeys.conftest import ARGUMENTS, House
from tests.waiting import until

pytestmark = pytest.mark.browser
PATIENCE = 60_000  # milliseconds


@pytest.fixture(scope="module")
def observatory(provider: House, app_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app; its secrets.toml is the one that the command wrote, and the one that the how-to shows."""
    folder = tmp_path_factory.mktemp("observatory")
    how_to = HowTo("streamlit", provider.issuer, app_url)
    (command,) = how_to.commands()
    provider.idp(*command, folder=folder)
    written = (folder / ".streamlit" / "secrets.toml").read_text("utf-8")
    auth = tomllib.loads(written)["auth"]
    how_to.values |= {
        SECRET: auth["client_secret"],
        "the-client-id": auth["client_id"],
        "the-cookie-secret": auth["cookie_secret"],
    }
    assert how_to.block(".streamlit/secrets.toml") == written
    how_to.write(folder, "main.py")
    command = [sys.executable, "-m", "streamlit", "run", "main.py", f"--server.port={app_url.rpartition(':')[2]}"]
    command += ["--server.address=127.0.0.1", "--server.headless=true", "--browser.gatherUsageStats=false"]
    with running([*command, "--server.fileWatcherType=none"], folder, f"{app_url}/_stcore/health"):
        yield app_url


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    """A tab in a fresh browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        tab = browser.new_page()
        tab.set_default_timeout(PATIENCE)
        yield tab
        browser.close()


def test_login_with_pkce_and_logout(observatory: str, provider: House, page: Page) -> None:
    page.goto(observatory)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{provider.issuer}/sign-in*")
    page.locator("#username").fill("ada")
    page.locator("#password").fill(PASSWORD)
    page.locator("#login-submit").click()
    expect(page.get_by_text("Hello Ada Lovelace")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("The office is open to you.")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=PATIENCE)
    account = f"{provider.issuer}/account"
    until(lambda: page.context.request.get(account, max_redirects=0).status == 303, "the provider still knows her")
