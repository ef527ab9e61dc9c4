"""A captcha inside a form: drawn and checked on the server, with a spoken form for people who cannot see it.

Whether an answer is right is decided in the button's callback, before the script draws the form again, so a wrong
answer meets a new picture in the same moment. A right answer holds until the form goes to the provider, and then
the next picture is there at once.
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
from streamlit_bridge.errors import BridgeError
from streamlit_bridge.widgets.account_form import AccountForm
from streamlit_bridge.wording import say

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


class Captcha:
    """The captcha of one form, in one run of the script."""

    def __init__(self, form: AccountForm) -> None:
        self._form = form

    def submit(self, label: str) -> bool:
        """Draw the captcha, the form's main button and the one for listening; belongs inside the form, at its end.

        Parameters:
            label: the key of the main button's label.

        Returns:
            True when the main button was pressed.
        """
        key = self._form.key
        self._challenge_place = st.empty()
        # The main button comes first: it is the one that the Enter key presses.
        with st.container(horizontal=True):
            is_pressed = st.form_submit_button(
                self._form.labels[label], key=f"{key} submit", type="primary", on_click=_judge, args=(key,)
            )
            self._listen_place = st.empty()
        self._draw()
        return is_pressed

    def claim(self, error_class: type[BridgeError]) -> None:
        """Use a right answer up, and ask for another at once: whatever comes of the form, the next try needs one.

        Parameters:
            error_class: the class of the widget's errors.

        Raises:
            BridgeError: of the given class; the answer that came with the form was wrong.
        """
        if not _recall_challenge(self._form.key).is_solved:
            raise error_class(say(texts.CAPTCHA_WRONG))
        _challenges().pop(self._form.key)
        self._draw()

    def _draw(self) -> None:
        key, challenge = self._form.key, _recall_challenge(self._form.key)
        if challenge.is_solved:
            self._challenge_place.caption(f":material/check: {say(texts.CAPTCHA_SOLVED)}")
            return
        picture = base64.b64encode(challenge.picture).decode()
        with self._challenge_place.container():
            st.html(
                f'<img alt="{escape(say(texts.CAPTCHA_ALT))}" src="data:image/png;base64,{picture}"'
                ' width="240" height="80" style="display:block;max-width:100%;height:auto;border-radius:0.5rem">'
            )
            if challenge.is_heard:
                st.audio(_speak(challenge.answer), format="audio/wav")
            st.text_input(
                self._form.labels["Captcha"],
                key=_name_input(key),
                autocomplete="off",
                max_chars=20,
                help=say(texts.CAPTCHA_HINT),
            )
        self._listen_place.form_submit_button(
            say(texts.CAPTCHA_LISTEN),
            key=f"{key} listen",
            type="tertiary",
            icon=":material/volume_up:",
            on_click=_let_hear,
            args=(key,),
        )


def _judge(key: str) -> None:
    challenge = _recall_challenge(key)
    if challenge.is_solved:
        return
    typed = str(st.session_state.get(_name_input(key), "")).strip().upper()
    if secrets.compare_digest(typed.encode(), challenge.answer.encode()):
        challenge.is_solved = True
    else:
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
