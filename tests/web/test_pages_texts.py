"""The texts: complete, used, and in every language alike."""

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

import idp.web
from idp import errors, sentences
from idp.web import texts
from tests.web.page_driver import asked_in

WEB = Path(idp.web.__file__).parent
SOURCES = {path: path.read_text("utf-8") for path in (*WEB.rglob("*.py"), *WEB.rglob("*.html"))}
LITERAL = re.compile(r"""["']([a-z_]+\.[a-z_]+)["']""")
# All but what only operators read, in the log and at a terminal.
REFUSALS = {each.__name__ for each in vars(errors).values() if isinstance(each, type)} - {"NotReadyError"}
ASKED = re.compile(r"""\btext\(\s*["']([^"']+)["']((?:[^()]|\([^()]*\))*)\)""")


def gaps(sentence: str) -> set[str]:
    """Return the names of a sentence's gaps."""
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def test_every_key_that_is_asked_for_exists() -> None:
    for path, source in SOURCES.items():
        for key, _ in ASKED.findall(source):
            assert key in texts.sentences("en"), f"{path.name} asks for {key}"


def test_every_gap_is_filled() -> None:
    for path, source in SOURCES.items():
        for key, filling in ASKED.findall(source):
            given = set(re.findall(r"\b(\w+)=", filling))
            assert gaps(texts.sentences("en")[key]) <= given, f"{path.name}: {key}"


def test_every_key_is_used() -> None:
    used = {key for source in SOURCES.values() for key in LITERAL.findall(source)}
    own = {key for key in texts.sentences("en") if not key.startswith(f"{texts.SAID}.")}
    assert own - used == set()


def test_every_wording_of_the_rooms_below_is_used() -> None:
    below = "".join(path.read_text("utf-8") for path in WEB.parent.rglob("*.py"))
    names = [name for name, each in vars(sentences).items() if isinstance(each, sentences.Wording)]
    assert len(names) == len(sentences.ALL)  # no two share a key
    assert {name for name in names if not re.search(rf"\bsentences\.{name}\b", below)} == set()


def test_accounts_say_nothing_that_cannot_be_translated() -> None:
    for path in (WEB.parent / "accounts").glob("*.py"):
        for raised in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Raise)):
            if isinstance(raised.exc, ast.Call) and ast.unparse(raised.exc.func) in REFUSALS:
                said = [each for part in raised.exc.args for each in ast.walk(part)]
                in_english = [ast.unparse(each) for each in said if isinstance(each, ast.JoinedStr)]
                in_english += [each.value for each in said if isinstance(each, ast.Constant) and " " in str(each.value)]
                assert not in_english, f"{path.name}:{raised.lineno}"


def test_what_the_rooms_below_say_is_said_in_the_pages_language() -> None:
    too_long = sentences.FIELD_TOO_LONG(what=sentences.GIVEN_NAME(), most=100)
    assert too_long == "The first name has more than 100 characters."
    with asked_in("de"):
        assert texts.told(too_long) == "Zu lang für „Vorname“: Erlaubt sind 100 Zeichen."
        assert "&lt;b&gt;" in texts.told(sentences.USERNAME_STRANGE(characters="<b>"))
        assert texts.told("Only <so>.") == '<span lang="en">Only &lt;so&gt;.</span>'
    with asked_in("en"):
        assert texts.told(too_long) == too_long


@pytest.mark.parametrize("language", texts.languages()[1:])
def test_languages_have_the_same_keys_and_gaps(language: str) -> None:
    own, english = texts.sentences(language), texts.sentences("en")
    assert list(own) == list(english)
    for key, sentence in own.items():
        assert gaps(sentence) == gaps(english[key]), key
        assert sentence.strip() == sentence
        assert sentence


@pytest.mark.parametrize(
    ("ui_locales", "accepted", "language"),
    [
        (None, [], "en"),
        (None, ["fr"], "en"),
        (None, ["fr", "de-CH"], "de"),
        ("de", ["en"], "de"),
        ("fr de-AT", ["en"], "de"),
        ("DE_at", [], "de"),
        ("fr", ["de"], "de"),
        ("../en", ["*"], "en"),
    ],
)
def test_language_is_chosen(ui_locales: str | None, accepted: list[str], language: str) -> None:
    assert texts.choose_language(ui_locales, accepted) == language


def test_what_fills_a_gap_is_escaped() -> None:
    assert "&lt;b&gt;" in texts.render("en", "sign_in.lead", app="<b>")
    assert "{name}" in texts.render("en", "sign_in.lead", app="{name}")
