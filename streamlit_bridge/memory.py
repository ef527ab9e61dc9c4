"""What all sessions of one app process share.

It lives in ``st.cache_resource`` because a module global would split in two when Streamlit's file watcher imports the
package again. Nothing here is written to disk; losing it costs one more question to the provider, or a return path.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final

import httpx
import streamlit as st

from streamlit_bridge.api import fetch_document, open_client
from streamlit_bridge.bounded_table import BoundedTable
from streamlit_bridge.ended_sessions import EndedSessions
from streamlit_bridge.errors import ProviderUnavailable
from streamlit_bridge.identity import Identity

ATTEMPT_LIFETIME: Final = 60 * 60.0  # so long Streamlit waits for the browser: who registers first may wait for mail
AUTOMATIC_PAUSE: Final = 60.0
METADATA_LIFETIME: Final = 60 * 60.0
METADATA_RETRY: Final = 15.0


@dataclass(frozen=True)
class Destination:
    """A place in this app: a page's URL path ("" is the start page) and the query string's parameters."""

    page: str = ""
    query: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Attempt:
    """A sign-in that a browser has started and not brought back yet."""

    destination: Destination
    started_at: float
    is_noticed: bool = False
    is_brought_back: bool = False
    refusal: str | None = None


@dataclass
class TokenState:
    """What is known of one access token; ``lock`` lets one session ask while the others wait for its answer.

    ``is_ended`` needs no lock: it only ever becomes True. After trouble ``pause`` counts in place of the interval of
    whoever wants to ask.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    asked_at: float = -math.inf
    pause: float | None = None
    failures: int = 0
    profile: Identity | None = None
    is_ended: bool = False
    is_checkable: bool = True
    lacks_scope: bool = False
    is_used: bool = False  # somebody did something since the provider was asked last: that keeps the session alive


@dataclass
class ClientGrant:
    """What is known of one scope that the app itself asks for, its token or when to ask again after a refusal."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    token: str | None = None
    good_until: float = 0.0
    refused_until: float = 0.0
    refusal: str = ""
    silent_until: float = 0.0


class SharedMemory:
    """Token states, started sign-ins, the app's own grants and the provider's public documents.

    All methods are safe to call from any thread.
    """

    def __init__(self) -> None:
        self.client: httpx.Client = open_client()
        self.ended_sessions = EndedSessions()
        self._lock = threading.Lock()
        self._tokens: BoundedTable[TokenState] = BoundedTable()
        self._attempts: BoundedTable[Attempt] = BoundedTable()
        self._automatic_at: BoundedTable[float] = BoundedTable()
        self._local_sign_outs: BoundedTable[bool] = BoundedTable()
        self._metadata: BoundedTable[tuple[float, Mapping[str, object] | None]] = BoundedTable()
        self._grants: BoundedTable[ClientGrant] = BoundedTable()
        self._said: set[str] = set()

    def recall_token(self, access_token: str) -> TokenState:
        """Return the state of a token; only its digest is kept."""
        digest = hashlib.sha256(access_token.encode()).hexdigest()
        with self._lock:
            state = self._tokens.get(digest)
            if state is None:
                state = TokenState()
                self._tokens.put(digest, state)
            return state

    def begin_attempt(self, browser: str, destination: Destination) -> None:
        """Remember where a browser wants to return to after signing in."""
        with self._lock:
            self._local_sign_outs.drop(browser)
            self._attempts.put(browser, Attempt(destination, monotonic()))

    def recall_attempt(self, browser: str) -> Attempt | None:
        """Return the sign-in that the browser started, unless it is too long ago."""
        with self._lock:
            attempt = self._attempts.get(browser)
        return attempt if attempt and monotonic() - attempt.started_at <= ATTEMPT_LIFETIME else None

    def notice_attempt(self, browser: str) -> None:
        """Mark the started sign-in as reported to the user, so it is reported once."""
        with self._lock:
            attempt = self._attempts.get(browser)
            if attempt is not None:
                self._attempts.put(browser, replace(attempt, is_noticed=True))

    def bring_attempt_back(self, browser: str, refusal: str | None) -> Attempt | None:
        """Note that the browser has come back from the provider, and what the provider refused; returns the attempt."""
        attempt = self.recall_attempt(browser)
        if attempt is not None:
            attempt = replace(attempt, is_brought_back=True, is_noticed=False, refusal=refusal)
            with self._lock:
                self._attempts.put(browser, attempt)
        return attempt

    def forget_attempt(self, browser: str) -> None:
        """Forget the started sign-in: it succeeded, or the user signed out."""
        with self._lock:
            self._attempts.drop(browser)

    def claim_automatic_attempt(self, browser: str) -> bool:
        """Allow one automatic sign-in per browser and minute.

        A failing code exchange with a live session at the provider would otherwise send the browser in circles.
        """
        with self._lock:
            last = self._automatic_at.get(browser)
            if self._local_sign_outs.get(browser) or (last is not None and monotonic() - last < AUTOMATIC_PAUSE):
                return False
            self._automatic_at.put(browser, monotonic())
            return True

    def hold_automatic_attempts(self, browser: str) -> None:
        """Start the pause without an attempt, so a sign-out is not undone by the next page."""
        with self._lock:
            self._automatic_at.put(browser, monotonic())

    def note_local_sign_out(self, browser: str) -> None:
        """Remember that somebody signed out of this app alone: their session at the provider would let them in again.

        No sign-in starts automatically until the person has started one.
        """
        with self._lock:
            self._local_sign_outs.put(browser, True)

    def is_signed_out_locally(self, browser: str) -> bool:
        """Tell whether the browser's last sign-out reached this app alone."""
        with self._lock:
            return self._local_sign_outs.get(browser) is not None

    def read_metadata(self, metadata_url: str, *, longest_age: float = METADATA_LIFETIME) -> Mapping[str, object]:
        """Return a public document of the provider, fetched once an hour; failures are remembered for some seconds.

        Parameters:
            metadata_url: the address of the discovery document, or of the signing keys.
            longest_age: a document that is older in seconds is fetched anew.

        Raises:
            ProviderUnavailable: the document cannot be had just now.
        """
        with self._lock:
            known = self._metadata.get(metadata_url)
        if known is not None:
            fetched_at, document = known
            age = monotonic() - fetched_at
            if document is not None and age < longest_age:
                return document
            if document is None and age < METADATA_RETRY:
                raise ProviderUnavailable("the discovery document could not be fetched a moment ago")
        try:
            document = fetch_document(self.client, metadata_url)
        except ProviderUnavailable:
            with self._lock:
                self._metadata.put(metadata_url, (monotonic(), None))
            raise
        with self._lock:
            self._metadata.put(metadata_url, (monotonic(), document))
        return document

    def recall_grant(self, client_id: str, scope: str) -> ClientGrant:
        """Return what is known of a scope that the app itself asks for."""
        with self._lock:
            grant = self._grants.get(f"{client_id} {scope}")
            if grant is None:
                grant = ClientGrant()
                self._grants.put(f"{client_id} {scope}", grant)
            return grant

    def claim_first_mention(self, subject: str) -> bool:
        """Tell whether this is the first time that ``subject`` comes up, for messages that are written once."""
        with self._lock:
            is_first = subject not in self._said
            self._said.add(subject)
            return is_first


@st.cache_resource(show_spinner=False)
def open_shared_memory() -> SharedMemory:
    """Return the one memory of this process."""
    return SharedMemory()
