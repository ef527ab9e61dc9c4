"""Who hears of it when sessions end: what hangs on a session ends with it, in the same transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from idp.accounts import audit
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor

ACCOUNT_WIDE_REASONS = frozenset({"password_changed", "user_disabled", "account_deleted"})


@dataclass(frozen=True)
class EndedSessions:
    """What a listener is told, and whoever ended the sessions gets back.

    Attributes:
        user_id: whose sessions ended.
        session_ids: which ones.
        reason: `signed_out`, `ended_by_user`, `ended_by_operator`, `password_changed`, `user_disabled`,
            `account_deleted`, `replaced`, `expired`.
        to_visit: filled by listeners: what the person's own browser must visit to end what it holds there.
    """

    user_id: str
    session_ids: Sequence[str]
    reason: str
    to_visit: list[str] = field(default_factory=list, compare=False)

    @property
    def is_account_wide(self) -> bool:
        """Whether the account itself is in doubt, so that whatever outlives a session ends too."""
        return self.reason in ACCOUNT_WIDE_REASONS


Listener = Callable[[Session, EndedSessions], None]
_listeners: list[Listener] = []


def on_sessions_ended(listener: Listener) -> None:
    """Call `listener` in the transaction that ends sessions. Wired once a process, by the composition root."""
    if listener not in _listeners:
        _listeners.append(listener)


def tell(db: Session, visitor: Visitor, ended: EndedSessions) -> EndedSessions:
    """Write down that sessions ended, and tell every listener; returns what they have made of it.

    Args:
        visitor: who ended them.
    """
    for session_id in ended.session_ids:
        audit.record(
            db, Event.SESSION_ENDED, visitor, user_id=ended.user_id, session_id=session_id, reason=ended.reason
        )
    for listener in _listeners:
        listener(db, ended)
    return ended
