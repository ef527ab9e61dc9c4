"""The form of whoever forgot something: one input, by which the provider finds the account."""

from __future__ import annotations

from streamlit.delta_generator import DeltaGenerator

from streamlit_bridge.errors import ForgotError
from streamlit_bridge.widgets.account_form import AccountForm
from streamlit_bridge.widgets.captcha import Captcha
from streamlit_bridge.widgets.sent_form import was_just_sent


def draw_forgotten_form(
    form: AccountForm, place: DeltaGenerator, label: str, missing: str, *, has_captcha: bool
) -> tuple[str, bool]:
    """Draw the form.

    Parameters:
        form: the widget's settings.
        place: where to draw.
        label: the key of the input's label; in lower case it says what browsers may fill in, and what is sent.
        missing: the text of the error where nothing was typed.
        has_captcha: ask for a captcha.

    Returns:
        What is typed, and whether it was sent as it has to be.

    Raises:
        ForgotError: it was sent empty, or with a wrong answer to the captcha.
    """
    captcha = Captcha(form) if has_captcha else None
    with form.draw(place):
        typed = form.input(label, autocomplete=label.lower()).strip()
        is_sent = captcha.submit("Submit") if captcha else form.submit("Submit")
    if not is_sent:
        return typed, False
    if not typed:
        raise ForgotError(missing)
    if captcha and not was_just_sent(form.key, {label.lower(): typed}):
        captcha.claim(ForgotError)
    return typed, True
