"""The snippets of the older generation, unmodified, with every outcome of each widget."""

from __future__ import annotations

import httpx
import pytest
from conftest import OpenApp, make_user
from fake_provider import FakeProvider, Reply
from streamlit.testing.v1 import AppTest

from streamlit_bridge import api, texts
from streamlit_bridge.fake_answers import FakeAnswer
from streamlit_bridge.memory import SharedMemory

RIGHT = "correct horse battery"
FRESH = "a wholly different sentence"


@pytest.fixture
def visitor(open_app: OpenApp) -> AppTest:
    return open_app("seed_widgets").run()


@pytest.fixture
def user(open_app: OpenApp) -> AppTest:
    return open_app("seed_widgets", make_user()).run()


def fill(app: AppTest, form: str, button: str, **values: str) -> AppTest:
    for name, value in values.items():
        app.text_input(key=f"{form} {name.replace('_', ' ')}").input(value)
    app.button(key=f"{form} {button}").click().run()
    assert not app.exception
    return app


def successes(app: AppTest) -> list[str]:
    return [element.value for element in app.success]


def errors(app: AppTest) -> list[str]:
    """The snippet for user names says "Email not found" from the start: it takes any idle result for that."""
    return [element.value for element in app.error if element.value != "Email not found"]


def refuse(provider: FakeProvider, method: str, path: str, status: int, **problem: object) -> None:
    headers = {"Retry-After": str(problem.pop("wait"))} if "wait" in problem else {}
    provider.account_api.next_answers[method, path] = [FakeAnswer(status, problem, headers)]


def test_nothing_happens_by_itself(visitor: AppTest, provider: FakeProvider) -> None:
    assert not visitor.exception
    titles = [element.value for element in visitor.subheader]
    assert titles == ["Login", "Register user", "Forgot password", "Forgot username"]
    assert successes(visitor) == errors(visitor) == []
    assert provider.account_api.calls == []


def test_signed_in_user_sees_all(user: AppTest) -> None:
    titles = [element.value for element in user.subheader]
    assert titles == ["Reset password", "Register user", "Forgot password", "Forgot username", "Update user details"]


def test_browsers_hide_what_is_secret_and_know_what_belongs_where(visitor: AppTest, user: AppTest) -> None:
    fields = {field.key: field.proto for app in (visitor, user) for field in app.text_input}
    assert {key: proto.autocomplete for key, proto in fields.items() if proto.type == proto.PASSWORD} == {
        "Register user Password": "new-password",
        "Register user Repeat password": "new-password",
        "Reset password Current password": "current-password",
        "Reset password New password": "new-password",
        "Reset password Repeat password": "new-password",
    }
    assert {key: proto.autocomplete for key, proto in fields.items() if proto.type != proto.PASSWORD} == {
        "Forgot password Username": "username",
        "Forgot username Email": "email",
        "Register user Email": "email",
        "Register user First name": "given-name",
        "Register user Last name": "family-name",
        "Register user Username": "username",
        "Update user details New First name": "given-name",
    }


def test_widgets_may_have_one_title(open_app: OpenApp) -> None:
    """As where an app hides their titles: in the older generation no widget's key came of its title."""
    script = """
    from streamlit_bridge import Authenticate
    auth = Authenticate()
    _, _, username = auth.login(" ")
    auth.reset_password(username, " ")
    auth.register_user(" ")
    auth.forgot_password(" ")
    auth.forgot_username(" ")
    auth.update_user_details(username, " ")
    """
    app = open_app(script, make_user()).run()
    assert not app.exception
    assert len(app.subheader) == 5


# -- reset_password ------------------------------------------------------------


def reset(app: AppTest, current: str, new: str, repeated: str) -> AppTest:
    return fill(app, "Reset password", "submit", Current_password=current, New_password=new, Repeat_password=repeated)


