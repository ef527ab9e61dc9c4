"""Whose account a widget may change: the signed-in user's, with a token that permits it, and nobody else's."""

from __future__ import annotations

import logging

import streamlit as st

from streamlit_bridge import texts
from streamlit_bridge.account_calls import may_change_account
from streamlit_bridge.errors import BridgeError
from streamlit_bridge.memory import open_shared_memory
from streamlit_bridge.wording import say

logger = logging.getLogger(__name__)


def check_owner(username: object, error_class: type[BridgeError]) -> None:
    """Refuse to change any account but the signed-in user's.

    Parameters:
        username: whom the app names.
        error_class: the class of the widget's errors.

    Raises:
        BridgeError: of the given class.
    """
    if not st.session_state["authentication_status"]:
        raise error_class(say(texts.NOBODY_SIGNED_IN))
    if str(username).casefold() != str(st.session_state["username"]).casefold():
        raise error_class(say(texts.SOMEBODY_ELSE))


def may_change_account_here(widget: str) -> bool:
    """Tell whether the user's token is good for a form, and say once in the log what is missing if it is not."""
    if may_change_account():
        return True
    if open_shared_memory().claim_first_mention(f"account not changeable {widget}"):
        logger.warning(texts.ACCOUNT_NOT_CHANGEABLE, widget)
    return False
