"""The texts: complete, used, and in every language alike."""

import re
from pathlib import Path

import pytest

import idp.web
from idp.web import texts

WEB = Path(idp.web.__file__).parent
SOURCES = {path: path.read_text("utf-8") for path in (*WEB.rglob("*.py"), *WEB.rglob("*.html"))}
LITERAL = re.compile(r"""["']([a-z_]+\.[a-z_]+)["']""")
ASKED = re.compile(r"""\btext\(\s*["']([^"']+)["']((?:[^()]|\([^()]*\))*)\)""")


def test_every_key_that_is_asked_for_exists() -> None:
    for path, source in SOURCES.items():
        for key, _ in ASKED.findall(source):
            assert key in texts.sentences("en"), f"{path.name} asks for {key}"


def test_every_gap_is_filled() -> None:
    for path, source in SOURCES.items():
        for key, filling in ASKED.findall(source):
            given = set(re.findall(r"\b(\w+)=", filling))
            assert texts.gaps(texts.sentences("en")[key]) <= given, f"{path.name}: {key}"


def test_every_key_is_used() -> None:
    used = {key for source in SOURCES.values() for key in LITERAL.findall(source)}
    assert set(texts.sentences("en")) - used == set()


@pytest.mark.parametrize("language", texts.languages()[1:])
def test_languages_have_the_same_keys_and_gaps(language: str) -> None:
    own, english = texts.sentences(language), texts.sentences("en")
    assert list(own) == list(english)
    for key, sentence in own.items():
        assert texts.gaps(sentence) == texts.gaps(english[key]), key
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