def test_reset_password(user: AppTest, provider: FakeProvider) -> None:
    assert successes(reset(user, RIGHT, FRESH, FRESH)) == ["Password modified successfully"]
    assert provider.account_api.people["ada"].password == FRESH
    assert successes(user.run()) == []


@pytest.mark.parametrize(
    ("current", "new", "repeated", "message"),
    [
        ("wrong", FRESH, FRESH, "Password is incorrect"),
        ("", FRESH, FRESH, "Password is incorrect"),
        (RIGHT, "", "", "No new password provided"),
        (RIGHT, FRESH, "something else", "Passwords do not match"),
        (RIGHT, RIGHT, RIGHT, "New and current passwords are the same"),
    ],
)
def test_reset_password_refused(user: AppTest, current: str, new: str, repeated: str, message: str) -> None:
    assert errors(reset(user, current, new, repeated)) == [message]
    assert successes(user) == []


@pytest.mark.parametrize("error", ["CredentialsError", "ResetError"])
@pytest.mark.parametrize("current", ["wrong", ""])
def test_wrong_password_is_the_error_that_it_always_was(open_app: OpenApp, error: str, current: str) -> None:
    script = f"""
    import streamlit as st
    import streamlit_bridge as stauth
    auth = stauth.Authenticate()
    _, _, username = auth.login()
    try:
        auth.reset_password(username)
    except stauth.{error} as e:
        st.error(e)
    """
    assert errors(reset(open_app(script, make_user()).run(), current, FRESH, FRESH)) == ["Password is incorrect"]


def test_reset_password_lists_unmet_rules(user: AppTest) -> None:
    [message] = errors(reset(user, RIGHT, "short", "short"))
    assert message.splitlines() == [
        texts.SEVERAL_FAULTS,
        "",
        "- Use at least 12 characters.",
        "- This password is easy to guess.",
    ]


def test_reset_password_throttled(user: AppTest, provider: FakeProvider) -> None:
    refuse(provider, "POST", "/me/password", 429, code="throttled", wait=40)
    assert errors(reset(user, RIGHT, FRESH, FRESH)) == [texts.THROTTLED.format(wait="40 seconds")]


@pytest.mark.parametrize("wait", ["Wed, 21 Oct 2026 07:28:00 GMT", "\N{SUPERSCRIPT TWO}"])
def test_reset_password_throttled_for_no_number_of_seconds(user: AppTest, provider: FakeProvider, wait: str) -> None:
    refuse(provider, "POST", "/me/password", 429, code="throttled", wait=wait)
    assert errors(reset(user, RIGHT, FRESH, FRESH)) == [texts.THROTTLED.format(wait=texts.WAIT_A_MOMENT)]


@pytest.mark.parametrize("status", [302, 500, 503])
def test_reset_password_while_the_provider_is_down(user: AppTest, provider: FakeProvider, status: int) -> None:
    refuse(provider, "POST", "/me/password", status)
    assert errors(reset(user, RIGHT, FRESH, FRESH)) == [texts.TRY_LATER]


def test_reset_password_whose_answer_is_lost(user: AppTest, provider: FakeProvider) -> None:
    provider.loses_answers = ["/me/password"]
    assert errors(reset(user, RIGHT, FRESH, FRESH)) == [texts.ANSWER_LOST]
    assert provider.account_api.people["ada"].password == FRESH


@pytest.mark.parametrize("status", [502, 504])
def test_reset_password_while_a_proxy_waits_in_vain(user: AppTest, provider: FakeProvider, status: int) -> None:
    refuse(provider, "POST", "/me/password", status)
    assert errors(reset(user, RIGHT, FRESH, FRESH)) == [texts.ANSWER_LOST]


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (httpx.ConnectError, texts.TRY_LATER),
        (httpx.ConnectTimeout, texts.TRY_LATER),
        (httpx.PoolTimeout, texts.TRY_LATER),
        (httpx.WriteTimeout, texts.ANSWER_LOST),
        (httpx.ReadTimeout, texts.ANSWER_LOST),
        (httpx.ReadError, texts.ANSWER_LOST),
        (httpx.RemoteProtocolError, texts.ANSWER_LOST),
    ],
)
def test_what_is_known_of_a_call_that_broke_off(
    user: AppTest, memory: SharedMemory, trouble: type[httpx.TransportError], message: str
) -> None:
    def break_off(request: httpx.Request) -> httpx.Response:
        raise trouble("", request=request)

    memory.client = httpx.Client(transport=httpx.MockTransport(break_off))
    assert errors(reset(user, RIGHT, FRESH, FRESH)) == [message]


