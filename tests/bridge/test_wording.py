"""The language in which people are spoken to."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest
from conftest import OpenApp, make_user
from fake_provider import FakeProvider
from streamlit.testing.v1 import AppTest

import streamlit_bridge
from streamlit_bridge import texts
from streamlit_bridge.fake_answers import FakeAnswer
from streamlit_bridge.german import GERMAN

HEAD = "import streamlit as st\nfrom streamlit_bridge import *\n"
WORDS = "correct horse battery"


def script(*lines: str) -> str:
    return HEAD + "\n".join(lines)


def tried(call: str) -> str:
    """Show what a widget says when it refuses, as apps do."""
    return script(
        "auth = Authenticate(language='de')",
        "auth.login(location='unrendered')",
        "try:",
        f"    auth.{call}",
        "except BridgeError as error:",
        "    st.session_state['kind'] = [each.__name__ for each in type(error).__mro__]",
        "    st.error(error)",
    )


def gaps(sentence: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(sentence)}


def said_to_people() -> set[str]:
    """Return the English of all that the package says."""
    folder = Path(streamlit_bridge.__file__).parent
    code = "".join(file.read_text("utf-8") for file in folder.rglob("*.py"))
    named = {str(getattr(texts, name)) for name in re.findall(r"\bsay\(\s*texts\.([A-Z_]+)\b(?!\[)", code)}
    card = {texts.SIGN_IN_TEXT, texts.CLASSIC_SIGN_IN_TEXT, texts.NOT_CONFIRMED, *texts.SIGN_IN_REFUSALS}
    buttons = {*texts.HOSTED_BUTTONS.values(), texts.CLASSIC_SIGN_IN_BUTTON, texts.CLASSIC_SIGN_OUT_BUTTON}
    labels = {label for widget in texts.LABELS.values() for label in widget.values()}
    return named | card | buttons | labels | {*texts.CODE_LABELS.values()}


def test_german_lacks_no_sentence_and_no_gap() -> None:
    assert len(said_to_people()) > 80
    assert said_to_people() - GERMAN.keys() == set()
    assert [english for english, german in GERMAN.items() if gaps(english) != gaps(german)] == []


@pytest.mark.parametrize(
    ("chosen", "title"),
    [
        ("language='de'", "Bitte melden Sie sich an"),
        ("language='de_AT'", "Bitte melden Sie sich an"),
        ("", "Please sign in"),
        ("language='en-GB'", "Please sign in"),
        ("language='tlh'", "Please sign in"),
        ("language='\\r\\nno tag'", "Please sign in"),
        ("language='fr', wording={'Please sign in': 'Connectez-vous'}", "Connectez-vous"),
        ("language='de', wording={'Please sign in': 'Wer da?'}", "Wer da?"),
    ],
)
def test_app_chooses_the_language(open_app: OpenApp, chosen: str, title: str) -> None:
    app = open_app(script(f"Authenticate({chosen}).require()")).run()
    assert app.subheader[0].value == title
    if "fr" in chosen:
        assert app.button[0].label == "Sign in", "what it has no sentence for is in English"


def test_object_that_chooses_nothing_speaks_as_the_one_before(open_app: OpenApp) -> None:
    app = open_app(script("Authenticate(language='de')", "Authenticate().require()")).run()
    assert app.button[0].label == "Anmelden"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("require()", "Bitte melden Sie sich an"),
        ("login()", "Anmelden"),
        ("logout()", "Abmelden"),
        ("account_menu()", "Anmelden"),
        ("pages([st.Page(lambda: None, title='Start')]).run()", "Bitte melden Sie sich an"),
        ("register_user()", "Konto anlegen"),
        ("reset_password('ada')", "Passwort ändern"),
        ("forgot_password()", "Passwort vergessen"),
        ("forgot_username()", "Benutzernamen vergessen"),
        ("update_user_details('ada')", "Angaben ändern"),
    ],
)
def test_object_of_all_browser_sessions_speaks_so_in_each(open_app: OpenApp, call: str, said: str) -> None:
    """As one does that an app keeps in a module."""
    kept = "auth = st.cache_resource(lambda: Authenticate(language='de'), show_spinner=False)()"
    user = make_user() if call.startswith(("logout", "reset", "update")) else None
    for _ in range(2):
        app = open_app(script(kept, "Authenticate().login(location='unrendered')", f"auth.{call}"), user).run()
        assert not app.exception
        assert said in [each.value for each in app.subheader] + [each.label for each in app.button]


def test_two_tabs_may_speak_different_languages(open_app: OpenApp) -> None:
    asked = script("Authenticate(language=st.query_params['language']).account_menu()")
    shown = []
    for language in ("de", "en"):
        app = open_app(asked, make_user())
        app.query_params["language"] = language
        shown.append(app.run().button(key="streamlit_bridge_menu_sign_out").label)
    assert shown == ["Abmelden", "Sign out"]


def test_titles_and_labels_of_both_styles_are_translated_unless_they_are_the_apps_own(open_app: OpenApp) -> None:
    calls = [
        "auth.login('Login', 'main')",
        "auth.register_user('Neu hier?', preauthorization=False, fields={'Email': 'Mail'})",
        "auth.forgot_password('Forgot password')",
    ]
    app = open_app(script("auth = Authenticate(language='de')", *calls)).run()
    assert [each.value for each in app.subheader] == ["Anmelden", "Neu hier?", "Passwort vergessen"]
    labels = [each.label for each in app.text_input]
    assert labels == ["Vorname", "Nachname", "Mail", "Benutzername", "Passwort", "Passwort wiederholen", "Benutzername"]


def test_card_for_who_lacks_a_role(open_app: OpenApp) -> None:
    app = open_app(script("Authenticate(language='de').require('admin', 'owner')"), make_user()).run()
    assert "Sie haben keinen Zugang" in app.subheader[0].value
    assert "eine der Rollen `admin`, `owner`" in app.markdown[0].value


def send(app: AppTest, form: str, **values: str) -> AppTest:
    for name, value in values.items():
        app.text_input(key=f"{form} {name.replace('_', ' ')}").input(value)
    app.button(key=f"{form} submit").click().run()
    assert not app.exception
    return app


def test_refusals_of_the_bridge(open_app: OpenApp) -> None:
    app = send(open_app(tried("forgot_password()")).run(), "Forgot password")
    assert app.error[0].value == "Der Benutzername fehlt"


def test_refusals_of_the_provider_are_asked_for_in_the_language(open_app: OpenApp, provider: FakeProvider) -> None:
    faults = {"current_password": ["Das Passwort ist falsch."]}
    refusal = FakeAnswer(422, {"code": "invalid_input", "detail": "", "faults": faults})
    provider.account_api.next_answers["POST", "/me/password"] = [refusal]
    app = open_app(tried("reset_password('ada')"), make_user()).run()
    send(app, "Reset password", Current_password="x", New_password=WORDS, Repeat_password=WORDS)
    assert app.error[0].value == "Das Passwort ist falsch."
    assert {"CredentialsError", "ResetError"} <= set(app.session_state["kind"]), "whichever the language"
    asked = [headers for path, headers, _ in provider.requests if path.endswith("/me/password")]
    assert [headers["Accept-Language"] for headers in asked] == ["de"]


def test_sentences_of_the_provider_may_be_the_apps_own(open_app: OpenApp, provider: FakeProvider) -> None:
    said = "Use at least 10 characters: a few words in a row are easy to remember."
    refusal = FakeAnswer(422, {"code": "password_refused", "detail": "", "faults": {"new_password": [said]}})
    provider.account_api.next_answers["POST", "/me/password"] = [refusal]
    call = tried("reset_password('ada')").replace("language='de'", f"wording={{{said!r}: 'Au moins 10 caractères.'}}")
    app = open_app(call, make_user()).run()
    send(app, "Reset password", Current_password="x", New_password=WORDS, Repeat_password=WORDS)
    assert app.error[0].value == "Au moins 10 caractères."


def test_gap_that_nothing_fills_is_refused_at_once(open_app: OpenApp) -> None:
    wording = {texts.REGISTER_MAILED: "Un message part à {adresse}."}
    app = open_app(script(f"Authenticate(wording={wording!r})")).run()
    assert "has a gap" in app.exception[0].value
