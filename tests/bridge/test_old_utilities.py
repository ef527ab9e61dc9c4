"""Hasher and Validator, and the account API in memory that apps test with."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import streamlit_bridge
from streamlit_bridge import Hasher, Validator, exceptions
from streamlit_bridge.testing import FakeAccountApi, account_api, connect

__all__ = ["account_api"]

APP = Path(__file__).parent / "apps" / "seed_widgets.py"


@pytest.mark.parametrize("module", ["", ".utilities", ".hasher", ".utilities.hasher"])
def test_hasher_has_all_its_old_addresses(module: str) -> None:
    assert importlib.import_module(f"streamlit_bridge{module}").Hasher is Hasher


@pytest.mark.parametrize("module", ["", ".utilities", ".validator", ".utilities.validator"])
def test_validator_has_all_its_old_addresses(module: str) -> None:
    assert importlib.import_module(f"streamlit_bridge{module}").Validator is Validator


def test_everything_that_is_promised_is_there() -> None:
    assert all(hasattr(streamlit_bridge, name) for name in streamlit_bridge.__all__)


@pytest.mark.parametrize("name", exceptions.__all__)
def test_errors_tell_their_text_as_message_too(name: str) -> None:
    assert getattr(exceptions, name)("What went wrong").message == "What went wrong"


def test_errors_of_an_app_s_own_may_set_their_message() -> None:
    class TeaError(exceptions.LoginError):
        def __init__(self, message: str) -> None:
            self.message = message

    assert TeaError("No tea left").message == "No tea left"


def test_hashes() -> None:
    hashed = Hasher.hash("tea for two")
    assert Hasher.is_hash(hashed)
    assert Hasher.check_pw("tea for two", hashed)
    assert not Hasher.check_pw("coffee", hashed)
    assert not Hasher.check_pw("tea for two", "no hash")
    assert not Hasher.check_pw("x" * 73, hashed)
    assert not Hasher.is_hash("tea for two")
    assert not Hasher.is_hash(f"{hashed}x")
    with pytest.raises(ValueError, match="72 bytes"):
        Hasher.hash("ü" * 37)


def test_several_hashes() -> None:
    assert [Hasher.check_pw(word, made) for word, made in zip("ab", Hasher(["a", "b"]).generate(), strict=True)] == [
        True,
        True,
    ]
    old = Hasher.hash("grace")
    credentials = {
        "usernames": {"ada": {"password": "ada"}, "grace": {"password": old}, "alan": {}, "pin": {"password": 1234}}
    }
    assert Hasher.hash_passwords(credentials) is credentials
    assert Hasher.check_pw("ada", credentials["usernames"]["ada"]["password"])
    assert credentials["usernames"]["grace"]["password"] == old
    assert credentials["usernames"]["alan"] == {}
    assert Hasher.check_pw("1234", credentials["usernames"]["pin"]["password"])


@pytest.mark.parametrize(
    ("check", "text", "verdict"),
    [
        ("email", "ada@example.org", True),
        ("email", "ada@example", False),
        ("email", "a da@example.org", False),
        ("email", "a" * 250 + "@b.cd", False),
        ("name", "Ünal Çelik-O'Hara", True),
        ("name", "李", True),
        ("name", " ", False),
        ("name", "a\nb", False),
        ("username", "ada", True),
        ("username", "ada l", False),
        ("username", "", False),
        ("password", "eight ch", True),
        ("password", "short", False),
    ],
)
def test_validation(check: str, text: str, verdict: bool) -> None:
    assert getattr(Validator(), f"validate_{check}")(text) is verdict


def test_apps_can_test_their_widgets(account_api: FakeAccountApi) -> None:
    account_api.add_person(
        "grace", email="grace@example.org", password="a first sentence", name="Grace Hopper", roles="admin"
    )
    app = AppTest.from_file(APP)
    app.secrets["database"] = "of the app's own"
    connect(account_api, app, "grace").run()
    assert not app.exception
    assert app.secrets["database"] == "of the app's own"
    app.text_input(key="Update user details New First name").input("Amazing")
    app.button(key="Update user details submit").click().run()
    assert app.success[0].value == "Entries updated successfully"
    assert account_api.people["grace"].claims["name"] == "Amazing Hopper"
    assert app.session_state["roles"] == ["admin"]


def test_apps_can_test_what_visitors_do(account_api: FakeAccountApi) -> None:
    app = connect(account_api, AppTest.from_file(APP)).run()
    for name in ("Email", "Username", "Password", "Repeat password"):
        app.text_input(key=f"Register user {name}").input("new@example.org" if name == "Email" else "some-long-words")
    app.button(key="Register user submit").click().run()
    assert app.success[0].value == "User registered successfully"
    assert account_api.mails[-1].kind == "verify_address"
