"""What a person allowed an app, remembered so that they are asked once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import audit, sessions
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.models import AuthorizationGrant, BrowserSession, Client, Consent, User
from idp.oidc import logout_notices, token_status
from idp.oidc import scopes as known_scopes
from idp.oidc.authorization_request import AuthorizationRequest
from idp.settings import Settings
from idp.storage.changes import count_changed
from idp.storage.database import insert_into


@dataclass(frozen=True)
class GivenConsent:
    """What was allowed so far; nothing to begin with."""

    scopes: frozenset[str] = frozenset()
    claims: frozenset[str] = frozenset()

    @classmethod
    def of(cls, scope: str | None, claims: Iterable[str] | None) -> Self:
        """Read a row, or the absence of one."""
        return cls(frozenset(known_scopes.split(scope)), frozenset(claims or ()))

    def covers(self, request: AuthorizationRequest) -> bool:
        """Tell whether a request asks for nothing new."""
        asked_claims = request.claims.names - known_scopes.claims_of(self.scopes)
        return self.scopes.issuperset(request.scopes) and self.claims.issuperset(asked_claims)


@dataclass(frozen=True)
class AppAccess:
    """What one app may see of a person, and since when.

    Attributes:
        client_id: the app.
        client_name: as people know it.
        logo_uri: where it says that its logo is.
        scopes: what was allowed, or what a trusted app was given.
        claims: what was asked for one by one besides.
        since: when it was allowed, or first given.
    """

    client_id: str
    client_name: str
    logo_uri: str | None
    scopes: Sequence[str]
    claims: Sequence[str]
    since: int


def give_consent(
    db: Session,
    visitor: Visitor,
    user_id: str,
    client_id: str,
    scopes: Sequence[str],
    claims: frozenset[str] = frozenset(),
) -> None:
    """Remember that a person allowed a client some scopes and claims, beside what they allowed before."""
    while not _add(db, user_id, client_id, scopes, claims):
        pass  # somebody said something else at this moment, which must not be undone
    audit.record(db, Event.CONSENT_GIVEN, visitor, user_id=user_id, client_id=client_id, scope=" ".join(scopes))


def _add(db: Session, user_id: str, client_id: str, scopes: Sequence[str], claims: frozenset[str]) -> bool:
    """Add to what is remembered, and tell whether that was yet what it was when it was read."""
    key = {"user_id": user_id, "client_id": client_id}
    mine = select(Consent.scope, Consent.claims, Consent.granted_at).filter_by(**key)
    row = db.execute(mine).first()
    before = GivenConsent.of(row.scope, row.claims) if row else GivenConsent()
    known = [*sorted(before.scopes), *(scope for scope in scopes if scope not in before.scopes)]
    given = {"scope": " ".join(known), "claims": sorted(before.claims | claims), "granted_at": clock.now()}
    if row is None:
        return bool(count_changed(db, insert_into(db, Consent).values(**key, **given).on_conflict_do_nothing()))
    is_same = Consent.scope == row.scope, Consent.granted_at == row.granted_at
    return bool(count_changed(db, update(Consent).filter_by(**key).where(*is_same).values(given)))


def list_apps(db: Session, settings: Settings, user_id: str) -> list[AppAccess]:
    """Return the apps that may see something of a person, in the order of their names.

    Apps of the operator's own house ask nobody; they are listed while tokens of theirs may be alive.
    """
    allowed = db.execute(
        select(Client.client_id, Client.client_name, Client.logo_uri, Consent.scope, Consent.claims, Consent.granted_at)
        .join(Client, Client.client_id == Consent.client_id)
        .where(Consent.user_id == user_id)
    )
    found = {
        row.client_id: AppAccess(
            row.client_id,
            row.client_name,
            row.logo_uri,
            known_scopes.split(row.scope),
            tuple(row.claims),
            row.granted_at,
        )
        for row in allowed
    }
    now = clock.now()
    given = db.execute(
        select(
            Client.client_id,
            Client.client_name,
            Client.logo_uri,
            AuthorizationGrant.scope,
            func.min(AuthorizationGrant.created_at),
        )
        .join(Client, Client.client_id == AuthorizationGrant.client_id)
        .join(User, User.id == AuthorizationGrant.user_id)
        .join(BrowserSession, BrowserSession.id == AuthorizationGrant.session_id)
        .where(
            AuthorizationGrant.user_id == user_id,
            token_status.has_given_tokens(),
            AuthorizationGrant.expires_at > now,
            token_status.is_grant_alive(sessions.is_alive(settings, now)),
        )
        .group_by(Client.client_id, Client.client_name, Client.logo_uri, AuthorizationGrant.scope)
    )
    trusted: dict[str, AppAccess] = {}
    for client_id, name, logo_uri, scope, since in given:
        before = trusted.get(client_id, AppAccess(client_id, name, logo_uri, (), (), since))
        scopes = tuple(dict.fromkeys((*before.scopes, *known_scopes.split(scope))))
        trusted[client_id] = AppAccess(client_id, name, logo_uri, scopes, (), min(before.since, since))
    return sorted((trusted | found).values(), key=lambda app: (app.client_name.casefold(), app.client_id))


def withdraw_consent(db: Session, visitor: Visitor, user_id: str, client_id: str) -> bool:
    """Take back what a person allowed an app. Its grants end with all their tokens, wherever they were given.

    Codes that are under way end in any case: nobody knows whose they are before they are redeemed.

    The app is told as if the sessions had ended that it was reached from: it has no more business with the person.

    Returns:
        Whether there was anything to take back.
    """
    token_status.end_codes(db, user_id)
    forgotten = count_changed(db, delete(Consent).where(Consent.user_id == user_id, Consent.client_id == client_id))
    mine = AuthorizationGrant.user_id == user_id, AuthorizationGrant.client_id == client_id
    session_ids = set(token_status.end_grants(db, *mine))
    if not (forgotten or session_ids):
        return False
    if session_ids:
        logout_notices.note_ended_grants(db, user_id, client_id, session_ids)
    audit.record(db, Event.CONSENT_WITHDRAWN, visitor, user_id=user_id, client_id=client_id)
    return True
