"""The widget for a forgotten user name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from streamlit_bridge import texts
from streamlit_bridge.account_calls import RECOVERY, TELLING_RECOVERY, call_as_app, find_granted_scope
from streamlit_bridge.errors import CallRefused, ForgotError
from streamlit_bridge.events import describe_event
from streamlit_bridge.hosted_pages import HostedPage
from streamlit_bridge.refusals import refusals_raised_as
from streamlit_bridge.results import ForgotUsernameResult
from streamlit_bridge.widgets.account_form import AccountForm, show_hosted_page
from streamlit_bridge.widgets.forgotten_form import draw_forgotten_form
from streamlit_bridge.widgets.one_time_code import ask_for_code, last_step, led_back, recall_step, show_code_step
from streamlit_bridge.widgets.sent_form import tell_once
from streamlit_bridge.wording import say


def show_forgot_username(
    form: AccountForm, *, has_captcha: bool, has_code: bool, is_mailed: bool
) -> ForgotUsernameResult:
    """Draw the widget and have the user names of the address that is typed sent, or told to the app.

    Parameters:
        form: the widget's settings.
        has_captcha: ask for a captcha.
        has_code: ask for a mailed code first.
        is_mailed: let the provider mail the name even where the app may know it.

    Returns:
        The request's outcome; while nothing happened ``(None, what is typed)``.

    Raises:
        ForgotError: refused; the text says why.
    """
    scope = find_granted_scope(RECOVERY if is_mailed else TELLING_RECOVERY)
    if scope is None:
        show_hosted_page(form, HostedPage.FORGOT_USERNAME)
        return ForgotUsernameResult(None, "")
    place = form.place()
    draw = partial(draw_forgotten_form, form, place, "Email", say(texts.EMAIL_MISSING), has_captcha=has_captcha)
    step = recall_step(form)
    if step is not None:
        with led_back(form, draw):
            code = show_code_step(form, place, step, ForgotError)
            if code is None:
                return ForgotUsernameResult(None, str(step.values["email"]))
            result = _recover(form, scope, {**step.values, **code})
        place.empty()
        return result
    email, is_sent = draw()
    if not is_sent:
        return ForgotUsernameResult(None, email)
    values: dict[str, object] = {"email": email}
    if has_code:
        values |= ask_for_code(form, scope, {"purpose": "username", **values}, values, ForgotError)
    return _recover(form, scope, values)


def _recover(form: AccountForm, scope: str, values: Mapping[str, object]) -> ForgotUsernameResult:
    """Ask for the names. An app that may know gets the truth; any other gets the same answer for every address."""
    email = str(values["email"])
    with last_step(form, values) as key, refusals_raised_as(ForgotError):
        try:
            document = call_as_app(scope, "/recovery/username", values, idempotency_key=key)
        except CallRefused as refusal:
            if refusal.status == 404:
                return ForgotUsernameResult(False, email)
            raise
    usernames = document.get("usernames")
    if isinstance(usernames, list):
        result = ForgotUsernameResult(", ".join(str(username) for username in usernames) or False, email)
    else:
        result = ForgotUsernameResult(True, email)
    tell_once(form, describe_event(form.widget, result.username, email, None, None))
    return result
