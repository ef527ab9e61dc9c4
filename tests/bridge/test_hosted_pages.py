"""Where the app may not do it itself: a button to the provider's page, and one line in the log."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from conftest import OpenApp, make_user
from fake_provider import FakeProvider, Reply, read_basic_credentials
from streamlit.testing.v1 import AppTest
from test_seed_widgets import fill, refuse, successes

from streamlit_bridge import account_calls, liveness, texts
from streamlit_bridge import memory as memory_module
from streamlit_bridge.api import ClientToken
from streamlit_bridge.fake_answers import FakeAnswer
from streamlit_bridge.memory import SharedMemory
from streamlit_bridge.refusals import describe_wait


def links(app: AppTest) -> dict[str, str]:
    assert not app.exception
    return {element.proto.label: element.proto.url for element in app.get("link_button")}


def test_no_scope_no_form(open_app: OpenApp, provider: FakeProvider, caplog: pytest.LogCaptureFixture) -> None:
    provider.account_api.granted_scopes.clear()
    with caplog.at_level(logging.WARNING):
        app = open_app("seed_widgets").run().run()
    assert links(app) == {
        "Create an account": f"{provider.issuer}/register",
        "Reset my password": f"{provider.issuer}/forgot-password",
        "Find my user name": f"{provider.issuer}/forgot-username",
    }
    assert not app.text_input
    for scopes in ("registration", "recovery:password / recovery"):
        assert caplog.messages.count(texts.WIDGET_IS_HOSTED % (scopes, texts.SCOPE_NOT_GRANTED)) == 1
    assert provider.count("/token") == 3


def test_a_wrong_secret_is_called_by_its_name(
    open_app: OpenApp, provider: FakeProvider, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider.account_api, "grant", lambda _: FakeAnswer(401, {"error": "invalid_client"}))
    app = open_app("seed_widgets").run().run()
    assert set(links(app)) == {"Create an account", "Reset my password", "Find my user name"}
    for scopes in ("registration", "recovery:password / recovery"):
        assert caplog.messages.count(texts.WIDGET_IS_HOSTED % (scopes, texts.CREDENTIALS_REFUSED)) == 1
    assert texts.SCOPE_NOT_GRANTED not in caplog.text


def test_the_next_widget_is_told_the_reason_too(
    open_app: OpenApp, provider: FakeProvider, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider is not asked again so soon: what it said to the first widget holds for the second."""
    monkeypatch.setattr(provider.account_api, "grant", lambda _: FakeAnswer(401, {"error": "invalid_client"}))
    open_app("widgets_0_4").run()  # asks for a mailed user name after a password that is shown
    for scopes in ("recovery:password / recovery", "recovery"):
        assert caplog.messages.count(texts.WIDGET_IS_HOSTED % (scopes, texts.CREDENTIALS_REFUSED)) == 1
    assert provider.count("/token") == 3


