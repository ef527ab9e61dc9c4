"""The widget that makes a new account."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from streamlit_bridge import texts
from streamlit_bridge.account_calls import REGISTRATION, call_as_app, find_granted_scope
from streamlit_bridge.errors import RegisterError
from streamlit_bridge.events import describe_event_of_user
from streamlit_bridge.hosted_pages import HostedPage
from streamlit_bridge.memory import open_shared_memory
from streamlit_bridge.refusals import refusals_raised_as
from streamlit_bridge.results import RegisterResult
from streamlit_bridge.widgets.account_form import AccountForm, show_hosted_page
from streamlit_bridge.widgets.captcha import Captcha
from streamlit_bridge.widgets.forbidden import escape_markdown
from streamlit_bridge.widgets.one_time_code import ask_for_code, last_step, led_back, recall_step, show_code_step
from streamlit_bridge.widgets.sent_form import tell_once, was_just_sent
from streamlit_bridge.wording import say

logger = logging.getLogger(__name__)

IDLE: Final = RegisterResult(None, None, None)


@dataclass(frozen=True)
class RegistrationRules:
    """What the app asks of a registration, beyond what the provider asks anyway.

    Attributes:
        is_preauthorized_only: admit only addresses that the provider's own list names.
        admitted: the app's own list of addresses; whoever registers is taken off it. None admits any address.
        domains: domains of addresses that may register, None for any.
        roles: roles that the new account shall have, as far as the app may give them.
        is_username_email: use the address as user name and ask for none.
        has_captcha: ask for a captcha.
        has_code: ask for a mailed code before the account is made.
    """

    is_preauthorized_only: bool
    admitted: Sequence[str] | None
    domains: Sequence[str] | None
    roles: Sequence[str] | None
    is_username_email: bool
    has_captcha: bool
    has_code: bool


def show_register_user(form: AccountForm, rules: RegistrationRules) -> RegisterResult:
    """Draw the widget and register whoever sends it.

    Parameters:
        form: the widget's settings.
        rules: what the app asks of a registration.

    Returns:
        The new account, or the idle result.

    Raises:
        RegisterError: the registration was refused; the text says why.
    """
    scope = find_granted_scope(REGISTRATION)
    if scope is None:
        show_hosted_page(form, HostedPage.REGISTER)
        return IDLE
    place = form.place()
    step = recall_step(form)
    if step is not None:
        with led_back(form, lambda: _draw_form(form, place, rules)):
            code = show_code_step(form, place, step, RegisterError)
            if code is None:
                return IDLE
            result = _register(form, rules, scope, {**step.values, **code})
        place.empty()
        return result
    values = _draw_form(form, place, rules)
    if values is None:
        return IDLE
    if rules.has_code:
        request = {"purpose": "registration", "email": values["email"]}
        values |= ask_for_code(form, scope, request, values, RegisterError)
    return _register(form, rules, scope, values)


def mention_password_hint() -> None:
    """Say once in the log that password hints no longer exist."""
    if open_shared_memory().claim_first_mention("password hint"):
        logger.warning(texts.HINT_UNUSED)


def _draw_form(form: AccountForm, place: DeltaGenerator, rules: RegistrationRules) -> dict[str, object] | None:
    """Draw the form; return what to send once it was filled in properly."""
    captcha = Captcha(form) if rules.has_captcha else None
    with form.draw(place):
        left, right = st.columns(2)
        with left:
            given_name = form.input("First name", autocomplete="given-name").strip()
        with right:
            family_name = form.input("Last name", autocomplete="family-name").strip()
        email = form.input("Email", autocomplete="email").strip()
        username = email
        if not rules.is_username_email:
            username = form.input("Username", autocomplete="username").strip()
        left, right = st.columns(2)
        with left:
            password = form.input("Password", autocomplete="new-password", is_secret=True)
        with right:
            repeated = form.input("Repeat password", autocomplete="new-password", is_secret=True)
        is_sent = captcha.submit("Register") if captcha else form.submit("Register")
    if not is_sent:
        return None
    _check(email, username, password, repeated)
    values: dict[str, object] = {"email": email, "username": username, "password": password}
    values |= {name: text for name, text in (("given_name", given_name), ("family_name", family_name)) if text}
    values["preauthorized"] = rules.is_preauthorized_only
    if rules.domains is not None:
        values["domains"] = list(rules.domains)
    if rules.roles:
        values["roles"] = list(rules.roles)
    if rules.is_username_email:
        values["merge_username_email"] = True
    if not was_just_sent(form.key, values):
        _check_admitted(email, rules)
        if captcha:
            captcha.claim(RegisterError)
    return values


def _check(email: str, username: str, password: str, repeated: str) -> None:
    if not email:
        raise RegisterError(say(texts.EMAIL_MISSING))
    if not username:
        raise RegisterError(say(texts.USERNAME_MISSING))
    if not password:
        raise RegisterError(say(texts.NONE_CHOSEN))
    if password != repeated:
        raise RegisterError(say(texts.PASSWORDS_DIFFER))


def _check_admitted(email: str, rules: RegistrationRules) -> None:
    if rules.admitted is not None and email.lower() not in {address.lower() for address in rules.admitted}:
        refused = texts.NOT_PREAUTHORIZED_CLASSIC if rules.is_preauthorized_only else texts.NOT_PREAUTHORIZED
        raise RegisterError(say(refused))


def _register(form: AccountForm, rules: RegistrationRules, scope: str, values: Mapping[str, object]) -> RegisterResult:
    def error(sentence: str) -> RegisterError:
        # The older generation knows this text with another spelling.
        is_respelled = form.is_classic and sentence == say(texts.NOT_PREAUTHORIZED)
        return RegisterError(say(texts.NOT_PREAUTHORIZED_CLASSIC) if is_respelled else sentence)

    with last_step(form, values) as key, refusals_raised_as(error, {"already_exists": say(texts.USERNAME_TAKEN)}):
        document = call_as_app(scope, "/users", values, idempotency_key=key)
    result = RegisterResult(
        str(document.get("email") or values["email"]),
        str(document.get("username") or values["username"]),
        str(document.get("name") or f"{values.get('given_name', '')} {values.get('family_name', '')}".strip()),
    )
    _take_off_list(rules.admitted, str(values["email"]))
    if document.get("status") == "account_ready":
        form.place().info(say(texts.REGISTER_READY), icon=":material/login:")
    else:
        told = say(texts.REGISTER_MAILED, email=escape_markdown(str(values["email"])))
        form.place().info(told, icon=":material/mail:")
    event = describe_event_of_user(form.widget)
    tell_once(
        form,
        event
        | {
            "new_name": values.get("given_name"),
            "new_last_name": values.get("family_name"),
            "new_email": values["email"],
            "new_username": values["username"],
        },
    )
    return result


def _take_off_list(admitted: Sequence[str] | None, email: str) -> None:
    """Take an address off the app's own list, as apps expect that save the list afterwards."""
    if isinstance(admitted, MutableSequence):
        for address in [address for address in admitted if address.lower() == email.lower()]:
            admitted.remove(address)
