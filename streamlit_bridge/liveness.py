"""Finds out whether a sign-in still holds: asks the account API now and then and remembers the answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import monotonic, time
from typing import Final

from streamlit_bridge import texts
from streamlit_bridge.api import fetch_profile
from streamlit_bridge.errors import AccountApiAbsent, ProviderUnavailable, ScopeMissing, SessionEnded
from streamlit_bridge.identity import Identity
from streamlit_bridge.memory import SharedMemory, TokenState

logger = logging.getLogger(__name__)

LONGEST_PAUSE: Final = 300.0


def find_live_identity(
    memory: SharedMemory,
    claims: Mapping[str, object],
    access_token: str | None,
    metadata_url: str | None,
    check_interval: float,
) -> Identity | None:
    """Return the person behind a sign-in, or None when the sign-in no longer holds.

    The account API is asked at most once in ``check_interval`` seconds for each access token, whatever the number of
    tabs. A provider that does not answer changes nothing: the person stays signed in, and the question is repeated
    after a growing pause. Where nobody can be asked (no token, no account API), the ID token's own expiry decides; a
    sign-in that was never confirmed, as after a restart of the app, does not outlast it either.

    Parameters:
        memory: the shared memory.
        claims: the ID-token claims that Streamlit keeps.
        access_token: the exposed access token, if there is one.
        metadata_url: where the discovery document is, if configured.
        check_interval: seconds between two questions.

    Raises:
        ProviderUnavailable: the ID token has expired, and nobody can say yet whether the sign-in holds.
    """
    try:
        claimed = Identity.from_claims(claims)
    except ValueError:
        return None
    if memory.ended_sessions.covers(claims):
        return None
    if access_token is None or metadata_url is None:
        if memory.claim_first_mention("tokens not exposed"):
            logger.warning(texts.TOKENS_NOT_EXPOSED)
        return None if _is_id_token_expired(claims) else claimed
    state = memory.recall_token(access_token)
    with state.lock:
        waits = check_interval if state.pause is None else state.pause
        if not state.is_ended and monotonic() >= state.asked_at + waits:
            _ask_provider(memory, state, claimed, access_token, metadata_url, check_interval)
        if state.is_ended or (not state.is_checkable and _is_id_token_expired(claims)):
            return None
        is_confirmed = state.profile is not None or state.lacks_scope
        if not is_confirmed and _is_id_token_expired(claims):
            raise ProviderUnavailable("the sign-in was never confirmed, and its ID token has expired")
        return state.profile or claimed


def _ask_provider(
    memory: SharedMemory,
    state: TokenState,
    claimed: Identity,
    access_token: str,
    metadata_url: str,
    check_interval: float,
) -> None:
    state.asked_at, state.pause = monotonic(), None
    is_passive = not state.is_used
    state.is_used = False  # already here: who does something meanwhile counts next time
    try:
        metadata = memory.read_metadata(metadata_url)
        profile = fetch_profile(memory.client, metadata, access_token, is_passive)
    except SessionEnded:
        state.is_ended = True
    except ScopeMissing:
        state.failures = 0
        state.lacks_scope = True
        if memory.claim_first_mention("scope missing"):
            logger.warning(texts.SCOPE_MISSING)
    except AccountApiAbsent:
        state.is_checkable = False
        if memory.claim_first_mention("account API absent"):
            logger.warning(texts.ACCOUNT_API_ABSENT)
    except ProviderUnavailable as trouble:
        state.is_used = state.is_used or not is_passive
        state.failures += 1
        # The exponent is capped as well: a long outage must not overflow a float.
        own_pause = check_interval * 2.0 ** min(state.failures - 1, 10)
        state.asked_at = monotonic()  # the answer may have been waited for
        state.pause = min(max(own_pause, trouble.retry_after or 0.0), LONGEST_PAUSE)
        logger.warning(texts.PROVIDER_UNAVAILABLE, trouble, state.pause)
    else:
        state.failures = 0
        state.is_checkable = True
        state.lacks_scope = False
        # A token of somebody else would mix two people: such a pair of cookies is worthless. What has ended meanwhile,
        # by a sign-out in another tab, stays so whatever this answer says.
        if profile.subject != claimed.subject:
            state.is_ended = True
        state.profile = profile


def _is_id_token_expired(claims: Mapping[str, object]) -> bool:
    expires_at = claims.get("exp")
    return isinstance(expires_at, int | float) and time() >= expires_at
