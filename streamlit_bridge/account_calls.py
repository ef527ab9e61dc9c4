"""Calls of the account API, in the name of the signed-in user or of the app itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final

import streamlit as st

from streamlit_bridge import texts
from streamlit_bridge.api import call_account_api, fetch_client_token
from streamlit_bridge.errors import AccountApiAbsent, ProviderUnavailable, ScopeMissing, SessionEnded
from streamlit_bridge.memory import ClientGrant, open_shared_memory
from streamlit_bridge.session import read_access_token, read_auth_setting, read_metadata_url
from streamlit_bridge.wording import read_language

logger = logging.getLogger(__name__)

# A token is replaced this many seconds before it expires, so that none dies on its way.
EXPIRY_MARGIN: Final = 30.0
# An operator may grant a scope while the app runs, so a refusal is not for ever.
REFUSAL_LIFETIME: Final = 300.0
SILENCE_LIFETIME: Final = 15.0
LONGEST_LANGUAGE: Final = 35

REGISTRATION: Final = ("registration",)
RECOVERY: Final = ("recovery",)
# Whoever is granted the second scope learns passwords and whether names exist, so it is preferred where granted.
TELLING_RECOVERY: Final = ("recovery:password", "recovery")


def may_change_account() -> bool:
    """Tell whether the signed-in user's token is good for changing the account, as far as is known."""
    token = read_access_token()
    if token is None or read_metadata_url() is None:
        return False
    state = open_shared_memory().recall_token(token)
    return state.is_checkable and not state.lacks_scope


def call_as_user(method: str, path: str, body: Mapping[str, object] | None = None) -> Mapping[str, object]:
    """Make a call with the signed-in user's token; what it has mailed is in the browser's language.

    Parameters:
        method, path, body: see ``call_account_api``.

    Raises:
        AccountApiError: one of its kinds; a dead token also ends the session in this app.
    """
    token, metadata_url = read_access_token(), read_metadata_url()
    if token is None or metadata_url is None:
        raise ScopeMissing("there is no access token")
    memory = open_shared_memory()
    if body is not None:
        body = _in_language(body)
    try:
        return call_account_api(
            memory.client, memory.read_metadata(metadata_url), token, method, path, body, language=read_language()
        )
    except SessionEnded:
        memory.recall_token(token).is_ended = True
        raise
    except ScopeMissing:
        memory.recall_token(token).lacks_scope = True
        raise


def find_granted_scope(scopes: Sequence[str]) -> str | None:
    """Return the first scope that the app itself is granted, None if none is.

    While the provider does not answer the last one is assumed: the form then shows, and says so when it is sent.

    Parameters:
        scopes: scopes that would do, the most welcome first.
    """
    reason = ""
    for scope in scopes:
        try:
            _find_token(scope)
        except (ScopeMissing, AccountApiAbsent) as missing:
            reason = str(missing)
            continue
        except ProviderUnavailable:
            return scopes[-1]
        return scope
    if open_shared_memory().claim_first_mention(f"not granted {scopes}"):
        logger.warning(texts.WIDGET_IS_HOSTED, " / ".join(scopes), reason)
    return None


def call_as_app(
    scope: str,
    path: str,
    body: Mapping[str, object],
    *,
    idempotency_key: str | None = None,
    is_mailed: bool = True,
) -> Mapping[str, object]:
    """Make a POST call with a token of the app itself.

    Parameters:
        scope: what the token must permit.
        path, body, idempotency_key: see ``call_account_api``.
        is_mailed: the call has something mailed, so the browser's language goes with it.

    Raises:
        AccountApiError: one of its kinds.
    """
    memory = open_shared_memory()
    metadata = memory.read_metadata(_require_setting("server_metadata_url"))
    if is_mailed:
        body = _in_language(body)
    for is_last in (False, True):
        token = _find_token(scope)
        try:
            return call_account_api(
                memory.client, metadata, token, "POST", path, body, idempotency_key, language=read_language()
            )
        except SessionEnded:
            # Revoked before its time, perhaps because the secret was changed: a fresh one may do.
            _recall_grant(scope).good_until = 0.0
            if is_last:
                raise ScopeMissing("the provider refuses the app's own tokens") from None
        except ScopeMissing as refusal:
            _note_refusal(_recall_grant(scope), refusal)
            raise
    raise AssertionError("unreachable")


def _in_language(body: Mapping[str, object]) -> Mapping[str, object]:
    """Add the browser's language, for whatever the call has mailed."""
    language = st.context.locale
    return {**body, "language": language[:LONGEST_LANGUAGE]} if language else body


def _find_token(scope: str) -> str:
    """Return a living token of the app itself, asking for one if need be."""
    memory = open_shared_memory()
    grant = _recall_grant(scope)
    metadata_url, client_id = _require_setting("server_metadata_url"), _require_setting("client_id")
    client_secret = _require_setting("client_secret")
    with grant.lock:
        now = monotonic()
        if now < grant.refused_until:
            raise ScopeMissing(grant.refusal)
        if grant.token is not None and now < grant.good_until:
            return grant.token
        if now < grant.silent_until:
            raise ProviderUnavailable("no token could be had a moment ago")
        metadata = memory.read_metadata(metadata_url)
        if "account_api_endpoint" not in metadata:
            raise AccountApiAbsent("no account_api_endpoint in the discovery document")
        try:
            token = fetch_client_token(memory.client, metadata, client_id, client_secret, scope)
        except ScopeMissing as refusal:
            _note_refusal(grant, refusal)
            raise
        except ProviderUnavailable:
            # Every page with such a widget would wait for the answer otherwise.
            grant.silent_until = monotonic() + SILENCE_LIFETIME
            raise
        grant.token, grant.good_until = token.value, now + token.lifetime - EXPIRY_MARGIN
        return token.value


def _note_refusal(grant: ClientGrant, refusal: ScopeMissing) -> None:
    # The reason first: not everybody who writes holds the lock, and whoever finds a refusal needs it.
    grant.refusal, grant.refused_until = str(refusal), monotonic() + REFUSAL_LIFETIME


def _recall_grant(scope: str) -> ClientGrant:
    return open_shared_memory().recall_grant(_require_setting("client_id"), scope)


def _require_setting(name: str) -> str:
    value = read_auth_setting(name)
    if value is None:
        raise ScopeMissing(texts.SETTING_MISSING % name)
    return value
