"""The class that apps use."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final, Literal, Unpack

from streamlit.runtime.scriptrunner import get_script_run_ctx

from streamlit_bridge import texts
from streamlit_bridge.account_widgets import AccountWidgets
from streamlit_bridge.call_style import OldArguments, read_call_style, read_fields
from streamlit_bridge.events import Callback
from streamlit_bridge.hosted_pages import HostedPage, find_hosted_page
from streamlit_bridge.identity import Identity
from streamlit_bridge.memory import open_shared_memory
from streamlit_bridge.navigation import PageLike, RunnablePage, guard_pages
from streamlit_bridge.results import LoginResult
from streamlit_bridge.session import end_run, synchronise
from streamlit_bridge.watching import watch_session
from streamlit_bridge.widgets.account_menu import show_account_menu
from streamlit_bridge.widgets.forbidden import show_forbidden_card
from streamlit_bridge.widgets.login import (
    CardTexts,
    may_start_automatically,
    show_login,
    show_sign_in_card,
    start_sign_in,
)
from streamlit_bridge.widgets.logout import Width, show_logout
from streamlit_bridge.wording import make_wording

logger = logging.getLogger(__name__)

CHECK_INTERVAL: Final = 60.0


class Authenticate(AccountWidgets):
    """Single sign-on for a Streamlit app, with the calls that apps already make.

    The smallest app is ``auth = Authenticate(); auth.require()``. An object is cheap and holds nothing but its
    settings: create one wherever it is needed, on every page if you like.
    """

    def __init__(
        self,
        *old: object,
        check_interval: float = CHECK_INTERVAL,
        language: str | None = None,
        wording: Mapping[str, str] | None = None,
        **old_named: Unpack[OldArguments],
    ) -> None:
        """Prepare signing in through the provider that the ``[auth]`` section of Streamlit's secrets names.

        For the rest of this run ``st.session_state`` says who is signed in, whatever the app calls after that; and who
        comes back from a sign-in is led to the page from which they went.

        Parameters:
            check_interval: seconds between two questions to the provider whether a session lives.
            language: in which people are spoken to, a tag such as "de" or what ``st.context.locale`` says. There are
                English and German; None leaves what another object of this browser session was given, or English.
            wording: sentences and labels of your own by the English ones, for any other language.
            old, old_named: arguments of the older package, in the order of any of its generations, accepted and not
                used; a log line says once how to move the accounts over.

        Raises:
            TypeError: an unknown keyword, so a mistyped name is never silently ignored.
            ValueError: ``wording`` has a gap, such as ``{email}``, that the English sentence has not.
        """
        unknown = sorted(old_named.keys() - OldArguments.__annotations__.keys())
        if unknown:
            raise TypeError(texts.UNKNOWN_ARGUMENT.format(name=unknown[0]))
        is_old = any(value is not None for value in (*old, *old_named.values()))
        if is_old and open_shared_memory().claim_first_mention("old arguments"):
            logger.warning(texts.OLD_ARGUMENTS_UNUSED)
        self._check_interval = check_interval
        self._wording = make_wording(language, wording)
        self._synchronise()

    def require(self, *roles: str, automatic: bool = False) -> None:
        """Let the script go on only for a signed-in user, and only with one of ``roles`` if any are given.

        Anyone else sees a card, and the script stops here: visitors are asked to sign in and come back to the same page
        and query string; signed-in users without the role are told so.

        Parameters:
            roles: roles of which the user needs at least one; none means any signed-in user.
            automatic: send visitors to the provider without a click, at most once a minute, so that a user who is
                signed in there never sees the card.

        Raises:
            LoginError: the app has no usable ``[auth]`` section.
            TypeError: a role is no text, as where several were given as one list.
        """
        if not all(isinstance(role, str) for role in roles):
            raise TypeError(texts.ROLES_ARE_TEXTS)
        identity = self._synchronise()
        if identity is None:
            if not (automatic and may_start_automatically() and start_sign_in()):
                show_sign_in_card(None, CardTexts(), "streamlit_bridge_sign_in")
            end_run()
        if not identity.has_any_role(roles):
            show_forbidden_card(identity, roles)
            end_run()

    def login(
        self,
        form_name: str | None = None,
        location: str | int | None = None,
        max_login_attempts: int | Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
        captcha: bool = False,  # noqa: ARG002  # old callers pass it
        single_session: bool = False,  # noqa: ARG002  # old callers pass it
        clear_on_submit: bool = False,  # noqa: ARG002  # old callers pass it
        key: str = "Login",
        callback: Callback | None = None,
        *,
        max_concurrent_users: int | None = None,  # noqa: ARG002  # old callers pass it
        sleep_time: float | None = None,  # noqa: ARG002  # old callers pass it
    ) -> LoginResult:
        """Show the sign-in card unless a user is signed in, in either generation's call style.

        ``login("Login", "main")`` belongs to the older generation, ``login("main")`` and ``login(location="main")`` to
        the newer one. Passwords are typed at the provider, never in the app.

        Parameters:
            form_name: the card's title (older), or the location (newer, as first argument).
            location: ``main``, ``sidebar`` or ``unrendered``.
            max_login_attempts, captcha, single_session, clear_on_submit, max_concurrent_users, sleep_time: accepted and
                not used; the provider has its own protection, and what the operator set for this app's client. A
                mapping in place of the first is ``fields`` (0.3.1, as third argument).
            fields: labels: "Form name" and "Login".
            key: the button's key.
            callback: called once after a completed sign-in with one dictionary (``widget``, ``username``, ``email``,
                ``name``, ``roles``).

        Returns:
            ``(name, authentication_status, username)``, true for a signed-in user. Calls of the 0.3 generation unpack
            it, and those of 0.4, which look the same, expect nothing.

        Raises:
            ValueError: the location is none of the three.
            TypeError: ``fields`` is no mapping.
            LoginError: the app has no usable ``[auth]`` section; with the optional layer (``asgi``) also when the
                provider refused the sign-in because too many users are there.
        """
        style = read_call_style(form_name, location)
        labels = read_fields(max_login_attempts if isinstance(max_login_attempts, Mapping) else fields)
        return show_login(style, self._synchronise(), labels, key, callback)

    def logout(
        self,
        button_name: str = texts.CLASSIC_SIGN_OUT_BUTTON,
        location: str = "main",
        key: str | None = "Logout",
        use_container_width: bool = False,
        callback: Callback | None = None,
        *,
        width: Width | None = None,
    ) -> None:
        """Show a button that signs the user out of this app and, through the provider, of all others.

        Parameters:
            button_name: the button's label.
            location: ``main``, ``sidebar``, or ``unrendered`` to sign out at once.
            key: the button's key.
            use_container_width: stretch the button to the full width; older callers say so, newer ones ``width``.
            callback: called with one dictionary before the sign-out, which follows also where it goes to another page
                or fails.
            width: ``content``, ``stretch`` or a number of pixels, as for any button of Streamlit's.

        Raises:
            LogoutError: nobody is signed in.
            ValueError: the location is none of the three.
        """
        self._speak()
        show_logout(button_name, location, key, width or ("stretch" if use_container_width else "content"), callback)

    def experimental_guest_login(self, *_: object, **__: object) -> None:
        """Show nothing, and say once in the log why: signing in with accounts from elsewhere is the provider's affair.

        Apps of the newer generation call it beside ``login``, with a button's name, ``provider``, ``oauth2`` and more.
        """
        if open_shared_memory().claim_first_mention("guest login"):
            logger.warning(texts.GUEST_LOGIN_UNUSED)

    def pages(
        self,
        pages: Sequence[PageLike] | Mapping[str, Sequence[PageLike]],
        roles: Mapping[str, str | Sequence[str]] | None = None,
        *,
        public: str | Sequence[str] = (),
        position: Literal["sidebar", "hidden", "top"] = "sidebar",
        expanded: bool | int = False,
        automatic: bool = False,
    ) -> RunnablePage:
        """Set up the app's pages so that each opens only for whom it is meant; use it in place of ``st.navigation``.

        Visitors see the public pages. On any other page they meet the sign-in card, the script stops, and the address
        in the browser stays, so they come back to it. Signed-in users find the pages that they may open in the menu,
        and a kind refusal under the address of any other.

        Parameters:
            pages: what ``st.navigation`` takes.
            roles: the role, or the roles of which one is needed, by the page's URL path; "" is the start page.
            public: URL paths of pages that everybody may open.
            position: where the menu is.
            expanded: how much of the menu shows at first, as ``st.navigation`` takes it.
            automatic: send visitors to the provider without a click, see ``require``.

        Returns:
            The page to run: ``auth.pages([...]).run()``.

        Raises:
            ValueError: ``roles`` or ``public`` name a page that does not exist.
            LoginError: the app has no usable ``[auth]`` section.
        """
        if get_script_run_ctx() is None:
            end_run()  # a page has no path there to tell it by
        identity = self._synchronise()
        page = guard_pages(pages, identity, roles or {}, public, position, expanded)
        if page is None:
            self.require(automatic=automatic)
            raise AssertionError("require() lets no visitor pass")
        return page

    def watch(self, interval: float = 10.0) -> None:
        """Notice without a click that the session ended, or that name or roles changed, and run the app again.

        A page shows it within ``check_interval`` seconds: the provider is asked at the last look that is in time for
        that. Looking is no activity: a session that nobody uses ends there once it was idle for long enough. Only whole
        runs of the app count as use, so call ``require`` in an ``st.fragment`` in which people work for long. With the
        optional layer (``asgi``) the provider tells the app of its own accord, and every watched page reacts within
        ``interval``.

        Parameters:
            interval: seconds between two looks.
        """
        watch_session(interval, self._check_interval)

    def account_menu(self) -> None:
        """Show a menu in the sidebar: name, hosted account page and sign-out; for visitors, a sign-in button.

        Raises:
            LoginError: the app has no usable ``[auth]`` section.
        """
        show_account_menu(self._synchronise())

    def account_url(self) -> str | None:
        """Return the address of the provider's account page, None where it names none or does not answer."""
        return find_hosted_page(HostedPage.ACCOUNT)

    def _synchronise(self) -> Identity | None:
        self._speak()
        return synchronise(self._check_interval)
