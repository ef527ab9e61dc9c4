"""Clients as the endpoints read them: kept in memory, and checked against the database at each use.

A client's row is a page of JSON; its version is one number. Asking for the number and keeping the rest costs a
fraction of reading it all, and no process ever acts on a client that was changed or removed a moment ago.
"""

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from idp import crypto
from idp.accounts import sessions
from idp.accounts.sessions import CurrentSession
from idp.models import BrowserSession, Client, Consent
from idp.oidc.client_store import load_client
from idp.oidc.clients import ClientMetadata, make_room
from idp.oidc.consents import GivenConsent
from idp.settings import Settings
from idp.storage.statements import Prepared, value

_VERSION = Prepared(select(Client.version).where(Client.client_id == value("client_id")))
_SESSION_AND_BOTH = Prepared(
    sessions.CURRENT.add_columns(Client.version, Consent.scope, Consent.claims)
    .outerjoin(Client, Client.client_id == value("client_id"))
    .outerjoin(Consent, and_(Consent.client_id == Client.client_id, Consent.user_id == BrowserSession.user_id))
    .where(BrowserSession.token_digest == value("token_digest"), sessions.IS_ALIVE)
)


class ClientRegistry:
    """The clients that this process has seen."""

    def __init__(self) -> None:
        self._kept: dict[str, ClientMetadata] = {}

    def kept(self, client_id: str) -> ClientMetadata | None:
        """Return a client as this process saw it last; whoever uses it has to see to it that it is so yet."""
        return self._kept.get(client_id)

    def find(self, db: Session, client_id: str) -> ClientMetadata | None:
        """Return a client, or None."""
        return self.at_version(db, client_id, _VERSION.scalar(db, client_id=client_id))

    def find_with_session(
        self, db: Session, settings: Settings, client_id: str, session_token: str
    ) -> tuple[ClientMetadata | None, CurrentSession | None, GivenConsent]:
        """Return a client, whose browser asks for it, and what they allowed it: for a login, in one statement."""
        row = _SESSION_AND_BOTH.first(
            db, client_id=client_id, token_digest=crypto.digest(session_token), **sessions.alive_now(settings)
        )
        if row is None:
            return self.find(db, client_id), None, GivenConsent()
        client = self.at_version(db, client_id, row["version"])
        return client, sessions.session_of(row), GivenConsent.of(row["scope"], row["claims"])

    def at_version(self, db: Session, client_id: str, version: int | None) -> ClientMetadata | None:
        """Return a client whose version was just read, beside something else; None when there is no such client."""
        kept = self._kept.get(client_id)
        if version is None:
            self._kept.pop(client_id, None)
            return None
        if kept is not None and kept.version == version:
            return kept
        client = load_client(db, client_id)
        if client is not None:
            make_room(self._kept)
            self._kept[client_id] = client
        return client
