"""The pages around mail and the account in a real browser: axe finds nothing, and whole journeys work."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page
from sqlalchemy import update
from sqlalchemy.orm import Session

from idp.accounts import passwords, preauthorization
from idp.accounts.visitor import OPERATOR
from idp.mail.delivery import deliver_due
from idp.models import User
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings
from tests.browser.looking import WINDOWS, check, open_page, sign_in
from tests.factories import EVERY_CLAIM, PASSWORD
from tests.web.mailbox import Mailbox

pytestmark = pytest.mark.browser

NEW_PASSWORD = "kettle orbit mustard lantern"


@pytest.fixture
def mailbox(db: Session, settings: Settings) -> Mailbox:
    """What the provider has posted."""
    return Mailbox(db, settings)


def register(page: Page, name: str = "zoe") -> None:
    """Fill in the registration form and send it."""
    page.fill("#username", name)
    if page.locator("#email").get_attribute("readonly") is None:
        page.fill("#email", f"{name}@example.org")
    page.fill("#password", PASSWORD)
    page.click("#register-submit")


@pytest.mark.parametrize("window", WINDOWS)
def test_pages_around_mail_are_accessible(
    live_server: str,
    app_url: Callable[..., str],
    open_context: Callable[..., BrowserContext],
    make_user: Callable[..., User],
    make_client: Callable[..., tuple[ClientMetadata, str]],
    mailbox: Mailbox,
    db: Session,
    settings: Settings,
    window: str,
) -> None:
    make_user()
    page = open_page(open_context, window)

    def visit(path: str, what: str) -> None:
        page.goto(path if path.startswith("http") else live_server + path)
        check(page, what)

    visit(app_url(prompt="create"), "register for an app")
    register(page)
    check(page, "registered look into the mailbox")
    page.click("#resend-submit")
    check(page, "mail sent again")
    visit("/verify-email/resend", "resend")
    page.click("#resend-submit")
    check(page, "resend refused")
    page.fill("#identifier", "zoe")
    page.click("#resend-submit")
    check(page, "resent")
    visit("/sign-in", "sign in with links")
    sign_in(page, "zoe")
    check(page, "pending")
    visit(mailbox.path("verify_address"), "verify")
    page.click("#verify-email-submit")
    check(page, "verified")
    visit("/verify-email?token=used", "verify link gone")
    visit("/forgot-password", "forgot password")
    page.click("#forgot-password-submit")
    check(page, "forgot password refused")
    page.fill("#username", "ada")
    page.click("#forgot-password-submit")
    check(page, "forgot password sent")
    visit(mailbox.path("reset_password"), "reset password")
    page.click("#reset-password-submit")
    check(page, "reset password refused")
    page.fill("#new_password", NEW_PASSWORD)
    page.click("#reset-password-submit")
    check(page, "reset done")
    visit("/reset-password?token=used", "reset link gone")
    visit("/forgot-username", "forgot username")
    page.fill("#email", "ada@example.org")
    page.click("#forgot-username-submit")
    check(page, "forgot username sent")
    preauthorization.invite(db, settings, OPERATOR, "yan@example.org")
    db.commit()
    visit(mailbox.path("invitation"), "invited")
    visit("/register?token=used", "invitation gone")
    visit("/mail-sent", "mail sent to nobody")
    deliver_due(db.get_bind(), settings)
    visit("/outbox", "outbox")
    page.click("#outbox a")
    check(page, "outbox message")
    closed, _ = make_client(registration_policy="closed")
    page.goto(app_url(client_id=closed.client_id, redirect_uri=closed.redirect_uris[0], scope="openid"))
    visit(f"/register?{urlsplit(page.url).query}", "registration closed")


@pytest.mark.parametrize("window", WINDOWS)
def test_account_pages_are_accessible(
    live_server: str,
    app_url: Callable[..., str],
    open_context: Callable[..., BrowserContext],
    make_user: Callable[..., User],
    mailbox: Mailbox,
    db: Session,
    settings: Settings,
    window: str,
) -> None:
    ada = make_user(**EVERY_CLAIM, is_email_verified=False)
    page = open_page(open_context, window)

    def visit(path: str, what: str) -> None:
        page.goto(path if path.startswith("http") else live_server + path)
        check(page, what)

    page.goto(live_server + "/account/profile")
    sign_in(page)
    page.wait_for_url("**/account/profile")
    check(page, "profile")
    page.fill("#birthdate", "yesterday")
    page.fill("#picture", "me.png")
    page.click("#profile-submit")
    check(page, "profile refused")
    visit("/account/profile?notice=profile-saved", "profile saved")
    visit("/account/apps", "no apps")
    page.goto(app_url())
    page.click("#consent-allow")
    visit("/account/apps", "apps")
    visit("/account", "overview")
    visit("/account/email", "change email")
    page.click("#email-submit")
    check(page, "change email refused")
    page.fill("#email", "countess@example.org")
    page.fill("#current_password", PASSWORD)
    page.click("#email-submit")
    check(page, "change email waits")
    page.click("#email-call-off")
    check(page, "change email called off")
    page.fill("#email", "countess@example.org")
    page.fill("#current_password", PASSWORD)
    page.click("#email-submit")
    visit(mailbox.path("confirm_new_address"), "confirm email")
    page.click("#confirm-email-submit")
    check(page, "email changed")
    visit("/confirm-email?token=used", "change link gone")
    visit("/account/delete", "delete")
    page.click("#delete-submit")
    check(page, "delete refused")
    page.fill("#current_password", PASSWORD)
    page.click("#delete-submit")
    check(page, "deletion due")
    visit("/account", "overview with deletion due")
    page.goto(app_url(prompt="login"))
    sign_in(page)
    check(page, "keep account")
    passwords.set_password(db, settings, OPERATOR, ada.id, NEW_PASSWORD, is_temporary=True)
    db.execute(update(User).values(deletion_due_at=None))
    db.commit()
    page.goto(app_url(prompt="login"))
    sign_in(page, password=NEW_PASSWORD)
    check(page, "temporary password")


def test_a_registration_from_an_app_comes_back_to_it(
    app_url: Callable[..., str],
    callback: str,
    live_server: str,
    open_context: Callable[..., BrowserContext],
    mailbox: Mailbox,
) -> None:
    page = open_context().new_page()
    page.goto(app_url(prompt="create"))
    register(page)
    page.goto(live_server + mailbox.path("verify_address"))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-in?*")
    sign_in(page, "zoe")
    page.click("#consent-allow")
    page.wait_for_url(f"{callback}?code=*")


def test_a_mailed_link_tells_no_other_host_about_itself(
    live_server: str, open_context: Callable[..., BrowserContext], make_user: Callable[..., User], mailbox: Mailbox
) -> None:
    make_user()
    page = open_context().new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.url} {request.headers.get('referer', '')}"))
    page.goto(live_server + "/forgot-password")
    page.fill("#username", "ada")
    page.click("#forgot-password-submit")
    secret = mailbox.path("reset_password")
    page.goto(live_server + secret)
    page.fill("#new_password", NEW_PASSWORD)
    page.click("#reset-password-submit")
    page.wait_for_url("**/sign-in?notice=password-reset")
    assert [each for each in asked if secret.split("=")[1] in each] == [f"{live_server}{secret} "]
    assert all(each.startswith(live_server) for each in asked)
    assert page.locator("a[href^=http]").count() == 0


def test_the_data_are_a_file_and_who_was_signed_out_meanwhile_gets_the_page_to_sign_in(
    live_server: str, open_context: Callable[..., BrowserContext], make_user: Callable[..., User]
) -> None:
    make_user()
    page = open_context().new_page()
    page.goto(live_server + "/account")
    sign_in(page)
    page.wait_for_url("**/account")
    with page.expect_download() as download:
        page.click("#download-data")
    assert download.value.suggested_filename == "account.json"
    page.context.clear_cookies()
    page.click("#download-data")
    page.wait_for_url("**/sign-in?next=**")
