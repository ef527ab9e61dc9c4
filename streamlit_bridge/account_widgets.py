"""The five account widgets as methods, in the call styles of both generations.

The 0.2 generation writes ``reset_password(username, "Reset password")``, the 0.4 generation
``reset_password(username, location="main", fields={...})``. One signature serves both: a first value that is a location
is the location, and a list or a mapping in second place is what stood there in the newer signature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamlit_bridge.call_style import LOCATIONS, as_names
from streamlit_bridge.events import Callback
from streamlit_bridge.results import ForgotPasswordResult, ForgotUsernameResult
from streamlit_bridge.widgets.account_form import read_account_form
from streamlit_bridge.widgets.forgot_password import show_forgot_password
from streamlit_bridge.widgets.forgot_username import show_forgot_username
from streamlit_bridge.widgets.register_user import RegistrationRules, mention_password_hint, show_register_user
from streamlit_bridge.widgets.reset_password import show_reset_password
from streamlit_bridge.widgets.update_user_details import show_update_user_details
from streamlit_bridge.wording import Wording, choose_wording

Fields = Mapping[str, str]


class AccountWidgets:
    """The account widgets of ``Authenticate``. Where a scope is missing, a button leads to the provider."""

    _wording: Wording | None = None

    def _speak(self) -> None:
        """Speak as this object was made to: it may be one for all browser sessions, as in a module of the app's."""
        choose_wording(self._wording)

    def register_user(
        self,
        form_name: str | None = None,
        location: str | bool | Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        preauthorization: bool | Sequence[str] | None = None,
        fields: Fields | None = None,
        captcha: bool | None = None,
        roles: Sequence[str] | None = None,
        merge_username_email: bool = False,
        password_hint: bool | None = None,
        two_factor_auth: bool = False,
        clear_on_submit: bool = False,
        key: str | None = None,
        callback: Callback | None = None,
        *,
        pre_authorized: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        pre_authorization: bool | None = None,
        domains: Sequence[str] | None = None,
    ) -> Any:
        """Show a form that makes a new account; the person then proves the address through a mailed link.

        The answer is the same whether or not the address has an account already: its owner learns of it by mail.

        Parameters:
            form_name: the form's title (older), or the location (newer, as first argument).
            location: ``main`` or ``sidebar``; a list here is ``pre_authorized``, and True or False is
                ``preauthorization`` (newer, as second argument).
            preauthorization: admit only addresses on the provider's list; the older style's default is True. A list
                here is ``domains`` (newer, as third argument).
            fields: labels by their default ("Form name", "First name", "Last name", "Email", "Username", "Password",
                "Repeat password", "Captcha", "Register", and for the code "Dialog name", "Code", "Submit", "Error").
            captcha: ask for a captcha; the newer style's default is True.
            roles: roles for the new account, as far as the app may give them.
            merge_username_email: use the address as user name.
            password_hint: accepted and not used.
            two_factor_auth: ask for a mailed six-digit code before the account is made.
            clear_on_submit: empty the form once it was sent.
            key: the form's key.
            callback: called with one dictionary that also holds ``new_name``, ``new_last_name``, ``new_email`` and
                ``new_username``.
            pre_authorized: the app's own list of addresses, or the section of the old configuration that has it under
                ``emails``; whoever registers is taken off it.
            pre_authorization: ``preauthorization`` under the name of the 0.3 generation.
            domains: domains of addresses that may register.

        Returns:
            Older style: None, then True. Newer style: a ``RegisterResult``, ``(None, None, None)`` and then
            ``(email, username, name)``; false and true in ``if``. The type depends on the style, hence ``Any``.

        Raises:
            RegisterError: refused; the text says why.
            ValueError: the location is neither ``main`` nor ``sidebar``.
        """
        first, second, third = form_name, location, preauthorization
        if first in LOCATIONS and isinstance(second, (Sequence, Mapping)) and not isinstance(second, str):
            second, pre_authorized = None, second
        if first in LOCATIONS and isinstance(second, bool):
            second, pre_authorization = None, second
        if isinstance(pre_authorized, Mapping):
            pre_authorized = pre_authorized.get("emails") or ()  # a list on which nobody is left admits nobody
        if isinstance(third, Sequence):
            third, domains = None, third
        asked = third if third is not None else pre_authorization
        self._speak()
        form = read_account_form("Register user", first, second, fields, clear_on_submit, key, callback)
        if password_hint:
            mention_password_hint()
        rules = RegistrationRules(
            is_preauthorized_only=form.is_classic if asked is None else asked,
            admitted=None if pre_authorized is None else as_names(pre_authorized),
            domains=None if domains is None else as_names(domains),
            roles=None if roles is None else as_names(roles),
            is_username_email=merge_username_email,
            has_captcha=not form.is_classic if captcha is None else captcha,
            has_code=two_factor_auth,
        )
        result = show_register_user(form, rules)
        return (True if result else None) if form.is_classic else result

    def reset_password(
        self,
        username: str | None,
        form_name: str | None = None,
        location: str | Fields | None = None,
        fields: Fields | None = None,
        clear_on_submit: bool = False,
        key: str | None = None,
        callback: Callback | None = None,
    ) -> bool | None:
        """Show a form with which the signed-in user changes their password; their other sessions end.

        Parameters:
            username: the signed-in user's name.
            form_name: the form's title (older), or the location (newer, as second argument).
            location: ``main`` or ``sidebar``.
            fields: labels ("Form name", "Current password", "New password", "Repeat password", "Reset").
            clear_on_submit: empty the form once it was sent.
            key: the form's key.
            callback: called with one dictionary after the change.

        Returns:
            None, then True.

        Raises:
            ResetError: refused, or ``username`` is not the signed-in user; the text says why.
            CredentialsError: the current password is another; a ResetError as well.
            ValueError: the location is neither ``main`` nor ``sidebar``.
        """
        self._speak()
        form = read_account_form("Reset password", form_name, location, fields, clear_on_submit, key, callback)
        return show_reset_password(form, username)

    def forgot_password(
        self,
        form_name: str | None = None,
        location: str | Fields | None = None,
        fields: Fields | None = None,
        captcha: bool = False,
        send_email: bool = False,
        two_factor_auth: bool = False,
        clear_on_submit: bool = False,
        key: str | None = None,
        callback: Callback | None = None,
    ) -> ForgotPasswordResult:
        """Show a form for people who forgot their password.

        The provider mails a link, and the old password stays until it is used. Only an app that the operator granted
        the scope ``recovery:password`` gets a one-time password to hand over itself, and learns of unknown names.

        Parameters:
            form_name: the form's title (older), or the location (newer, as first argument).
            location: ``main`` or ``sidebar``.
            fields: labels ("Form name", "Username", "Captcha", "Submit", "Dialog name", "Code", "Error").
            captcha: ask for a captcha.
            send_email: let the provider mail a link even where the app may have a one-time password.
            two_factor_auth: ask for a mailed six-digit code first.
            clear_on_submit: empty the form once it was sent.
            key: the form's key.
            callback: called with one dictionary after the request; ``random_password`` in it is the third value below.

        Returns:
            ``(None, None, None)``, then ``(username, email, one-time password)``, the last two None where the provider
            mails a link; ``(False, None, None)`` for a name that is unknown, if the app may know.

        Raises:
            ForgotError: refused; the text says why.
            ValueError: the location is neither ``main`` nor ``sidebar``.
        """
        self._speak()
        form = read_account_form("Forgot password", form_name, location, fields, clear_on_submit, key, callback)
        return show_forgot_password(form, has_captcha=captcha, has_code=two_factor_auth, is_mailed=send_email)

    def forgot_username(
        self,
        form_name: str | None = None,
        location: str | Fields | None = None,
        fields: Fields | None = None,
        captcha: bool = False,
        send_email: bool = False,
        two_factor_auth: bool = False,
        clear_on_submit: bool = False,
        key: str | None = None,
        callback: Callback | None = None,
    ) -> ForgotUsernameResult:
        """Show a form for people who forgot their user name.

        Parameters:
            form_name, location, captcha, two_factor_auth, clear_on_submit, key, callback: as in ``forgot_password``.
            fields: labels ("Form name", "Email", "Captcha", "Submit", "Dialog name", "Code", "Error").
            send_email: let the provider mail the name even where the app may know it.

        Returns:
            ``(None, what is typed)``, then ``(username, email)``, the first True where the provider mails the name
            without telling the app; ``(False, email)`` for an address that is unknown, if the app may know.

        Raises:
            ForgotError: refused; the text says why.
            ValueError: the location is neither ``main`` nor ``sidebar``.
        """
        self._speak()
        form = read_account_form("Forgot username", form_name, location, fields, clear_on_submit, key, callback)
        return show_forgot_username(form, has_captcha=captcha, has_code=two_factor_auth, is_mailed=send_email)

    def update_user_details(
        self,
        username: str | None,
        form_name: str | None = None,
        location: str | Fields | None = None,
        fields: Fields | None = None,
        clear_on_submit: bool = False,
        key: str | None = None,
        callback: Callback | None = None,
    ) -> bool | None:
        """Show a form with which the signed-in user changes name or address.

        A name shows at once in ``st.session_state`` and in all tabs. An address takes the password, and counts once
        the link that is mailed to it was followed.

        Parameters:
            username, form_name, location, clear_on_submit, key: as in ``reset_password``.
            fields: labels ("Form name", "Field", "First name", "Last name", "Email", "New value", "Update").
            callback: called with one dictionary that also holds ``field`` and ``new_value``.

        Returns:
            None, then True.

        Raises:
            UpdateError: refused, or ``username`` is not the signed-in user; the text says why.
            ValueError: the location is neither ``main`` nor ``sidebar``.
        """
        self._speak()
        form = read_account_form("Update user details", form_name, location, fields, clear_on_submit, key, callback)
        return show_update_user_details(form, username)
