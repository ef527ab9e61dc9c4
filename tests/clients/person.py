"""A person with a browser, over real HTTP: follows redirects, fills in forms, stops where it leaves for the app."""

from urllib.parse import urljoin

import httpx

from tests.factories import PASSWORD
from tests.relying_party import Forms, the_form


class Person:
    """Somebody who signs in willingly.

    Args:
        issuer: the provider's URL.
    """

    def __init__(self, issuer: str, username: str = "ada", password: str = PASSWORD) -> None:
        self.issuer = issuer
        self.username = username
        self.password = password
        self.http = httpx.Client(trust_env=False, timeout=60)

    def __enter__(self) -> "Person":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def visit(self, url: str) -> str:
        """Open a URL of the provider and do what its pages ask; returns the first URL that is not the provider's."""
        response = self.http.get(url)
        for _ in range(12):
            if response.status_code == 303:
                target = urljoin(str(response.url), response.headers["Location"])
                if not target.startswith(self.issuer):
                    return target
                response = self.http.get(target)
                continue
            assert response.status_code == 200, response.text
            if "<form" not in response.text:
                return str(response.url)
            response = self._submit(response)
        raise AssertionError("the provider's pages have no end")

    def walk(self, url: str) -> httpx.Response:
        """Open a URL of an app and go where it leads, doing what the provider's pages ask; returns where that ends."""
        return self._go_on(self.http.get(url))

    def press(self, page: httpx.Response) -> httpx.Response:
        """Send the form of an app's page, and go where it leads."""
        return self._go_on(self._submit(page))

    def is_signed_in(self) -> bool:
        """Tell whether the provider knows this browser."""
        return self.http.get(f"{self.issuer}/account").status_code == 200

    def sign_out(self) -> str:
        """Sign out on the provider's own page, without any app; returns what the browser is shown then."""
        page = self.http.get(f"{self.issuer}/account")
        form = next(each for each in Forms(page.text).found if each["action"].endswith("/sign-out"))
        shown = self.http.post(urljoin(self.issuer, form["action"]), data=form["fields"], follow_redirects=True)
        assert shown.status_code == 200, shown.text
        assert not self.is_signed_in()
        return shown.text

    def _go_on(self, response: httpx.Response) -> httpx.Response:
        for _ in range(20):
            if response.has_redirect_location:
                response = self.http.get(urljoin(str(response.url), response.headers["Location"]))
            elif str(response.url).startswith(self.issuer) and response.is_success and "<form" in response.text:
                response = self._submit(response)
            else:
                return response
        raise AssertionError(f"this has no end: {response.url}")

    def _submit(self, page: httpx.Response) -> httpx.Response:
        form = the_form(page.text)
        fields = {**form["fields"]}
        if "password" in fields:
            fields |= {"username": self.username, "password": self.password}
        button = form["buttons"][0]
        if button.get("name"):
            fields[button["name"]] = button.get("value") or ""
        return self.http.post(urljoin(str(page.url), form["action"]), data=fields)