def test_secrets_without_a_setting_are_called_by_their_name(
    open_app: OpenApp, provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    app = open_app("seed_widgets")
    app.secrets = {}
    app.run()
    assert not app.exception
    missing = texts.SETTING_MISSING % "client_id"
    assert texts.WIDGET_IS_HOSTED % ("registration", missing) in caplog.messages


def test_discovery_names_the_pages(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.account_api.granted_scopes.clear()
    pages = {"registration_page": "https://id.example/join", "forgot_password_page": "javascript:alert(1)"}
    provider.metadata_reply = Reply(body={**provider.describe(), **pages})
    shown = links(open_app("seed_widgets").run())
    assert shown["Create an account"] == "https://id.example/join"
    # A strange address is left out, and so is a page that a provider with named pages does not name.
    assert set(shown) == {"Create an account"}


def test_own_account_where_discovery_names_no_page(open_app: OpenApp, provider: FakeProvider) -> None:
    """Nothing is guessed: another provider may have its page anywhere."""
    named = provider.describe()
    del named["account_management_uri"]
    provider.metadata_reply = Reply(body=named)
    app = open_app("seed_widgets", make_user(token=None)).run()
    assert not links(app)
    assert texts.HOSTED_UNKNOWN in [element.value for element in app.info]


def test_language_of_mails(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("seed_widgets")
    app.context = {"locale": "de-AT" + "-x" * 50, "url": "http://localhost:8501/"}
    fill(app.run(), "Forgot password", "submit", Username="ada")
    assert provider.account_api.calls[-1][2]["language"] == "de-AT" + "-x" * 15  # no provider takes a longer one
    user = open_app("seed_widgets", make_user())
    user.context = {"locale": "de-AT", "url": "http://localhost:8501/"}
    values = {
        "Current password": "correct horse",
        "New password": "a new password",
        "Repeat password": "a new password",
    }
    fill(user.run(), "Reset password", "submit", **values)
    assert provider.account_api.calls[-1][1:] == (
        "/me/password",
        {"current_password": "correct horse", "new_password": "a new password", "language": "de-AT"},
    )


def test_request_that_is_still_worked_on(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("seed_widgets").run()
    refuse(provider, "POST", "/recovery/password", 409, code="idempotency_in_progress", wait=1)
    fill(app, "Forgot password", "submit", Username="ada")
    assert texts.STILL_AT_IT in [element.value for element in app.error]


def test_scope_granted_later(open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(account_calls, "monotonic", lambda: clock[0])
    provider.account_api.granted_scopes.clear()
    app = open_app("seed_widgets").run()
    provider.account_api.granted_scopes.update({"registration", "recovery"})
    assert links(app.run())
    clock[0] += account_calls.REFUSAL_LIFETIME + 1
    assert not links(app.run())


def test_scope_withdrawn_while_the_form_is_open(
    open_app: OpenApp, provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    app = open_app("seed_widgets").run()
    refuse(provider, "POST", "/recovery/password", 403, code="insufficient_scope")
    fill(app, "Forgot password", "submit", Username="ada")
    assert texts.NOT_OFFERED_HERE in [element.value for element in app.error]
    assert "Reset my password" in links(app.run())
    assert "The reason: the access token lacks the scope for this call" in caplog.text


def test_tokens_are_kept_and_replaced_in_time(
    open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(account_calls, "monotonic", lambda: clock[0])
    for _ in range(2):
        open_app("seed_widgets").run()
    # registration, recovery:password (refused) and recovery
    assert provider.count("/token") == 3
    request = next(headers for path, headers, _ in provider.requests if path == "/token")
    assert read_basic_credentials(request) == "tea:tea-secret"
    clock[0] += 600 - account_calls.EXPIRY_MARGIN + 1
    open_app("seed_widgets").run()
    assert provider.count("/token") == 6


def test_revoked_token_is_replaced(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("seed_widgets").run()
    provider.account_api._tokens.clear()
    assert successes(fill(app, "Forgot password", "submit", Username="ada")) == ["New password sent securely"]


def test_client_that_is_refused_altogether(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("seed_widgets").run()
    for _ in range(2):
        provider.account_api.next_answers.setdefault(("POST", "/recovery/password"), [])
    refuse(provider, "POST", "/recovery/password", 401)
    provider.account_api.next_answers["POST", "/recovery/password"] *= 2
    fill(app, "Forgot password", "submit", Username="ada")
    assert texts.NOT_OFFERED_HERE in [element.value for element in app.error]


def test_provider_that_is_down_keeps_the_form(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.metadata_reply = Reply(503, {})
    app = open_app("seed_widgets").run()
    assert not links(app)
    fill(app, "Forgot password", "submit", Username="ada")
    assert texts.TRY_LATER in [element.value for element in app.error]


def test_silent_token_endpoint_is_left_alone_for_a_while(
    open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider.account_api, "grant", lambda scope: reply_as_answer(Reply(503, {})))
    app = open_app("seed_widgets").run()
    asked = provider.count("/token")
    assert not links(app.run())
    assert provider.count("/token") == asked


def test_no_account_api(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.has_account_api = False
    assert set(links(open_app("seed_widgets", make_user()).run())) == set(texts.HOSTED_BUTTONS.values())


@pytest.mark.parametrize("reason", ["no token", "no scope"])
def test_own_account_without_the_scope(
    open_app: OpenApp, provider: FakeProvider, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    if reason == "no scope":
        provider.refuse(403, "insufficient_scope")
    user = make_user() if reason == "no scope" else make_user(token=None)
    with caplog.at_level(logging.WARNING):
        app = open_app("seed_widgets", user).run().run()
    assert links(app) == {
        "Change my password": f"{provider.issuer}/account",
        "Change my details": f"{provider.issuer}/account",
    }
    assert caplog.messages.count(texts.ACCOUNT_NOT_CHANGEABLE % "Reset password") == 1


def test_own_account_without_the_scope_while_the_provider_is_down(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.metadata_reply = Reply(503, {})
    app = open_app("seed_widgets", make_user(token=None)).run()
    assert not links(app)
    assert [element.value for element in app.info] == [texts.HOSTED_UNKNOWN] * 2


def test_own_account_whose_token_may_only_read(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("seed_widgets", make_user()).run()
    refuse(provider, "POST", "/me/password", 403, code="insufficient_scope")
    values = {"Current password": "x", "New password": "a new password", "Repeat password": "a new password"}
    fill(app, "Reset password", "submit", **values)
    assert texts.NOT_OFFERED_HERE in [element.value for element in app.error]
    assert "Change my password" in links(app.run())


@pytest.mark.parametrize("reason", ["no scope", "no account API"])
def test_own_account_that_can_be_changed_from_now_on(
    open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    clock = [1000.0]
    for module in (liveness, memory_module):
        monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    person = provider.reply
    provider.refuse(403, "insufficient_scope")
    provider.has_account_api = reason == "no scope"
    app = open_app("seed_widgets", make_user()).run()
    assert "Change my password" in links(app)
    provider.reply, provider.has_account_api = person, True
    clock[0] += memory_module.METADATA_LIFETIME
    assert "Change my password" not in links(app.run())


def test_secrets_without_a_client(open_app: OpenApp, provider: FakeProvider) -> None:
    app = open_app("seed_widgets")
    app.secrets = {"auth": {"server_metadata_url": provider.metadata_url}}
    assert len(links(app.run())) == 3
    for secrets in ({}, {"auth": "tea"}, {"auth": {"server_metadata_url": 5}}):
        app.secrets = secrets
        app.run()
        assert not links(app)
        assert [element.value for element in app.info] == [texts.HOSTED_UNKNOWN] * 3


@pytest.mark.parametrize(
    ("reply", "shows_form"),
    [
        (Reply(400, {"error": "unauthorized_client"}), False),
        (Reply(401, {"error": "invalid_client"}), False),
        (Reply(200, {"access_token": "x", "expires_in": 60, "scope": "other"}), False),
        (Reply(200, {"access_token": "x", "expires_in": 60, "scope": "pre-registration recovery:password2"}), False),
        (Reply(200, {"access_token": "x", "expires_in": 60, "scope": 5}), False),
        (Reply(200, {"access_token": "x", "expires_in": 60}), True),
        (Reply(200, {"access_token": "x", "expires_in": "soon"}), True),
        (Reply(500, {"error": "invalid_client"}), True),
        (Reply(400, {"error": "invalid_request"}), True),
        (Reply(500, raw=b"oops"), True),
        (Reply(200, {"token_type": "Bearer"}), True),
    ],
)
def test_answers_of_the_token_endpoint(
    open_app: OpenApp, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, reply: Reply, shows_form: bool
) -> None:
    monkeypatch.setattr(provider.account_api, "grant", lambda scope: reply_as_answer(reply))
    app = open_app("seed_widgets").run()
    assert (bool(links(app)), bool(app.text_input)) == (not shows_form, shows_form)


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:9/token"])
def test_token_endpoint_out_of_reach(open_app: OpenApp, provider: FakeProvider, endpoint: str | None) -> None:
    provider.metadata_reply = Reply(body={**provider.describe(), "token_endpoint": endpoint})
    app = open_app("seed_widgets").run()
    assert not links(app)
    fill(app, "Forgot password", "submit", Username="ada")
    assert texts.TRY_LATER in [element.value for element in app.error]


def test_credentials_of_any_letters(open_app: OpenApp, provider: FakeProvider) -> None:
    """RFC 6749, section 2.3.1."""
    app = open_app("seed_widgets")
    app.secrets["auth"] |= {"client_id": "tea:house", "client_secret": "a+b %\N{SNOWMAN}"}
    app.run()
    request = next(headers for path, headers, _ in provider.requests if path == "/token")
    assert read_basic_credentials(request) == "tea%3Ahouse:a%2Bb+%25%E2%98%83"


def reply_as_answer(reply: Reply) -> object:
    from streamlit_bridge.fake_answers import FakeAnswer

    return FakeAnswer(reply.status, reply.body)


def test_token_is_asked_for_once_by_many(memory: SharedMemory) -> None:
    assert memory.recall_grant("tea", "registration") is memory.recall_grant("tea", "registration")
    assert memory.recall_grant("tea", "registration") is not memory.recall_grant("tea", "recovery")


def test_all_others_wait_for_the_token_that_somebody_asks_for(
    open_app: OpenApp, memory: SharedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine_fetch = account_calls.fetch_client_token
    has_to_wait: list[bool] = []

    def ask(*arguments: Any) -> ClientToken:
        has_to_wait.append(memory.recall_grant("tea", arguments[-1]).lock.locked())
        return genuine_fetch(*arguments)

    monkeypatch.setattr(account_calls, "fetch_client_token", ask)
    open_app("seed_widgets").run()
    assert set(has_to_wait) == {True}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "a few minutes"), (0.0, "a few minutes"), (0.2, "2 seconds"), (89.0, "89 seconds"), (90.5, "2 minutes")],
)
def test_waits_in_words(seconds: float | None, words: str) -> None:
    assert describe_wait(seconds) == words
