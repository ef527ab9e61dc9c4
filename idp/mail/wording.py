"""The sentences of mails, by key and language; one file a language in `texts/`."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

FOLDER = Path(__file__).parent / "texts"
FALLBACK = "en"
JOINERS = "\u200c\u200d"  # unseen, but Persian and Indic words, and emojis, are other ones without them


@cache
def languages() -> tuple[str, ...]:
    """Return the languages there are files for, the fallback first."""
    found = sorted(file.stem for file in FOLDER.glob("*.toml"))
    return (FALLBACK, *(language for language in found if language != FALLBACK))


def choose_language(tag: str) -> str:
    """Return the language of mails for a language tag.

    Args:
        tag: such as `de`, `de-AT` or `de_AT` (RFC 5646); anything else gives the fallback.
    """
    primary = tag.replace("_", "-").split("-")[0].lower()
    return primary if primary in languages() else FALLBACK


@cache
def wording_of(language: str) -> Mapping[str, Any]:
    """Return everything that is said in a language, as its file has it.

    Args:
        language: one of `languages()`.
    """
    return tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))


def span(language: str, unit: str, count: int) -> str:
    """Say how long something lasts.

    Args:
        unit: `minute`, `hour` or `day`.
        count: how many of them.
    """
    words = wording_of(language)["span"]
    return str(words[unit] if count == 1 else words[f"{unit}s"].format(count=count))


def moment(language: str, at: int) -> str:
    """Say when something was or will be: nobody knows the reader's time zone, so it is UTC and says so.

    Args:
        at: seconds since the epoch.
    """
    time = f"{datetime.fromtimestamp(at, UTC):%H:%M}"
    return str(wording_of(language)["moment"]["exact"]).format(date=date(language, at), time=time)


def date(language: str, at: int) -> str:
    """Say on which day something was or will be, as UTC has it.

    Args:
        language: one of `languages()`.
        at: seconds since the epoch.
    """
    day = datetime.fromtimestamp(at, UTC)
    words = wording_of(language)["moment"]
    month = cast(list[str], words["months"])[day.month - 1]
    return str(words["date"]).format(day=day.day, month=month, year=day.year)
