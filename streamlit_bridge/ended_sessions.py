"""What the provider's back-channel said: which sessions are over."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from streamlit_bridge.bounded_table import BoundedTable


class EndedSessions:
    """The sessions that the provider ended. All methods are safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: BoundedTable[bool] = BoundedTable()
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

        Parameters:
            session_id: the claim ``sid``, if there is one.
            subject: the claim ``sub``; counts only without a session.
            issued_at: sign-ins after this time (their claim ``iat``) stand, when a whole person was signed out.
        """
        with self._lock:
            if session_id is not None:
                self._sessions.put(session_id, True)
            elif subject is not None:
                self._subjects.put(subject, issued_at)

    def covers(self, claims: Mapping[str, object]) -> bool:
        """Tell whether the session that these ID-token claims are from has ended."""
        with self._lock:
            if self._sessions.get(str(claims.get("sid"))):
                return True
            ended_at = self._subjects.get(str(claims.get("sub")))
        issued_at = claims.get("iat")
        return ended_at is not None and (not isinstance(issued_at, int | float) or issued_at <= ended_at)
