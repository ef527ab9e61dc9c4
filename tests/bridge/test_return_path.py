"""Coming back to the same page, unfinished sign-ins, the loop guard, and recognising a browser."""

from __future__ import annotations

import ssl
from typing import NoReturn

import pytest
import streamlit
from authlib.integrations.base_client import FrameworkIntegration
from conftest import OpenApp, RecordedAuth, make_user
from fake_provider import FakeProvider, Reply, make_browser_cookie
from streamlit.testing.v1 import AppTest

from streamlit_bridge import memory as memory_module
from streamlit_bridge import session, texts
from streamlit_bridge.memory import BoundedTable, Destination, SharedMemory
from streamlit_bridge.return_path import LONGEST_QUERY, _read_page

BASE = "http://localhost:8501"
BROWSER = b"0123456789abcdef".hex()


def start_at(open_app: OpenApp, page: str, query: dict[str, object]) -> AppTest:
    """Open the app of several pages as a visitor at a deep link, and press the sign-in button of that page's card."""
    app = open_app("several/main", url=f"{BASE}/").run()
    if page:
        app.switch_page(page)
    app.context = {"url": f"{BASE}/{page.removesuffix('.py')}"}
    app.query_params = dict(query)
    app.run()
    key = "streamlit_bridge_sign_in" if page == "report.py" else "streamlit_bridge_menu_sign_in"
    app.button(key=key).click().run()
    assert not app.exception
    return app


def test_back_to_page_and_query(open_app: OpenApp) -> None:
    start_at(open_app, "report.py", {"tag": ["green", "black"]})
    back = open_app("several/main", make_user(), url=f"{BASE}/").run()
    assert not back.exception
    assert back.markdown[-1].value == "report ['green', 'black']"
    assert back.query_params == {"tag": ["green", "black"]}


def test_back_to_the_query_of_the_start_page(open_app: OpenApp) -> None:
    start_at(open_app, "", {"tag": "white"})
    back = open_app("several/main", make_user()).run()
    assert back.query_params == {"tag": "white"}
    assert back.markdown[-1].value == "home"


def test_a_query_that_is_too_long_is_left_behind(open_app: OpenApp) -> None:
    start_at(open_app, "report.py", {"tag": "x" * LONGEST_QUERY})
    back = open_app("several/main", make_user()).run()
    assert back.markdown[-1].value == "report []"


def test_happens_once(open_app: OpenApp) -> None:
    start_at(open_app, "report.py", {})
    open_app("several/main", make_user()).run()
    assert open_app("several/main", make_user()).run().markdown[-1].value == "home"


def test_other_browsers_stay_where_they_are(open_app: OpenApp, cookies: dict[str, str]) -> None:
    start_at(open_app, "report.py", {})
    cookies.update(make_browser_cookie(b"another browser!"))
    assert open_app("several/main", make_user()).run().markdown[-1].value == "home"


def test_a_tab_elsewhere_does_not_take_the_path(open_app: OpenApp, memory: SharedMemory) -> None:
    start_at(open_app, "report.py", {})
    assert (
        not open_app("smallest", url=f"{BASE}/report").run().info
    )  # without the optional layer nobody comes back there
    open_app("smallest", make_user(), url=f"{BASE}/elsewhere").run()
    assert open_app("several/main", make_user()).run().markdown[-1].value.startswith("report")


