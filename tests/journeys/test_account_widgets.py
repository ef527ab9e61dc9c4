"""One person's whole way through the widgets of an app, in a browser: from the list to a forgotten password."""

import email
import re
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.journeys.conftest import House
from tests.waiting import until

pytestmark = pytest.mark.browser
APPS = Path(__file__).parent / "apps"
FIRST, SECOND, THIRD = "seven purple kettles", "eleven orange ladders", "thirteen silver pillows"


@pytest.fixture(scope="module")
def app(house: House) -> str:
    """The tutorial's snippets as an app."""
    return house.start_app(APPS / "seed.py", "localhost", "Seed")


def mailed(house: House, recipient: str, pattern: str) -> str:
    """Wait for a mail and return what of its text matches, as somebody copies it from their mailbox."""
    folder = house.folder / "instance" / "outbox"

    def look() -> str | None:
        for file in sorted(folder.glob("*.eml"), reverse=True):
            mail = cast(EmailMessage, email.message_from_bytes(file.read_bytes(), policy=policy.default))
            part = mail.get_body(("plain",))
            found = re.search(pattern, part.get_content()) if part else None
            if recipient in str(mail["To"]) and found:
                return found.group()
        return None

    return str(until(look, f"no mail for {recipient} with {pattern}"))


def mailed_link(house: House, recipient: str, path: str) -> str:
    """Wait for a mail and return the link in it."""
    return mailed(house, recipient, rf"{re.escape(house.issuer + path)}\S*")


def form(page: Page, title: str) -> Locator:
    """Return the widget with this title."""
    return page.get_by_test_id("stForm").filter(has=page.get_by_role("heading", name=title, exact=True))


def fill(widget: Locator, **fields: str) -> None:
    """Type into a widget; underscores in names stand for spaces."""
    for label, value in fields.items():
        widget.get_by_label(label.replace("_", " "), exact=True).fill(value)


def settle(page: Page) -> None:
    """Wait until the script has run to its end: what is typed before that may get lost."""
    expect(form(page, "Forgot username")).to_be_visible()
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def sign_in(page: Page, username: str, password: str) -> None:
    """Sign in from the app, on the provider's page."""
    page.get_by_test_id("stMain").get_by_role("button", name="Login").click()
    page.locator("#username").fill(username)
    page.locator("#password").fill(password)
    page.locator("#login-submit").click()
    settle(page)


def test_from_the_list_to_a_forgotten_password(house: House, app: str, page: Page) -> None:
    # Who is not on the list is told so.
    page.goto(app)
    settle(page)
    register = form(page, "Register user")
    person = {"First_name": "Grace", "Last_name": "Hopper", "Username": "grace", "Password": FIRST}
    fill(register, **person, Email="grace@example.org", Repeat_password=FIRST)
    register.get_by_role("button", name="Register").click()
    expect(page.get_by_text("User not preauthorized to register")).to_be_visible()

    # On the list: the address is proven by a mailed link, and gone from the list.
    house.idp("preauthorize", "Grace@Example.org", "--role", "captain")
    register.get_by_role("button", name="Register").click()
    expect(page.get_by_text("User registered successfully")).to_be_visible()
    mailbox = page.context.new_page()
    mailbox.goto(mailed_link(house, "grace@example.org", "/verify-email"))
    mailbox.get_by_role("button").first.click()
    mailbox.wait_for_load_state()
    assert "grace@example.org" not in house.idp("preauthorize", "--list").lower()

    # Signed in, with the role that came with the list.
    sign_in(page, "grace", FIRST)
    expect(page.get_by_text("Welcome Grace Hopper")).to_be_visible()
    assert "captain" in house.idp("user", "show", "grace")

    # A new name shows with the next run of the script, without a new sign-in.
    page.get_by_label("New value", exact=True).fill("Amazing Grace")
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_text("Entries updated successfully")).to_be_visible()

    # A new password ends other sessions and keeps this one.
    reset = form(page, "Reset password")
    fill(reset, Current_password="not this one", New_password=SECOND, Repeat_password=SECOND)
    reset.get_by_role("button", name="Reset").click()
    expect(page.get_by_text("Password is incorrect")).to_be_visible()
    expect(page.get_by_text("Welcome Amazing Grace Hopper")).to_be_visible()
    fill(reset, Current_password=FIRST, New_password=SECOND, Repeat_password=SECOND)
    reset.get_by_role("button", name="Reset").click()
    expect(page.get_by_text("Password modified successfully")).to_be_visible()

    page.get_by_role("button", name="Logout").click()
    expect(page.get_by_test_id("stMain").get_by_role("button", name="Login")).to_be_visible()

    settle(page)

    # Forgotten: the old password stays good until the link is used.
    forgot = form(page, "Forgot password")
    fill(forgot, Username="grace")
    forgot.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("New password sent securely")).to_be_visible()
    mailbox.goto(mailed_link(house, "grace@example.org", "/reset-password"))
    mailbox.locator("input[type=password]").first.fill(THIRD)
    mailbox.get_by_role("button").first.click()
    mailbox.wait_for_load_state()
    sign_in(page, "grace@example.org", THIRD)
    expect(page.get_by_text("Welcome Amazing Grace Hopper")).to_be_visible()


def test_a_stranger_learns_nothing_from_the_widgets(app: str, page: Page) -> None:
    page.goto(app)
    settle(page)
    forgot = form(page, "Forgot password")
    fill(forgot, Username="nobody.at.all")
    forgot.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("New password sent securely")).to_be_visible()
    name = form(page, "Forgot username")
    fill(name, Email="nobody@example.org")
    name.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Username sent securely")).to_be_visible()


def test_a_dialog_stays_open_for_the_mailed_code(house: House, page: Page) -> None:
    page.goto(house.start_app(APPS / "dialog.py", "localhost", "Dialog"))
    page.get_by_role("button", name="Join").click()
    dialog = page.get_by_role("dialog")
    for address in ("mistyped@example.org", "alan@example.org"):
        house.idp("preauthorize", address)
        fill(dialog, First_name="Alan", Email=address, Username="alan", Password=FIRST, Repeat_password=FIRST)
        dialog.get_by_role("button", name="Register").click()
        expect(dialog.get_by_role("heading", name="Verification code")).to_be_visible()
        expect(dialog.get_by_role("textbox")).to_have_count(1)  # nothing of the first step is left
        if address == "mistyped@example.org":
            dialog.get_by_role("button", name="Start again").click()
    fill(dialog, Code=mailed(house, "alan@example.org", r"\b\d{6}\b"))
    dialog.get_by_role("button", name="Submit").click()
    expect(dialog.get_by_text("Welcome aboard")).to_be_visible()
