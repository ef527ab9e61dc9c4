"""The calls of the 0.4 generation's documentation, in its order, with its configuration file beside the app."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import OpenApp, make_user
from fake_provider import FakeProvider
from streamlit.testing.v1 import AppTest
from test_newer_widgets import join
from test_seed_widgets import FRESH, RIGHT, errors, fill, reset, successes

from streamlit_bridge import texts

APP = "documented_0_4"
WAITING = "Please enter your username and password"


@pytest.fixture(params=["a list below a section", "the section"])
def config(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app's configuration, one folder above the one that it runs in."""
    (tmp_path / "app").mkdir()
    monkeypatch.chdir(tmp_path / "app")
    emails = ["melsby@gmail.com", "Grace@Example.org"]
    listed: Any = {"emails": emails} if request.param == "the section" else emails
    content = {"oauth2": {"google": {}, "microsoft": {}}, "pre-authorized": listed}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.dump(content))
    return path


def left_on_list(config: Path) -> list[str]:
    listed = yaml.safe_load(config.read_text())["pre-authorized"]
    return list(listed["emails"] if isinstance(listed, dict) else listed)


def test_a_visitor_sees_every_form(open_app: OpenApp, config: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        app = open_app(APP).run().run()
    assert not app.exception
    assert [element.value for element in app.subheader] == [
        "Login",
        "Register user",
        "Forgot password",
        "Forgot username",
    ]
    assert [element.value for element in app.warning] == [WAITING]
    assert not app.error
    assert not app.success
    guests = [button.label for button in app.button if button.label.startswith("Login with")]
    assert not guests
    assert caplog.messages.count(texts.GUEST_LOGIN_UNUSED) == 1


def test_who_is_listed_registers_and_is_taken_off_the_list(open_app: OpenApp, config: Path) -> None:
    app = open_app(APP).run()
    assert errors(join(app, Email="mallory@example.org")) == ["User not pre-authorized to register"]
    assert left_on_list(config) == ["melsby@gmail.com", "Grace@Example.org"]
    assert successes(join(open_app(APP).run())) == ["User registered successfully"]
    assert left_on_list(config) == ["melsby@gmail.com"]


def test_what_was_forgotten_is_mailed(open_app: OpenApp, config: Path, provider: FakeProvider) -> None:
    app = open_app(APP).run()
    assert successes(fill(app, "Forgot password", "submit", Username="ada")) == ["New password to be sent securely"]
    assert successes(fill(app, "Forgot username", "submit", Email="ada@example.org")) == [
        "Username to be sent securely"
    ]
    assert [mail.kind for mail in provider.account_api.mails] == ["reset_password", "forgotten_usernames"]


def test_where_the_app_may_know_it_says_what_is_unknown(
    open_app: OpenApp, config: Path, provider: FakeProvider
) -> None:
    provider.account_api.granted_scopes.add("recovery:password")
    app = open_app(APP).run()
    fill(app, "Forgot password", "submit", Username="nobody")
    assert [element.value for element in app.error] == ["Username not found"]
    fill(app, "Forgot username", "submit", Email="nobody@example.org")
    assert [element.value for element in app.error] == ["Email not found"]


def test_who_is_signed_in_changes_password_and_name(open_app: OpenApp, config: Path, provider: FakeProvider) -> None:
    app: AppTest = open_app(APP, make_user()).run()
    assert not app.exception
    assert app.title[0].value == "Some content"
    assert app.markdown[0].value == "Welcome *Ada Lovelace*"
    assert not app.warning
    assert successes(reset(app, RIGHT, FRESH, FRESH)) == ["Password modified successfully"]
    fill(app, "Update user details", "submit", New_First_name="Augusta")
    assert successes(app) == ["Entries updated successfully"]
    assert provider.account_api.people["ada"].claims["name"] == "Augusta Lovelace"
