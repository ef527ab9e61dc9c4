"""What mails say: in both languages, as text and as HTML, and never what strangers put into them."""

import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from string import Formatter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idp.mail import messages, wording
from idp.mail.layout import letters_on
from idp.mail.messages import Message
from idp.settings import Settings

SETTINGS = Settings(brand_name="Tea & House")
LINK = "http://localhost:8000/r?t=" + "a-" * 80 + "&x=1"


def all_messages(language: str, name: str = "Ada") -> list[Message]:
    """Return one of each."""
    make: Any = {"settings": SETTINGS, "language": language}
    return [
        messages.verify_address(**make, name=name, link=LINK, hours=1),
        messages.invitation(**make, link=LINK, days=7),
        messages.address_already_registered(**make, name=name, sign_in_url=LINK, recovery_url=LINK + "2"),
        messages.reset_password(**make, name=name, username="ada", link=LINK, minutes=30),
        messages.password_changed(**make, name=name, recovery_url=LINK),
        messages.forgotten_usernames(**make, username="lovelace", sign_in_url=LINK),
        messages.confirm_new_address(**make, name=name, link=LINK, hours=24),
        messages.address_change_requested(**make, name=name, new_address="new@example.org", password_url=LINK),
        messages.address_changed(**make, name=name, new_address="new@example.org", password_url=LINK),
        messages.one_time_code(**make, code="493817", app_name="Tea Room", minutes=10),
        messages.account_deletion(**make, name=name, due=2_000_000_000, sign_in_url=LINK),
        messages.test_message(**make),
    ]


class Parts(HTMLParser):
    """Tags, attributes and words of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect tags and what they load or lead to."""
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        """Collect words."""
        self.words += data


@pytest.mark.parametrize("language", wording.languages())
def test_every_message_says_the_same_as_text_and_as_html(language: str) -> None:
    made = all_messages(language)
    assert len({message.kind for message in made}) == len({message.subject for message in made}) == len(made)
    for message in made:
        parts = Parts(message.html)
        assert message.text.replace("\n", "").isprintable()
        assert "Tea & House" in message.text
        assert "Tea & House" in parts.words
        assert "{" not in message.text + message.subject
        links = [line for line in message.text.split("\n") if line.startswith("http")]
        assert set(links) == set(parts.links)
        assert not {"img", "script", "link", "iframe"} & set(parts.tags)
        assert "url(" not in message.html
        for line in message.text.split("\n"):
            assert len(line) <= 72 or line.startswith("http")
        assert f'<html lang="{language}">' in message.html


def test_what_the_gaps_are_filled_with() -> None:
    told = {message.kind: message for message in all_messages("en")}
    assert "works for 1 hour, and" in told["verify_address"].text
    assert "works for 30 minutes" in told["reset_password"].text
    assert "works for 7 days" in told["invitation"].text
    assert "18 May 2033 at 03:33 UTC" in told["account_deletion"].text.replace("\n", " ")
    assert "Hello Ada," in told["reset_password"].text
    assert "* lovelace" in told["forgotten_usernames"].text
    assert "493817" in told["one_time_code"].html
    assert "493817" not in told["one_time_code"].subject
    assert told["one_time_code"].subject == "Your code for Tea Room"
    assert "18. Mai 2033" in all_messages("de")[10].text.replace("\n", " ")


def test_an_invitation_says_to_which_app() -> None:
    for language in wording.languages():
        told = messages.invitation(SETTINGS, language, link=LINK, days=7, app_name="Tea Room")
        assert "Tea Room" in told.subject
        assert "Tea Room" in told.text.split(LINK)[0]
        assert "Tea & House" in messages.invitation(SETTINGS, language, link=LINK, days=7).subject


def _shape(value: Any) -> Any:
    """Return keys, numbers of sentences and gaps; not the words."""
    if isinstance(value, dict):
        return {key: _shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shape(each) for each in value]
    return sorted({name for _, name, _, _ in Formatter().parse(value) if name})


def test_all_languages_have_the_same_keys_and_gaps() -> None:
    shapes = {}
    for file in sorted(wording.FOLDER.glob("*.toml")):
        shapes[file.stem] = _shape(tomllib.loads(file.read_text("utf-8")))
    assert set(shapes) == {"en", "de"}
    assert shapes["de"] == shapes["en"]


@pytest.mark.parametrize(
    ("tag", "language"), [("de", "de"), ("de-AT", "de"), ("DE_ch", "de"), ("fr", "en"), ("", "en")]
)
def test_the_language(tag: str, language: str) -> None:
    assert wording.choose_language(tag) == language


def _greetings(name: str) -> Iterator[str]:
    for message in all_messages("en", name):
        if message.kind == "verify_address":
            yield message.text.split("\n")[0]


@pytest.mark.parametrize(
    "name",
    [
        "Win at spam.example",
        "http://x",
        "www.x",
        "a@b.c",
        "call: 123",
        "see //x",
        "",
        " ",
        "x\\y",
        "spam\u200d.\u200dexample",
        "Locked! Call 0800 123456",
        "Locked, call (555) 0-199 now",
        "call ٠٨٠٠١٢٣",
    ],
)
def test_a_name_that_advertises_is_left_out(name: str) -> None:
    assert list(_greetings(name)) == ["Hello,"]


@pytest.mark.parametrize(
    "name", ["Ada", "J. R. R. Tolkien", "Żółć O'Neill-Smith", "李小龍", "علی\u200cرضا", "John 3rd", "Ada 1815"]
)
def test_a_name_of_a_person_is_not(name: str) -> None:
    assert list(_greetings(name)) == [f"Hello {name},"]


def test_an_app_s_name_becomes_no_header() -> None:
    """An encoded word (RFC 2047) would be decoded when the header is written, with the new lines that it stands for."""
    name = "=?utf-8?q?a=0aBcc=3a=20eve=40example.org?="
    message = messages.one_time_code(SETTINGS, "en", code="493817", app_name=name, minutes=10)
    assert "Bcc" in message.subject
    assert "=?" not in message.subject


def test_a_name_turns_nothing_around() -> None:
    assert list(_greetings("Ada\u202eecalevoL")) == ["Hello Ada ecalevoL,"]


@settings(deadline=None)
@given(st.text(max_size=200))
def test_whatever_people_are_called(name: str) -> None:
    for message in all_messages("de", name):
        assert "\n" not in message.subject
        parts = Parts(message.html)
        assert not {"img", "script", "iframe", "form"} & set(parts.tags)
        assert all(link.startswith("http://localhost:8000") for link in parts.links)


@pytest.mark.parametrize(
    ("colour", "letters"), [("#2b5fd9", "#ffffff"), ("#ffee00", "#000000"), ("#000000", "#ffffff")]
)
def test_letters_can_be_read_on_the_accent(colour: str, letters: str) -> None:
    assert letters_on(colour) == letters


@pytest.mark.parametrize(("colour", "edge"), [("#2b5fd9", "#2b5fd9"), ("#fff6b0", "#858d9c"), ("#000000", "#858d9c")])
def test_a_button_is_seen_on_light_and_dark_cards(colour: str, edge: str) -> None:
    made = messages.invitation(Settings(brand_accent=colour), "en", link=LINK, days=7)
    assert f"border:1px solid {edge};" in made.html