def test_navigation_after_require(open_app: OpenApp, memory: SharedMemory) -> None:
    from streamlit_bridge.session import identify_browser

    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    Authenticate().require()
    def home(): st.write("home")
    def chart(): st.write("chart", st.query_params.to_dict())
    st.navigation([st.Page(home, default=True), st.Page(chart)]).run()
    """
    browser = identify_browser()
    assert browser is not None
    memory.begin_attempt(browser, Destination("chart", (("year", ("1843",)),)))
    back = open_app(script, make_user()).run()
    assert not back.exception
    assert back.markdown[0].value.startswith("chart")
    assert back.query_params == {"year": "1843"}


def test_page_that_is_gone_leads_to_the_start_page(open_app: OpenApp, memory: SharedMemory) -> None:
    from streamlit_bridge.session import identify_browser

    memory.begin_attempt(str(identify_browser()), Destination("gone"))
    back = open_app("several/main", make_user()).run()
    assert not back.exception
    assert back.markdown[-1].value == "home"


def test_back_to_a_page_that_is_a_function(open_app: OpenApp, memory: SharedMemory) -> None:
    memory.begin_attempt(BROWSER, Destination("extra", (("tag", ("x",)),)))
    back = open_app("several/main", make_user()).run()
    assert not back.exception
    assert back.query_params == {"tag": "x"}


def test_unfinished_sign_in_is_mentioned_once_and_still_leads_back(open_app: OpenApp) -> None:
    app = open_app("smallest", url=f"{BASE}/")
    app.query_params = {"tag": "green"}
    app.run().button[0].click().run()
    assert not app.run().info  # the browser has not even left yet
    back = open_app("smallest").run()
    assert back.info[0].value == texts.SIGN_IN_UNFINISHED
    assert not open_app("smallest").run().info
    back.button[0].click().run()
    assert open_app("smallest", make_user()).run().query_params == {"tag": "green"}


@pytest.mark.parametrize("call", ["account_menu()", 'login("sidebar")'])
def test_what_stands_in_the_sidebar_is_said_over_the_page_too(
    open_app: OpenApp, memory: SharedMemory, call: str
) -> None:
    """On a phone the sidebar is shut when a page opens."""
    memory.begin_attempt(BROWSER, Destination())
    app = open_app(f"from streamlit_bridge import Authenticate\nAuthenticate().{call}\n").run()
    assert [toast.value for toast in app.toast] == [texts.SIGN_IN_UNFINISHED]
    assert not app.run().toast, "once"


def test_cancelled_sign_in_stays_at_the_start_until_the_next_one_leads_back(open_app: OpenApp) -> None:
    start_at(open_app, "report.py", {"tag": "green"})
    back = open_app("several/main").run()
    assert back.markdown[-1].value == "home"
    back.button(key="streamlit_bridge_menu_sign_in").click().run()
    assert open_app("several/main", make_user()).run().markdown[-1].value == "report ['green']"


def test_page_that_was_opened_after_a_cancelled_sign_in_counts(open_app: OpenApp) -> None:
    start_at(open_app, "report.py", {})
    back = open_app("several/main").run()
    back.context = {"url": f"{BASE}/extra"}
    back.query_params = {"tag": "x"}
    back.run().button(key="streamlit_bridge_menu_sign_in").click().run()
    assert open_app("several/main", make_user()).run().query_params == {"tag": "x"}


def test_sign_out_forgets_the_attempt(open_app: OpenApp) -> None:
    open_app("smallest").run().button[0].click().run()
    signed_in = open_app("classic_0_2", make_user(), url=f"{BASE}/elsewhere").run()
    signed_in.button(key="unique_key").click().run()
    assert not open_app("smallest").run().info


def test_automatic_sign_in_happens_once_a_minute(
    open_app: OpenApp, recorded: RecordedAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(memory_module, "monotonic", lambda: clock[0])
    for _ in range(5):
        app = open_app("automatic").run()
    assert recorded.logins == 1
    assert app.subheader[0].value == texts.SIGN_IN_TITLE
    clock[0] += 61
    open_app("automatic").run()
    assert recorded.logins == 2


def test_automatic_sign_in_never_without_cookies(
    open_app: OpenApp, recorded: RecordedAuth, cookies: dict[str, str]
) -> None:
    cookies.clear()
    open_app("automatic").run()
    assert recorded.logins == 0


def test_automatic_sign_in_does_not_undo_a_sign_out(open_app: OpenApp, recorded: RecordedAuth) -> None:
    app = open_app("classic_0_2", make_user()).run()
    app.button(key="unique_key").click().run()
    open_app("automatic").run()
    assert recorded.logins == 0


@pytest.mark.parametrize(
    ("name", "button"),
    [("smallest", "streamlit_bridge_sign_in"), ("several/main", "streamlit_bridge_menu_sign_in")],
)
def test_sign_in_waits_while_the_provider_is_away(
    open_app: OpenApp,
    provider: FakeProvider,
    recorded: RecordedAuth,
    memory: SharedMemory,
    caplog: pytest.LogCaptureFixture,
    name: str,
    button: str,
) -> None:
    provider.metadata_reply = Reply(503, {})
    app = open_app(name).run()
    app.button(key=button).click().run()
    assert not app.exception
    assert caplog.messages.count(texts.SIGN_IN_NOT_STARTED % (provider.metadata_url, "status 503")) == 1
    assert [element.value for element in app.info] == [texts.SIGN_IN_LATER]
    assert recorded.logins == 0
    assert memory.recall_attempt(BROWSER) is None
    provider.metadata_reply = None
    app.button(key=button).click().run()
    assert not app.info
    assert recorded.logins == 1


@pytest.mark.parametrize(
    ("origin", "redirect_uri", "address"),
    [
        ("http://127.0.0.1:8501", "http://localhost:8501/oauth2callback", "http://localhost:8501/chart?year=1843"),
        ("http://localhost:8502", "http://localhost:8501/oauth2callback", "http://localhost:8501/chart?year=1843"),
        ("http://a.example", "https://a.example/tea/oauth2callback", "https://a.example/tea/chart?year=1843"),
        ("http://localhost:8501", "http://localhost:8501/oauth2callback", None),
        ("http://localhost:8501", "http://localhost:{port}/oauth2callback", None),
        ("http://localhost:8501", "localhost:8501/oauth2callback", None),  # the provider says what is wrong with it
        ("http://localhost:8501", None, None),
        (None, "http://localhost:8501/oauth2callback", None),
    ],
)
def test_who_opened_the_app_where_nobody_can_sign_in_is_led_to_where_one_can(
    open_app: OpenApp,
    recorded: RecordedAuth,
    headers: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    origin: str | None,
    redirect_uri: str | None,
    address: str | None,
) -> None:
    headers |= {} if origin is None else {"Origin": origin}
    app = open_app("smallest", url=f"{origin}/chart")
    app.secrets["auth"] |= {} if redirect_uri is None else {"redirect_uri": redirect_uri}
    app.query_params = {"year": "1843"}
    app.run().button[0].click().run()
    assert not app.exception
    assert recorded.logins == (address is None)
    assert [link.proto.url for link in app.get("link_button")] == [address] * (address is not None)
    said = texts.OPENED_ELSEWHERE % (origin, (address or "").removesuffix("?year=1843"))
    assert caplog.messages.count(said) == (address is not None)


def test_an_unknown_authority_is_called_by_its_name(
    open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        fault = ssl.SSLCertVerificationError(1, "certificate verify failed, which names a secret")
        fault.reason = "CERTIFICATE_VERIFY_FAILED"
        raise fault

    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", refuse)
    app = open_app("smallest")
    app.secrets["auth"]["server_metadata_url"] = provider.metadata_url.replace("http:", "https:")
    app.run().button[0].click().run()
    assert "(ConnectError, CERTIFICATE_VERIFY_FAILED)" in caplog.text
    assert "secret" not in caplog.text.replace("secrets", "")


def test_automatic_sign_in_leaves_a_card_while_the_provider_is_away(
    open_app: OpenApp, provider: FakeProvider, recorded: RecordedAuth
) -> None:
    provider.metadata_reply = Reply(503, {})
    app = open_app("automatic").run()
    assert app.info[0].value == texts.SIGN_IN_LATER
    assert app.subheader[0].value == texts.SIGN_IN_TITLE
    assert recorded.logins == 0


def test_sign_out_while_the_provider_is_away_says_how_far_it_went(
    open_app: OpenApp, provider: FakeProvider, recorded: RecordedAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(memory_module, "monotonic", lambda: clock[0])
    app = open_app("classic_0_2", make_user()).run()
    provider.metadata_reply = Reply(503, {})
    app.button(key="unique_key").click().run()
    assert recorded.logouts == 1
    provider.metadata_reply = None
    clock[0] += 120
    # The provider is back, and would let the person in again at once.
    later = open_app("automatic").run()
    assert recorded.logins == 0
    assert [element.value for element in later.info] == [texts.SIGNED_OUT_LOCALLY]
    later.button[0].click().run()
    assert recorded.logins == 1
    assert texts.SIGNED_OUT_LOCALLY not in [element.value for element in open_app("automatic").run().info]
    assert recorded.logins == 2


def test_sign_out_that_another_click_ended_can_be_asked_for_again(
    open_app: OpenApp, recorded: RecordedAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app("classic_0_2", make_user()).run()
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(session, "fetch_document", lambda *_: streamlit.stop())  # as another click ends the run
        app.button(key="unique_key").click().run()
    assert recorded.logouts == 0
    app.run().button(key="unique_key").click().run()
    assert recorded.logouts == 1


def test_sign_out_that_reached_the_provider_says_nothing(open_app: OpenApp) -> None:
    open_app("classic_0_2", make_user()).run().button(key="unique_key").click().run()
    assert not open_app("smallest").run().info


@pytest.mark.parametrize(
    "cookie", ["", "nonsense", "2|zz|00|1", "1|00|00|1", "2||00|1", "2|00||1", "2|00000000|00", "\N{SNOWMAN}|||"]
)
def test_broken_cookie_is_no_browser(cookies: dict[str, str], cookie: str) -> None:
    from streamlit_bridge.session import identify_browser

    cookies["_streamlit_xsrf"] = cookie
    assert identify_browser() is None


def test_browser_is_recognised_under_a_new_mask(cookies: dict[str, str]) -> None:
    from streamlit_bridge.session import identify_browser

    before = identify_browser()
    cookies.update(make_browser_cookie())
    assert identify_browser() == before == b"0123456789abcdef".hex()


@pytest.mark.parametrize(
    ("url", "page"),
    [
        (None, ""),
        (f"{BASE}/", ""),
        (f"{BASE}/report", "report"),
        (f"{BASE}/Caf%C3%A9", "Café"),
        (f"{BASE}/Caf%C3%A9/Café", "Café"),  # what Streamlit 1.67 says
        (f"{BASE}//evil.example/x", ""),
        (f"{BASE}/a/b", ""),
        (f"{BASE}/..%2F..%2Fetc", ""),
    ],
)
def test_page_of_a_url(url: str | None, page: str) -> None:
    assert _read_page(url) == page


def test_page_below_a_base_path(monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit

    monkeypatch.setattr(streamlit, "get_option", lambda name: "/tea/house/")
    assert _read_page(f"{BASE}/tea/house/report") == "report"
    assert _read_page(f"{BASE}/tea/house") == ""
    assert _read_page(f"{BASE}/tea/housekeeping") == ""
    monkeypatch.setattr(streamlit, "get_option", lambda name: "/tea")
    assert _read_page(f"{BASE}/tea") == ""


@pytest.mark.parametrize(
    ("url", "address"), [(f"{BASE}/tea/house/report", f"{BASE}/tea/house/report?tag=x"), (None, "/")]
)
def test_address_below_a_base_path(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, url: str | None, address: str
) -> None:
    monkeypatch.setattr(streamlit, "get_option", lambda name: "/tea/house/")
    app = open_app(
        "import streamlit as st\nfrom streamlit_bridge.return_path import find_address\nst.text(find_address())"
    )
    app.context = {"url": url}
    app.query_params = {"tag": "x"}
    assert app.run().text[0].value == address


def test_a_place_is_remembered_for_as_long_as_streamlit_waits(
    memory: SharedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(memory_module, "monotonic", lambda: clock[0])
    memory.begin_attempt("b", Destination("report"))
    clock[0] = FrameworkIntegration.expires_in
    assert memory.recall_attempt("b") is not None


def test_attempts_grow_old(memory: SharedMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(memory_module, "monotonic", lambda: clock[0])
    memory.begin_attempt("b", Destination("report"))
    clock[0] = memory_module.ATTEMPT_LIFETIME + 1
    assert memory.recall_attempt("b") is None


def test_memory_is_bounded() -> None:
    table: BoundedTable[int] = BoundedTable(capacity=2)
    for number, name in enumerate("abc"):
        table.put(name, number)
    assert [table.get(name) for name in "abc"] == [None, 1, 2]
    table.put("b", 3)  # the newest by now
    table.put("d", 4)
    assert [table.get(name) for name in "bcd"] == [3, None, 4]


def test_embed_parameters_do_not_break_the_way_back(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("smallest")
    app.query_params = {"embed": "true", "tag": "x"}
    app.run().button[0].click().run()
    back = open_app("smallest", make_user()).run()
    assert not back.exception
    assert back.query_params["tag"] == "x"
