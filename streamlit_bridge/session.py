"""Keeps ``st.session_state`` in step with the sign-in, and notes what one browser session is in the middle of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn, TypedDict, cast
from urllib.parse import urlsplit

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError
from streamlit.runtime.scriptrunner import StopException, get_script_run_ctx

from streamlit_bridge import texts
from streamlit_bridge.api import fetch_document
from streamlit_bridge.errors import ProviderUnavailable
from streamlit_bridge.identity import Identity
from streamlit_bridge.liveness import find_live_identity
from streamlit_bridge.memory import Destination, SharedMemory, open_shared_memory
from streamlit_bridge.return_path import (
    CALLBACK,
    build_relative_address,
    go_to,
    is_start_page,
    read_current_place,
)

STATE_KEYS: Final = ("name", "authentication_status", "username", "email", "roles", "logout")
XSRF_COOKIE: Final = "_streamlit_xsrf"
DEFAULT_PROVIDER: Final = "default"  # what Streamlit calls the one whose settings stand in [auth] itself
_NOTES_KEY: Final = "_streamlit_bridge"


class Notes(TypedDict):
    """What the bridge remembers within one browser session.

    ``destination`` is where to go once signed in; ``is_unfinished`` and ``ending`` (why a sign-in holds no more) choose
    the message on the sign-in card, and ``announced`` is the last one that was said outside of it; ``refusal`` is why
    the provider let nobody in; ``is_fresh`` is True from a completed sign-in until the login callback ran.
    """

    has_arrived: bool
    destination: Destination | None
    is_unfinished: bool
    ending: str | None
    announced: str | None
    is_fresh: bool
    refusal: str | None


def initialise_state() -> None:
    """Give every key that apps read a value, so reading one never fails."""
    for key in STATE_KEYS:
        st.session_state.setdefault(key, None)


def read_notes() -> Notes:
    """Return this session's notes, to be changed in place."""
    fresh = Notes(
        has_arrived=False,
        destination=None,
        is_unfinished=False,
        ending=None,
        announced=None,
        is_fresh=False,
        refusal=None,
    )
    return cast(Notes, st.session_state.setdefault(_NOTES_KEY, fresh))


def synchronise(check_interval: float) -> Identity | None:
    """Bring ``st.session_state`` in step with the sign-in and, after a sign-in, show the page it started from.

    Where a fragment finds that somebody lost what they had, the whole app runs again, and its own calls say so.

    Parameters:
        check_interval: seconds between two questions to the account API.

    Returns:
        The signed-in person, or None.
    """
    initialise_state()
    memory = open_shared_memory()
    notes = read_notes()
    identity = find_identity(check_interval)
    if _is_fragment_run() and _has_lost_something(identity):
        st.rerun()  # or the rest of the page would go on to show what is no longer for whoever sits there
    _write_state(identity)
    if not notes["has_arrived"]:
        notes["has_arrived"] = True
        _meet_attempt(memory, notes, identity)
    if identity is not None and notes["destination"] is not None:
        destination, notes["destination"] = notes["destination"], None
        go_to(destination)
    return identity


def begin_sign_in() -> None:
    """Remember where the browser is and hand over to Streamlit's login.

    Raises:
        ProviderUnavailable: the provider does not answer, and the browser stays here.
        StreamlitAuthError: the ``[auth]`` section of the secrets is incomplete.
    """
    _seek_provider()
    notes = read_notes()
    memory = open_shared_memory()
    browser = identify_browser()
    place = read_current_place()
    # After a cancelled sign-in the browser is on the start page, but the wish for the first page still stands.
    destination = notes["destination"] if notes["destination"] is not None and place == Destination() else place
    st.session_state["logout"] = None
    st.login()
    if browser is not None:
        memory.begin_attempt(browser, destination)


