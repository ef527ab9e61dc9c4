"""The widget for a forgotten password."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from streamlit_bridge import texts
from streamlit_bridge.account_calls import RECOVERY, TELLING_RECOVERY, call_as_app, find_granted_scope
from streamlit_bridge.errors import CallRefused, ForgotError
from streamlit_bridge.events import describe_event
from streamlit_bridge.hosted_pages import HostedPage
from streamlit_bridge.refusals import refusals_raised_as
from streamlit_bridge.results import ForgotPasswordResult
from streamlit_bridge.widgets.account_form import AccountForm, show_hosted_page
from streamlit_bridge.widgets.forgotten_form import draw_forgotten_form
from streamlit_bridge.widgets.one_time_code import ask_for_code, last_step, led_back, recall_step, show_code_step
from streamlit_bridge.widgets.sent_form import tell_once
from streamlit_bridge.wording import say

IDLE: Final = ForgotPasswordResult(None, None, None)
UNKNOWN: Final = ForgotPasswordResult(False, None, None)


def show_forgot_password(
    form: AccountForm, *, has_captcha: bool, has_code: bool, is_mailed: bool
) -> ForgotPasswordResult:
    """Draw the widget and start the recovery for the user name that is typed.

    Parameters:
        form: the widget's settings.
        has_captcha: ask for a captcha.
        has_code: ask for a mailed code first.
        is_mailed: let the provider mail a link even where the app may have a one-time password.

    Returns:
        The request's outcome, or the idle result.

    Raises:
        ForgotError: refused; the text says why.
    """
    scope = find_granted_scope(RECOVERY if is_mailed else TELLING_RECOVERY)
    if scope is None:
        show_hosted_page(form, HostedPage.FORGOT_PASSWORD)
        return IDLE
    place = form.place()
    draw = partial(draw_forgotten_form, form, place, "Username", say(texts.USERNAME_MISSING), has_captcha=has_captcha)
    step = recall_step(form)
    if step is not None:
        with led_back(form, draw):
            code = show_code_step(form, place, step, ForgotError)
            if code is None:
                return IDLE
            result = _recover(form, scope, {**step.values, **code})
        place.empty()
        return result
    username, is_sent = draw()
    if not is_sent:
        return IDLE
    values: dict[str, object] = {"username": username}
    if has_code:
        values |= ask_for_code(form, scope, {"purpose": "password", **values}, values, ForgotError)
    return _recover(form, scope, values)


def _recover(form: AccountForm, scope: str, values: Mapping[str, object]) -> ForgotPasswordResult:
    """Ask for the recovery. An app that may know gets the truth; any other gets the same answer for every name."""
    with last_step(form, values) as key, refusals_raised_as(ForgotError):
        try:
            document = call_as_app(scope, "/recovery/password", values, idempotency_key=key)
        except CallRefused as refusal:
            if refusal.status == 404:
                return UNKNOWN
            raise
    username, email, password = (document.get(name) for name in ("username", "email", "password"))
    result = ForgotPasswordResult(
        username if isinstance(username, str) else str(values["username"]),
        email if isinstance(email, str) else None,
        password if isinstance(password, str) else None,
    )
    event = describe_event(form.widget, result.username, result.email, None, None)
    tell_once(form, event | {"random_password": result.new_random_password})
    return result