def test_a_change_has_the_time_that_it_takes(user: AppTest, memory: SharedMemory) -> None:
    waits: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        waits.append(request.extensions["timeout"]["read"])
        return httpx.Response(204)

    memory.client = httpx.Client(transport=httpx.MockTransport(answer))
    reset(user, RIGHT, FRESH, FRESH)
    assert waits == [api.CHANGE_TIMEOUT.read]


def test_reset_password_refused_without_a_word(user: AppTest, provider: FakeProvider) -> None:
    refuse(provider, "POST", "/me/password", 422, code=["x"], detail=5, faults=["y"])
    assert errors(reset(user, RIGHT, FRESH, FRESH)) == [texts.REFUSED_WITHOUT_REASON]


def test_reset_password_refused_in_strange_words(user: AppTest, provider: FakeProvider) -> None:
    refuse(provider, "POST", "/me/password", 422, faults={"a": "One.", "b": ["Two.", 3], "c": 4})
    assert errors(reset(user, RIGHT, FRESH, FRESH)) == [f"{texts.SEVERAL_FAULTS}\n\n- One.\n- Two."]


def test_reset_password_with_a_session_that_has_just_ended(user: AppTest, provider: FakeProvider) -> None:
    refuse(provider, "POST", "/me/password", 401, code="invalid_token")
    assert errors(reset(user, RIGHT, FRESH, FRESH)) == [texts.SESSION_ENDED]
    assert user.run().session_state["authentication_status"] is None


# -- register_user -------------------------------------------------------------


def register(app: AppTest, **changes: str) -> AppTest:
    values = {"First_name": "Grace", "Last_name": "Hopper", "Email": "grace@example.org", "Username": "grace"}
    return fill(app, "Register user", "submit", **{**values, "Password": FRESH, "Repeat_password": FRESH, **changes})


def test_register_user(visitor: AppTest, provider: FakeProvider) -> None:
    assert successes(register(visitor)) == ["User registered successfully"]
    assert "grace@example\\.org" in visitor.info[0].value
    sent = provider.account_api.calls[-1][2]
    assert sent["preauthorized"] is False
    assert sent["given_name"] == "Grace"
    assert provider.account_api.people["grace"].password == FRESH
    assert successes(visitor.run()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Email": " "}, "Email not provided"),
        ({"Username": ""}, "Username not provided"),
        ({"Password": "", "Repeat_password": ""}, texts.NONE_CHOSEN),
        ({"Repeat_password": "other"}, "Passwords do not match"),
        ({"Username": "ada"}, "Username/email already taken"),
    ],
)
def test_register_user_refused(visitor: AppTest, changes: dict[str, str], message: str) -> None:
    assert errors(register(visitor, **changes)) == [message]
    assert successes(visitor) == []


def test_register_user_with_the_address_of_an_account(visitor: AppTest, provider: FakeProvider) -> None:
    assert successes(register(visitor, Email="ada@example.org")) == ["User registered successfully"]
    assert "grace" not in provider.account_api.people


def test_register_user_is_repeatable(visitor: AppTest, provider: FakeProvider) -> None:
    provider.drops_connection = 1
    assert successes(register(visitor)) == ["User registered successfully"]
    keys = [headers["Idempotency-Key"] for path, headers, _ in provider.requests if path == "/api/v1/users"]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    register(visitor, Username="grace2")
    assert provider.requests[-1][1]["Idempotency-Key"] not in keys


