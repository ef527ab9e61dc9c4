"""pages(): who may open which page, and what everybody else sees; watch() within one run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import OpenApp, RecordedAuth, make_user
from fake_provider import ADA, FakeProvider, Reply
from streamlit.runtime.scriptrunner import StopException
from streamlit.testing.v1 import AppTest

from streamlit_bridge import Authenticate, texts


def shown(app: AppTest) -> list[str]:
    assert not app.exception
    return [element.value for element in app.markdown]


def guarded(open_app: OpenApp, user: dict[str, object] | None = None) -> AppTest:
    return open_app("guarded/main", user)


def test_visitor_on_a_public_page(open_app: OpenApp) -> None:
    app = guarded(open_app).run()
    assert shown(app)[-1] == "start"
    assert app.sidebar.button[0].label == texts.SIGN_IN_BUTTON


@pytest.mark.parametrize("page", ["team.py", "admin.py"])
def test_visitor_elsewhere_meets_the_card(open_app: OpenApp, page: str) -> None:
    app = guarded(open_app).run()
    app.switch_page(page).run()
    assert app.subheader[0].value == texts.SIGN_IN_TITLE
    assert page.removesuffix(".py") not in shown(app)


def test_member(open_app: OpenApp) -> None:
    app = guarded(open_app, make_user()).run()
    app.switch_page("team.py").run()
    assert shown(app)[-1] == "team None"


def test_member_without_the_role_is_refused_and_keeps_the_menu(open_app: OpenApp) -> None:
    app = guarded(open_app, make_user()).run()
    app.switch_page("admin.py").run()
    assert not app.exception
    assert texts.FORBIDDEN_TITLE in app.subheader[0].value
    assert "admin" not in shown(app)
    assert "`admin`, `owner`" in shown(app)[-1]
    assert app.button(key="streamlit_bridge_menu_sign_out")


def test_role_granted_while_running(open_app: OpenApp, provider: FakeProvider) -> None:
    app = guarded(open_app, make_user()).run()
    provider.reply = Reply(body={**ADA, "roles": ["owner"]})
    app.switch_page("admin.py").run()
    assert shown(app)[-1] == "admin"


@pytest.mark.parametrize("argument", ['roles={"admni": ["admin"]}', 'public=["welcome"]'])
def test_mistyped_page_is_an_error(open_app: OpenApp, argument: str) -> None:
    script = f"""
    import streamlit as st
    from streamlit_bridge import Authenticate
    def admin(): st.write("admin")
    Authenticate().pages([admin], {argument}).run()
    """
    assert "pages that do not exist" in open_app(script, make_user()).run().exception[0].message


def test_first_page_is_the_start_page_under_both_names(open_app: OpenApp) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    def home(): st.write("home")
    def chart(): st.write("chart")
    page = Authenticate().pages({"One": [home], "Two": [st.Page(chart), st.Page("https://x.example", title="Out")]},
                                roles={NAME: ["admin"]})
    st.caption(f"{page.title} {page.url_path!r} {page.icon!r}")
    page.run()
    """
    for name in ('""', '"home"'):
        app = open_app(script.replace("NAME", name), make_user()).run()
        assert texts.FORBIDDEN_TITLE in app.subheader[0].value
        assert app.caption[0].value == "home '' ''"
        admin = open_app(script.replace("NAME", name), make_user(token=None, roles=["admin"])).run()
        assert shown(admin)[-1] == "home"
    both = script.replace("NAME", '"": ["editor"], "home"')
    assert texts.FORBIDDEN_TITLE in open_app(both, make_user()).run().subheader[0].value


