"""A button that is pressed twice: what was done is done once, and the second time it looks as it did the first."""

from __future__ import annotations

import pytest
from conftest import OpenApp
from fake_provider import FakeProvider
from streamlit.testing.v1 import AppTest

from streamlit_bridge import texts
from streamlit_bridge.fake_answers import FakeAnswer
from streamlit_bridge.widgets import sent_form

WORDS = "a wholly different sentence"
APP = """import streamlit as st
from streamlit_bridge import Authenticate, BridgeError
auth = Authenticate()
listed = st.session_state.setdefault("listed", ["grace@example.org"])
try:
    if auth.{call}:
        st.success("Done")
except BridgeError as error:
    st.error(error)
"""
GRACE = {
    "register_user": {
        "Email": "grace@example.org",
        "Username": "grace",
        "Password": WORDS,
        "Repeat password": WORDS,
    },
    "forgot_password": {"Username": "ada"},
    "forgot_username": {"Email": "ada@example.org"},
}
CALLS = [
    "register_user(captcha=False)",
    "register_user(pre_authorized=listed)",
    "forgot_password()",
    "forgot_password(captcha=True)",
    "forgot_username()",
    "forgot_username(captcha=True)",
]


def send(app: AppTest, **changes: str) -> AppTest:
    """Fill the form in and send it; where it asks for a captcha, rightly."""
    [form] = {each.key.removesuffix(" submit") for each in app.button if each.key and each.key.endswith(" submit")}
    values = GRACE[form.lower().replace(" ", "_")] | changes
    for name, value in values.items():
        app.text_input(key=f"{form} {name}").input(value)
    for each in app.text_input:
        if each.key == f"{form} captcha":
            each.input(app.session_state["_streamlit_bridge_captchas"][form].answer)
    return press(app)


def press(app: AppTest) -> AppTest:
    """Press the form's button, with what stands in the form."""
    next(each for each in app.button if each.key and each.key.endswith(" submit")).click()
    app.run()
    assert not app.exception
    return app


def said(app: AppTest) -> tuple[list[str], list[str]]:
    return [each.value for each in app.success], [each.value for each in app.error]


@pytest.mark.parametrize("call", CALLS)
def test_one_mail_and_one_answer(open_app: OpenApp, provider: FakeProvider, call: str) -> None:
    app = open_app(APP.format(call=call)).run()
    for _ in range(2):
        assert said(send(app)) == (["Done"], [])
        assert said(press(app)) == (["Done"], [])
        assert len(provider.account_api.mails) == 1


@pytest.mark.parametrize("call", ["register_user(captcha=False, {})", "forgot_password({})", "forgot_username({})"])
def test_the_apps_callback_runs_once(open_app: OpenApp, call: str) -> None:
    noted = "callback=st.session_state.setdefault('events', []).append"
    app = open_app(APP.format(call=call.format(noted))).run()
    assert said(send(app)) == said(press(app)) == (["Done"], [])
    assert len(app.session_state["events"]) == 1
    send(app, **({"Username": "alan"} if "username" not in call else {"Email": "alan@example.org"}))
    assert len(app.session_state["events"]) == 2, "of somebody else it is told as well"


def test_who_waits_for_a_mail_that_does_not_come_asks_again(
    open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app(APP.format(call="forgot_password()")).run()
    send(app)
    now = sent_form.monotonic()
    monkeypatch.setattr(sent_form, "monotonic", lambda: now + sent_form.AGAIN_WITHIN)
    assert said(press(app)) == (["Done"], [])
    assert len(provider.account_api.mails) == 2


def test_something_else_is_another_call(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app(APP.format(call="forgot_password(captcha=True)")).run()
    send(app)
    app.text_input(key="Forgot password Username").input("alan")
    assert said(press(app)) == ([], [texts.CAPTCHA_WRONG])
    assert said(send(app, Username="alan")) == (["Done"], [])
    assert [body["username"] for _, path, body in provider.account_api.calls if path != "/token"] == ["ada", "alan"]


def test_what_was_refused_is_tried_anew(open_app: OpenApp, provider: FakeProvider) -> None:
    refusal = FakeAnswer(403, {"code": "registration_refused", "detail": "Not today."})
    provider.account_api.next_answers["POST", "/users"] = [refusal]
    app = open_app(APP.format(call="register_user(captcha=False)")).run()
    assert said(send(app)) == ([], ["Not today."])
    assert said(press(app)) == (["Done"], [])
    keys = [headers["Idempotency-Key"] for path, headers, _ in provider.requests if path.endswith("/users")]
    assert len(set(keys)) == 2
