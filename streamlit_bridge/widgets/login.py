"""The sign-in card: a message if there is a reason for one, and a button that leads to the provider."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitAuthError

from streamlit_bridge import texts
from streamlit_bridge.call_style import CallStyle
from streamlit_bridge.errors import LoginError, ProviderUnavailable
from streamlit_bridge.events import Callback, describe_event
from streamlit_bridge.identity import Identity
from streamlit_bridge.memory import open_shared_memory
from streamlit_bridge.results import LoginResult
from streamlit_bridge.return_path import find_address
from streamlit_bridge.session import (
    begin_sign_in,
    find_registered_address,
    identify_browser,
    read_metadata_url,
    read_notes,
)
from streamlit_bridge.widgets.forbidden import escape_markdown
from streamlit_bridge.wording import say

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CardTexts:
    """What stands on a sign-in card."""

    title: str = texts.SIGN_IN_TITLE
    text: str = texts.SIGN_IN_TEXT
    button: str = texts.SIGN_IN_BUTTON


def show_login(
    style: CallStyle,
    identity: Identity | None,
    fields: Mapping[str, str],
    key: str,
    callback: Callback | None,
) -> LoginResult:
    """Draw the classic login widget.

    Parameters:
        style: how the widget was called.
        identity: the signed-in person, or None.
        fields: labels that replace the default ones ("Form name", "Login").
        key: the key of the button.
        callback: called once after a completed sign-in with one dictionary.

    Returns:
        The signed-in user, or the idle result.

    Raises:
        LoginError: the app has no usable ``[auth]`` section, or the provider has just refused the sign-in for a reason
            that apps know (newer generation; the older one sees it on the card).
    """
    result = LoginResult.from_identity(identity)
    if identity is not None:
        _run_callback(identity, callback)
        return result
    if style.location == "unrendered":
        return result
    title = style.form_name or fields.get("Form name", texts.CLASSIC_SIGN_IN_TITLE)
    card = CardTexts(title, texts.CLASSIC_SIGN_IN_TEXT, fields.get("Login", texts.CLASSIC_SIGN_IN_BUTTON))
    notes = read_notes()
    refusal = None
    if not style.is_classic:
        refusal, notes["refusal"] = notes["refusal"], None
    if refusal is not None:  # which says why it was not finished
        notes["is_unfinished"] = False
    show_sign_in_card(st.sidebar if style.location == "sidebar" else None, card, key)
    if refusal is not None:
        raise LoginError(say(refusal))
    return result


def show_sign_in_card(place: DeltaGenerator | None, card: CardTexts, key: str) -> None:
    """Draw the card and start the sign-in when its button is pressed.

    Parameters:
        place: where to draw, None for the main column.
        card: the card's texts.
        key: the key of the button.

    Raises:
        LoginError: the app has no usable ``[auth]`` section.
    """
    with (place or st).container(border=True):
        st.subheader(say(card.title), anchor=False)
        notice = read_notice()
        if notice:
            st.info(notice, icon=":material/info:")
        if place is not None:
            announce(notice)
        if _is_shut_in_frame():
            _offer_new_tab()
            return
        st.write(say(card.text))
        if st.button(say(card.button), key=key, type="primary", icon=":material/login:"):
            start_sign_in()


def read_notice() -> str | None:
    """Return what a visitor should know of their last sign-in or sign-out, if anything."""
    notes = read_notes()
    if message := notes["refusal"] or notes["ending"]:
        return say(message)
    browser = identify_browser()
    if browser is not None and open_shared_memory().is_signed_out_locally(browser):
        return say(texts.SIGNED_OUT_LOCALLY)
    return say(texts.SIGN_IN_UNFINISHED) if notes["is_unfinished"] else None


def announce(notice: str | None) -> None:
    """Say once over the page what stands in the sidebar, which is shut on a phone.

    Parameters:
        notice: from ``read_notice``.
    """
    notes = read_notes()
    before, notes["announced"] = notes["announced"], notice
    if notice and notice != before:
        st.toast(notice, icon=":material/info:", duration="long")


def start_sign_in() -> bool:
    """Send the browser to the provider, or say here why not: it does not answer, or would not lead back here.

    Returns:
        Whether the browser is on its way.

    Raises:
        LoginError: the app has no usable ``[auth]`` section.
    """
    if (address := find_registered_address()) is not None:
        logger.warning(texts.OPENED_ELSEWHERE, st.context.headers["Origin"], address.partition("?")[0])
        st.info(say(texts.SIGN_IN_ELSEWHERE), icon=":material/info:")
        label = say(texts.SIGN_IN_ELSEWHERE_LINK, host=escape_markdown(urlsplit(address).netloc))
        st.link_button(label, address, icon=":material/open_in_new:")
        return False
    try:
        begin_sign_in()
    except ProviderUnavailable as trouble:
        logger.warning(texts.SIGN_IN_NOT_STARTED, read_metadata_url(), trouble)
        st.info(say(texts.SIGN_IN_LATER), icon=":material/info:")
        return False
    except StreamlitAuthError as error:
        raise LoginError(texts.NOT_CONFIGURED.format(reason=" ".join(str(error).split()))) from error
    if st.context.is_embedded:
        # In a frame Streamlit asks the page around it to lead the browser away, and only one of its own origin can.
        _offer_new_tab()
    return True


def may_start_automatically() -> bool:
    """Tell whether a sign-in may start without a click now, and count it if so."""
    browser = identify_browser()
    return browser is not None and open_shared_memory().claim_automatic_attempt(browser)


def _offer_new_tab() -> None:
    st.write(say(texts.EMBEDDED_TEXT))
    st.link_button(say(texts.EMBEDDED_LINK), find_address(), icon=":material/open_in_new:", type="primary")


def _is_shut_in_frame() -> bool:
    """Tell whether the app is embedded and gets no cookies there, as in a frame of another site."""
    return bool(st.context.is_embedded) and identify_browser() is None


def _run_callback(identity: Identity, callback: Callback | None) -> None:
    notes = read_notes()
    if callback is None or not notes["is_fresh"]:
        return
    notes["is_fresh"] = False
    callback(describe_event("Login", identity.username, identity.email, identity.name, list(identity.roles)))
