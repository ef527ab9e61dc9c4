"""A form whose button is pressed twice: the second time it is the same call, which is answered as the first was."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from secrets import token_bytes
from time import monotonic
from typing import Final, cast

import streamlit as st

from streamlit_bridge.widgets.account_form import AccountForm

# As on the provider's own pages: whoever waits for a mail that does not come then asks again.
AGAIN_WITHIN: Final = 60.0
_STATE_KEY: Final = "_streamlit_bridge_sent"
_KEY: Final = token_bytes(32)  # who sees a digest, as where an app shows its state, can try no passwords on it


@dataclass
class SentForm:
    """What was sent last; of the values only a digest, for a password may be among them."""

    digest: str
    sent_at: float
    is_told: bool = False
    idempotency_key: str = field(default_factory=lambda: uuid.uuid4().hex)


def name_sent(form: str, values: Mapping[str, object]) -> str:
    """Return the Idempotency-Key of the call that a form makes: the same one for the same values within a minute.

    Parameters:
        form: the form's key.
        values: what it sends.
    """
    if not was_just_sent(form, values):
        note_sent(form, values)
    return _forms()[form].idempotency_key


def note_sent(form: str, values: Mapping[str, object]) -> None:
    """Note what a form has sent.

    Parameters:
        form: the form's key.
        values: what it sent.
    """
    _forms()[form] = SentForm(_digest(values), monotonic())


def was_just_sent(form: str, values: Mapping[str, object]) -> bool:
    """Tell whether a form has sent the same values within the last minute, and was not refused.

    Parameters:
        form: the form's key.
        values: what it sends.
    """
    sent = _forms().get(form)
    return sent is not None and sent.digest == _digest(values) and monotonic() - sent.sent_at < AGAIN_WITHIN


def forget_sent(form: str) -> None:
    """Have the form with this key send anew what it sends next."""
    _forms().pop(form, None)


def tell_once(form: AccountForm, event: dict[str, object]) -> None:
    """Run the app's callback, unless it has run for what was sent.

    Parameters:
        form: the widget's settings.
        event: what the callback is called with.
    """
    sent = _forms().get(form.key, SentForm("", 0.0))
    if not sent.is_told:
        form.tell(event)
        sent.is_told = True


def _digest(values: Mapping[str, object]) -> str:
    return blake2b(json.dumps(values, sort_keys=True).encode(), key=_KEY).hexdigest()


def _forms() -> dict[str, SentForm]:
    return cast(dict[str, SentForm], st.session_state.setdefault(_STATE_KEY, {}))
