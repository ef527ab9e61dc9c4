"""Every sentence on the pages, by key and language; one file a language in `texts/`.

A sentence names its gaps (`{app}`); what fills them is escaped, so a sentence never carries foreign markup.
"""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from werkzeug.datastructures import LanguageAccept

from idp import sentences as wordings
from idp.sentences import Sentence
from idp.web.exchange import current

FOLDER = Path(__file__).parent / "texts"
FALLBACK = "en"
SAID = "said"  # where a language has the sentences of the rooms below; the English ones are theirs


@cache
def languages() -> tuple[str, ...]:
    """Return the languages there are files for, the fallback first."""
    found = sorted(file.stem for file in FOLDER.glob("*.toml"))
    return (FALLBACK, *(language for language in found if language != FALLBACK))


@cache
def sentences(language: str) -> Mapping[str, str]:
    """Return all sentences of a language under their dotted keys."""
    own = dict(_flatten(tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))))
    if language == FALLBACK:
        own |= {f"{SAID}.{key}": wording.english for key, wording in wordings.ALL.items()}
    return own


def choose_language(ui_locales: str | None, accepted: list[str]) -> str:
    """Choose the language of a page.

    Args:
        ui_locales: what an app asked for: tags by preference, with spaces between (OIDC Core section 3.1.2.1).
        accepted: what the browser asks for, by preference.
    """
    for tag in (*(ui_locales or "").split(), *accepted):
        primary = tag.replace("_", "-").split("-")[0].lower()
        if primary in languages():
            return primary
    return FALLBACK


# -- In a request ---------------------------------------------------------------


def prefer(ui_locales: str | None) -> None:
    """Let an app's choice of language come before the browser's for the rest of this request."""
    current().language = choose_language(ui_locales, _accepted())


def language() -> str:
    """Return the language of this request's page."""
    exchange = current()
    if exchange.language is None:
        exchange.language = choose_language(None, _accepted())
    return exchange.language


def text(key: str, **filling: Any) -> Markup:
    """Return a sentence in the request's language.

    Args:
        key: its dotted key.
        filling: what goes into its gaps; plain text is escaped.
    """
    return render(language(), key, **filling)


def render(chosen: str, key: str, **filling: Any) -> Markup:
    """Return a sentence in a language, or in the fallback when the language lacks it."""
    sentence = _escaped(chosen, key)
    return sentence.format(**filling) if filling else sentence


@cache
def _escaped(chosen: str, key: str) -> Markup:
    return escape(sentences(chosen).get(key) or sentences(FALLBACK)[key])


def plain(chosen: str, key: str) -> str:
    """Return a sentence as it is, with its gaps, for programs."""
    return sentences(chosen)[key]


def told(sentence: str) -> Markup:
    """Return what the rooms below say, in the request's language.

    What exists in English only, such as the protocol's descriptions of errors, is marked as such, so that a screen
    reader pronounces it so.
    """
    if isinstance(sentence, Sentence):
        filling = {name: told(each) if isinstance(each, Sentence) else each for name, each in sentence.filling.items()}
        return text(f"{SAID}.{sentence.key}", **filling)
    if isinstance(sentence, Markup) or language() == FALLBACK:
        return escape(sentence)
    return Markup('<span lang="en">{}</span>').format(sentence)


def said(sentence: str) -> str:
    """Return what the rooms below say, in the request's language, for programs: as plain text."""
    if not isinstance(sentence, Sentence):
        return sentence
    filling = {name: said(each) if isinstance(each, Sentence) else each for name, each in sentence.filling.items()}
    return plain(language(), f"{SAID}.{sentence.key}").format(**filling)


def wait(seconds: int) -> Markup:
    """Say how long a wait is; a long one in minutes, rounded up."""
    if seconds == 1:
        return text("wait.second")
    if seconds < 120:
        return text("wait.seconds", count=seconds)
    return text("wait.minutes", count=-(-seconds // 60))


def _accepted() -> list[str]:
    return [tag for tag, quality in current().accepted("ACCEPT_LANGUAGE", LanguageAccept) if quality > 0]


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
