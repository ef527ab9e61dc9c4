"""What apps import: names, aliases, the account menu, the demo, and the helpers for apps' own tests."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import OpenApp, RecordedAuth, make_user
from fake_provider import FakeProvider, Reply
from streamlit.testing.v1 import AppTest

import streamlit_bridge
from streamlit_bridge import texts
from streamlit_bridge.demo import find_main_script
from streamlit_bridge.testing import (
    FakeAccountApi,
    FakeAnswer,
    OpenSignedInApp,
    account_api,
    connect,
    open_signed_in_app,
    sign_in,
    sign_out,
    signed_in_app,
)
from streamlit_bridge.widgets.forbidden import escape_markdown

__all__ = ["account_api", "signed_in_app"]

ERRORS = [
    "AuthenticateError",
    "CloudError",
    "CredentialsError",
    "DeprecationError",
    "ForgotError",
    "LoginError",
    "LogoutError",
    "RegisterError",
    "ResetError",
    "TwoFactorAuthError",
    "UpdateError",
]


@pytest.mark.parametrize("module", ["exceptions", "utilities", "utilities.exceptions"])
@pytest.mark.parametrize("name", ERRORS)
def test_errors_have_all_their_old_addresses(module: str, name: str) -> None:
    error = getattr(streamlit_bridge, name)
    assert issubclass(error, streamlit_bridge.BridgeError)
    assert getattr(importlib.import_module(f"streamlit_bridge.{module}"), name) is error


def test_old_addresses_need_no_import_of_their_own() -> None:
    """Apps write ``except stauth.utilities.exceptions.LoginError``: what is missing there shows when it is needed."""
    names = "exceptions utilities.exceptions utilities.hasher utilities.validator"
    command = "import streamlit_bridge as stauth; " + "; ".join(f"stauth.{name}" for name in names.split())
    subprocess.run([sys.executable, "-c", command], check=True)


@pytest.mark.parametrize("missing", ["httpx", "captcha.audio"])
def test_without_what_the_extra_installs_it_is_named(missing: str) -> None:
    command = f"import sys; sys.modules['{missing}'] = None; import streamlit_bridge"
    said = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False).stderr
    assert missing in said.splitlines()[-1]
    assert said.rstrip().endswith("pip install 'streamlit-idp[streamlit]'")


def test_the_bridge_imports_nothing_of_the_provider() -> None:
    for path in Path(streamlit_bridge.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "idp" for name in names), path


def test_account_menu_for_a_visitor(open_app: OpenApp, recorded: RecordedAuth) -> None:
    app = open_app("several/main").run()
    app.sidebar.button[0].click().run()
    assert recorded.logins == 1


def test_account_menu_for_a_user(open_app: OpenApp, provider: FakeProvider, recorded: RecordedAuth) -> None:
    app = open_app("several/main", make_user()).run()
    assert not app.exception
    assert [element.value for element in app.sidebar.text] == ["ada@example.org"]
    link = app.get("link_button")[0]
    assert (link.label, link.proto.url) == (texts.ACCOUNT_LINK, f"{provider.issuer}/account")
    app.button(key="streamlit_bridge_menu_sign_out").click().run()
    assert recorded.logouts == 1


@pytest.mark.parametrize("address", ["javascript:alert(1)", 5, None])
def test_account_menu_leaves_out_a_strange_address(open_app: OpenApp, provider: FakeProvider, address: object) -> None:
    provider.metadata_reply = Reply(body={**provider.describe(), "account_management_uri": address})
    app = open_app("several/main", make_user()).run()
    assert not app.exception
    assert not app.get("link_button")


def test_account_menu_shows_names_as_they_are_written(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.reply.body |= {"name": "[Ada](https://evil.example)", "roles": [":red[editor]"]}
    app = open_app("several/main", make_user()).run()
    assert app.sidebar.get("popover")[0].proto.popover.label == escape_markdown("[Ada](https://evil.example)")
    assert app.caption[0].value == texts.ACCOUNT_ROLES.format(roles=escape_markdown(":red[editor]"))


def test_account_menu_while_the_provider_is_down(open_app: OpenApp, provider: FakeProvider) -> None:
    provider.metadata_reply = Reply(503, {})
    app = open_app("several/main", make_user()).run()
    assert not app.exception
    assert not app.get("link_button")


def test_fixture_for_apps(signed_in_app: OpenSignedInApp) -> None:
    path = Path(__file__).parent / "apps" / "admin_only.py"
    for roles in (["admin"], "admin"):
        assert signed_in_app(path, "grace", roles=roles).run().markdown[0].value == "the secret room"
    assert texts.FORBIDDEN_TITLE in signed_in_app(path, "grace").run().subheader[0].value


def test_fixture_for_apps_asks_no_provider(signed_in_app: OpenSignedInApp, provider: FakeProvider) -> None:
    """Whose address and secret are in the secrets.toml beside the app."""
    app = signed_in_app(Path(__file__).parent / "apps" / "several" / "main.py")
    app.secrets["auth"] = {
        "server_metadata_url": provider.metadata_url,
        "client_id": "tea",
        "client_secret": "x",
        "expose_tokens": ["access"],
    }
    assert not app.run().exception
    assert app.button(key="streamlit_bridge_menu_sign_out")
    assert not provider.requests


def test_functions_for_apps() -> None:
    def script() -> None:
        import streamlit as st

        from streamlit_bridge import Authenticate

        Authenticate().require()
        st.text(", ".join(st.session_state[key] for key in ("username", "name", "email")))

    app = open_signed_in_app(script, "grace").run()
    assert app.text[0].value == "grace, Grace, grace@example.org"
    assert not sign_out(app).run().text
    assert sign_in(app, name="Ada L.", email="a@b.example").run().text[0].value == "ada, Ada L., a@b.example"
    other = open_signed_in_app(script, "eve", name="Eve L.", email="e@b.example").run()
    assert other.text[0].value == "eve, Eve L., e@b.example"


def test_an_app_meets_the_people_of_the_account_api(account_api: FakeAccountApi) -> None:
    def script() -> None:
        import streamlit as st

        from streamlit_bridge import Authenticate

        Authenticate().require()
        st.json({key: st.session_state[key] for key in ("username", "name", "email", "roles")})

    account_api.add_person("ada", email="ada@example.org", password="correct horse battery", roles="admin")
    account_api.add_person(
        "grace", email="g@example.org", password="correct horse battery", name="Grace Brewster Hopper"
    )
    seen = [connect(account_api, AppTest.from_function(script), name).run().json[0].value for name in ("ada", "grace")]
    assert [json.loads(each) for each in seen] == [
        {"username": "ada", "name": "Ada", "email": "ada@example.org", "roles": ["admin"]},
        {"username": "grace", "name": "Grace Brewster Hopper", "email": "g@example.org", "roles": []},
    ]
    assert [call[:2] for call in account_api.calls] == [("GET", "/me")] * 2
    assert not connect(account_api, AppTest.from_function(script)).run().json, "a visitor"


@pytest.mark.parametrize(
    ("path", "scope"),
    [("/users", "registration"), ("/recovery/password", "recovery:password"), ("/recovery/username", "recovery")],
)
def test_the_account_api_of_tests_takes_each_code_once_and_no_other(path: str, scope: str) -> None:
    api = FakeAccountApi()
    api.add_person("ada", email="ada@example.org", password="correct horse battery")
    api.granted_scopes.add(scope)
    headers = {"Authorization": f"Bearer {dict(api.grant(scope).document or {})['access_token']}"}

    def call(path: str, **body: str) -> FakeAnswer:
        return api.answer("POST", path, headers, json.dumps(body).encode())

    def send(code_id: str, code: str) -> int:
        person = {"username": "ada" if "recovery" in path else "bob", "password": "another horse battery"}
        return call(path, **person, email="ADA@example.org", code_id=code_id, code=code).status

    first, second = (str(dict(call("/codes", username="ada").document or {})["id"]) for _ in range(2))
    codes = [mail.code for mail in api.mails]
    assert [mail.recipient for mail in api.mails] == ["ada@example.org"] * 2
    assert send(first, "wrong") == 422
    assert send(first, codes[0]) == 422, "a wrong answer used it up"
    assert send(second, codes[1]) in (200, 202)
    assert send(second, codes[1]) in (409, 422)
    if scope == "recovery:password":
        assert api.people["ada"].password != "correct horse battery"


@pytest.mark.parametrize("call", [sign_in, sign_out, lambda app: connect(FakeAccountApi(), app)])
def test_who_is_signed_in_needs_a_recent_streamlit(call: Callable[[Any], object]) -> None:
    with pytest.raises(RuntimeError, match=r"1\.67"):
        call(SimpleNamespace(secrets={}))  # stands in for an older Streamlit's AppTest


@pytest.fixture
def demo() -> AppTest:
    return AppTest.from_file(find_main_script(), default_timeout=60)


def test_demo_for_a_visitor(demo: AppTest, cookies: dict[str, str]) -> None:
    sign_out(demo).run()
    assert not demo.exception
    assert "open to everybody" in demo.markdown[0].value
    for page in ("views/tastings.py", "views/office.py"):
        demo.switch_page(page).run()
        assert not demo.exception
        assert demo.subheader[0].value == texts.SIGN_IN_TITLE


def test_demo_for_a_member(demo: AppTest) -> None:
    sign_in(demo, "grace").run()
    assert not demo.exception
    demo.switch_page("views/tastings.py")
    demo.query_params = {"region": "Uji", "guests": "4"}
    demo.run()
    assert not demo.exception
    assert demo.selectbox[0].value == "Uji"
    assert demo.number_input[0].value == 4
    demo.switch_page("views/office.py").run()
    assert texts.FORBIDDEN_TITLE in demo.subheader[0].value


@pytest.mark.parametrize("guests", ["99", "-1", "x", "\N{SUPERSCRIPT TWO}", ""])
def test_demo_with_a_strange_query(demo: AppTest, guests: str) -> None:
    sign_in(demo).run()
    demo.switch_page("views/tastings.py")
    demo.query_params = {"region": "Atlantis", "guests": guests}
    assert not demo.run().exception


def test_demo_for_an_administrator(demo: AppTest) -> None:
    sign_in(demo, "grace", roles=["admin"]).run()
    demo.switch_page("views/office.py").run()
    assert not demo.exception
    assert demo.title[0].value == "Office"
