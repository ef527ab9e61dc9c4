"""The account widgets in the newer generation's style: results, callbacks, captcha, codes, lists, positional calls."""

from __future__ import annotations

import logging

import pytest
from conftest import OpenApp, make_user
from fake_provider import FakeProvider
from streamlit.testing.v1 import AppTest
from test_seed_widgets import FRESH, RIGHT, errors, fill, refuse, successes

from streamlit_bridge import texts
from streamlit_bridge.fake_answers import FakeAnswer
from streamlit_bridge.results import ForgotPasswordResult, ForgotUsernameResult, RegisterResult

JOIN_WITH_CODE = """
import streamlit as st
from streamlit_bridge import Authenticate, RegisterError
try:
    result = Authenticate().register_user(captcha=False, two_factor_auth=True, merge_username_email=True, key="join")
    st.session_state["result"] = tuple(result)
except RegisterError as e:
    st.error(e)
"""
CAPTCHAS = "_streamlit_bridge_captchas"


@pytest.fixture
def visitor(open_app: OpenApp) -> AppTest:
    return open_app("widgets_0_4").run()


def solve(app: AppTest, form: str) -> str:
    return app.session_state[CAPTCHAS][form].answer


def join(app: AppTest, **changes: str) -> AppTest:
    values = {"First_name": "Grace", "Last_name": "Hopper", "Email": "Grace@Example.org", "Username": "grace"}
    values |= {"Password": FRESH, "Repeat_password": FRESH, "captcha": f" {solve(app, 'Register user').lower()} "}
    return fill(app, "Register user", "submit", **{**values, **changes})


def test_results_answer_to_if() -> None:
    assert not RegisterResult(None, None, None)
    assert RegisterResult("a@b.example", "a", "")
    assert not ForgotPasswordResult(None, None, None)
    assert not ForgotPasswordResult(False, None, None)
    assert ForgotPasswordResult("ada", None, None)
    assert not ForgotUsernameResult(None, "")
    assert ForgotUsernameResult(True, "a@b.example")


def test_nothing_happens_by_itself(visitor: AppTest, provider: FakeProvider) -> None:
    assert not visitor.exception
    assert [element.value for element in visitor.subheader] == [
        "Come in",
        "Register user",
        "Forgot password",
        "Forgot username",
    ]
    assert visitor.text_input(key="Register user Email").label == "E-mail"
    assert visitor.button(key="Register user submit").label == "Join"
    assert visitor.session_state["password result"] == (None, None, None)
    assert not provider.account_api.calls


def test_register(visitor: AppTest, provider: FakeProvider) -> None:
    assert successes(join(visitor)) == ["User registered successfully"]
    assert visitor.session_state["registered"] == ("grace@example.org", "grace", "Grace Hopper")
    assert visitor.session_state["left over"] == ["alan@example.org"]
    assert visitor.session_state["events"] == [
        {
            "widget": "Register user",
            "username": None,
            "email": None,
            "name": None,
            "roles": None,
            "new_name": "Grace",
            "new_last_name": "Hopper",
            "new_email": "Grace@Example.org",
            "new_username": "grace",
        }
    ]
    sent = provider.account_api.calls[-1][2]
    assert (sent["domains"], sent["roles"], sent["preauthorized"]) == (["example.org"], ["viewer"], False)
    assert provider.account_api.people["grace"].claims["roles"] == ["viewer"]


