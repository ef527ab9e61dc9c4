"""require(): who comes in, who is asked to sign in, who is refused."""

from __future__ import annotations

import pytest
from conftest import OpenApp, RecordedAuth, make_user
from fake_provider import FakeProvider

from streamlit_bridge import texts
from streamlit_bridge.session import STATE_KEYS


def test_signed_in_user_comes_in(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("smallest", make_user()).run()
    assert not app.exception
    assert app.markdown[0].value == "Hello Ada Lovelace"
    state = {key: app.session_state[key] for key in STATE_KEYS}
    assert state == {
        "name": "Ada Lovelace",
        "authentication_status": True,
        "username": "ada",
        "email": "ada@example.org",
        "roles": ["editor"],
        "logout": None,
    }
    headers = next(headers for path, headers, _ in provider.requests if path == "/api/v1/me")
    assert headers["Authorization"] == "Bearer at_ada"


def test_visitor_sees_a_card_and_nothing_of_the_page(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("smallest").run()
    assert not app.exception
    assert app.subheader[0].value == texts.SIGN_IN_TITLE
    assert not any("Hello" in element.value for element in app.markdown)
    assert [app.session_state[key] for key in STATE_KEYS] == [None] * 6
    assert provider.requests == []


def test_user_without_auth_section_is_a_visitor(open_app: OpenApp) -> None:
    app = open_app("smallest", {}).run()
    assert not app.exception
    assert app.subheader[0].value == texts.SIGN_IN_TITLE


def test_who_signed_in_at_another_provider_of_the_app_is_a_visitor(open_app: OpenApp, provider: FakeProvider) -> None:
    """By ``st.login("google")``: with a token of Google's, which is none of this provider's business."""
    app = open_app("smallest", make_user("ya29.of-google", provider="google", roles=["admin"])).run()
    assert not app.exception
    assert app.subheader[0].value == texts.SIGN_IN_TITLE
    assert not app.info
    assert provider.requests == []
    app.user = make_user(provider="default")
    assert app.run().markdown[0].value == "Hello Ada Lovelace"


def test_button_starts_the_sign_in(open_app: OpenApp, recorded: RecordedAuth) -> None:
    app = open_app("smallest").run()
    assert recorded.logins == 0
    app.button[0].click().run()
    assert recorded.logins == 1
    assert not app.exception


def test_unusable_secrets_name_the_remedy(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit
    from streamlit.errors import StreamlitAuthError

    def fail(provider: str | None = None) -> None:
        raise StreamlitAuthError("no client_id")

    monkeypatch.setattr(streamlit, "login", fail)
    app = open_app("smallest").run()
    app.button[0].click().run()
    assert "idp client add-streamlit" in app.exception[0].message


def test_missing_role_is_refused_without_a_login(open_app: OpenApp) -> None:
    app = open_app("admin_only", make_user()).run()
    assert not app.exception
    assert texts.FORBIDDEN_TITLE in app.subheader[0].value
    shown = " ".join(element.value for element in app.markdown)
    assert "Ada Lovelace" in shown
    assert "`admin`" in shown
    assert "secret room" not in shown
    assert len(app.button) == 0


def test_role_opens_the_page(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.reply.body["roles"] = ["admin"]
    app = open_app("admin_only", make_user()).run()
    assert app.markdown[0].value == "the secret room"


def test_role_taken_away_closes_the_page(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.reply.body["roles"] = []
    app = open_app("admin_only", make_user(roles=["admin"])).run()
    assert texts.FORBIDDEN_TITLE in app.subheader[0].value


def test_one_of_several_roles_is_enough(open_app: OpenApp) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    Authenticate().require("admin", "editor")
    st.write("in")
    """
    assert open_app(script, make_user()).run().markdown[0].value == "in"


def test_several_roles_in_one_list_are_refused(open_app: OpenApp) -> None:
    script = """
    from streamlit_bridge import Authenticate
    Authenticate().require(("admin", "editor"))
    """
    assert open_app(script, make_user()).run().exception[0].message == texts.ROLES_ARE_TEXTS


@pytest.mark.parametrize("role", ["", '"admin"'])
def test_nobody_goes_on_outside_of_the_scripts_own_thread(open_app: OpenApp, role: str) -> None:
    script = f"""
    import threading
    import streamlit as st
    from streamlit.runtime.scriptrunner import add_script_run_ctx
    from streamlit_bridge import Authenticate
    auth = Authenticate()
    passed = []
    st.session_state["passed"] = passed
    def work():
        try:
            auth.require({role})
        except BaseException as error:
            passed.append(type(error).__name__)
        else:
            passed.append("in")
    thread = threading.Thread(target=work)
    add_script_run_ctx(thread)
    thread.start()
    thread.join()
    """
    app = open_app(script, make_user() if role else None).run()
    assert app.session_state["passed"] == ["StopException"]


def test_name_cannot_inject_markdown(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.reply.body["name"] = "![x](https://evil.example/p.png)"
    app = open_app("admin_only", make_user()).run()
    shown = " ".join(element.value for element in app.markdown)
    assert "![x](" not in shown


def test_cross_site_frame_offers_a_new_tab(open_app: OpenApp, cookies: dict[str, str]) -> None:
    cookies.clear()
    app = open_app("smallest", url="http://localhost:8501/Caf%C3%A9")
    app.context["is_embedded"] = True
    app.query_params = {"year": ["1843", "1844"]}
    app.run()
    assert not app.button
    link = app.get("link_button")[0].proto
    assert (link.label, link.url) == (texts.EMBEDDED_LINK, "http://localhost:8501/Caf%C3%A9?year=1843&year=1844")


@pytest.mark.parametrize(
    ("name", "button"),
    [("smallest", "streamlit_bridge_sign_in"), ("several/main", "streamlit_bridge_menu_sign_in"), ("automatic", None)],
)
def test_a_frame_that_is_not_left_offers_a_new_tab(
    open_app: OpenApp, recorded: RecordedAuth, name: str, button: str | None
) -> None:
    app = open_app(name)
    app.context["is_embedded"] = True
    app.run()
    if button is not None:
        assert not app.get("link_button")
        app.button(key=button).click().run()
    assert recorded.logins == 1
    assert [link.label for link in app.get("link_button")] == [texts.EMBEDDED_LINK]


def test_a_frame_says_how_far_a_sign_out_went(
    open_app: OpenApp, provider: FakeProvider, recorded: RecordedAuth
) -> None:
    app = open_app("several/main", make_user())
    app.context["is_embedded"] = True
    app.run()
    app.button(key="streamlit_bridge_menu_sign_out").click().run()
    assert not app.exception
    assert recorded.logouts == 1
    assert app.info[0].value == texts.EMBEDDED_SIGN_OUT
    assert app.get("link_button")[-1].proto.url == f"{provider.issuer}/account"