def test_register_user_gives_up_after_the_second_break(visitor: AppTest, provider: FakeProvider) -> None:
    provider.drops_connection = 2
    assert errors(register(visitor)) == [texts.ANSWER_LOST]


def test_register_user_stays_unknown_when_only_the_first_answer_was_lost(
    visitor: AppTest, provider: FakeProvider
) -> None:
    provider.drops_connection = 1
    refuse(provider, "POST", "/users", 503)
    assert errors(register(visitor)) == [texts.ANSWER_LOST]


def test_register_user_is_told_what_the_second_answer_says(visitor: AppTest, provider: FakeProvider) -> None:
    provider.drops_connection = 1
    assert errors(register(visitor, Username="ada")) == ["Username/email already taken"]


def test_register_user_stays_unknown_when_the_second_try_is_not_even_sent(
    visitor: AppTest, memory: SharedMemory
) -> None:
    troubles = [httpx.ReadError, httpx.ConnectError]

    def break_off(request: httpx.Request) -> httpx.Response:
        raise troubles.pop(0)("", request=request)

    memory.client = httpx.Client(transport=httpx.MockTransport(break_off))
    assert errors(register(visitor)) == [texts.ANSWER_LOST]
    assert not troubles


def test_register_user_on_the_providers_list_only(open_app: OpenApp, provider: FakeProvider) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    try:
        st.session_state["result"] = Authenticate().register_user("Register user")
    except Exception as e:
        st.error(e)
    """
    app = open_app(script).run()
    assert app.session_state["result"] is None
    assert errors(register(app)) == ["User not preauthorized to register"]
    provider.account_api.preauthorized.add("grace@example.org")
    register(app)
    assert app.session_state["result"] is True
    assert not provider.account_api.preauthorized


# -- forgot_password and forgot_username -----------------------------------------


@pytest.mark.parametrize("username", ["ada", "nobody"])
def test_forgot_password_answers_every_name_alike(visitor: AppTest, provider: FakeProvider, username: str) -> None:
    app = fill(visitor, "Forgot password", "submit", Username=username)
    assert successes(app) == ["New password sent securely"]
    assert errors(app) == []
    assert [mail.kind for mail in provider.account_api.mails] == (["reset_password"] if username == "ada" else [])


def test_forgot_password_where_the_app_may_know(visitor: AppTest, provider: FakeProvider) -> None:
    provider.account_api.granted_scopes = {"recovery:password"}
    from streamlit_bridge.memory import open_shared_memory

    open_shared_memory.clear()
    assert successes(fill(visitor, "Forgot password", "submit", Username="ada")) == ["New password sent securely"]
    assert errors(fill(visitor, "Forgot password", "submit", Username="nobody")) == ["Username not found"]


@pytest.mark.parametrize(
    ("form", "field", "message"),
    [
        ("Forgot password", "Username", "Username not provided"),
        ("Forgot username", "Email", "Email not provided"),
    ],
)
def test_recovery_of_nothing(visitor: AppTest, form: str, field: str, message: str) -> None:
    assert errors(fill(visitor, form, "submit", **{field: " "})) == [message]


@pytest.mark.parametrize("path", ["password", "username"])
def test_recovery_throttled(visitor: AppTest, provider: FakeProvider, path: str) -> None:
    refuse(provider, "POST", f"/recovery/{path}", 429, code="throttled", wait=600)
    field = {"password": "Username", "username": "Email"}[path]
    app = fill(visitor, f"Forgot {path}", "submit", **{field: "ada"})
    assert errors(app) == [texts.THROTTLED.format(wait="10 minutes")]


@pytest.mark.parametrize("email", ["ada@example.org", "nobody@example.org"])
def test_forgot_username_answers_every_address_alike(visitor: AppTest, email: str) -> None:
    app = fill(visitor, "Forgot username", "submit", Email=email)
    assert successes(app) == ["Username sent securely"]


def test_forgot_username_where_the_app_may_know(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.account_api.granted_scopes = {"recovery:password"}
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    st.session_state["result"] = tuple(Authenticate().forgot_username("Forgot username"))
    """
    app = open_app(script).run()
    assert app.session_state["result"] == (None, "")
    fill(app, "Forgot username", "submit", Email="ada@example.org")
    assert app.session_state["result"] == ("ada", "ada@example.org")
    fill(app, "Forgot username", "submit", Email="nobody@example.org")
    assert app.session_state["result"] == (False, "nobody@example.org")


