"""The liveness check: how often, and what each answer of the provider means."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import httpx
import pytest
from conftest import OpenApp, RecordedAuth, make_user
from fake_provider import ADA, FakeProvider, Reply
from streamlit.testing.v1 import AppTest

from streamlit_bridge import api, liveness, texts
from streamlit_bridge import memory as memory_module
from streamlit_bridge.errors import ProviderUnavailable
from streamlit_bridge.identity import Identity
from streamlit_bridge.memory import SharedMemory

ME = "/api/v1/me"


def is_inside(app: AppTest) -> bool:
    assert not app.exception
    return any(element.value.startswith("Hello") for element in app.markdown)


def test_asks_once_a_minute_for_all_tabs(open_app: OpenApp, provider: FakeProvider) -> None:
    for _ in range(2):
        tab = open_app("smallest", make_user())
        assert is_inside(tab.run())
        assert is_inside(tab.run())
    assert provider.count(ME) == 1


def test_all_others_wait_for_the_answer_of_whoever_asks(
    open_app: OpenApp, memory: SharedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine_fetch = liveness.fetch_profile
    has_to_wait: list[bool] = []

    def ask(*arguments: Any) -> Identity:
        has_to_wait.append(memory.recall_token("at_ada").lock.locked())
        return genuine_fetch(*arguments)

    monkeypatch.setattr(liveness, "fetch_profile", ask)
    assert is_inside(open_app("smallest", make_user()).run())
    assert has_to_wait == [True]


def test_asks_again_when_due(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("always_checking", make_user()).run()
    provider.reply.body["name"] = "Countess Ada"
    app.run()
    assert app.markdown[0].value == "Hello Countess Ada"
    assert provider.count(ME) == 4  # by the object that is made, and by what it is asked


def test_each_object_asks_at_its_own_interval(open_app: OpenApp, provider: FakeProvider) -> None:
    assert is_inside(open_app("smallest", make_user()).run())
    assert is_inside(open_app("always_checking", make_user()).run())
    assert provider.count(ME) == 3


def test_looking_of_its_own_accord_is_no_activity(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("watched", make_user())  # each run asks thrice for whoever ran it, and once for the look
    for _ in range(2):
        assert is_inside(app.run())
    asked = [headers.get("Idp-Passive") for path, headers, _ in provider.requests if path == ME]
    assert asked == [None, None, None, "1"] * 2


def test_a_look_asks_that_would_be_the_last_in_time(
    open_app: OpenApp, provider: FakeProvider, memory: SharedMemory
) -> None:
    script = """
    import streamlit as st
    from streamlit_bridge import Authenticate
    auth = Authenticate(check_interval=600)
    auth.require()
    auth.watch(interval=100)
    st.write("Hello")
    """
    app = open_app(script, make_user())
    asked = []
    for passed in (0, 400, 150):
        memory.recall_token("at_ada").asked_at -= passed
        assert is_inside(app.run())
        asked.append(provider.count(ME))
    assert asked == [1, 1, 2]


def test_what_somebody_did_is_told_by_the_next_question_that_is_answered(
    provider: FakeProvider, memory: liveness.SharedMemory
) -> None:
    """Be it one that the app asks of its own accord."""
    state = memory.recall_token("at_ada")
    state.is_used = True
    for status in (503, 200, 200):
        provider.reply = Reply(status, dict(ADA))
        state.asked_at = -math.inf
        liveness.find_live_identity(memory, make_user(), "at_ada", provider.metadata_url, 60.0)
    asked = [headers.get("Idp-Passive") for path, headers, _ in provider.requests if path == ME]
    assert asked == [None, None, "1"]


def test_dead_token_means_sign_in_card(open_app: OpenApp, provider: FakeProvider, recorded: RecordedAuth) -> None:
    app = open_app("always_checking", make_user())
    assert is_inside(app.run())
    provider.refuse(401, "invalid_token")
    assert not is_inside(app.run())
    assert app.info[0].value == texts.SESSION_ENDED
    assert app.session_state["authentication_status"] is None
    assert app.session_state["username"] is None
    assert recorded.logouts == 0


def test_dead_token_stays_dead_without_asking(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.refuse(401, "invalid_token")
    open_app("always_checking", make_user()).run()
    provider.reply = Reply(body=dict(ADA))
    assert not is_inside(open_app("always_checking", make_user()).run())
    assert provider.count(ME) == 1
    assert is_inside(open_app("always_checking", make_user(token="at_new")).run())


def test_sign_out_in_another_tab_outlasts_a_question_under_way(
    open_app: OpenApp, memory: SharedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine_fetch = liveness.fetch_profile

    def sign_out_meanwhile(*arguments: Any) -> Identity:
        profile = genuine_fetch(*arguments)
        memory.recall_token("at_ada").is_ended = True
        return profile

    monkeypatch.setattr(liveness, "fetch_profile", sign_out_meanwhile)
    app = open_app("always_checking", make_user())
    assert not is_inside(app.run())
    assert not is_inside(app.run())


def test_other_peoples_token_is_refused(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.reply.body["sub"] = "user-2"
    assert not is_inside(open_app("always_checking", make_user()).run())


def test_claims_without_subject_are_refused(open_app: OpenApp) -> None:
    user = make_user()
    del user["sub"]
    assert not is_inside(open_app("always_checking", user).run())


def test_missing_scope_keeps_the_user(
    open_app: OpenApp, provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.refuse(403, "insufficient_scope")
    app = open_app("always_checking", make_user())
    assert is_inside(app.run())
    assert is_inside(app.run())
    assert caplog.messages.count(texts.SCOPE_MISSING) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, {}),
        Reply(503, {}),
        Reply(403, {"code": "something_else"}),
        Reply(403, raw=b"not json"),
        Reply(404, {}),
        Reply(302, headers={"Location": "/elsewhere"}, raw=b""),
        Reply(200, raw=b"not json"),
        Reply(200, raw=b"[]"),
        Reply(200, {"name": "nobody"}),
    ],
)
def test_trouble_keeps_the_user(open_app: OpenApp, provider: FakeProvider, reply: Reply) -> None:
    provider.reply = reply
    assert is_inside(open_app("smallest", make_user()).run())
    assert provider.count("/elsewhere") == 0


def test_slow_provider_is_given_up(
    open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(api, "TIMEOUT", httpx.Timeout(60, read=0.5))
    provider.reply.delay = 600  # longer than anybody waits for a test
    app = open_app("smallest", make_user())
    assert is_inside(app.run())
    assert is_inside(app.run())
    assert provider.count(ME) == 1
    assert "ReadTimeout" in caplog.text
    assert "at_ada" not in caplog.text


def test_provider_down_keeps_the_user(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("smallest", make_user())
    app.secrets = {"auth": {"server_metadata_url": "http://127.0.0.1:9/.well-known/openid-configuration"}}
    assert is_inside(app.run())


@pytest.mark.parametrize("is_discovery_away", [False, True])
def test_expired_sign_in_that_was_never_confirmed_has_to_wait(
    open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, is_discovery_away: bool
) -> None:
    clock = [1_000_000.0]
    monkeypatch.setattr(liveness, "monotonic", lambda: clock[0])
    monkeypatch.setattr(memory_module, "monotonic", lambda: clock[0])
    if is_discovery_away:
        provider.metadata_reply = Reply(503, {})
    else:
        provider.refuse(503, "unavailable")
    app = open_app("smallest", make_user(exp=int(time.time()) - 20 * 86_400))
    for _ in range(2):
        assert not is_inside(app.run())
        assert app.info[0].value == texts.NOT_CONFIRMED
        assert app.session_state["roles"] is None
    provider.metadata_reply, provider.reply = None, Reply(body=dict(ADA))
    clock[0] += 61
    assert is_inside(app.run())
    provider.refuse(503, "unavailable")
    clock[0] += 61
    assert is_inside(app.run())


def test_expired_sign_in_whose_token_was_alive_stays(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("always_checking", make_user(exp=1))
    provider.refuse(403, "insufficient_scope")
    assert is_inside(app.run())
    provider.refuse(503, "unavailable")
    assert is_inside(app.run())


def test_discovery_in_trouble_keeps_the_user(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.metadata_reply = Reply(500, {})
    app = open_app("always_checking", make_user())
    assert is_inside(app.run())
    assert is_inside(app.run())
    assert provider.count("/.well-known/openid-configuration") == 1


@pytest.mark.parametrize(
    ("failures", "retry_after", "expected"),
    [
        (1, None, 60),
        (2, None, 120),
        (3, None, 240),
        (4, None, 300),
        (1, "90", 90),
        (1, "9999", 300),
        (1, "30", 60),
    ],
)
def test_pause_grows(
    open_app: OpenApp,
    provider: FakeProvider,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    retry_after: str | None,
    expected: int,
) -> None:
    provider.refuse(503, "unavailable", **({"Retry-After": retry_after} if retry_after else {}))
    clock = [1_000_000.0]
    monkeypatch.setattr(liveness, "monotonic", lambda: clock[0])
    app = open_app("smallest", make_user())
    for _ in range(min(failures, 6)):
        app.run()
        clock[0] += 301
    assert provider.count(ME) == min(failures, 6)
    assert caplog.messages[-1].endswith(f"asking again in {expected} s.")


def test_pause_after_a_long_outage(
    open_app: OpenApp, provider: FakeProvider, memory: SharedMemory, caplog: pytest.LogCaptureFixture
) -> None:
    provider.refuse(503, "unavailable")
    memory.recall_token("at_ada").failures = 5_000
    assert is_inside(open_app("smallest", make_user()).run())
    assert caplog.messages[-1].endswith("asking again in 300 s.")


def test_pause_begins_once_the_waiting_is_over(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000_000.0]
    asked: list[float] = []
    monkeypatch.setattr(liveness, "monotonic", lambda: clock[0])

    def wait_in_vain(*_: object) -> Identity:
        asked.append(clock[0])
        clock[0] += 10
        raise ProviderUnavailable("ReadTimeout")

    monkeypatch.setattr(liveness, "fetch_profile", wait_in_vain)
    app = open_app("smallest", make_user()).run()
    clock[0] += 55
    app.run()
    assert asked == [1_000_000.0]


def test_pause_is_short_again_after_an_answer(
    open_app: OpenApp,
    provider: FakeProvider,
    memory: SharedMemory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = [1_000_000.0]
    monkeypatch.setattr(liveness, "monotonic", lambda: clock[0])
    memory.recall_token("at_ada").failures = 3
    app = open_app("smallest", make_user()).run()
    clock[0] += 61
    provider.refuse(503, "unavailable")
    app.run()
    assert caplog.messages[-1].endswith("asking again in 60 s.")


def test_throttled_question_waits_for_as_long_as_it_is_told(
    open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000_000.0]
    monkeypatch.setattr(liveness, "monotonic", lambda: clock[0])
    provider.refuse(429, "throttled", **{"Retry-After": "90"})
    app, asked = open_app("smallest", make_user()), []
    for seconds in (0, 89, 2):
        clock[0] += seconds
        assert is_inside(app.run())
        asked.append(provider.count(ME))
    assert asked == [1, 1, 2]


def test_recovered_provider_is_believed(
    open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000_000.0]
    monkeypatch.setattr(liveness, "monotonic", lambda: clock[0])
    provider.refuse(503, "unavailable")
    app = open_app("smallest", make_user())
    assert is_inside(app.run())
    provider.refuse(401, "invalid_token")
    assert is_inside(app.run())
    clock[0] += 61
    assert not is_inside(app.run())


def test_recovered_provider_is_asked_as_often_as_before(
    open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000_000.0]
    monkeypatch.setattr(liveness, "monotonic", lambda: clock[0])
    provider.refuse(503, "unavailable", **{"Retry-After": "300"})
    app = open_app("smallest", make_user()).run()
    provider.reply = Reply(body=dict(ADA))
    for seconds in (301, 61):
        clock[0] += seconds
        app.run()
    assert provider.count(ME) == 3


@pytest.mark.parametrize(("seconds_left", "expected"), [(600, True), (-1, False)])
def test_id_token_expiry_decides_without_access_token(
    open_app: OpenApp, provider: FakeProvider, caplog: pytest.LogCaptureFixture, seconds_left: int, expected: bool
) -> None:
    app = open_app("smallest", make_user(token=None, exp=int(time.time()) + seconds_left))
    assert is_inside(app.run()) is expected
    assert texts.TOKENS_NOT_EXPOSED in caplog.messages
    assert provider.requests == []


@pytest.mark.parametrize("exposed", ["access", ["id", "access"]])
def test_a_token_that_the_browser_withholds_lets_nobody_in(
    open_app: OpenApp, provider: FakeProvider, exposed: str | list[str]
) -> None:
    """It is in a cookie of its own: about whoever throws that away nobody could be asked any more."""
    app = open_app("smallest", make_user(token=None))
    app.secrets["auth"]["expose_tokens"] = exposed
    assert not is_inside(app.run())
    assert app.info[0].value == texts.SESSION_ENDED
    assert provider.requests == []


@pytest.mark.parametrize("exposed", ["id", ["id"], [], None])
def test_a_token_that_no_browser_was_given_is_not_missed(open_app: OpenApp, exposed: str | list[str] | None) -> None:
    app = open_app("smallest", make_user(token=None))
    app.secrets["auth"]["expose_tokens"] = exposed
    assert is_inside(app.run())


@pytest.mark.parametrize(("seconds_left", "expected"), [(600, True), (-1, False)])
def test_id_token_expiry_decides_without_account_api(
    open_app: OpenApp, provider: FakeProvider, caplog: pytest.LogCaptureFixture, seconds_left: int, expected: bool
) -> None:
    provider.has_account_api = False
    app = open_app("always_checking", make_user(exp=int(time.time()) + seconds_left))
    assert is_inside(app.run()) is expected
    assert [element.value for element in app.info] == ([] if expected else [texts.SESSION_ENDED])
    assert texts.ACCOUNT_API_ABSENT in caplog.messages


def test_id_token_expiry_does_not_end_a_live_session(open_app: OpenApp) -> None:
    assert is_inside(open_app("smallest", make_user(exp=1)).run())


def test_token_is_never_logged(open_app: OpenApp, provider: FakeProvider, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "streamlit_bridge")
    provider.refuse(500, "broken")
    open_app("smallest", make_user()).run()
    assert "at_ada" not in caplog.text


def test_token_is_not_kept(open_app: OpenApp, memory: SharedMemory) -> None:
    open_app("smallest", make_user()).run()
    assert "at_ada" not in str(vars(memory._tokens))