def test_no_other_page_is_the_start_page(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though none is marked as such: what is said of the start page opens no more than that."""
    import streamlit

    seen: list[dict[str, str]] = []
    genuine = streamlit.navigation

    def navigation(pages: list[streamlit.Page], **options: object) -> streamlit.Page:
        seen.append({page.title: page.visibility for page in pages})
        return genuine(pages, **options)

    monkeypatch.setattr(streamlit, "navigation", navigation)
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    def home(): st.write("home")
    def chart(): st.write("chart")
    Authenticate().pages([home, chart, st.Page("https://x.example", title="Out")], public="").run()
    """
    assert shown(open_app(script).run())[-1] == "home"
    assert seen == [{"home": "visible", "chart": "hidden", "Out": "visible"}]


def test_one_name_needs_no_list(open_app: OpenApp) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    def home(): st.write("home")
    def office(): st.write("office")
    page = Authenticate().pages([home, st.Page(office, default=True)], roles={"office": "editor"}, public="home",
                                expanded=True)
    page.run()
    """
    assert shown(open_app(script, make_user()).run())[-1] == "office"
    refused = open_app(script, make_user(token=None, roles=["e", "d"])).run()
    assert "the role `editor`" in shown(refused)[-1]
    assert open_app(script).run().subheader[0].value == texts.SIGN_IN_TITLE


def test_visitor_without_any_public_page(open_app: OpenApp) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    def home(): st.write("home")
    Authenticate().pages([home]).run()
    """
    app = open_app(script).run()
    assert app.subheader[0].value == texts.SIGN_IN_TITLE
    assert shown(app) == [texts.SIGN_IN_TEXT]


def test_page_that_needs_a_role_is_not_public(open_app: OpenApp) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    def home(): st.write("home")
    Authenticate().pages([home], roles={"home": "admin"}, public=[""]).run()
    """
    assert open_app(script).run().subheader[0].value == texts.SIGN_IN_TITLE


def test_pages_stay_as_the_app_made_them(open_app: OpenApp) -> None:
    """An app may keep them for all sessions: who may open one decides nothing for the next person."""
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    def home(): st.write("home")
    def office(): st.write("office")
    pages = [st.Page(home), st.Page(office)]
    Authenticate().pages(pages, roles={"office": "admin"})
    st.write([page.visibility for page in pages])
    """
    assert open_app(script, make_user()).run().json[0].value == '["visible", "visible"]'


def test_visitor_is_sent_to_sign_in_without_a_click(open_app: OpenApp, recorded: RecordedAuth) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    def home(): st.write("home")
    Authenticate().pages([home], automatic=True).run()
    """
    open_app(script).run()
    assert recorded.logins == 1


def test_menu_names_only_what_opens(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit

    calls: list[tuple[dict[str, str], str]] = []
    genuine = streamlit.navigation

    def navigation(pages: list[streamlit.Page], *, position: str, expanded: bool) -> streamlit.Page:
        calls.append(({page.title: page.visibility for page in pages}, position))
        return genuine(pages, position=position, expanded=expanded)

    monkeypatch.setattr(streamlit, "navigation", navigation)
    guarded(open_app).run()
    guarded(open_app, make_user()).run()
    guarded(open_app, make_user(token=None, roles=["admin"])).run()
    visible, hidden = "visible", "hidden"
    assert calls == [
        ({"Start": visible, "Team": hidden, "Admin": hidden}, "sidebar"),
        ({"Start": visible, "Team": visible, "Admin": hidden}, "sidebar"),
        ({"Start": visible, "Team": visible, "Admin": visible}, "sidebar"),
    ]


@pytest.mark.parametrize("call", [Authenticate.require, lambda auth: auth.pages([print])])
def test_plain_python_is_told_how_apps_are_run(call: Callable[[Authenticate], object]) -> None:
    with pytest.raises(StopException, match="streamlit run"):
        call(Authenticate())


def test_watching_outlasts_a_cleared_state(open_app: OpenApp) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    auth = Authenticate()
    auth.require()
    st.session_state.clear()
    auth.watch()
    st.write("watched")
    """
    assert shown(open_app(script, make_user()).run()) == ["watched"]


def test_watching_draws_nothing(open_app: OpenApp) -> None:
    app = open_app("watched", make_user()).run()
    assert shown(app) == ["Hello Ada Lovelace", "Roles: editor"]
