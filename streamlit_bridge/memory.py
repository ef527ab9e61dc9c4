"""What all sessions of one app process share.

It lives in ``st.cache_resource`` because a module global would split in two when Streamlit's file watcher imports the
package again. Nothing here is written to disk; losing it costs one more question to the provider, or a return path.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Generic, TypeVar

import httpx
import streamlit as st

from streamlit_bridge.api import fetch_metadata, open_client
from streamlit_bridge.errors import ProviderUnavailable
from streamlit_bridge.identity import Identity

ATTEMPT_LIFETIME: Final = 30 * 60.0
AUTOMATIC_PAUSE: Final = 60.0
METADATA_LIFETIME: Final = 60 * 60.0
METADATA_RETRY: Final = 15.0
CAPACITY: Final = 10_000

Value = TypeVar("Value")


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


@dataclass
class TokenState:
    """What is known of one access token; ``lock`` lets one session ask while the others wait for its answer."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    due_at: float = 0.0
    failures: int = 0
    profile: Identity | None = None
    is_ended: bool = False
    is_checkable: bool = True


class BoundedTable(Generic[Value]):
    """A dictionary that forgets its oldest entries, so visitors cannot fill the memory."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._rows: OrderedDict[str, Value] = OrderedDict()

    def get(self, key: str) -> Value | None:
        """Return the value, or None."""
        return self._rows.get(key)

    def put(self, key: str, value: Value) -> None:
        """Store the value as the newest entry."""
        self._rows[key] = value
        self._rows.move_to_end(key)
        while len(self._rows) > self._capacity:
            self._rows.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget the key, if it is known."""
        self._rows.pop(key, None)


class SharedMemory:
    """Token states, started sign-ins and the discovery document. All methods are safe to call from any thread."""

    def __init__(self) -> None:
        self.client: httpx.Client = open_client()
        self._lock = threading.Lock()
        self._tokens: BoundedTable[TokenState] = BoundedTable()
        self._attempts: BoundedTable[Attempt] = BoundedTable()
        self._automatic_at: BoundedTable[float] = BoundedTable()
        self._metadata: BoundedTable[tuple[float, Mapping[str, object] | None]] = BoundedTable()
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
            self._attempts.put(browser, Attempt(destination, monotonic()))

    def recall_attempt(self, browser: str) -> Attempt | None:
        """Return the sign-in that the browser started, unless it is too long ago."""
        with self._lock:
            attempt = self._attempts.get(browser)
            if attempt is not None and monotonic() - attempt.started_at > ATTEMPT_LIFETIME:
                self._attempts.drop(browser)
                return None
            return attempt

    def notice_attempt(self, browser: str) -> None:
        """Mark the started sign-in as reported to the user, so it is reported once."""
        with self._lock:
            attempt = self._attempts.get(browser)
            if attempt is not None:
                self._attempts.put(browser, Attempt(attempt.destination, attempt.started_at, is_noticed=True))

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
            if last is not None and monotonic() - last < AUTOMATIC_PAUSE:
                return False
            self._automatic_at.put(browser, monotonic())
            return True

    def hold_automatic_attempts(self, browser: str) -> None:
        """Start the pause without an attempt, so a sign-out is not undone by the next page."""
        with self._lock:
            self._automatic_at.put(browser, monotonic())

    def read_metadata(self, metadata_url: str) -> Mapping[str, object]:
        """Return the discovery document, fetched at most once an hour; failures are remembered for some seconds.

        Raises:
            ProviderUnavailable: the document cannot be had just now.
        """
        with self._lock:
            known = self._metadata.get(metadata_url)
        if known is not None:
            fetched_at, document = known
            age = monotonic() - fetched_at
            if document is not None and age < METADATA_LIFETIME:
                return document
            if document is None and age < METADATA_RETRY:
                raise ProviderUnavailable("the discovery document could not be fetched a moment ago")
        try:
            document = fetch_metadata(self.client, metadata_url)
        except ProviderUnavailable:
            with self._lock:
                self._metadata.put(metadata_url, (monotonic(), None))
            raise
        with self._lock:
            self._metadata.put(metadata_url, (monotonic(), document))
        return document

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