def test_password_hint_is_mentioned_once(open_app: OpenApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        open_app("widgets_0_4").run().run()
    assert caplog.messages.count(texts.HINT_UNUSED) == 1


def test_register_whom_the_app_does_not_expect(visitor: AppTest, provider: FakeProvider) -> None:
    assert errors(join(visitor, Email="mallory@example.org")) == ["User not pre-authorized to register"]
    assert not provider.account_api.calls


def test_who_is_listed_with_a_sharp_s_registers(open_app: OpenApp) -> None:
    listed = 'st.session_state.setdefault("listed", ["Straße@example.org"])'
    app = open_app(CALL.format(call=f"register_user(captcha=False, pre_authorized={listed})")).run()
    values = {"Email": "straße@Example.org", "Username": "grace", "Password": FRESH, "Repeat_password": FRESH}
    fill(app, "Register user", "submit", **values)
    assert app.session_state["listed"] == []


def test_register_from_another_domain(open_app: OpenApp) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    try:
        Authenticate().register_user("main", ["grace@example.com"], ["example.org"], captcha=False)
    except Exception as e:
        st.error(e)
    """
    app = fill(
        open_app(script).run(),
        "Register user",
        "submit",
        Email="grace@example.com",
        Username="grace",
        Password=FRESH,
        Repeat_password=FRESH,
    )
    assert errors(app) == ["Email domain is not allowed to register"]


def test_one_role_domain_or_address_needs_no_list(open_app: OpenApp, provider: FakeProvider) -> None:
    call = 'register_user(captcha=False, pre_authorized="grace@example.org", domains="example.org", roles="viewer")'
    values = {"Email": "grace@example.org", "Username": "grace", "Password": FRESH, "Repeat_password": FRESH}
    fill(open_app(CALL.format(call=call)).run(), "Register user", "submit", **values)
    sent = provider.account_api.calls[-1][2]
    assert (sent["domains"], sent["roles"]) == (["example.org"], ["viewer"])


@pytest.mark.parametrize("domains", [[], ["Example.ORG"]])
def test_no_domain_or_one_in_capitals_admits_as_the_provider_does(
    open_app: OpenApp, provider: FakeProvider, domains: list[str]
) -> None:
    app = open_app(CALL.format(call=f"register_user(captcha=False, domains={domains})")).run()
    values = {"Email": "grace@example.org", "Username": "grace", "Password": FRESH, "Repeat_password": FRESH}
    app = fill(app, "Register user", "submit", **values)
    assert errors(app) == []
    assert "grace" in provider.account_api.people


def test_a_section_without_addresses_admits_nobody(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app(CALL.format(call='register_user(captcha=False, pre_authorized={"emails": None})')).run()
    values = {"Email": "grace@example.org", "Username": "grace", "Password": FRESH, "Repeat_password": FRESH}
    for name, value in values.items():
        app.text_input(key=f"Register user {name.replace('_', ' ')}").input(value)
    app.button(key="Register user submit").click().run()
    assert app.exception[0].message == texts.NOT_PREAUTHORIZED
    assert not provider.account_api.calls


def test_register_lists_unmet_rules(visitor: AppTest) -> None:
    [message] = errors(join(visitor, Password="short", Repeat_password="short"))
    assert message.count("\n- ") == 2


@pytest.mark.parametrize("typed", ["wrong", ""])
def test_wrong_captcha_brings_a_new_one(visitor: AppTest, provider: FakeProvider, typed: str) -> None:
    before = solve(visitor, "Register user")
    assert errors(join(visitor, captcha=typed)) == ["Captcha entered incorrectly"]
    assert solve(visitor, "Register user") != before
    assert visitor.text_input(key="Register user captcha").value == ""
    assert not provider.account_api.calls
    assert successes(join(visitor)) == ["User registered successfully"]


def test_right_captcha_survives_a_slip_and_serves_once(visitor: AppTest) -> None:
    join(visitor, Repeat_password="slip")
    assert errors(visitor) == ["Passwords do not match"]
    fill(visitor, "Register user", "submit", Username="ada", Repeat_password=FRESH)
    assert errors(visitor) == ["Username/email already taken"]
    # The next one is there already: what stood in its place would say that nothing is left to solve.
    assert visitor.text_input(key="Register user captcha").value == ""
    assert not visitor.caption
    visitor.button(key="Register user listen").click().run()
    assert len(visitor.get("audio")) == 1
    fill(visitor, "Register user", "submit", Username="grace", captcha=solve(visitor, "Register user"))
    assert successes(visitor) == ["User registered successfully"]


def test_captcha_can_be_heard(visitor: AppTest) -> None:
    assert not visitor.get("audio")
    assert "alt=" in visitor.get("html")[0].proto.body
    visitor.button(key="Register user listen").click().run()
    assert not visitor.exception
    assert len(visitor.get("audio")) == 1
    assert successes(join(visitor)) == ["User registered successfully"]


def test_forgotten_password_after_a_code(visitor: AppTest, provider: FakeProvider) -> None:
    fill(visitor, "Forgot password", "submit", Username="ada", captcha=solve(visitor, "Forgot password"))
    mail = provider.account_api.mails[-1]
    assert (mail.kind, mail.recipient) == ("one_time_code", "ada@example.org")
    wrong = f"{(int(mail.code) + 1) % 1_000_000:06}"
    fill(visitor, "Forgot password", "check", digits=wrong)
    assert errors(visitor) == [texts.CODE_WRONG]
    fill(visitor, "Forgot password", "check", digits=f"{mail.code[:3]} {mail.code[3:]}")
    assert successes(visitor) == ["New password to be sent securely"]
    assert visitor.session_state["password result"] == ("ada", None, None)
    assert provider.account_api.mails[-1].kind == "reset_password"
    assert visitor.session_state["events"][-1]["widget"] == "Forgot password"
    visitor.run()
    assert visitor.text_input(key="Forgot password Username")


def test_code_is_asked_for_and_refused_in_the_app_s_own_words(open_app: OpenApp) -> None:
    call = 'forgot_password(two_factor_auth=True, fields={"Error": "Not this one"})'
    app = fill(open_app(CALL.format(call=call)).run(), "Forgot password", "submit", Username="ada")
    assert app.subheader[0].value == "Verification code"
    app.text_input(key="Forgot password digits").input("12")
    assert app.button(key="Forgot password check").click().run().exception[0].message == "Not this one"


def test_code_step_can_be_left(visitor: AppTest) -> None:
    fill(visitor, "Forgot password", "submit", Username="ada", captcha=solve(visitor, "Forgot password"))
    fill(visitor, "Forgot password", "cancel")
    assert visitor.text_input(key="Forgot password Username")
    assert not errors(visitor)


@pytest.mark.parametrize("is_cancelled", [True, False], ids=["by choice", "after a refusal"])
def test_way_back_from_the_code_finds_what_was_typed(
    open_app: OpenApp, provider: FakeProvider, is_cancelled: bool
) -> None:
    app = open_app(JOIN_WITH_CODE).run()
    typed = {"First_name": "Grace", "Email": "grace@example.org", "Password": "short", "Repeat_password": "short"}
    fill(app, "join", "submit", **typed)
    if is_cancelled:
        fill(app, "join", "cancel")
    else:
        fill(app, "join", "check", digits=provider.account_api.mails[-1].code)
        assert "Use at least" in errors(app)[0]
    found = {name: app.text_input(key=f"join {name.replace('_', ' ')}") for name in typed}
    assert all(each.proto.set_value for name, each in found.items() if "assword" not in name)  # or browsers keep theirs
    shown = {name: each.value for name, each in found.items()}
    assert shown == typed | {"Password": "", "Repeat_password": ""}  # somebody else may sit there by now
    fill(app, "join", "submit", Password=FRESH, Repeat_password=FRESH)
    if is_cancelled:
        fill(app, "join", "check", digits=provider.account_api.mails[-1].code)
    assert app.session_state["result"] == ("grace@example.org", "grace@example.org", "Grace")


def test_right_code_is_good_until_the_account_is_made(open_app: OpenApp, provider: FakeProvider) -> None:
    """Else each password that is refused costs a mail, of which a mailbox gets only so many."""
    app = open_app(JOIN_WITH_CODE).run()
    fill(app, "join", "submit", Email="grace@example.org", Password="short", Repeat_password="short")
    fill(app, "join", "check", digits=provider.account_api.mails[-1].code)
    fill(app, "join", "submit", Password="less", Repeat_password="less")
    assert "Use at least" in errors(app)[0]
    fill(app, "join", "submit", Password=FRESH, Repeat_password=FRESH)
    result = app.session_state["result"]
    assert result[0] == "grace@example.org"
    app.button(key="join submit").click().run()  # twice
    assert app.session_state["result"] == result
    assert [mail.kind for mail in provider.account_api.mails] == ["one_time_code"]


def test_right_code_is_good_for_its_own_address_alone(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app(JOIN_WITH_CODE).run()
    fill(app, "join", "submit", Email="grace@example.org", Password="short", Repeat_password="short")
    fill(app, "join", "check", digits=provider.account_api.mails[-1].code)
    fill(app, "join", "submit", Email="alan@example.org", Password=FRESH, Repeat_password=FRESH)
    assert app.text_input(key="join digits")
    asked = {"purpose": "registration", "email": "alan@example.org"}
    assert ("POST", "/codes", asked) == provider.account_api.calls[-1]
    assert provider.account_api.mails[-1].recipient == "alan@example.org"


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ({"email": "g@example.org", "username": "g", "name": "G"}, ("g@example.org", "g", "G")),
        ({}, ("grace@example.org", "grace@example.org", "Grace Hopper")),
    ],
)
def test_account_is_what_the_provider_made_of_it(
    open_app: OpenApp, provider: FakeProvider, document: dict[str, object], shown: tuple[str, str, str]
) -> None:
    app = open_app(JOIN_WITH_CODE.replace("two_factor_auth=True", "two_factor_auth=False")).run()
    provider.account_api.next_answers["POST", "/users"] = [FakeAnswer(202, document)]
    values = {"First_name": "Grace", "Last_name": "Hopper", "Email": "grace@example.org"}
    fill(app, "join", "submit", **values, Password=FRESH, Repeat_password=FRESH)
    assert app.session_state["result"] == shown


def test_code_that_is_good_no_more_is_mailed_anew(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app(JOIN_WITH_CODE).run()
    fill(app, "join", "submit", Email="grace@example.org", Password="short", Repeat_password="short")
    fill(app, "join", "check", digits=provider.account_api.mails[-1].code)
    refuse(provider, "POST", "/users", 422, code="wrong_code", detail="The code is wrong or no longer valid.")
    fill(app, "join", "submit", Password=FRESH, Repeat_password=FRESH)
    assert errors(app) == ["The code is wrong or no longer valid."]
    app.button(key="join submit").click().run()
    fill(app, "join", "check", digits=provider.account_api.mails[-1].code)
    assert app.session_state["result"][0] == "grace@example.org"
    assert len(provider.account_api.mails) == 2


@pytest.mark.parametrize(("status", "code"), [(404, "not_found"), (410, "expired")])
def test_spent_code_leads_back(visitor: AppTest, provider: FakeProvider, status: int, code: str) -> None:
    fill(visitor, "Forgot password", "submit", Username="ada", captcha=solve(visitor, "Forgot password"))
    _, path, body = provider.account_api.calls[0]
    code_id = next(iter(provider.account_api._codes))
    assert (path, body) == ("/codes", {"purpose": "password", "username": "ada"})
    refuse(provider, "POST", f"/codes/{code_id}", status, code=code)
    fill(visitor, "Forgot password", "check", digits="000000")
    assert errors(visitor) == [texts.CODE_WRONG]
    name = visitor.text_input(key="Forgot password Username")
    assert (name.value, name.proto.set_value) == ("ada", True)
    assert "Forgot password digits" not in {each.key for each in visitor.text_input}


def test_forgotten_username_after_captcha_and_code(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.account_api.granted_scopes = {"recovery:password"}
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate, ForgotError
    try:
        result = Authenticate().forgot_username(captcha=True, two_factor_auth=True)
        st.session_state["result"] = tuple(result)
    except ForgotError as e:
        st.error(e)
    """
    app = open_app(script).run()
    fill(app, "Forgot username", "submit", Email="ada@example.org", captcha="wrong")
    assert errors(app) == ["Captcha entered incorrectly"]
    fill(app, "Forgot username", "submit", captcha=solve(app, "Forgot username"))
    assert app.session_state["result"] == (None, "ada@example.org")
    asked = {"purpose": "username", "email": "ada@example.org"}
    assert ("POST", "/codes", asked) == provider.account_api.calls[-1]
    fill(app, "Forgot username", "check", digits="")
    assert errors(app) == [texts.CODE_WRONG]
    fill(app, "Forgot username", "check", digits=provider.account_api.mails[-1].code)
    assert app.session_state["result"] == ("ada", "ada@example.org")


def test_wrong_captcha_for_a_forgotten_password(visitor: AppTest) -> None:
    fill(visitor, "Forgot password", "submit", Username="ada", captcha="wrong")
    assert errors(visitor) == ["Captcha entered incorrectly"]


def test_code_can_be_sent_again_after_an_outage(visitor: AppTest, provider: FakeProvider) -> None:
    fill(visitor, "Forgot password", "submit", Username="ada", captcha=solve(visitor, "Forgot password"))
    refuse(provider, "POST", "/recovery/password", 503)
    fill(visitor, "Forgot password", "check", digits=provider.account_api.mails[-1].code)
    assert errors(visitor) == [texts.TRY_LATER]
    visitor.button(key="Forgot password check").click().run()
    assert successes(visitor) == ["New password to be sent securely"]


def test_repeated_step_finds_the_answer_that_was_lost(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app(JOIN_WITH_CODE).run()
    fill(app, "join", "submit", First_name="Grace", Email="grace@example.org", Password=FRESH, Repeat_password=FRESH)
    code = provider.account_api.mails[-1].code
    fill(app, "join", "check", digits=f"{(int(code) + 1) % 1_000_000:06}")
    assert errors(app) == [texts.CODE_WRONG]
    provider.loses_answers = ["/users", "/users"]
    fill(app, "join", "check", digits=code)
    assert errors(app) == [texts.ANSWER_LOST]
    assert "grace@example.org" in provider.account_api.people
    fill(app, "join", "check", digits="12")
    assert errors(app) == [texts.CODE_WRONG]
    fill(app, "join", "check", digits=code)
    assert app.session_state["result"] == ("grace@example.org", "grace@example.org", "Grace")
    keys = [headers["Idempotency-Key"] for path, headers, _ in provider.requests if path == "/api/v1/users"]
    assert (len(keys), len(set(keys))) == (3, 1)
    # Whoever registers next has a key of their own.
    app.run()
    fill(app, "join", "submit", Email="alan@example.org", Password=FRESH, Repeat_password=FRESH)
    fill(app, "join", "check", digits=provider.account_api.mails[-1].code)
    assert provider.requests[-1][1]["Idempotency-Key"] not in keys


@pytest.mark.parametrize(("status", "code"), [(409, "idempotency_in_progress"), (429, "throttled")])
def test_refusal_for_now_keeps_the_step(visitor: AppTest, provider: FakeProvider, status: int, code: str) -> None:
    fill(visitor, "Forgot password", "submit", Username="ada", captcha=solve(visitor, "Forgot password"))
    refuse(provider, "POST", "/recovery/password", status, code=code, wait=40)
    fill(visitor, "Forgot password", "check", digits=provider.account_api.mails[-1].code)
    assert errors(visitor) == [texts.STILL_AT_IT if status == 409 else texts.THROTTLED.format(wait="40 seconds")]
    visitor.button(key="Forgot password check").click().run()
    assert successes(visitor) == ["New password to be sent securely"]


def test_lost_look_at_a_code_changed_nothing(visitor: AppTest, provider: FakeProvider) -> None:
    fill(visitor, "Forgot password", "submit", Username="ada", captcha=solve(visitor, "Forgot password"))
    provider.loses_answers = [f"/codes/{next(iter(provider.account_api._codes))}"]
    fill(visitor, "Forgot password", "check", digits=provider.account_api.mails[-1].code)
    assert errors(visitor) == [texts.TRY_LATER]


def test_a_look_at_a_code_has_nothing_mailed(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("widgets_0_4")
    app.context = {"locale": "de-AT", "url": "http://localhost:8501/"}
    fill(app.run(), "Forgot password", "submit", Username="ada", captcha=solve(app, "Forgot password"))
    fill(app, "Forgot password", "check", digits=provider.account_api.mails[-1].code)
    assert [body.get("language") for _, _, body in provider.account_api.calls] == ["de-AT", None, "de-AT"]


def test_waiting_too_long_leads_back(visitor: AppTest, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit_bridge.widgets import one_time_code

    fill(visitor, "Forgot password", "submit", Username="ada", captcha=solve(visitor, "Forgot password"))
    assert visitor.session_state[one_time_code._STATE_KEY]
    monkeypatch.setattr(one_time_code, "STEP_LIFETIME", 0.0)
    visitor.run()
    assert not visitor.text_input(key="Forgot password Username").value  # somebody else may sit there by now
    assert not visitor.session_state[one_time_code._STATE_KEY]


def test_registration_after_a_code(open_app: OpenApp, provider: FakeProvider) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    st.session_state["result"] = tuple(Authenticate().register_user(
        captcha=False, two_factor_auth=True, merge_username_email=True, key="join", clear_on_submit=True,
        fields={"Dialog name": "Prove it"}))
    """
    app = open_app(script).run()
    joining = {"First_name": "Grace", "Email": "grace@example.org", "Password": FRESH, "Repeat_password": FRESH}
    fill(app, "join", "submit", **joining)
    fill(app, "join", "cancel")
    assert not app.text_input(key="join Email").value
    fill(app, "join", "submit", **joining)
    assert app.subheader[0].value == "Prove it"
    assert app.session_state["result"] == (None, None, None)
    fill(app, "join", "check", digits=provider.account_api.mails[-1].code)
    assert app.session_state["result"] == ("grace@example.org", "grace@example.org", "Grace")
    assert provider.account_api.calls[-1][2]["merge_username_email"] is True
    assert app.info[0].value == texts.REGISTER_READY
    assert not app.text_input


def test_code_without_an_identifier(visitor: AppTest, provider: FakeProvider) -> None:
    provider.account_api.next_answers["POST", "/codes"] = [FakeAnswer(202, {})]
    fill(visitor, "Forgot password", "submit", Username="ada", captcha=solve(visitor, "Forgot password"))
    assert errors(visitor) == [texts.TRY_LATER]
    assert visitor.text_input(key="Forgot password Username")


def test_several_names_for_one_address(open_app: OpenApp, provider: FakeProvider) -> None:
    answer = FakeAnswer(200, {"usernames": ["ada", "countess"], "email": "ada@example.org"})
    provider.account_api.next_answers["POST", "/recovery/username"] = [answer]
    app = open_app(CALL.format(call='forgot_username(callback=lambda event: st.text(event["username"]))')).run()
    assert fill(app, "Forgot username", "submit", Email="ada@example.org").text[0].value == "ada, countess"


@pytest.mark.parametrize(
    ("forgotten", "field", "value", "mailed"),
    [
        ("password", "Username", "ada", "reset_password"),
        ("username", "Email", "ada@example.org", "forgotten_usernames"),
    ],
)
def test_send_email_leaves_the_sending_to_the_provider(
    open_app: OpenApp, provider: FakeProvider, forgotten: str, field: str, value: str, mailed: str
) -> None:
    provider.account_api.granted_scopes.add("recovery:password")
    app = open_app(CALL.format(call=f"forgot_{forgotten}(send_email=True)")).run()
    fill(app, f"Forgot {forgotten}", "submit", **{field: value})
    assert [mail.kind for mail in provider.account_api.mails] == [mailed]


def test_signed_in_widgets_and_their_events(open_app: OpenApp) -> None:
    app = open_app("widgets_0_4", make_user()).run()
    fill(app, "Reset password", "submit", Current_password=RIGHT, New_password=FRESH, Repeat_password=FRESH)
    assert successes(app) == ["Password modified successfully"]
    app.selectbox(key="Update user details Field").select("Last name").run()
    fill(app, "Update user details", "submit", New_Last_name="King")
    assert successes(app) == ["Entries updated successfully"]
    assert app.markdown[-1].value == "Welcome *Ada King*"
    assert [event["widget"] for event in app.session_state["events"]] == ["Reset password", "Update user details"]
    assert app.session_state["events"][-1] == {
        "widget": "Update user details",
        "username": "ada",
        "email": "ada@example.org",
        "name": "Ada King",
        "roles": ["editor"],
        "field": "last_name",
        "new_value": "King",
    }


CALL = """
import streamlit as st
from streamlit_bridge import Authenticate
auth = Authenticate()
auth.login(location="unrendered")
auth.{call}
"""


@pytest.mark.parametrize(
    ("call", "title"),
    [
        ('reset_password("ada", "main", {"Form name": "Fresh one"})', "Fresh one"),
        ('reset_password("ada", "My title", "sidebar")', "My title"),
        ('reset_password("ADA", location="sidebar")', "Reset password"),
        ('forgot_password("sidebar", {"Form name": "Lost"})', "Lost"),
        ('forgot_username("Lost name", "main")', "Lost name"),
        ('update_user_details("ada", fields={"Form name": "Details"})', "Details"),
        ('register_user("Sign up", "sidebar", False)', "Sign up"),
        ('register_user("main", pre_authorization=False)', "Register user"),
    ],
)
def test_ways_to_call(open_app: OpenApp, call: str, title: str) -> None:
    app = open_app(CALL.format(call=call), make_user()).run()
    assert not app.exception
    assert [element.value for element in app.subheader] == [title]
    assert bool(app.sidebar.subheader) is ("sidebar" in call)


@pytest.mark.parametrize("is_asked", [True, False])
def test_second_of_all_the_0_3_generation_says_who_may_register(
    open_app: OpenApp, provider: FakeProvider, is_asked: bool
) -> None:
    provider.account_api.preauthorized.add("grace@example.org")
    app = open_app(CALL.format(call=f'register_user("main", {is_asked}, ["example.org"], captcha=False)')).run()
    values = {"Email": "grace@example.org", "Username": "grace", "Password": FRESH, "Repeat_password": FRESH}
    fill(app, "Register user", "submit", **values)
    sent = provider.account_api.calls[-1][2]
    assert (sent["preauthorized"], sent["domains"]) == (is_asked, ["example.org"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('reset_password("ada", "Title", "top")', "location must be one of"),
        ('reset_password("ada", location="unrendered")', "'main' and 'sidebar'"),
        ('forgot_password("Title", "nowhere")', "location must be one of"),
        ("forgot_username(location=3)", "location must be one of"),
        ('register_user(location="left")', "location must be one of"),
        ('update_user_details("ada", location="left")', "location must be one of"),
        ('forgot_password("main", {}, True)', texts.BAD_FIELDS),
        ('reset_password("grace")', texts.SOMEBODY_ELSE),
        ('update_user_details("grace")', texts.SOMEBODY_ELSE),
    ],
)
def test_calls_that_are_refused(open_app: OpenApp, call: str, message: str) -> None:
    app = open_app(CALL.format(call=call), make_user()).run()
    assert message in app.exception[0].message


@pytest.mark.parametrize(
    "call", ["reset_password(None)", 'update_user_details("ada", "Update")', "reset_password(st.session_state.clear())"]
)
def test_nobody_signed_in(open_app: OpenApp, call: str) -> None:
    app = open_app(CALL.format(call=call)).run()
    assert app.exception[0].message == texts.NOBODY_SIGNED_IN
