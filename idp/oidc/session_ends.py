"""What the protocol does when browser sessions end, as one list: wired once a process, by whoever composes it."""

from idp.accounts import ended_sessions
from idp.oidc import logout_notices, token_status

LISTENERS = (token_status.revoke_grants, logout_notices.note_ended_sessions)


def listen() -> None:
    """Let sessions take their tokens along, and tell the apps that they reached. Safe to repeat."""
    for listener in LISTENERS:
        ended_sessions.on_sessions_ended(listener)
