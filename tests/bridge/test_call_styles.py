"""login() and logout() in the call styles of both generations."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit
from conftest import OpenApp, RecordedAuth, make_user
from fake_provider import FakeProvider

from streamlit_bridge import Authenticate, LoginResult, texts
from streamlit_bridge.call_style import CallStyle, read_call_style


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (None, None, CallStyle(None, "main", False)),
        ("main", None, CallStyle(None, "main", False)),
        ("sidebar", None, CallStyle(None, "sidebar", False)),
        ("unrendered", 5, CallStyle(None, "unrendered", False)),
        (None, "sidebar", CallStyle(None, "sidebar", False)),
        ("Login", None, CallStyle("Login", "main", True)),
        ("Login", "main", CallStyle("Login", "main", True)),
        ("Login", "sidebar", CallStyle("Login", "sidebar", True)),
        ("main", "sidebar", CallStyle("main", "sidebar", True)),
    ],
)
def test_positional_rule(first: object, second: object, expected: CallStyle) -> None:
    assert read_call_style(first, second) == expected


@pytest.mark.parametrize(("first", "second"), [("Login", "top"), (None, "top"), ("Login", 5)])
def test_bad_location(first: object, second: object) -> None:
    with pytest.raises(ValueError, match="location must be one of"):
        read_call_style(first, second)


def test_result_unpacks_and_answers_to_if() -> None:
    assert tuple(LoginResult(None, None, "")) == (None, None, "")
    assert not LoginResult(None, None, "")
    assert LoginResult("Ada", True, "ada")


def test_what_only_the_0_3_generation_had_is_accepted(open_app: OpenApp) -> None:
    script = """
    from streamlit_bridge import Authenticate
    Authenticate().login("main", 3, sleep_time=0.5)
    """
    app = open_app(script).run()
    assert not app.exception
    assert app.subheader[0].value == "Login"


def test_labels_may_come_third_as_in_0_3_1(open_app: OpenApp) -> None:
    script = """
    from streamlit_bridge import Authenticate
    Authenticate().login("main", None, {"Form name": "Come in", "Login": "Enter"})
    """
    app = open_app(script).run()
    assert (app.subheader[0].value, app.button[0].label) == ("Come in", "Enter")


def test_older_generation_signed_out(open_app: OpenApp, recorded: RecordedAuth) -> None:
    app = open_app("classic_0_2").run()
    assert not app.exception
    assert app.subheader[0].value == "Login"
    assert app.button[0].label == "Login"
    assert app.warning[0].value == "Please enter your username and password"
    app.button[0].click().run()
    assert recorded.logins == 1


def test_who_signed_out_stays_out_when_a_lost_connection_brings_the_cookie_again(
    open_app: OpenApp, recorded: RecordedAuth
) -> None:
    """The browser has not left yet; and without a token nobody else knows of the end."""
    app = open_app("classic_0_2", make_user(token=None)).run()
    app.button(key="unique_key").click().run()
    app.user = make_user(token=None)
    app.run()
    assert app.session_state["authentication_status"] is None
    assert app.warning[0].value == "Please enter your username and password"


def test_older_generation_signed_in_and_out(open_app: OpenApp, recorded: RecordedAuth) -> None:
    app = open_app("classic_0_2", make_user()).run()
    assert not app.exception
    assert app.markdown[0].value == "Welcome *Ada Lovelace* (ada)"
    app.button(key="unique_key").click().run()
    assert not app.exception
    assert recorded.logouts == 1
    assert app.session_state["logout"] is True
    assert app.session_state["authentication_status"] is None  # for what the next run reads before it calls anything
    app.run()
    assert app.warning[0].value == "Please enter your username and password"
    app.button[0].click().run()
    assert app.session_state["logout"] is None


def test_newer_generation_signed_out(open_app: OpenApp, recorded: RecordedAuth) -> None:
    app = open_app("classic_0_4").run()
    assert not app.exception
    assert app.subheader[0].value == "Come in"
    # Streamlit prints values that stand alone on a line: nothing but the card's own text may appear.
    assert [element.value for element in app.markdown] == [texts.CLASSIC_SIGN_IN_TEXT]
    app.button(key="Login").click().run()
    assert recorded.logins == 1


def test_newer_generation_signed_in_and_out(open_app: OpenApp, recorded: RecordedAuth) -> None:
    app = open_app("classic_0_4", make_user()).run()
    assert not app.exception
    assert [element.value for element in app.markdown] == ["Welcome *Ada Lovelace*"]
    app.button(key="Logout").click().run()
    assert recorded.logouts == 1
    assert app.session_state["events"] == [
        {
            "widget": "Logout",
            "username": "ada",
            "email": "ada@example.org",
            "name": "Ada Lovelace",
            "roles": ["editor"],
        }
    ]


def test_login_callback_runs_once_after_a_completed_sign_in(open_app: OpenApp) -> None:
    first = open_app("classic_0_4").run()
    first.button(key="Login").click().run()
    back = open_app("classic_0_4", make_user()).run()
    back.run()
    assert [event["widget"] for event in back.session_state["events"]] == ["Login"]
    assert "events" not in open_app("classic_0_4", make_user()).run().session_state


def test_sidebar(open_app: OpenApp) -> None:
    script = """
    from streamlit_bridge import Authenticate
    auth = Authenticate()
    auth.login("sidebar")
    """
    app = open_app(script).run()
    assert app.sidebar.button[0].label == "Login"
    assert not app.main.button


@pytest.mark.parametrize("location", ["main", "unrendered"])
@pytest.mark.parametrize(("user", "expected"), [(None, "None None ''"), (make_user(), "'Ada Lovelace' True 'ada'")])
def test_login_can_be_unpacked_as_in_the_0_3_generation(
    open_app: OpenApp, user: dict[str, object] | None, expected: str, location: str
) -> None:
    script = f"""
    import streamlit as st
    from streamlit_bridge import Authenticate
    name, authentication_status, username = Authenticate().login(location="{location}")
    st.text(f"{{name!r}} {{authentication_status!r}} {{username!r}}")
    """
    app = open_app(script, user).run()
    assert app.text[0].value == expected
    assert len(app.button) == (user is None and location == "main")


def test_an_app_knows_who_came_back_before_it_calls_login(open_app: OpenApp) -> None:
    """A menu begins anew after a sign-in, as does all that a session holds, and leads elsewhere than to the card."""
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    auth = Authenticate()
    if st.radio("Menu", ["Home", "Login"]) == "Login":
        auth.login()
    elif st.session_state["authentication_status"]:
        st.text(st.session_state["name"])
    """
    app = open_app(script).run()
    app.radio[0].set_value("Login").run()
    app.button(key="Login").click().run()
    assert open_app(script, make_user()).run().text[0].value == "Ada Lovelace"


