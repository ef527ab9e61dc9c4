"""Drives pages as a person does: load, fill in, press a button."""

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import cast
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp.web import exchange
from tests.factories import PASSWORD
from tests.relying_party import Forms


@contextmanager
def asked_in(language: str) -> Iterator[None]:
    """Be within a request of a browser that asks for a language."""
    before = exchange._current.set(exchange.Exchange(cast(exchange.Site, None), {"HTTP_ACCEPT_LANGUAGE": language}))
    try:
        yield
    finally:
        exchange._current.reset(before)


def form_with(page: TestResponse, button: str) -> tuple[str, dict[str, str]]:
    """Return action and fields of the form that has a button with this id or value, the button's own among them."""
    for form in Forms(page.text).found:
        for given in form["buttons"]:
            if button in (given.get("id"), given.get("value")):
                fields = dict(form["fields"])
                if given.get("name"):
                    fields[given["name"]] = given.get("value") or ""
                return form["action"], fields
    raise AssertionError(f"no button {button!r} on the page: {page.text[:2000]}")


def press(browser: FlaskClient, page: TestResponse, button: str, **fields: str) -> TestResponse:
    """Fill in a form and press one of its buttons."""
    action, given = form_with(page, button)
    return browser.post(action, data={**given, **fields})


def sign_in(browser: FlaskClient, username: str = "ada", password: str = PASSWORD) -> TestResponse:
    """Sign in without an app."""
    page = browser.get("/sign-in")
    response = press(browser, page, "login-submit", username=username, password=password)
    assert response.status_code == 303, response.text
    return response


def location(response: TestResponse) -> str:
    """Return path and query of a redirect within the provider."""
    assert response.status_code == 303, f"{response.status_code}: {response.text[:1500]}"
    target = urlsplit(response.headers["Location"])
    return target.path + (f"?{target.query}" if target.query else "")


class Words(HTMLParser):
    """What a reader sees of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        """Collect the text."""
        self.seen.append(data)


def words(page: TestResponse) -> str:
    """Return the text of a page, spaces tidied."""
    return " ".join(" ".join(Words(page.text).seen).split())
