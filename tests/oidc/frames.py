"""What the page after a sign-out loads, as its own HTML and policy say."""

from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

from werkzeug.test import TestResponse


class _Reader(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.frames: list[dict[str, str | None]] = []
        self.goes_on = ""
        self.refresh = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "iframe":
            self.frames.append(given)
        elif given.get("id") == "continue":
            self.goes_on = given.get("href") or ""
        elif tag == "meta" and given.get("http-equiv") == "refresh":
            self.refresh = given.get("content") or ""


@dataclass
class SigningOut:
    """The page.

    Attributes:
        frames: addresses that it loads.
        goes_on: where it leads to afterwards.
        policy: its content security policy, by directive.
    """

    frames: list[str]
    goes_on: str
    policy: dict[str, str]


def read_signing_out(response: TestResponse) -> SigningOut:
    """Check the form of the page and return what it does."""
    assert response.status_code == 200, response.text[:1500]
    assert "no-store" in response.headers["Cache-Control"]
    read = _Reader(response.text)
    assert read.goes_on
    assert read.refresh == f"5;url={read.goes_on}"
    for frame in read.frames:
        assert frame["title"]
        assert frame["sandbox"] == "allow-scripts allow-same-origin"
    policy: dict[str, str] = {}
    for part in response.headers["Content-Security-Policy"].split(";"):
        name, _, value = part.strip().partition(" ")
        policy[name] = value
    return SigningOut([str(frame["src"]) for frame in read.frames], read.goes_on, policy)


def query_of_frame(frame: str) -> dict[str, list[str]]:
    """Return the parameters of a frame's address."""
    return parse_qs(urlsplit(frame).query, strict_parsing=True)
