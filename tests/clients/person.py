"""A person with a browser, over real HTTP: follows redirects, fills in forms, stops where it leaves for the app."""

from urllib.parse import urljoin

import httpx

from tests.factories import PASSWORD
from tests.relying_party import the_form


class Person:
    """Somebody who signs in willingly.

    Args:
        issuer: the provider's URL.
    """

    def __init__(self, issuer: str, username: str = "ada", password: str = PASSWORD) -> None:
        self.issuer = issuer
        self.username = username
        self.password = password
        self.http = httpx.Client(trust_env=False, timeout=20)

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

    def _submit(self, page: httpx.Response) -> httpx.Response:
        form = the_form(page.text)
        fields = {**form["fields"]}
        if "password" in fields:
            fields |= {"username": self.username, "password": self.password}
        button = form["buttons"][0]
        if button.get("name"):
            fields[button["name"]] = button.get("value") or ""
        return self.http.post(urljoin(str(page.url), form["action"]), data=fields)