def test_forgot_password_hands_out_a_one_time_password(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.account_api.granted_scopes = {"recovery:password"}
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    note = lambda event: st.session_state.update(told=event)
    st.session_state["result"] = tuple(Authenticate().forgot_password("Forgot password", callback=note))
    """
    app = open_app(script).run()
    assert app.session_state["result"] == (None, None, None)
    fill(app, "Forgot password", "submit", Username="ada")
    password = provider.account_api.people["ada"].password
    assert app.session_state["result"] == ("ada", "ada@example.org", password)
    assert app.session_state["told"]["random_password"] == password


# -- update_user_details ---------------------------------------------------------


def test_update_name_shows_at_once(user: AppTest, open_app: OpenApp) -> None:
    other_tab = open_app("seed_widgets", make_user()).run()
    fill(user, "Update user details", "submit", New_First_name="Augusta")
    assert successes(user) == ["Entries updated successfully"]
    assert user.session_state["name"] == "Augusta Lovelace"
    assert other_tab.run().session_state["name"] == "Augusta Lovelace"


def test_update_email_takes_the_password_and_a_mail(user: AppTest, provider: FakeProvider) -> None:
    user.selectbox(key="Update user details Field").select("Email").run()
    fill(user, "Update user details", "submit", New_Email="new@example.org", Current_password=RIGHT)
    assert successes(user) == ["Entries updated successfully"]
    assert "new@example\\.org" in user.info[0].value
    assert user.session_state["email"] == "ada@example.org"
    assert provider.account_api.mails[-1].recipient == "new@example.org"


@pytest.mark.parametrize(
    ("field", "value", "password", "message"),
    [
        ("First name", "Ada", None, "New and current values are the same"),
        ("Last name", " ", None, texts.VALUE_MISSING),
        ("Email", "", RIGHT, "Email not provided"),
        ("Email", "new@example.org", "", texts.CURRENT_IS_MISSING),
        ("Email", "new@example.org", "wrong", "Password is incorrect"),
        ("Email", "ada@example.org", RIGHT, "New and current values are the same"),
    ],
)
def test_update_refused(user: AppTest, field: str, value: str, password: str | None, message: str) -> None:
    user.selectbox(key="Update user details Field").select(field).run()
    values = {f"New_{field}": value} | ({} if password is None else {"Current_password": password})
    assert errors(fill(user, "Update user details", "submit", **values)) == [message]
    assert successes(user) == []


@pytest.mark.parametrize("trouble", [httpx.ReadTimeout, httpx.ConnectError])
def test_update_whose_first_question_is_lost_changed_nothing(
    user: AppTest, memory: SharedMemory, trouble: type[httpx.TransportError]
) -> None:
    def break_off(request: httpx.Request) -> httpx.Response:
        raise trouble("", request=request)

    memory.client = httpx.Client(transport=httpx.MockTransport(break_off))
    assert errors(fill(user, "Update user details", "submit", New_First_name="Augusta")) == [texts.TRY_LATER]


@pytest.mark.parametrize("status", [502, 504])
def test_update_whose_first_question_a_proxy_cannot_pass_on(user: AppTest, provider: FakeProvider, status: int) -> None:
    provider.reply = Reply(status, {})
    assert errors(fill(user, "Update user details", "submit", New_First_name="Augusta")) == [texts.TRY_LATER]
