"""How people are spoken to in one browser session: in English, unless the app chose another language.

Sentences are looked up by the English ones of ``texts``, gaps included; what another language lacks is said in English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from typing import Final, TypeAlias

import streamlit as st

from streamlit_bridge import texts
from streamlit_bridge.german import GERMAN

Wording: TypeAlias = tuple[str, Mapping[str, str]]  # a tag, empty for none, and sentences by the English ones

LANGUAGES: Final[Mapping[str, Mapping[str, str]]] = {"en": {}, "de": GERMAN}
_TAG: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_STATE_KEY: Final = "_streamlit_bridge_wording"


def make_wording(language: str | None, wording: Mapping[str, str] | None) -> Wording | None:
    """Return what says how people are spoken to, or None where nothing is chosen.

    Parameters:
        language: a tag such as "de" or "de-AT".
        wording: sentences by the English ones; they come before those of the language.

    Raises:
        ValueError: a sentence has a gap that the English one has not.

    Source: RFC 5646, section 2.1 (tags).
    """
    if language is None and wording is None:
        return None
    for english, sentence in (wording or {}).items():
        if not _gaps(sentence) <= _gaps(english):
            raise ValueError(texts.BAD_WORDING.format(sentence=sentence, english=english))
    tag = (language or "").replace("_", "-")
    tag = tag if _TAG.fullmatch(tag) else ""
    return tag, {**LANGUAGES.get(tag.partition("-")[0].lower(), {}), **(wording or {})}


def choose_wording(chosen: Wording | None) -> None:
    """Note how people are spoken to from now on in this browser session; with None that stays as it was."""
    if chosen is not None:
        st.session_state[_STATE_KEY] = chosen


def say(english: str, **filling: object) -> str:
    """Return a sentence as people are spoken to.

    Parameters:
        english: the sentence, with its gaps.
        filling: what goes into the gaps.
    """
    sentence = _read()[1].get(english, english)
    return sentence.format(**filling) if filling else sentence


def read_language() -> str:
    """Return the tag of the language that the app chose, empty where it chose none."""
    return _read()[0]


def _gaps(sentence: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(sentence)} - {None}


def _read() -> Wording:
    chosen: Wording = st.session_state.get(_STATE_KEY, ("", {}))
    return chosen
