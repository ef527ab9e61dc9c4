"""What the provider's back-channel said: which sessions are over, and since when."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from streamlit_bridge.bounded_table import BoundedTable


class EndedSessions:
    """The sessions that the provider ended. All methods are safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: BoundedTable[float] = BoundedTable()
        self._subjects: BoundedTable[float] = BoundedTable()
        self._logout_tokens: BoundedTable[bool] = BoundedTable()

    def claim_logout_token(self, token_id: str) -> bool:
        """Tell whether a logout token (its claim ``jti``) arrives for the first time."""
        with self._lock:
            is_first = self._logout_tokens.get(token_id) is None
            self._logout_tokens.put(token_id, True)
            return is_first

    def end(self, session_id: str | None, subject: str | None, issued_at: float) -> None:
        """Remember that the provider ended one session, or all of a person where it names no session.

        A session may go on at the provider without this app, and a person signs in again: what was signed in after the
        notice stands.

        Parameters:
            session_id: the claim ``sid``, if there is one.
            subject: the claim ``sub``; counts only without a session.
            issued_at: when the notice was made; sign-ins after this time (their claim ``iat``) stand.
        """
        table, name = (self._subjects, subject) if session_id is None else (self._sessions, session_id)
        if name is None:
            return
        with self._lock:
            # Two notices may arrive in the wrong order.
            table.put(name, max(issued_at, table.get(name) or issued_at))

    def covers(self, claims: Mapping[str, object]) -> bool:
        """Tell whether the sign-in that these ID-token claims are from has ended."""
        with self._lock:
            ends = self._sessions.get(str(claims.get("sid"))), self._subjects.get(str(claims.get("sub")))
        issued_at = claims.get("iat")
        return any(
            ended_at is not None and (not isinstance(issued_at, int | float) or issued_at <= ended_at)
            for ended_at in ends
        )