def end_session() -> None:
    """Sign the user out of this app and, through Streamlit, at the provider.

    While the provider does not answer, Streamlit signs out of this app alone without a word: the next card says so.
    """
    # First, for it takes seconds at times: a click meanwhile ends this run, and must find everything as it was.
    is_provider_there = True
    try:
        _seek_provider()
    except ProviderUnavailable:
        is_provider_there = False
    memory = open_shared_memory()
    access_token = read_access_token()
    if access_token is not None:
        # Other tabs hold the same token: they notice at their next run instead of within a minute.
        memory.recall_token(access_token).is_ended = True
    browser = identify_browser()
    if browser is not None:
        memory.forget_attempt(browser)
        memory.hold_automatic_attempts(browser)
        if not is_provider_there:
            memory.note_local_sign_out(browser)
    _write_state(None)
    st.session_state["logout"] = True
    st.logout()


def end_run() -> NoReturn:
    """End this run of the script.

    ``st.stop`` asks the script's own thread to end; a fragment that runs in parallel, a thread of the app's and plain
    Python would go on behind a refusal.
    """
    st.stop()
    raise StopException(texts.RUN_ENDED)


def identify_browser() -> str | None:
    """Return a value that is the same before and after a sign-in in one browser, or None without cookies.

    Streamlit gives each browser a random token against cross-site requests, without which it ignores its own sign-in
    cookie. The cookie holds it as ``2|mask|token xor mask|time`` with a new mask for each page load.
    """
    return read_browser_token(st.context.cookies.get(XSRF_COOKIE, ""))


def read_browser_token(cookie: str) -> str | None:
    """Read the token out of Streamlit's cookie, None if it is broken; see ``identify_browser``."""
    parts = cookie.split("|")
    if len(parts) != 4 or parts[0] != "2":
        return None
    try:
        mask, masked = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
    except ValueError:
        return None
    if not mask or not masked:
        return None
    return bytes(value ^ mask[index % len(mask)] for index, value in enumerate(masked)).hex()


def read_metadata_url() -> str | None:
    """Return ``server_metadata_url`` from the ``[auth]`` section of Streamlit's secrets, if it is there."""
    return read_auth_setting("server_metadata_url")


def read_auth_setting(name: str) -> str | None:
    """Return a text from the ``[auth]`` section of Streamlit's secrets, if it is there."""
    value = _read_auth_section().get(name)
    return value if isinstance(value, str) and value else None


def find_registered_address() -> str | None:
    """Return this page's address where the app is registered; None where the browser is there, or nobody can tell.

    Streamlit believes its sign-in cookie at the origin of ``redirect_uri`` only: from anywhere else a sign-in leads
    there, or to nothing.
    """
    redirect_uri, origin = read_auth_setting("redirect_uri"), st.context.headers.get("Origin")
    if redirect_uri is None or origin is None:
        return None
    redirect_uri = redirect_uri.replace("{port}", str(st.get_option("server.port")))
    parts = urlsplit(redirect_uri)
    if not parts.netloc or origin == f"{parts.scheme}://{parts.netloc}":
        return None
    return f"{redirect_uri.removesuffix(CALLBACK)}/{build_relative_address(read_current_place())}"


def read_access_token() -> str | None:
    """Return the access token that Streamlit keeps of the sign-in, if it exposes it."""
    tokens = st.user.to_dict().get("tokens")
    token = tokens.get("access") if isinstance(tokens, Mapping) else None
    return token if isinstance(token, str) and token else None


def remember_profile(access_token: str, identity: Identity) -> None:
    """Show what the account API has just told about the user here at once, and in other tabs at their next run."""
    state = open_shared_memory().recall_token(access_token)
    with state.lock:
        state.profile = identity
    _write_state(identity)