def test_login_with_labels_that_are_no_mapping(open_app: OpenApp) -> None:
    script = """
    from streamlit_bridge import Authenticate
    Authenticate().login(fields=["Username", "Password"])
    """
    assert open_app(script).run().exception[0].message == texts.BAD_FIELDS


def test_unrendered_logout_signs_out_at_once(open_app: OpenApp, recorded: RecordedAuth) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    auth = Authenticate()
    auth.require()
    auth.logout(location="unrendered")
    st.text("not reached")
    """
    app = open_app(script, make_user()).run()
    assert not app.exception
    assert recorded.logouts == 1
    assert not app.text


def test_logout_callback_may_clear_the_state(open_app: OpenApp, recorded: RecordedAuth) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    auth = Authenticate()
    auth.login()
    if st.session_state["authentication_status"]:
        auth.logout(callback=lambda event: st.session_state.clear())
    """
    app = open_app(script, make_user()).run()
    app.button(key="Logout").click().run()
    assert not app.exception
    assert recorded.logouts == 1
    assert app.run().subheader[0].value == "Login"


@pytest.mark.parametrize("deed", ["st.rerun()", "st.switch_page('smallest.py')", "raise OSError('no disk')"])
def test_logout_signs_out_whatever_its_callback_does(open_app: OpenApp, recorded: RecordedAuth, deed: str) -> None:
    script = f"""
    import streamlit as st
    from streamlit_bridge import Authenticate

    def say_goodbye(event):
        {deed}

    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    auth = Authenticate()
    auth.require()
    auth.logout(callback=say_goodbye)
    """
    app = open_app(script, make_user()).run()
    app.button(key="Logout").click().run()
    assert recorded.logouts == 1
    assert app.session_state["runs"] == 2
    assert app.run().subheader[0].value == texts.SIGN_IN_TITLE


