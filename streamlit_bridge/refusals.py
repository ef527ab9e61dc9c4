"""Turns what the account API said into the errors and sentences that apps know."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from streamlit_bridge import texts
from streamlit_bridge.errors import (
    AccountApiAbsent,
    AnswerLost,
    BridgeError,
    CallRefused,
    ProviderUnavailable,
    ScopeMissing,
    SessionEnded,
)
from streamlit_bridge.wording import say


@contextmanager
def refusals_raised_as(
    error: Callable[[str], BridgeError], sentences: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Raise whatever goes wrong with the account API as the error that belongs to a widget.

    Parameters:
        error: makes the error that apps catch of its text; most often its class.
        sentences: texts by the refusal's code, where the provider's own words are not the ones that apps know.

    Raises:
        BridgeError: as it was made.
    """
    try:
        yield
    except CallRefused as refusal:
        raise error((sentences or {}).get(refusal.code) or describe_refusal(refusal)) from refusal
    except AnswerLost as trouble:
        raise error(say(texts.ANSWER_LOST)) from trouble
    except ProviderUnavailable as trouble:
        raise error(say(texts.TRY_LATER)) from trouble
    except SessionEnded as ended:
        raise error(say(texts.SESSION_ENDED)) from ended
    except (ScopeMissing, AccountApiAbsent) as missing:
        raise error(say(texts.NOT_OFFERED_HERE)) from missing


def describe_refusal(refusal: CallRefused) -> str:
    """Put a refusal into words: the rules that are not met, or how long to wait.

    Parameters:
        refusal: what the account API said.

    Returns:
        One sentence, or a list of them as Markdown.
    """
    if refusal.code == "idempotency_in_progress":
        return say(texts.STILL_AT_IT)
    if refusal.status == 429 or refusal.code == "throttled":
        return say(texts.THROTTLED, wait=describe_wait(refusal.retry_after))
    sentences = [say(_tidy(sentence)) for said in refusal.faults.values() for sentence in said]
    if len(sentences) == 1:
        return sentences[0]
    if sentences:
        return "\n".join([say(texts.SEVERAL_FAULTS), "", *(f"- {sentence}" for sentence in sentences)])
    return say(_tidy(refusal.detail) or texts.REFUSED_WITHOUT_REASON)


def describe_wait(seconds: float | None) -> str:
    """Put a delay into words, rounded up: "a moment", "40 seconds", "3 minutes"."""
    if seconds is None or seconds <= 0:
        return say(texts.WAIT_A_MOMENT)
    if seconds < 90:
        return say(texts.WAIT_SECONDS, count=max(2, math.ceil(seconds)))
    return say(texts.WAIT_MINUTES, count=math.ceil(seconds / 60))


def _tidy(sentence: str) -> str:
    """Give a text the exact form that apps compare with, where its first sentence is one that they know."""
    first = f"{sentence.strip()} ".partition(". ")[0].strip()
    return first if first in texts.KNOWN_MESSAGES else sentence.strip()