def find_identity(check_interval: float, *, is_passive: bool = False) -> Identity | None:
    """Return the signed-in person as far as is known now, or None; changes nothing that the app can see.

    Parameters:
        check_interval: seconds between two questions to the account API.
        is_passive: the app looks of its own accord: that alone keeps no session alive.
    """
    notes = read_notes()
    claims = st.user.to_dict()
    if st.session_state.get("logout") or not claims.get("is_logged_in"):
        return None
    if claims.get("provider", DEFAULT_PROVIDER) != DEFAULT_PROVIDER:
        return None  # by st.login("google"), say: our provider does not know them, nor may it see their access token
    memory, access_token = open_shared_memory(), read_access_token()
    if access_token is None and _is_token_withheld(claims):
        notes["ending"] = texts.SESSION_ENDED
        return None
    if access_token is not None and not is_passive:
        memory.recall_token(access_token).is_used = True
    try:
        identity = find_live_identity(memory, claims, access_token, read_metadata_url(), check_interval)
    except ProviderUnavailable:
        notes["ending"] = texts.NOT_CONFIRMED
        return None
    notes["ending"] = texts.SESSION_ENDED if identity is None else None
    return identity


def _read_auth_section() -> Mapping[str, object]:
    try:
        section = st.secrets.get("auth")
    except StreamlitSecretNotFoundError:
        return {}
    return section if isinstance(section, Mapping) else {}


def _is_token_withheld(claims: Mapping[str, object]) -> bool:
    """Tell whether a browser brings a sign-in without the access token that came with it.

    Streamlit keeps each in a cookie of its own. Who throws the second away must not go on unasked about, while the
    provider has ended their session. A user made up for a test comes of no sign-in, and has no time to expire at.
    """
    exposed = _read_auth_section().get("expose_tokens")
    return "exp" in claims and (exposed == "access" or (isinstance(exposed, list | tuple) and "access" in exposed))


def _seek_provider() -> None:
    """Ask for the provider's discovery document, as Streamlit does before it leads a browser there.

    Raises:
        ProviderUnavailable: the provider does not answer.
    """
    metadata_url = read_metadata_url()
    if metadata_url is not None:
        # Nothing is remembered of it: that somebody pressed a button in a bad moment is no matter for all the others.
        fetch_document(open_shared_memory().client, metadata_url)


def _is_fragment_run() -> bool:
    """Tell whether a fragment runs by itself, while the rest of the page stays as it is."""
    context = get_script_run_ctx()
    return context is not None and bool(context.fragment_ids_this_run)


def _has_lost_something(identity: Identity | None) -> bool:
    """Tell whether the page, as it was drawn last, is that of somebody who is signed out by now, or has fewer roles."""
    if not st.session_state["authentication_status"]:
        return False
    return identity is None or not set(st.session_state["roles"] or ()) <= set(identity.roles)


def _write_state(identity: Identity | None) -> None:
    values: dict[str, object] = {
        "name": identity.name if identity else None,
        "authentication_status": True if identity else None,
        "username": identity.username if identity else None,
        "email": identity.email if identity else None,
        "roles": list(identity.roles) if identity else None,
    }
    # An app may have cleared its state a moment ago, in a callback of ours too.
    initialise_state()
    for key, value in values.items():
        if st.session_state[key] != value:
            st.session_state[key] = value


def _meet_attempt(memory: SharedMemory, notes: Notes, identity: Identity | None) -> None:
    """Work out, at the start of a session, whether the browser comes back from a sign-in."""
    browser = identify_browser()
    attempt = memory.recall_attempt(browser) if browser is not None else None
    if browser is None or attempt is None:
        return
    # With the optional layer the browser is already where it wanted to go; without it, Streamlit leads to the start.
    is_there = attempt.is_brought_back and read_current_place().page == attempt.destination.page
    if not is_start_page() and not is_there:
        return
    notes["destination"] = None if is_there else attempt.destination
    if identity is not None:
        memory.forget_attempt(browser)
        notes["is_fresh"] = True
    elif not attempt.is_noticed:
        memory.notice_attempt(browser)
        notes["is_unfinished"], notes["refusal"] = True, attempt.refusal
