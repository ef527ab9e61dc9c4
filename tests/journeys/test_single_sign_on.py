"""What the product is for, seen by a person in a browser: one sign-in for all apps, and one sign-out."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from streamlit_bridge.demo import find_main_script
from tests.factories import PASSWORD
from tests.journeys.conftest import House

pytestmark = pytest.mark.browser
APPS = Path(__file__).parent / "apps"


@pytest.fixture(scope="module")
def demo_app(house: House) -> str:
    """The demo app, at `localhost`."""
    return house.start_app(find_main_script(), "localhost", "Tea-House")


@pytest.fixture(scope="module")
def second_app(house: House) -> str:
    """Another app; cookies ignore ports, so it has another host name."""
    return house.start_app(APPS / "second.py", "127.0.0.1", "Second-app")


def fill_in(page: Page, username: str = "ada", password: str = PASSWORD) -> None:
    """Sign in on the provider's page."""
    page.locator("#username").fill(username)
    page.locator("#password").fill(password)
    page.locator("#login-submit").click()


def click_sign_in(page: Page) -> None:
    """Click the app's own sign-in button."""
    page.get_by_test_id("stMain").get_by_role("button", name="Sign in").click()


def test_from_a_deep_link_through_sign_in_to_the_same_deep_link(
    demo_app: str, second_app: str, house: House, page: Page
) -> None:
    deep_link = f"{demo_app}/tastings?region=Uji&guests=4"
    page.goto(deep_link)
    click_sign_in(page)
    page.wait_for_url(re.compile(re.escape(house.issuer) + "/sign-in"))
    expect(page.get_by_text("Tea-House").first).to_be_visible()
    fill_in(page)
    expect(page.get_by_role("heading", name="Tastings")).to_be_visible()
    page.wait_for_url(deep_link)
    expect(page.get_by_text("Ada Lovelace").first).to_be_visible()

    # The second app asks for no password and shows no page of ours.
    other = page.context.new_page()
    visited: list[str] = []
    other.on("framenavigated", lambda frame: visited.append(frame.url))
    other.goto(second_app)
    expect(other.get_by_text("Hello Ada Lovelace")).to_be_visible()
    assert not [url for url in visited if url.startswith(house.issuer + "/sign-in")]

    # Signed out here, signed out there: the other app notices when it next asks.
    page.bring_to_front()
    page.get_by_role("button", name="Ada Lovelace").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("This page is open to everybody")).to_be_visible()
    other.bring_to_front()
    other.wait_for_timeout(1_500)
    other.get_by_role("button", name="Look again").click()
    expect(other.get_by_text("Your session has ended")).to_be_visible()
    expect(other.get_by_text("Hello Ada Lovelace")).to_have_count(0)


def test_wrong_password_says_so_kindly_and_keeps_the_name(demo_app: str, page: Page) -> None:
    page.goto(f"{demo_app}/tastings")
    click_sign_in(page)
    fill_in(page, password="not the password")
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    assert page.locator("#username").input_value() == "ada"
    assert page.locator("#password").input_value() == ""
    fill_in(page)
    expect(page.get_by_role("heading", name="Tastings")).to_be_visible()


def test_cancel_returns_to_the_app_with_a_message(demo_app: str, page: Page) -> None:
    page.goto(f"{demo_app}/tastings")
    click_sign_in(page)
    page.locator("button[value=cancel]").click()
    page.wait_for_url(re.compile(re.escape(demo_app)))
    expect(page.get_by_test_id("stToast")).to_contain_text("The sign-in was not finished")
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Tastings").click()
    click_sign_in(page)
    fill_in(page)
    expect(page.get_by_role("heading", name="Tastings")).to_be_visible()


def test_a_page_for_admins_tells_others_so_and_opens_when_the_role_is_given(
    second_app: str, demo_app: str, house: House, page: Page
) -> None:
    page.goto(f"{demo_app}/office")
    click_sign_in(page)
    fill_in(page, "bob")
    expect(page.get_by_text("You do not have access to this page")).to_be_visible()

    other = page.context.new_page()
    other.goto(second_app)
    expect(other.get_by_text("Roles: member")).to_be_visible()
    house.idp("user", "roles", "bob", "--add", "barista")
    other.wait_for_timeout(1_500)
    other.get_by_role("button", name="Look again").click()
    expect(other.get_by_text("Roles: barista, member")).to_be_visible()


def test_a_disabled_user_is_out_of_every_app(second_app: str, house: House, page: Page) -> None:
    house.idp(
        "user", "add", "eve", "--email", "eve@example.org", "--first-name", "Eve", "--password-stdin", text=PASSWORD
    )
    page.goto(second_app)
    fill_in(page, "eve")
    expect(page.get_by_text("Hello Eve")).to_be_visible()
    house.idp("user", "disable", "eve")
    page.wait_for_timeout(1_500)
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    click_sign_in(page)
    fill_in(page, "eve")
    expect(page.get_by_role("alert")).to_contain_text("do not match")


def test_signing_out_everywhere_on_the_account_page(second_app: str, house: House, page: Page) -> None:
    page.goto(second_app)
    fill_in(page)
    expect(page.get_by_text("Hello Ada Lovelace")).to_be_visible()
    account = page.context.new_page()
    account.goto(f"{house.issuer}/account")
    account.get_by_role("button", name="Sign out").first.click()
    account.wait_for_url(f"{house.issuer}/signed-out")
    page.wait_for_timeout(1_500)
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_text("Your session has ended")).to_be_visible()


def test_an_app_with_the_layer_hears_of_a_sign_out_at_once(house: House, page: Page) -> None:
    layered = Path(__file__).parents[1] / "bridge" / "apps" / "layered.py"
    url = house.start_app(layered, "localhost", "Layered", logout_route="/backchannel-logout")
    deep_link = f"{url}/chart?year=1843"
    page.goto(deep_link)
    page.get_by_role("button", name="Sign in").click()
    fill_in(page)
    expect(page.get_by_text("chart of 1843 after chart")).to_be_visible()  # straight there, not by the start page
    page.wait_for_url(deep_link)
    account = page.context.new_page()
    account.goto(f"{house.issuer}/account")
    account.get_by_role("button", name="Sign out").first.click()
    account.wait_for_url(f"{house.issuer}/signed-out")
    # The app asks once a minute; nobody clicks here. The provider's worker tells it within seconds.
    expect(page.get_by_text("Your session has ended")).to_be_visible(timeout=45_000)
