"""A captcha inside a form: drawn and checked on the server, with a spoken form for people who cannot see it.

Whether an answer is right is decided in the button's callback, before the script draws the form again, so a wrong
answer meets a new picture in the same moment. A right answer holds until the form has reached the provider once.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Final, cast

import streamlit as st
from captcha.audio import AudioCaptcha
from captcha.image import ImageCaptcha

from streamlit_bridge import texts
from streamlit_bridge.widgets.account_form import AccountForm

# Without characters that look or sound alike.
ALPHABET: Final = "ACEFHJKLMNPRTUVWXY34679"
LENGTH: Final = 5
_STATE_KEY: Final = "_streamlit_bridge_captchas"


@dataclass
class Challenge:
    """One captcha of one form in one browser session."""

    answer: str
    picture: bytes
    is_heard: bool = False
    is_solved: bool = False


def draw_captcha(form: AccountForm) -> None:
    """Draw the picture, or the sound that was asked for, and the input; belongs inside the form.

    Parameters:
        form: the widget's settings.
    """
    challenge = _recall_challenge(form.key)
    if challenge.is_solved:
        st.caption(f":material/check: {texts.CAPTCHA_SOLVED}")
        return
    picture = base64.b64encode(challenge.picture).decode()
    st.html(
        f'<img alt="{escape(texts.CAPTCHA_ALT)}" src="data:image/png;base64,{picture}" width="240" height="80"'
        ' style="display:block;max-width:100%;height:auto;border-radius:0.5rem">'
    )
    if challenge.is_heard:
        st.audio(_speak(challenge.answer), format="audio/wav")
    st.text_input(
        form.labels["Captcha"], key=_name_input(form.key), autocomplete="off", max_chars=20, help=texts.CAPTCHA_HINT
    )


def submit_with_captcha(form: AccountForm, label: str) -> bool:
    """Draw the form's main button and the one for listening; belongs inside the form, after the inputs.

    Parameters:
        form: the widget's settings.
        label: the key of the main button's label.

    Returns:
        True when the main button was pressed.
    """
    # The main button comes first: it is the one that the Enter key presses.
    with st.container(horizontal=True):
        is_pressed = st.form_submit_button(
            form.labels[label], key=f"{form.key} submit", type="primary", on_click=_judge, args=(form.key,)
        )
        if not _recall_challenge(form.key).is_solved:
            st.form_submit_button(
                texts.CAPTCHA_LISTEN,
                key=f"{form.key} listen",
                type="tertiary",
                icon=":material/volume_up:",
                on_click=_let_hear,
                args=(form.key,),
            )
    return is_pressed


def is_captcha_solved(form: AccountForm) -> bool:
    """Tell whether the answer that came with the form was right."""
    return _recall_challenge(form.key).is_solved


def use_captcha_up(form: AccountForm) -> None:
    """Ask for a new answer next time: this one has served."""
    _challenges().pop(form.key, None)


def _judge(key: str) -> None:
    challenge = _recall_challenge(key)
    typed = str(st.session_state.get(_name_input(key), "")).strip().upper()
    if challenge.is_solved:
        return
    if secrets.compare_digest(typed.encode(), challenge.answer.encode()):
        challenge.is_solved = True
        return
    _challenges()[key] = _make_challenge()
    st.session_state[_name_input(key)] = ""


def _let_hear(key: str) -> None:
    _recall_challenge(key).is_heard = True


def _recall_challenge(key: str) -> Challenge:
    challenges = _challenges()
    if key not in challenges:
        challenges[key] = _make_challenge()
    return challenges[key]


def _make_challenge() -> Challenge:
    answer = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return Challenge(answer, ImageCaptcha(width=240, height=80).generate(answer).getvalue())


def _challenges() -> dict[str, Challenge]:
    return cast(dict[str, Challenge], st.session_state.setdefault(_STATE_KEY, {}))


def _name_input(key: str) -> str:
    return f"{key} captcha"


def _speak(answer: str) -> bytes:
    return bytes(_open_voice().generate(answer))


@lru_cache(maxsize=1)
def _open_voice() -> AudioCaptcha:
    """Read the recorded voices once; that takes longer than speaking."""
    return AudioCaptcha()
