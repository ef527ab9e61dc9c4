"""The second step with ``two_factor_auth``: a code that the provider mails, typed before anything happens."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitAPIException

from streamlit_bridge import texts
from streamlit_bridge.account_calls import call_as_app
from streamlit_bridge.errors import AnswerLost, BridgeError, CallRefused, ProviderUnavailable
from streamlit_bridge.refusals import refusals_raised_as
from streamlit_bridge.widgets.account_form import AccountForm
from streamlit_bridge.widgets.sent_form import forget_sent, name_sent
from streamlit_bridge.wording import say

# Longer than the provider's codes live; then what was typed is not kept any longer either.
STEP_LIFETIME: Final = 15 * 60.0
_STATE_KEY: Final = "_streamlit_bridge_codes"


@dataclass
class PendingStep:
    """What waits for its code: it lives in this browser session only, and no longer than the step itself.

    Once a code was found right, the call that does the work is always the same, under the same key: where its answer
    was lost, the repetition finds it. Where it is refused, for a weak password perhaps, the code stays good for what
    the form sends next. Whoever goes back to the form finds in its inputs what they ``typed``, but no password:
    somebody else may sit there by then.
    """

    code_id: str
    scope: str
    request: Mapping[str, object]
    values: Mapping[str, object]
    typed: Mapping[str, str]
    started_at: float
    right_code: str | None = None
    is_over: bool = False
    idempotency_key: str = field(default_factory=lambda: uuid.uuid4().hex)


def ask_for_code(
    form: AccountForm,
    scope: str,
    request: Mapping[str, object],
    values: Mapping[str, object],
    error_class: type[BridgeError],
) -> dict[str, object]:
    """Have a code mailed and go on to the second step, unless one for the same was right and is not used up yet.

    Parameters:
        form: the widget's settings.
        scope: what the app's own token must permit.
        request: ``purpose`` and ``email`` or ``username``, as the account API wants them.
        values: what the widget will need once the code is right.
        error_class: the class of the widget's errors.

    Returns:
        What the call that does the work needs of such a code; otherwise this does not return.

    Raises:
        BridgeError: of the given class.
    """
    step = _steps().get(form.key)
    if step is not None and step.right_code is not None and step.request == request:
        return {"code_id": step.code_id, "code": step.right_code}
    with refusals_raised_as(error_class):
        code_id = call_as_app(scope, "/codes", request).get("id")
        if not isinstance(code_id, str):
            raise ProviderUnavailable("a code without an identifier")
    forget_sent(form.key)  # the step's work is told anew
    typed = {} if form.clears else form.typed
    _steps()[form.key] = PendingStep(code_id, scope, request, values, typed, monotonic())
    try:
        # A run of the whole app would close the dialog that the form may be in.
        st.rerun(scope="fragment")
    except StreamlitAPIException:  # it is in no fragment
        st.rerun()


def recall_step(form: AccountForm) -> PendingStep | None:
    """Return what waits for a code, None outside of the second step or when its code must have expired by now."""
    step = _steps().get(form.key)
    if step is None:
        return None
    is_too_old = monotonic() - step.started_at > STEP_LIFETIME
    if not (step.is_over or is_too_old):
        return step
    if step.is_over:
        st.session_state.update(step.typed)  # before the form is drawn: nobody would see it afterwards
        step.typed = {}
    if is_too_old or step.right_code is None:
        _forget_step(form)
    return None


@contextmanager
def led_back(form: AccountForm, draw: Callable[[], object]) -> Iterator[None]:
    """Draw the form again where a refusal within the block ends the step: that of the code would stay, and do nothing.

    Parameters:
        form: the widget's settings.
        draw: draws the form where the code's is.
    """
    try:
        yield
    except BridgeError:
        if recall_step(form) is None:
            draw()
        raise


def show_code_step(
    form: AccountForm, place: DeltaGenerator, step: PendingStep, error_class: type[BridgeError]
) -> dict[str, object] | None:
    """Draw the second step.

    Parameters:
        form: the widget's settings.
        place: where to draw.
        step: what waits for its code.
        error_class: the class of the widget's errors.

    Returns:
        ``code_id`` and ``code`` for the call that does the work once the code is right, else None.

    Raises:
        BridgeError: of the given class; a wrong code may be tried again, a spent one leads back to the form.
    """
    labels = {name: say(label) for name, label in texts.CODE_LABELS.items()} | dict(form.labels)
    with place.form(key=f"{form.key} code", enter_to_submit=True):
        st.subheader(labels["Dialog name"], anchor=False)
        st.write(say(texts.CODE_MAILED))
        typed = st.text_input(labels["Code"], key=f"{form.key} digits", autocomplete="one-time-code", max_chars=12)
        with st.container(horizontal=True):
            is_sent = st.form_submit_button(labels["Submit"], key=f"{form.key} check", type="primary")
            st.form_submit_button(
                say(texts.CODE_CANCEL), key=f"{form.key} cancel", type="tertiary", on_click=_leave_step, args=(form,)
            )
    if not is_sent:
        return None
    code = "".join(character for character in typed or "" if not character.isspace())
    if step.right_code is None:
        _check_code(form, step, code, error_class, labels["Error"])
        step.right_code = code
    if code != step.right_code:
        raise error_class(labels["Error"])
    return {"code_id": step.code_id, "code": code}


@contextmanager
def last_step(form: AccountForm, values: Mapping[str, object]) -> Iterator[str]:
    """Forget what waited for its code once the block has done its work, or was refused for good.

    While the provider does not answer, or is still at it, the step stays, and the same code can be sent again.

    Parameters:
        form: the widget's settings.
        values: what the block sends.

    Yields:
        The Idempotency-Key of the call that does the work: of a step the same one each time, and of a form whose button
        is pressed twice.
    """
    step = _steps().get(form.key)
    if step is not None and not step.is_over:
        key = step.idempotency_key
    else:
        key = name_sent(form.key, {name: value for name, value in values.items() if name not in ("code_id", "code")})
    try:
        yield key
    except BridgeError as error:
        cause = error.__cause__
        if not _is_for_now(cause):
            _leave_step(form, is_code_good=not (isinstance(cause, CallRefused) and cause.code == "wrong_code"))
            forget_sent(form.key)
        raise
    if step is not None and not step.is_over:
        _forget_step(form)


def _is_for_now(cause: BaseException | None) -> bool:
    if isinstance(cause, CallRefused):
        return cause.status == 429 or cause.code == "idempotency_in_progress"
    return isinstance(cause, ProviderUnavailable)


def _check_code(form: AccountForm, step: PendingStep, code: str, error_class: type[BridgeError], told: str) -> None:
    with refusals_raised_as(error_class, {"wrong_code": told}):
        try:
            call_as_app(step.scope, f"/codes/{step.code_id}", {"code": code}, is_mailed=False)
        except CallRefused as refusal:
            if refusal.code in {"not_found", "expired"}:
                _leave_step(form)
                raise error_class(told) from refusal
            raise
        except AnswerLost as trouble:
            # A look at a code changes nothing.
            raise ProviderUnavailable(str(trouble), trouble.retry_after) from trouble


def _leave_step(form: AccountForm, *, is_code_good: bool = False) -> None:
    if step := _steps().get(form.key):
        step.is_over, step.values = True, {}  # a password may be among them
        if not is_code_good:
            step.right_code = None


def _forget_step(form: AccountForm) -> None:
    _steps().pop(form.key, None)


def _steps() -> dict[str, PendingStep]:
    return cast(dict[str, PendingStep], st.session_state.setdefault(_STATE_KEY, {}))