@pytest.mark.parametrize("cleared", ["pass", "st.session_state.clear()"])
def test_logout_without_user(open_app: OpenApp, cleared: str) -> None:
    script = f"""
    import streamlit as st
    from streamlit_bridge import Authenticate
    from streamlit_bridge.utilities.exceptions import LogoutError
    auth = Authenticate()
    {cleared}
    try:
        auth.logout()
    except LogoutError as error:
        st.text(error)
    """
    assert open_app(script).run().text[0].value == texts.NOBODY_TO_SIGN_OUT


def test_logout_in_a_bad_location(open_app: OpenApp) -> None:
    script = """
    from streamlit_bridge import Authenticate
    auth = Authenticate()
    auth.require()
    auth.logout("Logout", "top")
    """
    assert "location must be one of" in open_app(script, make_user()).run().exception[0].message


@pytest.mark.parametrize(
    ("said", "width"),
    [
        ("", "content"),
        ("use_container_width=True", "stretch"),
        ("width='stretch'", "stretch"),
        ("width=300", 300),
    ],
)
def test_logout_is_as_wide_as_the_app_says(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, said: str, width: str | int
) -> None:
    shown: list[object] = []
    button = streamlit.button

    def show(*given: Any, **named: Any) -> bool:
        shown.append(named["width"])
        return button(*given, **named)

    monkeypatch.setattr(streamlit, "button", show)
    script = f"""
    from streamlit_bridge import Authenticate
    auth = Authenticate()
    auth.require()
    auth.logout({said})
    """
    app = open_app(script, make_user()).run()
    assert not app.exception
    assert app.button[0].label == "Logout"
    assert shown == [width]


def test_sign_out_reaches_other_tabs_without_asking(open_app: OpenApp, provider: FakeProvider) -> None:
    one, other = open_app("classic_0_2", make_user()).run(), open_app("smallest", make_user()).run()
    one.button(key="unique_key").click().run()
    other.run()
    assert other.info[0].value == texts.SESSION_ENDED
    assert provider.count("/api/v1/me") == 1


def read_bridge_messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Leave out what Streamlit logs because these tests run without a script."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("streamlit_bridge")]


def test_old_arguments_are_accepted_and_mentioned_once(caplog: pytest.LogCaptureFixture) -> None:
    Authenticate(["Ada"], ["ada"], ["$2b$"], "cookie", "key", cookie_expiry_days=30)
    Authenticate(names=["Ada"], usernames=["ada"], passwords=["$2b$"], cookie_name="cookie", key="key")
    Authenticate({"usernames": {}}, "cookie", "key", 30, {"emails": []})
    Authenticate(credentials={}, key="x", pre_authorized=[])
    Authenticate("config.yaml", login_sleep_time=0, password_instructions="**Password must:**", server_url=None)
    assert read_bridge_messages(caplog) == [texts.OLD_ARGUMENTS_UNUSED]


def test_new_style_constructor_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    Authenticate()
    assert read_bridge_messages(caplog) == []


def test_unknown_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="cookie_kye"):
        Authenticate(cookie_kye="x")  # type: ignore[call-arg]  # the point of the test
