"""The page that posts an answer to the app, in a real browser: by itself, or by its button where no script runs."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from idp.models import User
from tests.browser.looking import WINDOWS, check, open_page, sign_in

pytestmark = pytest.mark.browser

STATE = 'a"b <c> &amp; ünï %20+'


def posted(page: Page, callback: str) -> dict[str, list[str]]:
    """Return what arrived at the app."""
    page.wait_for_url(callback)
    return parse_qs(page.inner_text("#posted"), strict_parsing=True)


def test_the_answer_is_posted_to_the_app_at_once(
    app_url: Callable[..., str],
    callback: str,
    open_context: Callable[..., BrowserContext],
    make_user: Callable[..., User],
    live_server: str,
) -> None:
    make_user()
    page = open_context().new_page()
    page.goto(app_url(response_mode="form_post", state=STATE))
    sign_in(page)
    page.click("#consent-allow")
    answer = posted(page, callback)
    assert answer["state"] == [STATE]
    assert answer["iss"] == [live_server]
    assert answer["code"]
    # Who posts can be told, and nothing else of where the browser was.
    assert page.inner_text("#origin") == live_server
    assert page.inner_text("#referer") == live_server + "/"
    page.goto(app_url(response_mode="form_post", prompt="none", scope="openid nonsense", max_age="x"))
    assert posted(page, callback)["error"] == ["invalid_request"]


@pytest.mark.parametrize("window", WINDOWS)
def test_without_a_script_there_is_a_button(
    app_url: Callable[..., str],
    callback: str,
    open_context: Callable[..., BrowserContext],
    make_user: Callable[..., User],
    window: str,
) -> None:
    make_user()
    page = open_page(open_context, window)
    url = app_url(response_mode="form_post", prompt="none", state=STATE)

    def take_script_out(route: Route) -> None:  # axe needs JavaScript, so the browser keeps it
        response = route.fetch()
        route.fulfill(response=response, body=re.sub(r"<script>.*?</script>", "", response.text(), flags=re.DOTALL))

    page.route("**/oauth/authorize?*", take_script_out)
    page.goto(url)
    check(page, "form post")
    page.click("#form-post-continue")
    answer = posted(page, callback)
    assert (answer["error"], answer["state"]) == (["login_required"], [STATE])


def test_with_javascript_switched_off_the_button_works(
    app_url: Callable[..., str],
    callback: str,
    open_context: Callable[..., BrowserContext],
    make_user: Callable[..., User],
) -> None:
    make_user()
    page = open_context(java_script_enabled=False).new_page()
    page.goto(app_url(response_mode="form_post"))
    sign_in(page)
    page.click("#consent-deny")
    page.click("#form-post-continue")
    assert posted(page, callback)["error"] == ["access_denied"]
