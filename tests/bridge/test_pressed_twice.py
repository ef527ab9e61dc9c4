"""A button that is pressed twice: what was done is done once, and the second time it looks as it did the first."""

from __future__ import annotations

import pytest
from conftest import OpenApp, make_user
from fake_provider import FakeProvider
from streamlit.testing.v1 import AppTest

from streamlit_bridge import texts
from streamlit_bridge.fake_answers import FakeAnswer
from streamlit_bridge.widgets import sent_form

RIGHT = "correct horse battery"
WORDS = "a wholly different sentence"
APP = """import streamlit as st
from streamlit_bridge import Authenticate, BridgeError
auth = Authenticate()
listed = st.session_state.setdefault("listed", ["grace@example.org"])
noted = st.session_state.setdefault("noted", [])
try:
    if auth.{call}:
        st.success("Done")
except BridgeError as error:
    st.error(error)
"""
APP_OF_ADA = APP.replace("Authenticate()", "Authenticate(); auth.login()")
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
    app = open_app(APP.format(call=call.format("callback=noted.append"))).run()
    assert said(send(app)) == said(press(app)) == (["Done"], [])
    assert len(app.session_state["noted"]) == 1
    send(app, **({"Username": "alan"} if "username" not in call else {"Email": "alan@example.org"}))
    assert len(app.session_state["noted"]) == 2, "of somebody else it is told as well"


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


def test_a_password_is_changed_once(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app(APP_OF_ADA.format(call="reset_password('ada', callback=noted.append)"), make_user()).run()
    for name, value in {"Current": RIGHT, "New": WORDS, "Repeat": WORDS}.items():
        app.text_input(key=f"Reset password {name} password").input(value)
    assert said(press(app)) == said(press(app)) == (["Done"], [])
    assert changes(provider) == ["/me/password"]
    assert len(app.session_state["noted"]) == 1
    provider.account_api.people["ada"].password = "another one, set elsewhere"
    app.text_input(key="Reset password Current password").input(WORDS)
    app.text_input(key="Reset password New password").input(RIGHT)
    app.text_input(key="Reset password Repeat password").input(RIGHT)
    assert said(press(app)) == said(press(app)) == ([], ["Password is incorrect"])


@pytest.mark.parametrize(("field", "value"), [("First name", "Augusta"), ("Email", "new@example.org")])
def test_a_detail_is_changed_once(open_app: OpenApp, provider: FakeProvider, field: str, value: str) -> None:
    app = open_app(APP_OF_ADA.format(call="update_user_details('ada', callback=noted.append)"), make_user()).run()
    app.selectbox(key="Update user details Field").select(field).run()
    app.text_input(key=f"Update user details New {field}").input(value)
    if field == "Email":
        app.text_input(key="Update user details Current password").input(RIGHT)
    assert said(press(app)) == said(press(app)) == (["Done"], [])
    assert changes(provider) == ["/me"]
    assert [each["new_value"] for each in app.session_state["noted"]] == [value]
    assert len(app.info) == (field == "Email"), "where the mail went is said again"


def test_a_change_that_was_made_a_while_ago_is_none(
    open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app(APP_OF_ADA.format(call="update_user_details('ada')"), make_user()).run()
    app.text_input(key="Update user details New First name").input("Augusta")
    press(app)
    now = sent_form.monotonic()
    monkeypatch.setattr(sent_form, "monotonic", lambda: now + sent_form.AGAIN_WITHIN)
    assert said(press(app)) == ([], [texts.VALUE_UNCHANGED])


def changes(provider: FakeProvider) -> list[str]:
    return [path for method, path, _ in provider.account_api.calls if method != "GET" and path.startswith("/me")]
